// `evaluate` and `evaluate_batch` over the WebSocket: the same answers as over HTTP, many at a time, and what is refused.
import { type Test, test } from 'tap';
import { limits } from '../../src/limits.ts';
import { makeFlag, makeKey, makeSnapshot, type Serving, startServing } from '../support/serving.ts';
import { openSocket, type ServerMessage, type SocketClient } from '../support/socket-client.ts';

const KEY = 'evaluate-key-of-32-characters-000';
const TWO = 'two-environments-key-of-32-chars0';
const TAGGED = 'tagged-key-of-32-characters-00000';
const NONE = 'no-scope-key-of-32-characters-000';

const keys = [
  makeKey({ raw: KEY, scope: 'evaluate' }),
  makeKey({ raw: TWO, scope: 'evaluate', environments: ['prod', 'dev'] }),
  makeKey({ raw: TAGGED, scope: 'evaluate', tags: ['web'] }),
  { ...makeKey({ raw: NONE, scope: 'evaluate' }), rank: 0, scopes: [] },
];
const flags = [
  makeFlag({ flag_id: 'half', enabled: true, rollout_percentage: 50 }),
  makeFlag({ flag_id: 'on', enabled: true, rollout_percentage: 100, tags: ['web'] }),
  makeFlag({
    flag_id: 'colour',
    enabled: true,
    type: 'string',
    variants: { red: '#f00', blue: '#00f' },
    off_variant: 'red',
    rollout: [
      { variant: 'red', percentage: 50 },
      { variant: 'blue', percentage: 50 },
    ],
  }),
  makeFlag({
    flag_id: 'poland',
    enabled: true,
    rules: [
      {
        rule_id: 'pl',
        when: { all: [{ attribute: 'country', op: 'equals', values: ['PL'] }] },
        serve: { variant: 'on' },
      },
      {
        rule_id: 'id',
        when: { all: [{ attribute: 'account', op: 'equals', values: ['9007199254740993'] }] },
        serve: { variant: 'on' },
      },
    ],
  }),
];

async function start(t: Test): Promise<Serving> {
  const serving = await startServing(makeSnapshot(812, flags, keys));
  t.teardown(() => {
    serving.http.close();
    if (serving.failures.length > 0) throw new Error(serving.failures.join('; '));
  });
  return serving;
}

async function open(t: Test, serving: Serving, key = KEY): Promise<SocketClient> {
  const client = await openSocket(serving.port, { key });
  t.teardown(() => client.socket.terminate());
  await client.nextOf('welcome');
  return client;
}

async function ask(client: SocketClient, message: object): Promise<ServerMessage> {
  client.send(message);
  return client.next();
}

