// What a connection lets its client keep in this server's memory, alone and together with all others.
import { test } from 'tap';
import { limits } from '../../../../src/limits.ts';
import { ADMITTED } from '../../../../src/worker/limiter.ts';
import type { Connection } from '../../../../src/worker/socket/connection.ts';
import type { Hub } from '../../../../src/worker/socket/hub.ts';
import type { KeyGroup } from '../../../../src/worker/socket/key-groups.ts';
import { LiveConnection } from '../../../../src/worker/socket/live-connection.ts';
import { makeKey } from '../../../support/serving.ts';

const MIB = 1_048_576;
const key = makeKey({ raw: 'evaluate-key-of-32-characters-000', scope: 'evaluate' });

interface Scene {
  readonly connection: LiveConnection;
  readonly hub: { unsent: number; kept: number };
  /** Bytes that the client has not taken. */
  unsent: number;
  /** What is done with a message. */
  handle: (connection: Connection) => void;
  /** Codes it was closed with. */
  readonly ended: number[];
  readonly parted: boolean[];
  gone(): void;
}

function open(): Scene {
  const totals = { unsent: 0, kept: 0 };
  const ended: number[] = [];
  const parted: boolean[] = [];
  const group: KeyGroup = { members: new Set(), lastKey: key, key: () => key };
  const hub: Hub = {
    now: () => 0,
    keyTimer: () => setTimeout(() => {}, 0),
    join: () => group,
    admit: () => ({ group }),
    greet: (connection) => connection.welcome('{}'),
    tryTake: () => ADMITTED,
    waitTake: () => {},
    dispatch: (connection) => scene.handle(connection),
    refuse: () => {},
    drained: () => {},
    closing: () => {},
    parted: (_connection, _group, wasOpen) => void parted.push(wasOpen),
    gone: () => {},
    get unsentBytes() {
      return totals.unsent;
    },
    countUnsent: (change) => void (totals.unsent += change),
    get keptBytes() {
      return totals.kept;
    },
    countKept: (change) => void (totals.kept += change),
  };
  const connection = new LiveConnection(hub, key, ADMITTED);
  const scene: Scene = {
    connection,
    hub: totals,
    unsent: 0,
    handle: () => {},
    ended,
    parted,
    gone: () => connection.closed(),
  };
  connection.opened({
    send: () => {},
    unsentBytes: () => scene.unsent,
    end: (code) => void ended.push(code),
    close: () => {},
  });
  return scene;
}

test('what is not read has an end, for one and for all', (t) => {
  const one = open();
  one.unsent = limits.socketUnsentBytesMax;
  one.connection.sendText('x');
  t.same(one.ended, []);
  t.equal(one.hub.unsent, limits.socketUnsentBytesMax);
  one.unsent += 1;
  one.connection.sendBinary(new Uint8Array(1));
  t.same(one.ended, [1013]);
  t.notOk(one.connection.isOpen);
  t.ok(one.hub.unsent > 0, 'still in memory while the close frame waits for it');
  one.gone();
  t.equal(one.hub.unsent, 0);
  t.same(one.parted, [true], 'told once');

  const other = open();
  other.hub.unsent = limits.socketsUnsentBytesMax + 1;
  other.unsent = MIB;
  other.connection.sendText('x');
  t.same(other.ended, [], 'who keeps little is let be');
  other.unsent = MIB + 1;
  other.connection.sendText('x');
  t.same(other.ended, [1013]);
  t.end();
});

test('what is asked for and not answered has an end, for one and for all', (t) => {
  const one = open();
  const settles: (() => void)[] = [];
  one.handle = (connection) => void settles.push(connection.begin() as () => void);
  const message = new Uint8Array(limits.socketMessageBytesMax);
  for (let i = 0; i < 64; i++) one.connection.message(message, false);
  t.same(one.ended, [], '64 of the largest are promised');
  t.equal(one.hub.kept, 64 * MIB);
  settles.pop()?.();
  t.equal(one.hub.kept, 63 * MIB);
  one.connection.message(message, false);
  one.connection.message(message, false);
  t.same(one.ended, [1013]);
  t.equal(one.hub.kept, 0);
  for (const settle of settles) settle();
  t.equal(one.hub.kept, 0, 'what is settled too late changes nothing');

  const other = open();
  other.hub.kept = limits.socketsKeptBytesMax;
  other.handle = (connection) => void connection.begin();
  other.connection.message(message, false);
  t.same(other.ended, []);
  other.connection.message(message, false);
  t.same(other.ended, [1013]);
  t.end();
});

test('one that is leaving is closed with its last answer', (t) => {
  const idle = open();
  idle.connection.leave();
  t.same(idle.ended, [1001]);
  const busy = open();
  const settles: (() => void)[] = [];
  busy.handle = (connection) => void settles.push(connection.begin() as () => void);
  busy.connection.message(new Uint8Array(2), false);
  busy.connection.message(new Uint8Array(2), false);
  busy.connection.leave();
  settles[0]?.();
  t.same(busy.ended, []);
  settles[1]?.();
  t.same(busy.ended, [1001]);
  t.end();
});
