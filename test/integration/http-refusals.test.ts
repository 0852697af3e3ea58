// Whatever is not served: in which order it is refused, and in which words.
import { test } from 'tap';
import { SPENT, WAIT } from '../../src/worker/limiter.ts';
import { KEY, type Sent, send, start } from './fixtures/refusing.ts';

test('a request with everything wrong is refused for one thing after another', async (t) => {
  const serving = await start(t);
  serving.verdict = SPENT;
  const huge = 'x'.repeat(1_048_577);
  const put = (path: string, sent: Sent): Promise<unknown> =>
    send(serving, path, { method: 'PUT', ...sent }).then(({ code }) => code);
  const text = { 'content-type': 'text/plain' };
  t.equal(await put('/api/v1/flag/%zz?environment=prod', { body: huge, headers: text }), 'ROUTE_NOT_FOUND');
  t.equal(await put('/api/v1/flags?environment=prod', { body: huge, headers: text }), 'METHOD_NOT_ALLOWED');
  t.equal(await put('/api/v1/flags/%zz?environment=prod', { body: huge, headers: text }), 'UNAUTHORIZED');
  t.equal(
    await put('/api/v1/flags/%zz?environment=prod', { body: huge, headers: text, key: 'evaluate-dev' }),
    'RATE_LIMITED',
  );
  serving.verdict = WAIT;
  serving.waited = false;
  t.equal(
    await put('/api/v1/flags/%zz?environment=prod', { body: huge, headers: text, key: 'evaluate-dev' }),
    'RATE_LIMITED',
    'after a wait too',
  );
  serving.waited = true;
  t.equal(
    await put('/api/v1/flags/%zz?environment=prod', { body: huge, headers: text, key: 'evaluate-dev' }),
    'SCOPE_REQUIRED',
  );
  t.equal(
    await put('/api/v1/flags/%zz?environment=prod', { body: huge, headers: text, key: 'write-dev' }),
    'ENVIRONMENT_FORBIDDEN',
  );
  t.equal(
    await put('/api/v1/flags/%zz?environment=dev', { body: huge, headers: text, key: 'write-dev' }),
    'BODY_TOO_LARGE',
  );
  t.equal(
    await put('/api/v1/flags/%zz?environment=dev', { body: 'x', headers: text, key: 'write-dev' }),
    'UNSUPPORTED_MEDIA_TYPE',
  );
  t.equal(await put('/api/v1/flags/%zz', { body: '{"environment":"prod"}', key: 'write-dev' }), 'INVALID_REQUEST');
  t.equal(
    await put('/api/v1/flags/nope', { body: '{"environment":"prod"}', key: 'write-dev' }),
    'ENVIRONMENT_FORBIDDEN',
    'in the body',
  );
  t.equal(
    await put('/api/v1/flags/nope', { body: '{}', key: 'write-dev' }),
    'STORAGE_UNAVAILABLE',
    "and then it is the primary's",
  );
});

test('reads wait before they look anything up', async (t) => {
  const serving = await start(t);
  t.equal(
    (await send(serving, '/api/v1/flags/nope/evaluate?user_id=u&min_revision=6', { key: KEY })).code,
    'REVISION_NOT_REACHED',
  );
  t.equal(
    (await send(serving, '/api/v1/flags/nope/evaluate?user_id=u&environment=nowhere', { key: KEY })).code,
    'ENVIRONMENT_NOT_FOUND',
  );
  t.equal((await send(serving, '/api/v1/flags/nope/evaluate?user_id=u', { key: KEY })).code, 'FLAG_NOT_FOUND');
});

test('a problem is application/problem+json with all its parts', async (t) => {
  const serving = await start(t);
  const { headers, problem } = await send(serving, '/nope', { headers: { 'x-request-id': 'abc-1' } });
  t.same(problem, {
    type: 'urn:burgee:problem:ROUTE_NOT_FOUND',
    title: 'No such route; see /docs.',
    status: 404,
    detail: 'There is no /nope here; see /docs.',
    code: 'ROUTE_NOT_FOUND',
    request_id: 'abc-1',
  });
  t.equal(headers.get('content-type'), 'application/problem+json');
  t.equal(headers.get('x-flags-revision'), '5');
  const made = await send(serving, '/nope', { headers: { 'x-request-id': 'not ok' } });
  t.match(made.problem['request_id'], /^[0-9a-f-]{36}$/);
  t.equal(serving.logged.length, 2);
  t.same(
    serving.logged.map(({ route }) => route),
    ['none', 'none'],
  );
});

