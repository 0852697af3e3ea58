// OFREP for one flag, and its errors, over real connections: rules 1 to 8 and 10 of the protocol's clients.
import { type Test, test } from 'tap';
import { SPENT } from '../../src/worker/limiter.ts';
import { schemaErrors } from '../support/ofrep-schema.ts';
import { makeFlag, makeKey, makeSnapshot, type Serving, sendRaw, startServing } from '../support/serving.ts';
import { ofrepFlags } from './fixtures/ofrep-flags.ts';

const KEY = 'evaluate-key-of-32-characters-00';
const keys = [
  makeKey({ raw: KEY, scope: 'evaluate' }),
  makeKey({ raw: 'tagged-key', scope: 'evaluate', tags: ['web'] }),
  makeKey({ raw: 'dev-key', scope: 'evaluate', environments: ['dev'] }),
  makeKey({ raw: 'two-key', scope: 'evaluate', environments: ['dev', 'prod'] }),
  makeKey({ raw: 'limited-key', scope: 'evaluate', rateLimit: 60 }),
];
const flags = [
  ...ofrepFlags.map((flag) => makeFlag(flag)),
  makeFlag({ flag_id: 'boolean', enabled: true, rollout_percentage: 0 }, 'dev', 4),
  makeFlag({ flag_id: 'targeted', enabled: true, targets: [{ variant: 'on', user_ids: ['u1'] }] }),
  makeFlag({
    flag_id: 'needs',
    enabled: true,
    rollout_percentage: 100,
    prerequisites: [{ flag_id: 'targeted', variant: 'on' }],
  }),
  makeFlag({ flag_id: 'by-company', enabled: true, rollout_percentage: 50, bucket_by: 'company' }),
  makeFlag({
    flag_id: 'user-rule',
    enabled: true,
    rules: [{ rule_id: 'r', when: { attribute: 'user_id', op: 'exists' }, serve: { variant: 'on' } }],
  }),
];
// biome-ignore lint/suspicious/noExplicitAny: tests look into replies of every kind
type Body = any;
interface Told {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: Body;
}

async function start(t: Test): Promise<Serving> {
  const serving = await startServing(makeSnapshot(812, flags, keys));
  t.teardown(() => serving.http.close());
  return serving;
}

