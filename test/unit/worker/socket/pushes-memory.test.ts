// What followers keep: the state that they were told last, and nothing of the ones before it.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { test } from 'tap';
import { startPushing, subscribe } from '../../../support/pushes.ts';
import { makeFlag, makeKey, makeSnapshot } from '../../../support/serving.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const key = makeKey({ raw: 'evaluate-key-of-32-characters-00', scope: 'read' });

const serve = (revision: number, percentage: number) =>
  makeSnapshot(
    revision,
    [
      makeFlag({ flag_id: 'a', enabled: true, rollout_percentage: percentage }),
      makeFlag({ flag_id: 'b', enabled: true, rollout_percentage: 50 }),
    ],
    [key],
  );

for (const [name, percentage] of [
  ['changes', 100],
  ['stays', 0],
] as const) {
  test(`followers whose answer ${name} let the old state go once they were told`, async (t) => {
    const pushing = startPushing(serve(1, 0));
    for (let i = 0; i < 3; i += 1) {
      const connection = pushing.connect(key);
      subscribe(pushing, connection, 1, { flagIds: ['a'] });
      subscribe(pushing, connection, 2);
      pushing.pushes.watch(connection, { type: 'watch', id: 3, environment: undefined });
    }
    const old = new WeakRef(pushing.current?.environments.get('prod') as object);
    pushing.swap(serve(2, percentage));
    await pushing.settle();
    // A WeakRef holds until the turn of the loop in which it was looked at is over.
    await new Promise((resolve) => setImmediate(resolve));
    collect();
    t.notOk(old.deref());
  });
}

test('when all have gone, no state is kept for them', async (t) => {
  const pushing = startPushing(serve(1, 0));
  const connection = pushing.connect(key);
  subscribe(pushing, connection, 1);
  connection.close(1000, 'bye');
  pushing.pushes.closed(connection);
  await pushing.settle();
  const old = new WeakRef(pushing.current?.environments.get('prod') as object);
  pushing.swap(serve(2, 0));
  await pushing.settle();
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  t.notOk(old.deref());
});
