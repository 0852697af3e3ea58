// What a client that watches is told, and who may.
import { mock } from 'node:test';
import { test } from 'tap';
import { type FakeConnection, type Pushing, startPushing } from '../../../support/pushes.ts';
import { makeFlag, makeKey, makeSnapshot } from '../../../support/serving.ts';

const key = makeKey({ raw: 'read-key-of-32-characters-000000', scope: 'read' });
const lowKey = makeKey({ raw: 'evaluate-key-of-32-characters-00', scope: 'evaluate' });

const watch = (pushing: Pushing, connection: FakeConnection, id: number, environment?: string) =>
  pushing.pushes.watch(connection, { type: 'watch', id, environment });
const stats = (pushing: Pushing, connection: FakeConnection, id: number) =>
  pushing.pushes.stats(connection, { type: 'stats', id });

test('each change of the environment with the flags that it concerns, and nothing at first', async (t) => {
  const a = makeFlag({ flag_id: 'a' });
  const b = makeFlag({ flag_id: 'b', prerequisites: [{ flag_id: 'a', variant: 'on' }] });
  const dev = makeFlag({ flag_id: 'a' }, 'dev');
  const pushing = startPushing(makeSnapshot(1, [a, b, dev], [key]));
  const connection = pushing.connect(key);
  watch(pushing, connection, 4);
  await pushing.settle();
  t.same(connection.take(), []);
  pushing.swap(makeSnapshot(2, [makeFlag({ flag_id: 'a', description: 'new' }), b, dev], [key]));
  await pushing.settle();
  t.same(connection.take(), [{ type: 'revision', id: 4, revision: 2, flags: ['a', 'b'] }]);
  const [prodNow] = [...(pushing.current?.environments.get('prod')?.flags.values() ?? [])];
  pushing.swap(makeSnapshot(3, [prodNow ?? a, b, makeFlag({ flag_id: 'a', description: 'x' }, 'dev')], [key]));
  await pushing.settle();
  t.same(connection.take(), [], 'another environment');
  pushing.swap(makeSnapshot(4, [makeFlag({ flag_id: 'c' }), prodNow ?? a, b], [key]));
  pushing.swap(makeSnapshot(5, [makeFlag({ flag_id: 'c' }), prodNow ?? a], [key]));
  await pushing.settle();
  t.same(connection.take(), [{ type: 'revision', id: 4, revision: 5, flags: ['b', 'c'] }], 'two revisions at once');
});

test('a key with tags hears of the flags that it sees, or saw', async (t) => {
  const tagged = { ...key, tags: new Set(['web']) };
  const flag = (flagId: string, tags: readonly string[]) => makeFlag({ flag_id: flagId, tags });
  const pushing = startPushing(makeSnapshot(1, [flag('a', ['web']), flag('b', [])], [tagged]));
  const connection = pushing.connect(tagged);
  watch(pushing, connection, 1);
  const told = async (revision: number, ...flags: Parameters<typeof makeSnapshot>[1]) => {
    pushing.swap(makeSnapshot(revision, flags, [tagged]));
    await pushing.settle();
    return connection.take().map((message) => message.flags);
  };
  t.same(await told(2, flag('a', ['web']), flag('b', ['ops'])), [], 'none that it sees');
  t.same(await told(3, flag('a', ['ops']), flag('b', ['ops'])), [['a']], 'one that goes out of sight');
  t.same(await told(4, flag('a', ['ops']), flag('b', ['web'])), [['b']], 'one that comes in sight');
});

test('who may only evaluate may neither watch nor ask for figures, from the moment its key says so', async (t) => {
  mock.timers.enable({ apis: ['setInterval'] });
  t.teardown(() => mock.timers.reset());
  const pushing = startPushing(makeSnapshot(1, [], [key, lowKey]));
  const low = pushing.connect(lowKey);
  watch(pushing, low, 1);
  stats(pushing, low, 2);
  t.same(
    low.take().map(({ id, code }) => [id, code]),
    [
      [1, 'SCOPE_REQUIRED'],
      [2, 'SCOPE_REQUIRED'],
    ],
  );
  const connection = pushing.connect(key);
  watch(pushing, connection, 1);
  stats(pushing, connection, 2);
  pushing.swap(makeSnapshot(2, [], [{ ...key, rank: lowKey.rank }, lowKey]));
  await pushing.settle();
  mock.timers.tick(1000);
  mock.timers.tick(1000);
  t.same(
    connection.take().map(({ id, code }) => [id, code]),
    [
      [1, 'SCOPE_REQUIRED'],
      [2, 'SCOPE_REQUIRED'],
    ],
  );
});

