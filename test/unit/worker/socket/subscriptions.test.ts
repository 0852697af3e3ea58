// What a client that subscribes gets, and what it does not.
import { mock } from 'node:test';
import { type Test, test } from 'tap';
import { limits } from '../../../../src/limits.ts';
import type { ServingKey } from '../../../../src/worker/serving.ts';
import { startPushing, subscribe } from '../../../support/pushes.ts';
import { makeFlag, makeKey, makeSnapshot } from '../../../support/serving.ts';

const key = makeKey({ raw: 'evaluate-key-of-32-characters-00', scope: 'evaluate' });

type Body = Readonly<Record<string, unknown>>;

let version = 0;
const on = (flagId: string, percentage = 100, fields: Body = {}, environment = 'prod') =>
  makeFlag({ flag_id: flagId, enabled: true, rollout_percentage: percentage, ...fields }, environment, (version += 1));

let revision = 1;
const serve = (flags: Parameters<typeof makeSnapshot>[1], keys: readonly ServingKey[] = [key]) =>
  makeSnapshot((revision += 1), flags, keys);

const answer = (enabled: boolean, v = version) => ({
  enabled,
  variant: enabled ? 'on' : 'off',
  value: enabled,
  reason: 'STATIC',
  version: v,
});

test('one result, then a change for each flip, and none for what flips nothing', async (t) => {
  const pushing = startPushing(serve([on('a', 0)]));
  const connection = pushing.connect(key);
  subscribe(pushing, connection, 3, { flagIds: ['a'] });
  t.same(connection.take(), [{ type: 'result', id: 3, revision, results: { a: answer(false) } }]);
  t.equal(connection.inFlight, 0);

  pushing.swap(serve([on('a', 100)]));
  t.same(connection.take(), [], 'a swap only marks');
  await pushing.settle();
  t.same(connection.take(), [{ type: 'change', id: 3, revision, results: { a: answer(true) } }]);

  pushing.swap(serve([on('a', 100, { description: 'a new version' })]));
  await pushing.settle();
  pushing.swap(serve([on('a', 100), on('b'), on('a', 0, {}, 'dev')]));
  await pushing.settle();
  t.same(connection.take(), [], 'a new version, another flag, another environment');
});

test('a rise of a rollout is told to those who come in, and to nobody else', async (t) => {
  const pushing = startPushing(serve([on('a', 10)]));
  const connection = pushing.connect(key);
  for (let id = 0; id < 1000; id += 1) subscribe(pushing, connection, id, { userId: `user-${id}`, flagIds: ['a'] });
  const before = connection.take().filter(({ results }) => results?.['a']?.['enabled'] === true).length;
  pushing.swap(serve([on('a', 20)]));
  await pushing.settle();
  const changes = connection.take();
  t.ok(changes.every(({ type, results }) => type === 'change' && results?.['a']?.['enabled'] === true));
  t.ok(before > 60 && before < 140 && changes.length > 60 && changes.length < 140, `${before}, ${changes.length}`);
});

test('a value, a reason or a rule that is another is a change; flags that come and go are too', async (t) => {
  const text = (value: string, fields: Body = {}) =>
    makeFlag({ flag_id: 's', enabled: true, type: 'string', variants: { v: value }, off_variant: 'v', ...fields });
  const rule = (ruleId: string) => ({
    rules: [{ rule_id: ruleId, when: { all: [] }, serve: { variant: 'v' } }],
  });
  const pushing = startPushing(serve([text('x')]));
  const connection = pushing.connect(key);
  subscribe(pushing, connection, 1, { flagIds: ['s', 'later', 's'] });
  t.same(Object.keys(connection.take()[0]?.results ?? {}), ['s', 'later']);
  t.same(pushing.unknown, ['prod/later']);
  const told = async (flags: Parameters<typeof makeSnapshot>[1]) => {
    pushing.swap(serve(flags));
    await pushing.settle();
    return connection.take().map(({ results }) => results);
  };
  t.match(await told([text('y')]), [{ s: { value: 'y' } }]);
  t.match(await told([text('y', rule('r1'))]), [{ s: { reason: 'RULE_MATCH', rule_id: 'r1' } }]);
  t.match(await told([text('y', rule('r2'))]), [{ s: { rule_id: 'r2' } }]);
  t.match(await told([text('y', { enabled: false })]), [{ s: { enabled: false, reason: 'DISABLED' } }]);
  t.same(await told([]), [{ s: { error: 'FLAG_NOT_FOUND' } }]);
  t.match(await told([on('later')]), [{ later: { enabled: true } }]);
});

