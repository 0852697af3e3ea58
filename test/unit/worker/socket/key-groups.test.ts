// Connections of one key stand and fall together.
import { test } from 'tap';
import { limits } from '../../../../src/limits.ts';
import { createKeyGroups, type Member } from '../../../../src/worker/socket/key-groups.ts';
import { makeKey, makeSnapshot } from '../../../support/serving.ts';

const KEY = makeKey({ raw: 'a-key-of-at-least-32-characters-00', scope: 'evaluate', expiresAtMs: 1000 });
const OTHER = makeKey({ raw: 'another-key-of-32-characters-00000', scope: 'evaluate' });

function setUp(count: number) {
  let snapshot = makeSnapshot(1, [], [KEY, OTHER]);
  let nowMs = 0;
  const failures: unknown[] = [];
  const groups = createKeyGroups({
    current: () => snapshot,
    now: () => nowMs,
    onFailure: (error) => void failures.push(error),
  });
  let revoked = 0;
  let allRevoked = (): void => {};
  const done = new Promise<void>((resolve) => {
    allRevoked = resolve;
  });
  const members = Array.from({ length: count }, () => {
    const member: Member = {
      revoked() {
        revoked += 1;
        groups.leave(group, member);
        if (revoked === count) allRevoked();
      },
    };
    const group = groups.join(KEY, member);
    return { member, group };
  });
  return {
    groups,
    members,
    done,
    failures,
    revoked: () => revoked,
    serve: (next: typeof snapshot) => (snapshot = next),
    at: (ms: number) => (nowMs = ms),
  };
}

test('a key has room for so many and no more', (t) => {
  const { groups, members } = setUp(limits.socketsPerKeyMax);
  t.notOk(groups.hasRoom(KEY));
  t.ok(groups.hasRoom(OTHER));
  const { group, member } = members[0] as (typeof members)[number];
  groups.leave(group, member);
  groups.leave(group, member);
  t.ok(groups.hasRoom(KEY));
  t.end();
});

test('the key is that of the snapshot served now', (t) => {
  const { members, serve, at } = setUp(1);
  const group = members[0]?.group;
  t.equal(group?.key(0), KEY);
  const changed = { ...KEY, environments: new Set(['dev']) };
  serve(makeSnapshot(2, [], [changed]));
  t.equal(group?.key(0), changed);
  at(1000);
  t.equal(group?.key(1000), undefined, 'expired');
  serve(makeSnapshot(3, [], [OTHER]));
  t.equal(group?.key(0), undefined, 'revoked');
  t.equal(group?.lastKey, changed);
  t.end();
});

test('a key that is gone loses all its connections, each once', async (t) => {
  const { groups, done, serve, revoked, failures } = setUp(5000);
  const stays: Member = { revoked: () => t.fail('another key goes on') };
  groups.join(OTHER, stays);
  groups.sweep();
  serve(makeSnapshot(2, [], [OTHER]));
  groups.sweep();
  groups.sweep();
  await done;
  t.equal(revoked(), 5000);
  t.ok(groups.hasRoom(KEY));
  t.same(failures, []);
});

test('a key that expires loses them too', async (t) => {
  const { groups, done, at, revoked } = setUp(3);
  at(999);
  groups.sweep();
  t.equal(revoked(), 0);
  at(1000);
  groups.sweep();
  await done;
  t.equal(revoked(), 3);
});

test('a connection that fails does not save those behind it for good', async (t) => {
  const { groups, serve, failures } = setUp(0);
  const failure = new Error('it does not close');
  const faulty: Member = {
    revoked() {
      groups.leave(group, faulty);
      throw failure;
    },
  };
  const group = groups.join(KEY, faulty);
  const revoked = new Promise<void>((resolve) => groups.join(KEY, { revoked: resolve }));
  serve(makeSnapshot(2, [], [OTHER]));
  groups.sweep();
  groups.sweep();
  await revoked;
  t.same(failures, [failure]);
});
