// Whatever is not served: in which order it is refused, and in which words.
import { test, type Test } from 'tap';
import { makeFlag, makeKey, makeSnapshot, sendRaw, startServing, type Serving } from '../support/serving.ts';
import { SPENT, WAIT } from '../../src/worker/limiter.ts';

const KEY = 'write-key-of-32-characters-00000';
const keys = [
  makeKey({ raw: KEY, scope: 'write' }),
  makeKey({ raw: 'limited', scope: 'write', rateLimit: 100 }),
  makeKey({ raw: 'evaluate-dev', scope: 'evaluate', environments: ['dev'], rateLimit: 100 }),
  makeKey({ raw: 'write-dev', scope: 'write', environments: ['dev'] }),
  makeKey({ raw: 'expired', scope: 'write', expiresAtMs: 1 }),
];
const flags = [makeFlag({ flag_id: 'a', enabled: true, rollout_percentage: 100 })];

async function start(t: Test, origins: readonly string[] = []): Promise<Serving> {
  const serving = await startServing(makeSnapshot(5, flags, keys), origins);
  t.teardown(() => serving.http.close());
  return serving;
}

interface Sent {
  readonly method?: string;
  readonly key?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
}

async function send(serving: Serving, path: string, sent: Sent = {}): Promise<{ status: number; code: string; headers: Headers; problem: Record<string, unknown> }> {
  const reply = await fetch(serving.url + path, {
    method: sent.method ?? 'GET', redirect: 'manual', body: sent.body ?? null,
    headers: { ...(sent.key === undefined ? {} : { 'x-api-key': sent.key }), ...(sent.body === undefined ? {} : { 'content-type': 'application/json' }), ...sent.headers },
  });
  const text = await reply.text();
  const problem = text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : {};
  return { status: reply.status, code: String(problem['code']), headers: reply.headers, problem };
}

test('a request with everything wrong is refused for one thing after another', async (t) => {
  const serving = await start(t);
  serving.verdict = SPENT;
  const huge = 'x'.repeat(1_048_577);
  const put = (path: string, sent: Sent): Promise<unknown> => send(serving, path, { method: 'PUT', ...sent }).then(({ code }) => code);
  const text = { 'content-type': 'text/plain' };
  t.equal(await put('/api/v1/flag/%zz?environment=prod', { body: huge, headers: text }), 'ROUTE_NOT_FOUND');
  t.equal(await put('/api/v1/flags?environment=prod', { body: huge, headers: text }), 'METHOD_NOT_ALLOWED');
  t.equal(await put('/api/v1/flags/%zz?environment=prod', { body: huge, headers: text }), 'UNAUTHORIZED');
  t.equal(await put('/api/v1/flags/%zz?environment=prod', { body: huge, headers: text, key: 'evaluate-dev' }), 'RATE_LIMITED');
  serving.verdict = WAIT;
  serving.waited = false;
  t.equal(await put('/api/v1/flags/%zz?environment=prod', { body: huge, headers: text, key: 'evaluate-dev' }), 'RATE_LIMITED', 'after a wait too');
  serving.waited = true;
  t.equal(await put('/api/v1/flags/%zz?environment=prod', { body: huge, headers: text, key: 'evaluate-dev' }), 'SCOPE_REQUIRED');
  t.equal(await put('/api/v1/flags/%zz?environment=prod', { body: huge, headers: text, key: 'write-dev' }), 'ENVIRONMENT_FORBIDDEN');
  t.equal(await put('/api/v1/flags/%zz?environment=dev', { body: huge, headers: text, key: 'write-dev' }), 'BODY_TOO_LARGE');
  t.equal(await put('/api/v1/flags/%zz?environment=dev', { body: 'x', headers: text, key: 'write-dev' }), 'UNSUPPORTED_MEDIA_TYPE');
  t.equal(await put('/api/v1/flags/%zz', { body: '{"environment":"prod"}', key: 'write-dev' }), 'INVALID_REQUEST');
  t.equal(await put('/api/v1/flags/nope', { body: '{"environment":"prod"}', key: 'write-dev' }), 'ENVIRONMENT_FORBIDDEN', 'in the body');
  t.equal(await put('/api/v1/flags/nope', { body: '{}', key: 'write-dev' }), 'STORAGE_UNAVAILABLE', 'and then it is the primary\'s');
});

test('reads wait before they look anything up', async (t) => {
  const serving = await start(t);
  t.equal((await send(serving, '/api/v1/flags/nope/evaluate?user_id=u&min_revision=6', { key: KEY })).code, 'REVISION_NOT_REACHED');
  t.equal((await send(serving, '/api/v1/flags/nope/evaluate?user_id=u&environment=nowhere', { key: KEY })).code, 'ENVIRONMENT_NOT_FOUND');
  t.equal((await send(serving, '/api/v1/flags/nope/evaluate?user_id=u', { key: KEY })).code, 'FLAG_NOT_FOUND');
});