test('without flags it is all that the key may see, and those that come', async (t) => {
  const tagged = { ...key, tags: new Set(['web']) };
  const web = { tags: ['web'] };
  const flags = [on('a', 100, web), on('hidden')];
  const pushing = startPushing(serve(flags, [tagged]));
  const connection = pushing.connect(tagged);
  subscribe(pushing, connection, 1);
  subscribe(pushing, connection, 2, { flagIds: ['hidden'] });
  t.match(connection.take(), [{ results: { a: {} } }, { results: { hidden: { error: 'FLAG_NOT_FOUND' } } }]);
  pushing.swap(serve([...flags.slice(0, 1), on('hidden', 0), on('b', 100, web)], [tagged]));
  await pushing.settle();
  t.match(connection.take(), [{ id: 1, results: { b: { enabled: true } } }]);
  pushing.swap(serve([on('a'), on('hidden', 0), on('b', 100, web)], [tagged]));
  await pushing.settle();
  t.same(
    connection.take().map(({ results }) => results),
    [{ a: { error: 'FLAG_NOT_FOUND' } }],
  );
  pushing.swap(serve([...(pushing.current?.environments.get('prod')?.flags.values() ?? [])], [key]));
  await pushing.settle();
  t.match(
    connection.take().map(({ id, results }) => [id, Object.keys(results ?? {})]),
    [
      [1, ['a', 'hidden']],
      [2, ['hidden']],
    ],
    'the key sees everything now',
  );
});

test('several swaps come as one change, and a flip that is taken back as none', async (t) => {
  const pushing = startPushing(serve([on('a', 0), on('b', 0)]));
  const connection = pushing.connect(key);
  subscribe(pushing, connection, 1);
  connection.take();
  pushing.swap(serve([on('a', 100), on('b', 0)]));
  pushing.swap(serve([on('a', 0), on('b', 100)]));
  await pushing.settle();
  t.match(connection.take(), [{ revision, results: { b: { enabled: true } } }]);
  pushing.swap(serve([on('a', 100), on('b', 100)]));
  pushing.swap(serve([on('a', 0), on('b', 100)]));
  await pushing.settle();
  t.same(connection.take(), []);
});

test('a slow reader is left out, the others are not, and it goes on with the latest state', async (t) => {
  const pushing = startPushing(serve([on('a', 0)]));
  const [slow, quick] = [pushing.connect(key), pushing.connect(key)];
  for (const connection of [slow, quick]) {
    subscribe(pushing, connection, 1);
    connection.take();
  }
  slow.unsent = limits.socketPushPauseBytes + 1;
  for (const percentage of [100, 0, 100]) {
    pushing.swap(serve([on('a', percentage)]));
    await pushing.settle();
  }
  t.equal(quick.take().length, 3);
  t.same(slow.take(), []);
  slow.unsent = 0;
  pushing.pushes.drained(slow);
  await pushing.settle();
  t.match(slow.take(), [{ revision, results: { a: { enabled: true } } }]);
});