test('figures each second, of one worker, until it is enough', async (t) => {
  mock.timers.enable({ apis: ['setInterval'] });
  t.teardown(() => mock.timers.reset());
  let messages = 0;
  const pushing = startPushing(makeSnapshot(9, [], [key]), {
    counts: () => ({ requests: 5, messages: (messages += 30), evaluations: 7, sockets: 1 }),
  });
  const connection = pushing.connect(key);
  watch(pushing, connection, 1);
  stats(pushing, connection, 10);
  t.same(connection.take(), []);
  pushing.clock.nowMs += 1500;
  mock.timers.tick(1000);
  const [told] = connection.take() as unknown as [{ worker: Record<string, number> }];
  t.match(told, { type: 'stats', id: 10, revision: 9, stale_seconds: 0 });
  const { event_loop_delay_p99_ms: delay, memory_bytes: memory, ...rest } = told.worker;
  t.same(rest, {
    pid: process.pid,
    sockets: 1,
    subscriptions: 1,
    messages_per_second: 20,
    requests_per_second: 0,
    evaluations_per_second: 0,
  });
  t.ok(Number.isFinite(delay) && (memory ?? 0) > 1_000_000);
  connection.unsent = 1_000_000;
  mock.timers.tick(1000);
  t.same(connection.take(), [], 'who does not read is not sent more');
  connection.unsent = 0;
  mock.timers.tick(1000);
  t.equal(connection.take().length, 1);
  pushing.pushes.unsubscribe(connection, { type: 'unsubscribe', id: 10 });
  mock.timers.tick(5000);
  t.same(connection.take(), []);
});

test('an id belongs to the last that took it, whatever that is', async (t) => {
  mock.timers.enable({ apis: ['setInterval'] });
  t.teardown(() => mock.timers.reset());
  const pushing = startPushing(makeSnapshot(1, [], [key]));
  const connection = pushing.connect(key);
  const subscribe = (id: number) =>
    pushing.pushes.subscribe(connection, {
      type: 'subscribe',
      id,
      environment: undefined,
      context: { userId: 'u', attributes: undefined },
      flagIds: undefined,
    });
  let revision = 1;
  const kinds = async () => {
    connection.take();
    pushing.swap(makeSnapshot((revision += 1), [makeFlag({ flag_id: `f${revision}` })], [key]));
    await pushing.settle();
    mock.timers.tick(1000);
    return connection.take().map(({ type }) => type);
  };
  watch(pushing, connection, 1);
  t.same(await kinds(), ['revision']);
  stats(pushing, connection, 1);
  t.same(await kinds(), ['stats']);
  subscribe(1);
  t.same(await kinds(), ['change']);
  watch(pushing, connection, 1);
  t.same(await kinds(), ['revision']);
  pushing.turns.startsAtOnce = false;
  subscribe(1);
  watch(pushing, connection, 1);
  await pushing.settle();
  t.same(connection.take(), [], 'a subscription that was replaced before its result');
  t.same(await kinds(), ['revision']);
  stats(pushing, connection, 2);
  pushing.pushes.closed(connection);
  t.same(await kinds(), []);
});

test('after close nothing is told', async (t) => {
  mock.timers.enable({ apis: ['setInterval'] });
  t.teardown(() => mock.timers.reset());
  const pushing = startPushing(makeSnapshot(1, [], [key]));
  const connection = pushing.connect(key);
  watch(pushing, connection, 1);
  stats(pushing, connection, 2);
  pushing.pushes.close();
  pushing.pushes.close();
  pushing.swap(makeSnapshot(2, [makeFlag({ flag_id: 'a' })], [key]));
  await pushing.settle();
  mock.timers.tick(5000);
  t.same(connection.take(), []);
});