test('a problem is application/problem+json with all its parts', async (t) => {
  const serving = await start(t);
  const { headers, problem } = await send(serving, '/nope', { headers: { 'x-request-id': 'abc-1' } });
  t.same(problem, { type: 'urn:burgee:problem:ROUTE_NOT_FOUND', title: 'No such route; see /docs.', status: 404, detail: 'There is no /nope here; see /docs.', code: 'ROUTE_NOT_FOUND', request_id: 'abc-1' });
  t.equal(headers.get('content-type'), 'application/problem+json');
  t.equal(headers.get('x-flags-revision'), '5');
  const made = await send(serving, '/nope', { headers: { 'x-request-id': 'not ok' } });
  t.match(made.problem['request_id'], /^[0-9a-f-]{36}$/);
  t.equal(serving.logged.length, 2);
  t.same(serving.logged.map(({ route }) => route), ['none', 'none']);
});

test('no key, no such key, an expired key', async (t) => {
  const serving = await start(t);
  const path = '/api/v1/flags/a/evaluate?user_id=u';
  for (const headers of [{}, { 'x-api-key': 'nope' }, { 'x-api-key': 'expired' }, { authorization: 'Bearer nope' }, { authorization: `Basic ${KEY}` }, { 'x-api-key': 'x'.repeat(2000) }] as Record<string, string>[]) {
    const refused = await send(serving, path, { headers });
    t.same([refused.status, refused.code, refused.headers.get('www-authenticate')], [401, 'UNAUTHORIZED', 'Bearer realm="burgee"']);
  }
  t.equal((await send(serving, path, { headers: { authorization: `bearer ${KEY}` } })).status, 200);
});

test('a spent key is told when to come back', async (t) => {
  const serving = await start(t);
  serving.verdict = SPENT;
  const refused = await send(serving, '/api/v1/flags/a/evaluate?user_id=u', { key: 'limited' });
  t.equal(refused.status, 429);
  t.equal(refused.headers.get('retry-after'), '17');
  t.equal(refused.headers.get('ratelimit'), '"default";r=0;t=17');
  t.equal(refused.headers.get('ratelimit-policy'), '"default";q=100;w=60');
  serving.verdict = WAIT;
  const served = await send(serving, '/api/v1/flags/a/evaluate?user_id=u', { key: 'limited' });
  t.same([served.status, served.headers.get('ratelimit')], [200, null]);
  t.equal((await send(serving, '/api/v1/flags/a', { key: 'limited' })).headers.get('ratelimit'), '"default";r=5;t=17', 'management says it always');
});

test('without a snapshot nothing but the state is served', async (t) => {
  const serving = await start(t);
  serving.snapshot = undefined;
  t.equal((await send(serving, '/api/v1/flags/a/evaluate?user_id=u', { key: KEY })).code, 'NOT_READY');
  t.equal((await send(serving, '/api/v1/flags', { key: KEY })).code, 'NOT_READY');
  t.equal((await send(serving, '/nope')).status, 404);
  t.equal((await send(serving, '/livez')).status, 200);
  t.equal((await send(serving, '/readyz')).code, 'NOT_READY');
  t.same((await send(serving, '/healthz', { key: KEY })).problem, { status: 'starting' });
});

test('a body that is no JSON is refused before anything reads it', async (t) => {
  const serving = await start(t);
  const utf8 = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);
  const cases: [string | Uint8Array<ArrayBuffer>, RegExp][] = [
    ['{', /not valid JSON/], ['', /empty/], ['{"a":1}x', /not valid JSON at character 7/], ['{"user_id":"u",}', /not valid JSON/], ['\uFEFF{"user_id":"u"}', /byte order mark/],
    [Uint8Array.from([0x22, 0xff, 0x22]), /UTF-8/], [`${'['.repeat(65)}${']'.repeat(65)}`, /64 levels/], [`{"a":${'['.repeat(100_000)}`, /64 levels/],
    [utf8('{"user_id":"\uD83D'.replace('\uD83D', '\u0001') + '"}'), /not valid JSON/], ['null', /object/], ['[]', /object/], ['"x"', /object/], ['{"user_id":1}', /string/],
    ['{"user_id":""}', /empty/], ['{"__proto__":{"user_id":"u"}}', /not known/], ['{"user_id":"u","attributes":{"a":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}}', /16 levels/],
  ];
  for (const [body, detail] of cases) {
    const refused = await send(serving, '/api/v1/flags/a/evaluate', { method: 'POST', key: KEY, body });
    t.same([refused.status, refused.code], [400, 'INVALID_REQUEST'], String(body).slice(0, 40));
    t.match(refused.problem['detail'], detail);
  }
  t.equal((await send(serving, '/api/v1/flags/a/evaluate', { method: 'POST', key: KEY, body: `{"user_id":"[[[[\\"${'['.repeat(100)}"}` })).status, 200, 'brackets in a string are text');
});