test('one that stays behind is closed: after 30 s, or when too many states would be kept for it', async (t) => {
  mock.timers.enable({ apis: ['setInterval'] });
  t.teardown(() => mock.timers.reset());
  const pushing = startPushing(serve([on('a', 0)]));
  const [late, far, idle] = [pushing.connect(key), pushing.connect(key), pushing.connect(key)];
  for (const connection of [late, far, idle]) {
    subscribe(pushing, connection, 1, { flagIds: connection === idle ? ['b'] : ['a'] });
    connection.unsent = 1_000_000;
  }
  pushing.swap(serve([on('a', 100)]));
  await pushing.settle();
  pushing.clock.nowMs += limits.socketBehindMsMax - 1;
  mock.timers.tick(1000);
  t.ok(late.isOpen && far.isOpen);
  late.unsent = 0;
  pushing.pushes.drained(late);
  await pushing.settle();
  late.unsent = 1_000_000;
  pushing.clock.nowMs += 1;
  mock.timers.tick(1000);
  t.ok(late.isOpen, 'it caught up in between');
  t.match(
    [far.closedWith, idle.closedWith].map((closed) => closed?.code),
    [1013, 1013],
  );

  for (let i = 0; i <= limits.socketBehindChangesMax; i += 1) {
    pushing.swap(serve([on('a', i % 2 === 0 ? 0 : 100)]));
    await pushing.settle();
    if (i < limits.socketBehindChangesMax) t.ok(late.isOpen);
  }
  pushing.swap(serve([on('a')]));
  await pushing.settle();
  t.equal(late.closedWith?.code, 1013);
});

test('an id that is used again is replaced, and what ended says nothing more', async (t) => {
  const pushing = startPushing(serve([on('a', 0), on('b', 0)]));
  const connection = pushing.connect(key);
  subscribe(pushing, connection, 7, { flagIds: ['a'] });
  subscribe(pushing, connection, 7, { flagIds: ['b'] });
  t.match(
    connection.take().map(({ results }) => Object.keys(results ?? {})),
    [['a'], ['b']],
  );
  pushing.swap(serve([on('a', 100), on('b', 100)]));
  await pushing.settle();
  t.same(
    connection.take().map(({ results }) => Object.keys(results ?? {})),
    [['b']],
  );
  for (const id of [7, 7, 12345]) pushing.pushes.unsubscribe(connection, { type: 'unsubscribe', id });
  pushing.swap(serve([on('a', 0), on('b', 0)]));
  await pushing.settle();
  t.same(connection.take(), []);
});

test('ended or replaced before its result was made, it has none, and is in flight no more', async (t) => {
  const pushing = startPushing(serve([on('a', 0)]));
  const connection = pushing.connect(key);
  pushing.turns.startsAtOnce = false;
  subscribe(pushing, connection, 1);
  subscribe(pushing, connection, 2, { userId: 'first' });
  subscribe(pushing, connection, 2, { flagIds: ['a', 'b'] });
  pushing.pushes.unsubscribe(connection, { type: 'unsubscribe', id: 1 });
  t.equal(connection.inFlight, 1);
  await pushing.settle();
  t.match(
    connection.take().map(({ id, results }) => [id, Object.keys(results ?? {})]),
    [[2, ['a', 'b']]],
  );
  t.equal(connection.inFlight, 0);
  subscribe(pushing, connection, 3);
  connection.close(1000, 'bye');
  await pushing.settle();
  t.same([connection.take(), connection.inFlight], [[], 0]);
});

test('a change while the first result is made comes behind it', async (t) => {
  const pushing = startPushing(serve([on('a', 0)]));
  const connection = pushing.connect(key);
  pushing.turns.startsAtOnce = false;
  subscribe(pushing, connection, 1);
  pushing.swap(serve([on('a', 100)]));
  await pushing.settle();
  t.match(connection.take(), [
    { type: 'result', revision: revision - 1, results: { a: { enabled: false } } },
    { type: 'change', revision, results: { a: { enabled: true } } },
  ]);
});