test('no key, no such key, an expired key', async (t) => {
  const serving = await start(t);
  const path = '/api/v1/flags/a/evaluate?user_id=u';
  for (const headers of [
    {},
    { 'x-api-key': 'nope' },
    { 'x-api-key': 'expired' },
    { authorization: 'Bearer nope' },
    { authorization: `Basic ${KEY}` },
    { 'x-api-key': 'x'.repeat(2000) },
  ] as Record<string, string>[]) {
    const refused = await send(serving, path, { headers });
    t.same(
      [refused.status, refused.code, refused.headers.get('www-authenticate')],
      [401, 'UNAUTHORIZED', 'Bearer realm="burgee"'],
    );
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
  t.equal(
    (await send(serving, '/api/v1/flags/a', { key: 'limited' })).headers.get('ratelimit'),
    '"default";r=5;t=17',
    'management says it always',
  );
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
    ['{', /not valid JSON/],
    ['', /empty/],
    ['{"a":1}x', /not valid JSON at character 7/],
    ['{"user_id":"u",}', /not valid JSON/],
    ['\uFEFF{"user_id":"u"}', /byte order mark/],
    [Uint8Array.from([0x22, 0xff, 0x22]), /UTF-8/],
    [`${'['.repeat(65)}${']'.repeat(65)}`, /64 levels/],
    [`{"a":${'['.repeat(100_000)}`, /64 levels/],
    [utf8('{"user_id":"\uD83D'.replace('\uD83D', '\u0001') + '"}'), /not valid JSON/],
    ['null', /object/],
    ['[]', /object/],
    ['"x"', /object/],
    ['{"user_id":1}', /string/],
    ['{"user_id":""}', /empty/],
    ['{"__proto__":{"user_id":"u"}}', /not known/],
    ['{"user_id":"u","attributes":{"a":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}}', /16 levels/],
  ];
  for (const [body, detail] of cases) {
    const refused = await send(serving, '/api/v1/flags/a/evaluate', { method: 'POST', key: KEY, body });
    t.same([refused.status, refused.code], [400, 'INVALID_REQUEST'], String(body).slice(0, 40));
    t.match(refused.problem['detail'], detail);
  }
  t.equal(
    (
      await send(serving, '/api/v1/flags/a/evaluate', {
        method: 'POST',
        key: KEY,
        body: `{"user_id":"[[[[\\"${'['.repeat(100)}"}`,
      })
    ).status,
    200,
    'brackets in a string are text',
  );
});

test('media types', async (t) => {
  const serving = await start(t);
  const evaluate = async (type: string): Promise<number> =>
    (
      await send(serving, '/api/v1/flags/a/evaluate', {
        method: 'POST',
        key: KEY,
        body: '{"user_id":"u"}',
        headers: { 'content-type': type },
      })
    ).status;
  for (const type of ['application/json', 'APPLICATION/JSON; charset=UTF-8', 'application/json;charset="utf-8"'])
    t.equal(await evaluate(type), 200, type);
  for (const type of [
    'text/plain',
    'application/json; charset=latin1',
    'application/merge-patch+json',
    'application/jsonx',
    '',
  ])
    t.equal(await evaluate(type), 415, type);
  const patch = await send(serving, '/api/v1/flags/a', {
    method: 'PATCH',
    key: KEY,
    body: '{"enabled":true}',
    headers: { 'content-type': 'application/merge-patch+json' },
  });
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
  const preflight = (origin: string): ReturnType<typeof send> =>
    send(serving, '/api/v1/flags/a/evaluate', {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'GET',
        'access-control-request-headers': 'x-api-key, X-Flags-Min-Revision, x-evil',
      },
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