test('media types', async (t) => {
  const serving = await start(t);
  const evaluate = async (type: string): Promise<number> =>
    (await send(serving, '/api/v1/flags/a/evaluate', { method: 'POST', key: KEY, body: '{"user_id":"u"}', headers: { 'content-type': type } })).status;
  for (const type of ['application/json', 'APPLICATION/JSON; charset=UTF-8', 'application/json;charset="utf-8"']) t.equal(await evaluate(type), 200, type);
  for (const type of ['text/plain', 'application/json; charset=latin1', 'application/merge-patch+json', 'application/jsonx', '']) t.equal(await evaluate(type), 415, type);
  const patch = await send(serving, '/api/v1/flags/a', { method: 'PATCH', key: KEY, body: '{"enabled":true}', headers: { 'content-type': 'application/merge-patch+json' } });
  t.equal(patch.code, 'STORAGE_UNAVAILABLE');
});

test('405 says what there is, OPTIONS too, HEAD is there where GET is', async (t) => {
  const serving = await start(t);
  const wrong = await send(serving, '/api/v1/flags', { method: 'DELETE' });
  t.same([wrong.status, wrong.headers.get('allow')], [405, 'GET, HEAD, POST, OPTIONS']);
  t.equal((await send(serving, '/livez', { method: 'POST' })).headers.get('allow'), 'GET, HEAD, OPTIONS');
  const options = await send(serving, '/flags/a', { method: 'OPTIONS' });
  t.same([options.status, options.headers.get('allow')], [204, 'GET, HEAD, PUT, PATCH, DELETE, OPTIONS']);
  t.equal((await send(serving, '/flags/a', { method: 'HEAD', key: KEY })).status, 200);
  t.equal((await send(serving, '/api/v1/keys', { method: 'HEAD', key: KEY })).status, 403);
  t.equal((await send(serving, '/flags/', { key: KEY })).status, 404);
  t.equal((await send(serving, '/flags//evaluate', { key: KEY })).status, 404);
});

test('pages of allowed origins may call, others not', async (t) => {
  const serving = await start(t, ['https://app.example']);
  const preflight = (origin: string): ReturnType<typeof send> => send(serving, '/api/v1/flags/a/evaluate', {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'GET', 'access-control-request-headers': 'x-api-key, X-Flags-Min-Revision, x-evil' },
  });
  const allowed = await preflight('https://app.example');
  t.equal(allowed.status, 204);
  t.equal(allowed.headers.get('access-control-allow-origin'), 'https://app.example');
  t.equal(allowed.headers.get('access-control-allow-headers'), 'x-api-key, x-flags-min-revision');
  t.equal(allowed.headers.get('access-control-allow-credentials'), null);
  const other = await preflight('https://evil.example');
  t.same([other.status, other.headers.get('access-control-allow-origin')], [204, null]);
  for (const path of ['/api/v1/flags/a/evaluate?user_id=u', '/nope', '/api/v1/flags/a']) {
    const served = await send(serving, path, { key: KEY, headers: { origin: 'https://app.example' } });
    t.equal(served.headers.get('access-control-allow-origin'), 'https://app.example', path);
    t.match(served.headers.get('access-control-expose-headers'), /ETag.*X-Flags-Revision/);
    const refused = await send(serving, path, { key: KEY, headers: { origin: 'https://evil.example' } });
    t.same([refused.headers.get('access-control-allow-origin'), refused.headers.get('vary')], [null, 'Origin']);
  }
});

test('a body whose length is told twice, or in an odd way, ends the connection', async (t) => {
  const serving = await start(t);
  const head = `POST /api/v1/flags/a/evaluate HTTP/1.1\r\nHost: x\r\nX-API-Key: ${KEY}\r\nContent-Type: application/json\r\n`;
  const closed = (): boolean => false;
  const body = '{"user_id":"u"}';
  const chunks = `f\r\n${body}\r\n0\r\n\r\n`;
  for (const [lengths, bytes] of [
    ['Content-Length: 15\r\nContent-Length: 15', body], ['Content-Length: 15\r\nContent-Length: 16', body],
    ['Transfer-Encoding: gzip', chunks], ['Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', chunks],
  ] as const) {
    t.match(await sendRaw(serving.port, `${head}${lengths}\r\n\r\n${bytes}`, closed), /^HTTP\/1.1 400 [^]*Connection: close[^]*INVALID_REQUEST/, lengths);
  }
  t.match(await sendRaw(serving.port, `${head}Content-Length: 15\r\nTransfer-Encoding: chunked\r\n\r\n`, closed), /^HTTP\/1.1 400 /);
  t.match(await sendRaw(serving.port, `GET /api/v1/flags/a/evaluate?user_id=u HTTP/1.1\r\nHost: x\r\nX-API-Key: ${KEY}\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n`, closed), /^HTTP\/1.1 400 /, 'on the hot path too');
  t.match(await sendRaw(serving.port, `${head}Transfer-Encoding: chunked\r\n\r\n5\r\n{"use\r\na\r\nr_id":"u"}\r\n0\r\n\r\n`), /^HTTP\/1.1 200 /, 'chunks are fine');
});

