// What idle handles keep: neither the snapshot they were prepared in nor a plan of it.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { test } from 'tap';
import { encodeRequest } from '../../../support/binary-client.ts';
import { startHandles } from '../../../support/handles.ts';
import { makeFlag, makeKey, makeSnapshot } from '../../../support/serving.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const key = makeKey({ raw: 'evaluate-key-of-32-characters-00', scope: 'evaluate' });

function snapshotOf(revision: number, names: readonly string[]) {
  const variants = Object.fromEntries(names.map((name) => [name, name]));
  const color = { flag_id: 'color', enabled: true, type: 'string', variants, off_variant: 'red' };
  return makeSnapshot(
    revision,
    [makeFlag({ flag_id: 'half', enabled: true, rollout_percentage: 50 }), makeFlag(color)],
    [key],
  );
}

for (const [name, names, unsent] of [
  ['whose variants stay', ['red', 'blue'], 0],
  ['whose variants change', ['blue', 'red'], 0],
  ['of a client that does not read', ['blue', 'red'], 1],
] as const) {
  test(`handles ${name} let the old snapshot go once the swap was told`, async (t) => {
    const bench = startHandles(snapshotOf(1, ['red', 'blue']));
    const clients = Array.from({ length: 3 }, () => bench.connect(key));
    for (const client of clients) {
      const message = {
        type: 'prepare',
        id: 1,
        environment: 'prod',
        minRevision: undefined,
        flagIds: undefined,
      } as const;
      bench.handles.prepare(client, message);
      bench.handles.frame(client, encodeRequest({ op: 1, options: 0, handle: 1, id: 2, users: [{ userId: 'a' }] }));
      client.unsent = unsent;
    }
    const old = new WeakRef(bench.holder.current?.environments.get('prod') as object);
    t.ok(old.deref());
    bench.swap(snapshotOf(2, names));
    await bench.settle();
    // A WeakRef holds until the turn of the loop in which it was looked at is over.
    await new Promise((resolve) => setImmediate(resolve));
    collect();
    t.notOk(old.deref());
  });
}