test('an environment that the key may not see, that is not there, or that was not named', async (t) => {
  const bound = { ...key, environments: new Set(['prod', 'dev']) };
  const free = makeKey({ raw: 'another-key-of-32-characters-000', scope: 'evaluate' });
  const pushing = startPushing(serve([on('a', 0)], [bound, free]));
  const connection = pushing.connect(bound);
  subscribe(pushing, connection, 1);
  subscribe(pushing, connection, 2, { environment: 'staging' });
  const unbound = pushing.connect(free);
  subscribe(pushing, unbound, 3, { environment: 'nowhere' });
  subscribe(pushing, unbound, 4);
  t.same(
    connection.take().map(({ id, code }) => [id, code]),
    [
      [1, 'ENVIRONMENT_REQUIRED'],
      [2, 'ENVIRONMENT_FORBIDDEN'],
    ],
  );
  t.match(unbound.take(), [
    { id: 3, code: 'ENVIRONMENT_NOT_FOUND' },
    { id: 4, results: { a: {} } },
  ]);
  t.equal(startedWithout(t), 'NOT_READY');
});

function startedWithout(t: Test): string | undefined {
  const pushing = startPushing(undefined);
  t.teardown(() => pushing.pushes.close());
  const connection = pushing.connect(key);
  subscribe(pushing, connection, 1);
  return connection.take()[0]?.code;
}

test('a subscription ends with an error when its environment goes, or goes out of the sight of its key', async (t) => {
  const pushing = startPushing(serve([on('a', 0)]));
  const connection = pushing.connect(key);
  subscribe(pushing, connection, 1);
  subscribe(pushing, connection, 2, { environment: 'dev' });
  connection.take();
  pushing.swap(serve([on('a', 0)], [{ ...key, environments: new Set(['prod']) }]));
  await pushing.settle();
  t.match(connection.take(), [{ type: 'error', id: 2, code: 'ENVIRONMENT_FORBIDDEN' }]);
  const without = serve([on('a', 0)]);
  pushing.swap({ ...without, environments: new Map([...without.environments].filter(([name]) => name !== 'prod')) });
  await pushing.settle();
  t.match(connection.take(), [{ type: 'error', id: 1, code: 'ENVIRONMENT_NOT_FOUND' }]);
  pushing.swap(serve([on('a')]));
  await pushing.settle();
  t.same(connection.take(), []);
});

test('a subscription ends with an error when its key may evaluate no more', async (t) => {
  const pushing = startPushing(serve([on('a', 0)]));
  const connection = pushing.connect(key);
  subscribe(pushing, connection, 1);
  connection.take();
  pushing.swap(serve([on('a')], [{ ...key, rank: 0 }]));
  await pushing.settle();
  t.match(connection.take(), [{ type: 'error', id: 1, code: 'SCOPE_REQUIRED' }]);
});

test('attributes decide later changes as they did the first result, whatever JSON makes of them', async (t) => {
  const rule = (op: string, value: unknown) =>
    on('a', 0, {
      rules: [{ rule_id: 'r', when: { all: [{ attribute: 'x', op, values: [value] }] }, serve: { variant: 'on' } }],
    });
  const pushing = startPushing(serve([on('a', 0)]));
  const connection = pushing.connect(key);
  const attributes = [{ x: 3 }, { x: Number.POSITIVE_INFINITY }, { x: null }, JSON.parse('{"__proto__":1,"x":[3]}')];
  for (const [id, each] of attributes.entries()) subscribe(pushing, connection, id, { attributes: each });
  connection.take();
  pushing.swap(serve([rule('gte', 3)]));
  await pushing.settle();
  t.same(
    connection.take().map(({ id }) => id),
    [0, 1, 3],
  );
  pushing.swap(serve([rule('gt', 3)]));
  await pushing.settle();
  t.same(
    connection.take().map(({ id }) => id),
    [0, 3],
  );
});

