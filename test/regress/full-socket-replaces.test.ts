// A socket that had all the subscriptions it may have could not use an id again that live figures had, or a subscription
// whose first result was not there yet: it was told TOO_MANY_SUBSCRIPTIONS, and what it meant to replace went on.
import { test } from 'tap';
import { limits } from '../../src/limits.ts';
import { startPushing, subscribe } from '../support/pushes.ts';
import { makeFlag, makeKey, makeSnapshot } from '../support/serving.ts';

test('a full socket may still replace what waits for its first result, and live figures', async (t) => {
  const reader = makeKey({ raw: 'another-key-of-32-characters-000', scope: 'read' });
  const pushing = startPushing(makeSnapshot(1, [makeFlag({ flag_id: 'a' })], [reader]));
  t.teardown(() => pushing.pushes.close());
  const connection = pushing.connect(reader);
  for (let id = 2; id < limits.subscriptionsPerSocketMax; id += 1) subscribe(pushing, connection, id);
  pushing.pushes.stats(connection, { type: 'stats', id: 0 });
  pushing.turns.startsAtOnce = false;
  subscribe(pushing, connection, 1);
  connection.take();
  for (const id of [0, 1]) subscribe(pushing, connection, id, { userId: 'again' });
  subscribe(pushing, connection, limits.subscriptionsPerSocketMax);
  await pushing.settle();
  t.match(
    connection.take().map(({ type, id, code }) => [type, id, code]),
    [
      ['error', limits.subscriptionsPerSocketMax, 'TOO_MANY_SUBSCRIPTIONS'],
      ['result', 0, undefined],
      ['result', 1, undefined],
    ],
  );
});