async function post(
  serving: Serving,
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Told> {
  const response = await fetch(`${serving.url}${path}`, {
    method: 'POST',
    headers: { 'x-api-key': KEY, 'content-type': 'application/json; charset=utf-8', ...headers },
    body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, body: text === '' ? undefined : JSON.parse(text) };
}

const one = (serving: Serving, key: string, context: unknown, headers?: Record<string, string>): Promise<Told> =>
  post(serving, `/ofrep/v1/evaluate/flags/${key}`, { context }, headers);

test('an answer has key, reason, variant, value, and the rest in its metadata', async (t) => {
  const serving = await start(t);
  const told = await one(serving, 'boolean', { targetingKey: 'u1' });
  t.equal(told.status, 200);
  t.equal(told.headers.get('content-type'), 'application/json');
  t.equal(told.headers.get('x-flags-revision'), '812');
  t.equal(told.headers.get('ratelimit'), null);
  t.same(told.body, {
    key: 'boolean',
    reason: 'STATIC',
    variant: 'on',
    value: true,
    metadata: { reason: 'STATIC', version: 1, revision: 812 },
  });
});

test('every reason becomes one that every client knows', async (t) => {
  const serving = await start(t);
  const cases: [key: string, context: object, reason: string, own: string, value: unknown][] = [
    ['boolean', {}, 'STATIC', 'STATIC', true],
    ['boolean-split', { targetingKey: 'u1' }, 'SPLIT', 'SPLIT', undefined],
    ['boolean-disabled', { targetingKey: 'u1' }, 'DISABLED', 'DISABLED', false],
    ['boolean', { country: 'PL' }, 'TARGETING_MATCH', 'RULE_MATCH', false],
    ['targeted', { targetingKey: 'u1' }, 'TARGETING_MATCH', 'TARGET_MATCH', true],
    ['needs', { targetingKey: 'u2' }, 'UNKNOWN', 'PREREQUISITE_FAILED', false],
    ['needs', { targetingKey: 'u1' }, 'STATIC', 'STATIC', true],
  ];
  for (const [key, context, reason, own, value] of cases) {
    const { status, body } = await one(serving, key, context);
    t.match({ status, body }, { status: 200, body: { reason, metadata: { reason: own } } }, `${key}: ${own}`);
    if (value !== undefined) t.equal(body.value, value, `${key} is ${value}`);
    t.same(schemaErrors('serverEvaluationSuccess', body), [], `${key} has the published form`);
  }
  t.equal((await one(serving, 'boolean', { country: 'PL' })).body.metadata.rule_id, 'poland');
});

test('a flag that was quarantined serves its off_variant as UNKNOWN, and without one it is an error', async (t) => {
  const serving = await start(t);
  const { compileFlag } = await import('../../src/core/compile.ts');
  const at = { environment: 'prod', id: 'broken' };
  const serve = async (json: string): Promise<Told> => {
    serving.swap(makeSnapshot(813, [...flags, compileFlag(json, at)], keys));
    return one(serving, 'broken', { targetingKey: 'u1' });
  };
  const served = await serve('{"flag_id":"broken","type":"string","variants":{"a":"A"},"off_variant":"a","rules":7}');
  t.match(served.body, { reason: 'UNKNOWN', variant: 'a', value: 'A', metadata: { reason: 'QUARANTINED' } });
  const lost = await serve('{"flag_id":"broken","type":"string"}');
  t.match(lost, { status: 500, body: { key: 'broken', errorCode: 'GENERAL', errorDetails: /cannot be read/ } });
  const bulk = await post(serving, '/ofrep/v1/evaluate/flags', { context: {} });
  t.match(
    bulk.body.flags.find((flag: Body) => flag.key === 'broken'),
    { errorCode: 'GENERAL' },
  );
  t.equal(bulk.body.flags.length, flags.filter((flag) => flag.environment === 'prod').length + 1, 'and stops no other');
});

test('floats have a decimal point, integers have none', async (t) => {
  const serving = await start(t);
  t.match((await one(serving, 'float', {})).text, '"value":2.0,');
  t.match((await one(serving, 'float', { country: 'PL' })).text, '"value":0.25,');
  t.match((await one(serving, 'float-disabled', {})).text, '"value":0.0,');
  t.match((await one(serving, 'integer', {})).text, '"value":42,');
});

test('strings and objects come as they were written', async (t) => {
  const serving = await start(t);
  t.equal((await one(serving, 'string', {})).body.value, 'żółw "1"');
  t.same((await one(serving, 'object', {})).body.value, { nested: { list: [1, 'two', null] } });
});

test('a targeting key is asked for only where one is needed', async (t) => {
  const serving = await start(t);
  for (const context of [{}, { targetingKey: '' }, { user_id: 'u1' }, { targetingkey: 'u1' }]) {
    const told = await one(serving, 'boolean-split', context);
    t.match(
      told,
      { status: 400, body: { key: 'boolean-split', errorCode: 'TARGETING_KEY_MISSING' } },
      JSON.stringify(context),
    );
    t.match(told.body.errorDetails, /targetingKey/);
    t.same(schemaErrors('evaluationFailure', told.body), []);
    t.equal((await one(serving, 'boolean', context)).status, 200);
  }
  t.equal((await post(serving, '/ofrep/v1/evaluate/flags/boolean', {})).status, 200, 'no context at all');
  t.match((await post(serving, '/ofrep/v1/evaluate/flags/boolean-split', {})).body, {
    errorCode: 'TARGETING_KEY_MISSING',
  });
  const company = await one(serving, 'by-company', { targetingKey: 'u1' });
  t.match(company, { status: 400, body: { errorCode: 'TARGETING_KEY_MISSING', errorDetails: /"company"/ } });
  t.equal((await one(serving, 'by-company', { company: 'c1' })).status, 200, 'which the targeting key has no part in');
});

test('the targeting key is the user_id, and an attribute of that name is nothing', async (t) => {
  const serving = await start(t);
  t.equal((await one(serving, 'user-rule', { targetingKey: 'u1' })).body.value, true);
  t.equal((await one(serving, 'user-rule', { user_id: 'u1' })).body.value, false);
  t.equal((await one(serving, 'targeted', { targetingKey: 'u2', user_id: 'u1' })).body.value, false);
});

test('members beside the context are tolerated, whatever they are', async (t) => {
  const serving = await start(t);
  const told = await post(serving, '/ofrep/v1/evaluate/flags/boolean', { context: {}, later: [1], __proto__: 1 });
  t.equal(told.status, 200);
});

const bad: [name: string, body: string, errorCode: string, details: RegExp][] = [
  ['malformed JSON', '{"context":', 'PARSE_ERROR', /not valid JSON/],
  ['no body', '', 'PARSE_ERROR', /empty/],
  ['an array', '[]', 'PARSE_ERROR', /must be an object/],
  ['a string', '"context"', 'PARSE_ERROR', /must be an object/],
  ['null', 'null', 'PARSE_ERROR', /must be an object/],
  ['a context that is null', '{"context":null}', 'INVALID_CONTEXT', /context: must be an object/],
  ['a context that is an array', '{"context":[]}', 'INVALID_CONTEXT', /context: must be an object/],
  ['a context that is a string', '{"context":"u1"}', 'INVALID_CONTEXT', /context: must be an object/],
  [
    'a targeting key that is a number',
    '{"context":{"targetingKey":7}}',
    'INVALID_CONTEXT',
    /targetingKey: must be a string/,
  ],
  ['a targeting key that is null', '{"context":{"targetingKey":null}}', 'INVALID_CONTEXT', /must be a string/],
  [
    'a targeting key of 65,536 bytes',
    JSON.stringify({ context: { targetingKey: 'x'.repeat(65_536) } }),
    'INVALID_CONTEXT',
    /65535 bytes/,
  ],
  [
    '257 attributes',
    JSON.stringify({ context: Object.fromEntries(Array.from({ length: 257 }, (_, i) => [`a${i}`, i])) }),
    'INVALID_CONTEXT',
    /256 attributes/,
  ],
  [
    'attributes of over 64 KiB',
    JSON.stringify({ context: { a: 'x'.repeat(65_536) } }),
    'INVALID_CONTEXT',
    /65536 bytes/,
  ],
  ['17 levels', `{"context":{"a":${'['.repeat(17)}${']'.repeat(17)}}}`, 'INVALID_CONTEXT', /16 levels/],
  ['1,000 levels', `{"context":{"a":${'['.repeat(1000)}${']'.repeat(1000)}}}`, 'INVALID_CONTEXT', /64 levels/],
];

for (const path of ['/ofrep/v1/evaluate/flags/boolean', '/ofrep/v1/evaluate/flags']) {
  test(`what is wrong with a body is told by code and in words: ${path}`, async (t) => {
    const serving = await start(t);
    const key = path.endsWith('boolean') ? 'boolean' : undefined;
    for (const [name, body, errorCode, details] of bad) {
      const told = await post(serving, path, body);
      t.match(told, { status: 400, body: { errorCode, errorDetails: details } }, name);
      t.equal(told.body.key, key);
      t.equal(told.headers.get('content-type'), 'application/json');
      t.same(schemaErrors(key === undefined ? 'bulkEvaluationFailure' : 'evaluationFailure', told.body), []);
    }
    const invalidUtf8 = await post(serving, path, new Uint8Array([0x7b, 0xff, 0x7d]));
    t.match(invalidUtf8, { status: 400, body: { errorCode: 'PARSE_ERROR', errorDetails: /UTF-8/ } });
    const longest = await post(serving, path, { context: { targetingKey: 'x'.repeat(65_535) } });
    t.equal(longest.status, 200, 'a targeting key of 65,535 bytes is one');
  });
}

test('every status has a JSON body of the same form', async (t) => {
  const serving = await start(t);
  const path = '/ofrep/v1/evaluate/flags/boolean';
  const general = (status: number): object => ({
    status,
    body: { key: 'boolean', errorCode: 'GENERAL', errorDetails: /.+/ },
  });
  const check = (told: Told, status: number): void => {
    t.match(told, general(status), String(status));
    t.equal(told.headers.get('content-type'), 'application/json');
    t.same(Object.keys(told.body), ['key', 'errorCode', 'errorDetails']);
  };
  check(await post(serving, path, {}, { 'x-api-key': 'unknown' }), 401);
  check(await post(serving, path, {}, { 'x-api-key': 'dev-key', 'x-flags-environment': 'prod' }), 403);
  check(await post(serving, path, 'x'.repeat(1_048_577)), 413);
  check(await post(serving, path, {}, { 'content-type': 'text/plain' }), 415);
  check(await post(serving, `${path}?colour=red`, {}), 400);
  check(await post(serving, path, {}, { 'x-flags-environment': 'nowhere' }), 404);
  check(await post(serving, path, {}, { 'x-api-key': 'two-key' }), 400);
  check(await post(serving, `${path}?min_revision=813`, {}), 409);
  serving.verdict = SPENT;
  const limited = await post(serving, path, {}, { 'x-api-key': 'limited-key' });
  check(limited, 429);
  t.equal(limited.headers.get('retry-after'), '17');
  serving.snapshot = undefined;
  check(await post(serving, path, {}), 503);
});

test('an unknown flag is 404, and one out of sight is told from it by nothing', async (t) => {
  const serving = await start(t);
  for (const headers of [{}, { 'x-api-key': 'tagged-key' }] as Record<string, string>[]) {
    const key = headers['x-api-key'] === undefined ? 'none' : 'boolean';
    const told = await one(serving, key, {}, headers);
    t.match(told, {
      status: 404,
      body: { key, errorCode: 'FLAG_NOT_FOUND', errorDetails: `There is no flag "${key}" in prod.` },
    });
    t.same(schemaErrors('flagNotFound', told.body), []);
  }
  t.match((await one(serving, 'toString', {})).body, { errorCode: 'FLAG_NOT_FOUND' });
});

test('addresses under /ofrep that are none, and other methods, are refused in the same form', async (t) => {
  const serving = await start(t);
  t.match(await post(serving, '/ofrep/v1/nothing', {}), { status: 404, body: { errorCode: 'GENERAL' } });
  const response = await fetch(`${serving.url}/ofrep/v1/evaluate/flags/boolean`, { headers: { 'x-api-key': KEY } });
  t.equal(response.status, 405);
  t.equal(response.headers.get('allow'), 'POST, OPTIONS');
  t.match(await response.json(), { key: 'boolean', errorCode: 'GENERAL' });
});

test('the key is taken raw and percent-encoded, and behind a doubled slash', async (t) => {
  const serving = await start(t);
  const raw = async (target: string): Promise<{ status: string; body: Body }> => {
    const text = await sendRaw(
      serving.port,
      `POST ${target} HTTP/1.1\r\nHost: x\r\nX-API-Key: ${KEY}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`,
    );
    return { status: text.slice(9, 12), body: JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4)) };
  };
  t.match(await raw('/ofrep/v1/evaluate/flags/%62oolean'), { status: '200', body: { key: 'boolean' } });
  t.match(await raw('//ofrep/v1/evaluate/flags/boolean'), { status: '200', body: { key: 'boolean' } });
  t.match(await raw('//ofrep/v1/evaluate/flags'), { status: '200', body: { metadata: { environment: 'prod' } } });
  t.match(await raw('/ofrep/v1/evaluate/flags/a%2Fb'), {
    status: '404',
    body: { key: 'a/b', errorCode: 'FLAG_NOT_FOUND' },
  });
  t.match(await raw('/ofrep/v1/evaluate/flags/a/b'), {
    status: '404',
    body: { key: 'a/b', errorCode: 'FLAG_NOT_FOUND' },
  });
  for (const key of ['a%', 'a%zz', '%ff', 'a%2'])
    t.match(
      await raw(`/ofrep/v1/evaluate/flags/${key}`),
      { status: '400', body: { key, errorCode: 'PARSE_ERROR' } },
      key,
    );
});