test('a socket has so many subscriptions, and they keep so many bytes; what ends makes room', async (t) => {
  const reader = makeKey({ raw: 'read-key-of-32-characters-00000', scope: 'read' });
  const pushing = startPushing(serve([on('a', 0)], [key, reader]));
  const connection = pushing.connect(key);
  for (let id = 0; id <= limits.subscriptionsPerSocketMax; id += 1) subscribe(pushing, connection, id);
  t.match(connection.take().at(-1), { id: limits.subscriptionsPerSocketMax, code: 'TOO_MANY_SUBSCRIPTIONS' });
  subscribe(pushing, connection, 5, { userId: 'u2' });
  t.match(connection.take(), [{ type: 'result', id: 5 }], 'one may be replaced');
  pushing.pushes.unsubscribe(connection, { type: 'unsubscribe', id: 9 });
  subscribe(pushing, connection, limits.subscriptionsPerSocketMax);
  t.match(connection.take(), [{ type: 'result' }]);
  connection.key = reader;
  pushing.pushes.stats(connection, { type: 'stats', id: 5 });
  subscribe(pushing, connection, 5);
  t.match(connection.take(), [{ type: 'result', id: 5 }], 'figures may be replaced too');
  pushing.turns.startsAtOnce = false;
  subscribe(pushing, connection, 5);
  subscribe(pushing, connection, 5);
  pushing.turns.startsAtOnce = true;
  await pushing.settle();
  t.match(connection.take(), [{ type: 'result', id: 5 }], 'and what waits for its first result');

  const [large, text] = [pushing.connect(key), 'x'.repeat(60_000)];
  const fitting = Math.floor(limits.subscriptionBytesPerSocketMax / 60_200);
  for (let id = 0; id <= fitting; id += 1) subscribe(pushing, large, id, { attributes: { text } });
  t.match(large.take().at(-1), { id: fitting, code: 'TOO_MANY_SUBSCRIPTIONS' });
  const flagIds = Array.from({ length: 10_000 }, (_, i) => `flag-${i}-${'y'.repeat(100)}`);
  subscribe(pushing, large, 999, { flagIds });
  t.match(large.take(), [{ id: 999, code: 'TOO_MANY_SUBSCRIPTIONS' }]);
  pushing.pushes.closed(large);
  subscribe(pushing, large, 1, { flagIds });
  await pushing.settle();
  t.match(large.take(), [{ type: 'result' }]);
});

test('one request too many in flight closes the socket, and nothing is kept', async (t) => {
  const pushing = startPushing(serve([on('a', 0)]));
  const connection = pushing.connect(key);
  connection.inFlightMax = 0;
  subscribe(pushing, connection, 1);
  t.equal(connection.closedWith?.code, 1013);
  await pushing.settle();
  t.same(connection.take(), []);
});

test('work that one message may not make is refused in words', async (t) => {
  const values = Array.from({ length: 25 }, (_, i) => `(ab|${i})*c`);
  const flags = Array.from({ length: 100 }, (_, i) =>
    on(`f${i}`, 0, {
      rules: [{ rule_id: 'r', when: { any: [{ attribute: 'x', op: 'matches', values }] }, serve: { variant: 'on' } }],
    }),
  );
  const pushing = startPushing(serve(flags));
  const connection = pushing.connect(key);
  subscribe(pushing, connection, 1, { attributes: { x: 'ab'.repeat(30_000) } });
  await pushing.settle();
  t.match(connection.take(), [{ type: 'error', id: 1, code: 'INVALID_REQUEST' }]);
  t.equal(connection.inFlight, 0);
});

test('sockets take turns: a large one does not hold up the others', async (t) => {
  const pushing = startPushing(serve([on('a', 0)]));
  const [large, small] = [pushing.connect(key), pushing.connect(key)];
  for (let id = 0; id < 100; id += 1) subscribe(pushing, large, id);
  subscribe(pushing, small, 1);
  large.take();
  small.take();
  pushing.clock.tickMs = 0.5;
  pushing.swap(serve([on('a')]));
  await new Promise((resolve) => setImmediate(resolve));
  pushing.turns.step();
  pushing.turns.step();
  t.equal(small.take().length, 1);
  t.ok(large.take().length < 20);
  await pushing.settle();
  t.equal(large.take().length > 80, true);
});