test('a body over the limit is refused as soon as that is known', async (t) => {
  const serving = await start(t);
  const head = `POST /api/v1/flags/a/evaluate HTTP/1.1\r\nHost: x\r\nX-API-Key: ${KEY}\r\nContent-Type: application/json\r\n`;
  t.match(await sendRaw(serving.port, `${head}Content-Length: 10000000\r\n\r\n{`), /^HTTP\/1.1 413 [^]*Connection: close/, 'by its declared length');
  const chunk = `10000\r\n${' '.repeat(65_536)}\r\n`;
  t.match(await sendRaw(serving.port, `${head}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(17)}`), /^HTTP\/1.1 413 /, 'by what came');
  const sent = await send(serving, '/api/v1/flags/a/evaluate', { method: 'POST', key: KEY, body: 'x'.repeat(10_000_000) });
  t.same([sent.status, sent.code], [413, 'BODY_TOO_LARGE'], 'and who sends all of it first still reads the answer');
  const fits = `{"user_id":"u"${' '.repeat(1_048_576 - 15)}}`;
  t.equal((await send(serving, '/api/v1/flags/a/evaluate', { method: 'POST', key: KEY, body: fits })).status, 200, 'one that just fits is served');
});

test('a bad percent-encoding anywhere is 400', async (t) => {
  const serving = await start(t);
  for (const path of ['/api/v1/flags/%zz/evaluate?user_id=u', '/api/v1/flags/a/evaluate?user_id=%', '/api/v1/flags/%ff', '/api/v1/flags?q=%c3', '/api/v1/flags/a/evaluate?user_id=u&%zz=1']) {
    const text = await sendRaw(serving.port, `GET ${path} HTTP/1.1\r\nHost: x\r\nX-API-Key: ${KEY}\r\n\r\n`);
    t.match(text, /^HTTP\/1.1 400 [^]*INVALID_REQUEST/, path);
  }
  t.equal((await send(serving, '/api/v1/flags/%61/evaluate?user_id=u', { key: KEY })).status, 200, 'a good one is decoded');
  t.equal((await send(serving, '/api/v1/flags/a%2Fb/evaluate?user_id=u', { key: KEY })).code, 'FLAG_NOT_FOUND');
});

test('two requests in one packet are two answers', async (t) => {
  const serving = await start(t);
  const one = `GET /api/v1/flags/a/evaluate?user_id=u HTTP/1.1\r\nHost: x\r\nX-API-Key: ${KEY}\r\n\r\n`;
  const text = await sendRaw(serving.port, one + one, (reply) => reply.split('"revision":5}').length === 3);
  t.equal(text.split('HTTP/1.1 200 OK').length, 3);
});

test('a client that leaves in the middle harms nobody', async (t) => {
  const serving = await start(t);
  const head = `POST /api/v1/flags/a/evaluate HTTP/1.1\r\nHost: x\r\nX-API-Key: ${KEY}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`;
  const { connect } = await import('node:net');
  await new Promise<void>((resolve) => {
    const socket = connect(serving.port, '127.0.0.1', () => socket.write(head, () => socket.destroy()));
    socket.on('close', () => resolve());
  });
  t.equal((await send(serving, '/api/v1/flags/a/evaluate?user_id=u', { key: KEY })).status, 200);
  t.same(serving.failures, []);
});

test('a bug in a route is 500 and a line in the log, not the end', async (t) => {
  const serving = await start(t);
  serving.command = () => {
    throw new Error('a bug');
  };
  const refused = await send(serving, '/api/v1/flags', { method: 'POST', key: KEY, body: '{"flag_id":"x"}', headers: { 'x-request-id': 'r1' } });
  t.same([refused.status, refused.code, refused.problem['request_id']], [500, 'INTERNAL', 'r1']);
  t.match(serving.failures[0], /a bug/);
  serving.snapshot = { ...makeSnapshot(6, flags, keys), environments: undefined as unknown as Map<string, never> };
  t.equal((await send(serving, '/api/v1/flags/a/evaluate?user_id=u', { key: KEY })).status, 500, 'on the hot path too');
});