test('both headers carry the key', async (t) => {
  const serving = await start(t);
  const body = '{}';
  const headers = { 'content-type': 'application/json' };
  for (const auth of [{ 'x-api-key': KEY }, { authorization: `Bearer ${KEY}` }, { authorization: `bearer ${KEY}` }]) {
    const sent = { method: 'POST', body, headers: { ...headers, ...(auth as Record<string, string>) } };
    t.equal((await fetch(`${serving.url}/ofrep/v1/evaluate/flags/boolean`, sent)).status, 200);
  }
});

test('the environment is that of the query or the header, else of the body, else of the key, else prod', async (t) => {
  const serving = await start(t);
  const version = async (query: string, headers: Record<string, string>, body: object = {}): Promise<unknown> => {
    const told = await post(serving, `/ofrep/v1/evaluate/flags/boolean${query}`, body, headers);
    return told.status === 200 ? told.body.metadata.version : `${told.status} ${told.body.errorDetails}`;
  };
  t.equal(await version('', {}), 1);
  t.equal(await version('', { 'x-flags-environment': 'dev' }), 4);
  t.equal(await version('?environment=dev', {}), 4);
  t.equal(await version('?environment=dev', { 'x-flags-environment': 'dev' }), 4);
  t.equal(await version('', { 'x-api-key': 'dev-key' }), 4);
  t.equal(await version('', {}, { environment: 'dev' }), 4);
  t.equal(await version('', { 'x-api-key': 'two-key', 'x-flags-environment': 'prod' }), 1);
  t.match(await version('?environment=dev', { 'x-flags-environment': 'prod' }), /^400 X-Flags-Environment: differs/);
  t.match(await version('', { 'x-flags-environment': 'dev' }, { environment: 'prod' }), /^400 environment: differs/);
  t.match(await version('', { 'x-api-key': 'dev-key' }, { environment: 'prod' }), /^403 /);
  t.match(await version('', { 'x-api-key': 'two-key' }), /^400 .*dev, prod/);
});

test('min_revision is held to, in the query and in the header', async (t) => {
  const serving = await start(t);
  serving.onWait = () => serving.swap(makeSnapshot(813, flags, keys));
  const told = await post(serving, '/ofrep/v1/evaluate/flags/boolean', {}, { 'x-flags-min-revision': '813' });
  t.match(told, { status: 200, body: { metadata: { revision: 813 } } });
});