async function post(serving: Serving, body: object): Promise<{ readonly results: readonly unknown[] }> {
  const reply = await fetch(`${serving.url}/api/v1/evaluate`, {
    method: 'POST',
    headers: { 'x-api-key': KEY, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return (await reply.json()) as { readonly results: readonly unknown[] };
}

test('one user and all flags, or those that are named, as POST /evaluate answers', async (t) => {
  const serving = await start(t);
  const client = await open(t, serving);
  for (const flagIds of [undefined, ['on'], ['on', 'nowhere', 'half', 'on'], []]) {
    const context = { user_id: 'żółw', attributes: { country: 'PL' } };
    const { results } = await post(serving, { contexts: [context], flags: flagIds });
    const reply = await ask(client, { type: 'evaluate', id: 1, environment: 'prod', ...context, flags: flagIds });
    t.strictSame(reply, { type: 'result', id: 1, revision: 812, results: results[0] });
  }
  t.same(serving.unknown.at(-1), ['prod', 'nowhere', 1]);
});

test('many users in one message, in order', async (t) => {
  const serving = await start(t);
  const client = await open(t, serving);
  const contexts = Array.from({ length: 500 }, (_, i) =>
    i % 3 === 0 ? { user_id: `u${i}`, attributes: { country: 'PL' } } : { user_id: `u${i}` },
  );
  for (const flagIds of [undefined, ['colour', 'nowhere']]) {
    const { results } = await post(serving, { contexts, flags: flagIds });
    const reply = await ask(client, { type: 'evaluate_batch', id: 7, contexts, flags: flagIds });
    t.strictSame(reply, { type: 'results', id: 7, revision: 812, results });
  }
  t.strictSame(await ask(client, { type: 'evaluate_batch', id: 8, contexts: [] }), {
    type: 'results',
    id: 8,
    revision: 812,
    results: [],
  });
});

test('numbers that no double has exactly stay the text they are', async (t) => {
  const client = await open(t, await start(t));
  client.send('{"type":"evaluate","id":1,"user_id":"u","attributes":{"account":9007199254740993},"flags":["poland"]}');
  t.match(await client.nextOf('result', 1), { results: { poland: { reason: 'RULE_MATCH', rule_id: 'id' } } });
  client.send(
    '{"type":"evaluate_batch","id":2,"contexts":[{"user_id":"u","attributes":{"account":9007199254740993}}],"flags":["poland"]}',
  );
  t.match(await client.nextOf('results', 2), { results: [{ poland: { rule_id: 'id' } }] });
});

test('what a key may not see is not there for it', async (t) => {
  const client = await open(t, await start(t), TAGGED);
  const reply = await ask(client, { type: 'evaluate', id: 1, user_id: 'u' });
  t.same(Object.keys(reply['results'] as object), ['on']);
  t.strictSame((await ask(client, { type: 'evaluate', id: 2, user_id: 'u', flags: ['half'] }))['results'], {
    half: { error: 'FLAG_NOT_FOUND' },
  });
});

test('the environment is asked for by the rules of HTTP', async (t) => {
  const serving = await start(t);
  const client = await open(t, serving, TWO);
  const refused: readonly (readonly [environment: unknown, code: string])[] = [
    [undefined, 'ENVIRONMENT_REQUIRED'],
    ['staging', 'ENVIRONMENT_FORBIDDEN'],
    ['nowhere', 'ENVIRONMENT_FORBIDDEN'],
    [5, 'INVALID_REQUEST'],
    [null, 'INVALID_REQUEST'],
  ];
  for (const [environment, code] of refused) {
    t.match(
      await ask(client, { type: 'evaluate', id: 1, user_id: 'u', environment }),
      { type: 'error', id: 1, code },
      JSON.stringify(environment),
    );
  }
  t.match(await ask(client, { type: 'evaluate', id: 1, user_id: 'u', environment: 'dev' }), { type: 'result' });
  const unbound = await open(t, serving);
  t.match(await ask(unbound, { type: 'evaluate', id: 1, user_id: 'u', environment: 'nowhere' }), {
    code: 'ENVIRONMENT_NOT_FOUND',
  });
  t.match(await ask(unbound, { type: 'evaluate', id: 1, user_id: 'u', flags: ['on'] }), { type: 'result' }, 'prod');
});

test('a key without a scope pings, and is refused all else', async (t) => {
  const client = await open(t, await start(t), NONE);
  t.match(await client.ping(), { type: 'pong' });
  for (const message of [
    { type: 'evaluate', user_id: 'u' },
    { type: 'evaluate_batch', contexts: [] },
    { type: 'subscribe', user_id: 'u' },
    { type: 'prepare' },
    { type: 'watch' },
    { type: 'stats' },
  ])
    t.match(await ask(client, { ...message, id: 3 }), { id: 3, code: 'SCOPE_REQUIRED' }, message.type);
  client.send(Uint8Array.of(1, 0, 1, 0, 42, 0, 0, 0, 0, 0, 0, 0));
  t.match(await client.next(), { id: 42, code: 'SCOPE_REQUIRED' });
});

test('min_revision is waited for, at_revision is not there yet', async (t) => {
  const serving = await start(t);
  const client = await open(t, serving);
  const asked = { type: 'evaluate', user_id: 'u', flags: ['on'] };
  serving.onWait = () => serving.swap(makeSnapshot(813, flags, keys));
  t.match(await ask(client, { ...asked, id: 1, min_revision: 813 }), { type: 'result', id: 1, revision: 813 });
  serving.onWait = () => {};
  const refused = [
    [{ min_revision: 814 }, 'REVISION_NOT_REACHED'],
    [{ min_revision: 10_814 }, 'INVALID_REQUEST'],
    [{ min_revision: 0 }, 'INVALID_REQUEST'],
    [{ min_revision: '813' }, 'INVALID_REQUEST'],
    [{ min_revision: 1.5 }, 'INVALID_REQUEST'],
    [{ at_revision: 812 }, 'INVALID_REQUEST'],
    [{ at_revision: 812, min_revision: 812 }, 'INVALID_REQUEST'],
  ] as const;
  for (const [state, code] of refused)
    t.match(await ask(client, { ...asked, id: 2, ...state }), { id: 2, code }, JSON.stringify(state));
});

test('while one waits for its revision the next ones are answered, in any order', async (t) => {
  const serving = await start(t);
  const client = await open(t, serving);
  const waiting = new Promise<void>((resolve) => {
    serving.onWait = () => resolve();
  });
  client.send({ type: 'evaluate', id: 1, user_id: 'u', flags: ['on'], min_revision: 813 });
  await waiting;
  t.match(await ask(client, { type: 'evaluate', id: 2, user_id: 'u', flags: ['on'] }), { id: 2, revision: 812 });
  serving.swap(makeSnapshot(813, flags, keys));
  t.match(await client.next(), { id: 1, revision: 813 });
});

test('a key that is revoked while its request waits gets no answer but the close', async (t) => {
  const serving = await start(t);
  const client = await open(t, serving);
  serving.onWait = () => serving.swap(makeSnapshot(813, flags, keys.slice(1)));
  client.send({ type: 'evaluate', id: 1, user_id: 'u', min_revision: 813 });
  t.match(await client.closed, { code: 4401 });
  t.notMatch(client.messages, [{ type: 'result' }]);
});

test('64 requests at once are all answered', async (t) => {
  const client = await open(t, await start(t));
  for (let id = 0; id < 64; id++) client.send({ type: 'evaluate', id, user_id: `u${id}` });
  for (let id = 0; id < 64; id++) t.match(await client.nextOf('result', id), { revision: 812 });
});

test('more requests in flight than the limit close with 1013', async (t) => {
  const client = await open(t, await start(t));
  for (let id = 0; id <= limits.socketRequestsMax; id++)
    client.send({ type: 'evaluate', id, user_id: 'u', min_revision: 813 });
  t.match(await client.closed, { code: 1013, reason: /in flight/ });
});

test('what is wrong in a message is told with its place', async (t) => {
  const client = await open(t, await start(t));
  const one = { type: 'evaluate', id: 1 };
  const many = { type: 'evaluate_batch', id: 1 };
  const wrong: readonly (readonly [message: object, told: RegExp])[] = [
    [one, /^user_id: is required/],
    [{ ...one, user_id: '' }, /^user_id: must not be empty/],
    [{ ...one, user_id: 5 }, /^user_id: must be a string, not/],
    [{ ...one, user_id: 'ż'.repeat(32_768) }, /^user_id: must be at most 65535 bytes/],
    [{ ...one, user_id: 'u', attributes: [] }, /^attributes: must be an object/],
    [{ ...one, user_id: 'u', attributes: null }, /^attributes: must be an object/],
    [{ ...one, user_id: 'u', flags: 'on' }, /^flags: must be an array of strings/],
    [{ ...one, user_id: 'u', flags: ['on', 5] }, /^flags\[1\]: must be a string/],
    [{ ...one, user_id: 'u', flags: ['x'.repeat(129)] }, /^flags\[0\]: must be at most 128 characters/],
    [{ ...one, user_id: 'u', flags: Array.from({ length: 10_001 }, () => 'on') }, /^flags: must be at most 10000/],
    [{ ...one, user_id: 'u', contexts: [] }, /^contexts: is not known here; there are type, id/],
    [JSON.parse('{"type":"evaluate","id":1,"user_id":"u","__proto__":{}}') as object, /^__proto__: is not known/],
    [many, /^contexts: is required/],
    [{ ...many, contexts: {} }, /^contexts: must be an array/],
    [{ ...many, contexts: [{ user_id: 'u' }, null] }, /^contexts\[1\]: must be an object/],
    [{ ...many, contexts: [{ user_id: 'u' }, {}] }, /^contexts\[1\]\.user_id: is required/],
    [{ ...many, contexts: [{ user_id: 'u', attributes: 1 }] }, /^contexts\[0\]\.attributes: must be an object/],
    [{ ...many, contexts: [{ user_id: 'u', id: 1 }] }, /^contexts\[0\]\.id: is not known/],
    [{ ...many, contexts: Array.from({ length: 1001 }, () => ({ user_id: 'u' })) }, /^contexts: must be at most 1000/],
    [
      {
        ...many,
        contexts: Array.from({ length: 1000 }, () => ({ user_id: 'u' })),
        flags: Array.from({ length: 101 }, (_, i) => `f${i}`),
      },
      /^contexts: 1000 contexts of 101 flags are over 100000 evaluations/,
    ],
    [{ ...one, user_id: 'u', attributes: Object.fromEntries(Array.from({ length: 257 }, (_, i) => [i, 1])) }, /256/],
    [
      JSON.parse(
        `{"type":"evaluate","id":1,"user_id":"u","attributes":${'{"a":'.repeat(40)}1${'}'.repeat(40)}}`,
      ) as object,
      /levels deep/,
    ],
  ];
  for (const [message, told] of wrong)
    t.match(await ask(client, message), { type: 'error', id: 1, code: 'INVALID_REQUEST', message: told });
  t.match(await client.ping(), { type: 'pong' });
});

test('a batch that takes long leaves room for others on the worker, and is whole', async (t) => {
  const serving = await start(t);
  const [busy, other] = [await open(t, serving), await open(t, serving)];
  const contexts = Array.from({ length: 1000 }, (_, i) => ({ user_id: `u${i}`, attributes: { country: 'PL' } }));
  for (let id = 0; id < 8; id++) busy.send({ type: 'evaluate_batch', id, contexts });
  t.match(await ask(other, { type: 'evaluate', id: 1, user_id: 'u' }), { type: 'result' });
  for (let id = 0; id < 8; id++) t.equal(((await busy.nextOf('results', id))['results'] as unknown[]).length, 1000);
});

test('a reader that reads too late is closed with 1013', async (t) => {
  const serving = await start(t);
  const client = await open(t, serving);
  client.socket.pause();
  const closes = (): number => serving.counters.get('burgee_socket_closes_1013_total') ?? 0;
  const contexts = Array.from({ length: 1000 }, (_, i) => ({ user_id: `u${i}` }));
  for (let id = 0; id < 100; id++) client.send({ type: 'evaluate_batch', id, contexts });
  const other = await open(t, serving);
  while (closes() === 0) await other.ping();
  client.socket.resume();
  t.match(await client.closed, { code: 1013, reason: /were not read/ });
});

test('a reader that never reads is cut, and what waited for it is let go', async (t) => {
  const serving = await start(t);
  const client = await open(t, serving);
  client.socket.pause();
  const closes = (): number => serving.counters.get('burgee_socket_closes_1013_total') ?? 0;
  const contexts = Array.from({ length: 1000 }, (_, i) => ({ user_id: `u${i}` }));
  for (let id = 0; id < 100; id++) client.send({ type: 'evaluate_batch', id, contexts });
  const other = await open(t, serving);
  while (closes() === 0) await other.ping();
  // Whoever is still deaf some seconds later is cut, and its memory let go.
  const deaf = serving.gauges.get('burgee_worker_sockets');
  t.equal(deaf, 2);
  while (serving.gauges.get('burgee_worker_sockets') === 2) await other.ping();
  client.socket.resume();
  t.match(await client.closed, { code: 1006 });
  t.match(await other.ping(), { type: 'pong' });
});
