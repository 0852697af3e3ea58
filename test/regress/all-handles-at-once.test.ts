// After a change a socket's handles were followed without a pause, up to a hundred thousand flags of them, and the worker
// answered nobody meanwhile. Others get their turns between one handle and the next.
import { test } from 'tap';
import { startHandles } from '../support/handles.ts';
import { makeFlag, makeKey, makeSnapshot } from '../support/serving.ts';

const HANDLES = 64;
const NAMES = 1500;
const key = makeKey({ raw: 'evaluate-key-of-32-characters-00', scope: 'evaluate' });

function snapshotOf(revision: number, names: readonly string[]) {
  const variants = Object.fromEntries(names.map((name) => [name, name]));
  const color = { flag_id: 'color', enabled: true, type: 'string', variants, off_variant: 'red' };
  return makeSnapshot(revision, [makeFlag(color)], [key]);
}

for (const isBehind of [false, true]) {
  const when = isBehind ? 'once the client has read' : 'after a change';
  test(`others get their turns while the handles of one socket are followed ${when}`, async (t) => {
    const bench = startHandles(snapshotOf(1, ['red', 'blue']));
    const client = bench.connect(key);
    for (let i = 0; i < HANDLES; i++) {
      const flagIds = Array.from({ length: NAMES }, (_, n) => (n === 0 ? `only-${i}` : 'color'));
      bench.handles.prepare(client, { type: 'prepare', id: i, environment: 'prod', minRevision: undefined, flagIds });
    }
    t.equal(client.received.length, HANDLES);
    if (isBehind) client.unsent = 1;
    bench.swap(snapshotOf(2, ['red', 'green']));
    if (isBehind) {
      await bench.settle();
      t.equal(client.received.length, HANDLES, 'nothing is sent to whom does not read');
      client.unsent = 0;
    }
    let othersTurns = 0;
    const told = new Promise<void>((resolve) => {
      client.onReceive = () => {
        if (client.received.length === 2 * HANDLES) resolve();
      };
    });
    let isOver = false;
    const takeTurns = (): void => {
      othersTurns += 1;
      if (!isOver) setImmediate(takeTurns);
    };
    if (isBehind) bench.handles.drained(client);
    setImmediate(takeTurns);
    await Promise.all([told, bench.settle()]);
    isOver = true;
    t.ok(othersTurns > 2, `${othersTurns} turns`);
  });
}
