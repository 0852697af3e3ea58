// Evaluations over real connections.
import { type Test, test } from 'tap';
import { routes } from '../../src/api/routes.ts';
import { murmur3 } from '../../src/kernel/murmur3.ts';
import { makeFlag, makeKey, makeSnapshot, type Serving, sendRaw, startServing } from '../support/serving.ts';
import { transportUnderTest } from '../support/transport.ts';

const KEY = 'evaluate-key-of-32-characters-00';
const keys = [
  makeKey({ raw: KEY, scope: 'evaluate' }),
  makeKey({ raw: 'tagged-key', scope: 'evaluate', tags: ['web'] }),
  makeKey({ raw: 'dev-key', scope: 'evaluate', environments: ['dev'] }),
  makeKey({ raw: 'two-key', scope: 'evaluate', environments: ['dev', 'prod'] }),
];
const flags = [
  makeFlag({ flag_id: 'half', enabled: true, rollout_percentage: 50, tags: ['web'] }),
  makeFlag({ flag_id: 'half', enabled: true, rollout_percentage: 100 }, 'dev', 4),
  makeFlag({
    flag_id: 'all',
    enabled: true,
    rollout_percentage: 100,
    targets: [{ variant: 'off', user_ids: ['user-7', 'ż'] }],
  }),
  makeFlag({ flag_id: 'constructor', enabled: true, rollout_percentage: 100 }),
  makeFlag({
    flag_id: 'plan',
    enabled: true,
    type: 'string',
    variants: { a: 'A "quoted" żółw', b: 'B' },
    off_variant: 'a',
    bucket_by: 'company',
    rollout: [
      { variant: 'a', percentage: 50 },
      { variant: 'b', percentage: 50 },
    ],
  }),
];

async function start(t: Test, origins: readonly string[] = []): Promise<Serving> {
  const serving = await startServing(makeSnapshot(812, flags, keys), origins);
  t.teardown(() => serving.http.close());
  return serving;
}

function get(
  serving: Serving,
  path: string,
  headers: Record<string, string> = { 'x-api-key': KEY },
): Promise<Response> {
  return fetch(serving.url + path, { headers });
}

function post(serving: Serving, path: string, body: unknown, key = KEY): Promise<Response> {
  return fetch(serving.url + path, {
    method: 'POST',
    headers: { 'x-api-key': key, 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

const isOn = (userId: string): boolean => murmur3(new TextEncoder().encode(`${userId}:half`), 0) % 10_000 < 5000;

test('a reply is these bytes', async (t) => {
  const serving = await start(t);
  const text = await sendRaw(
    serving.port,
    `GET /api/v1/flags/half/evaluate?user_id=user-1 HTTP/1.1\r\nHost: x\r\nX-API-Key: ${KEY}\r\n\r\n`,
  );
  const [head = '', body = ''] = text.split('\r\n\r\n');
  t.same(
    head.split('\r\n').filter((line) => !line.startsWith('Date:')),
    [
      'HTTP/1.1 200 OK',
      'Content-Type: application/json',
      'X-Flags-Revision: 812',
      'Cache-Control: no-store',
      ...(transportUnderTest === 'uws' ? ['uWebSockets: 20'] : []),
      `Content-Length: ${body.length}`,
    ],
  );
  const on = isOn('user-1');
  t.match(body, /"evaluated_at":"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\d\dZ"/);
  t.equal(
    body.replace(/"evaluated_at":"[^"]*"/, '"evaluated_at":""'),
    `{"flag_id":"half","enabled":${on},"user_id":"user-1","evaluated_at":"","variant":"${on ? 'on' : 'off'}","value":${on},"reason":"SPLIT","version":1,"revision":812}`,
  );
  t.equal(
    serving.counted[0]?.routeIndex,
    routes.findIndex(({ operationId }) => operationId === 'evaluateFlag'),
  );
  t.match(serving.logged[0], {
    method: 'GET',
    status: 200,
    keyId: 'key_evaluate-key',
    route: 'GET /api/v1/flags/{flag_id}/evaluate',
  });
});

test('whoever asks comes back as asked, by GET and by POST', async (t) => {
  const serving = await start(t);
  for (const userId of [
    'u',
    'a b+c&d=e%',
    'żółw',
    '😀',
    '"quoted\\"',
    'tab\t\u0000\u007f',
    '__proto__',
    'constructor',
    'x'.repeat(3000),
    '\u2028',
  ]) {
    const byGet = await get(serving, `/api/v1/flags/half/evaluate?user_id=${encodeURIComponent(userId)}`);
    const byPost = await post(serving, '/api/v1/flags/half/evaluate', { user_id: userId });
    const [one, two] = [await byGet.json(), await byPost.json()] as Record<string, unknown>[];
    t.equal(one?.['user_id'], userId);
    t.equal(one?.['enabled'], isOn(userId));
    t.same({ ...two, evaluated_at: '' }, { ...one, evaluated_at: '' });
  }
  const long = 'ż'.repeat(30_000);
  t.equal(
    ((await (await post(serving, '/api/v1/flags/half/evaluate', { user_id: long })).json()) as { enabled: boolean })
      .enabled,
    isOn(long),
  );
  t.equal((await post(serving, '/api/v1/flags/half/evaluate', { user_id: 'x'.repeat(65_536) })).status, 400);
});

test('targets, typed values and bucket_by come through', async (t) => {
  const serving = await start(t);
  t.match(await (await get(serving, '/api/v1/flags/all/evaluate?user_id=user-7')).json(), {
    variant: 'off',
    reason: 'TARGET_MATCH',
  });
  t.match(await (await get(serving, '/api/v1/flags/all/evaluate?user_id=%C5%BC')).json(), { reason: 'TARGET_MATCH' });
  t.match(await (await get(serving, '/api/v1/flags/constructor/evaluate?user_id=constructor')).json(), {
    reason: 'STATIC',
    value: true,
  });
  t.match(await (await get(serving, '/api/v1/flags/plan/evaluate?user_id=u')).json(), {
    reason: 'BUCKET_KEY_MISSING',
    value: 'A "quoted" żółw',
  });
  const byGet = (await (await get(serving, '/api/v1/flags/plan/evaluate?user_id=u&attr.company=acme')).json()) as {
    variant: string;
  };
  t.match(byGet, { reason: 'SPLIT' });
  const byPost = await post(serving, '/api/v1/flags/plan/evaluate', {
    user_id: 'other',
    attributes: { company: 'acme' },
  });
  t.match(await byPost.json(), { reason: 'SPLIT', variant: byGet.variant });
});

test('the environment is the named one, else the only one of the key, else prod', async (t) => {
  const serving = await start(t);
  const reason = async (path: string, key: string): Promise<unknown> => {
    const body = (await (await get(serving, path, { authorization: `Bearer ${key}` })).json()) as {
      reason?: string;
      code?: string;
    };
    return body.reason ?? body.code;
  };
  const path = '/api/v1/flags/half/evaluate?user_id=u';
  t.equal(await reason(path, KEY), 'SPLIT');
  t.equal(await reason(`${path}&environment=dev`, KEY), 'STATIC');
  t.equal(await reason(`${path}&environment=nowhere`, KEY), 'ENVIRONMENT_NOT_FOUND');
  t.equal(await reason(path, 'dev-key'), 'STATIC');
  t.equal(await reason(`${path}&environment=prod`, 'dev-key'), 'ENVIRONMENT_FORBIDDEN');
  t.equal(await reason(`${path}&environment=nowhere`, 'dev-key'), 'ENVIRONMENT_FORBIDDEN', 'whether it exists or not');
  t.equal(await reason(path, 'two-key'), 'ENVIRONMENT_REQUIRED');
  t.equal(await reason(`${path}&environment=dev`, 'two-key'), 'STATIC');
  t.match(
    await (await post(serving, '/api/v1/flags/half/evaluate', { user_id: 'u', environment: 'prod' }, 'dev-key')).json(),
    { code: 'ENVIRONMENT_FORBIDDEN' },
  );
  t.match(
    await (
      await post(serving, '/api/v1/flags/half/evaluate?environment=dev', { user_id: 'u', environment: 'prod' })
    ).json(),
    { code: 'INVALID_REQUEST' },
  );
  t.match(
    await (
      await post(serving, '/api/v1/flags/half/evaluate?environment=dev', { user_id: 'u', environment: 'dev' })
    ).json(),
    { reason: 'STATIC' },
  );
});

test('a key with tags sees only flags that carry one', async (t) => {
  const serving = await start(t);
  const headers = { 'x-api-key': 'tagged-key' };
  t.equal((await get(serving, '/api/v1/flags/half/evaluate?user_id=u', headers)).status, 200);
  t.match(await (await get(serving, '/api/v1/flags/all/evaluate?user_id=u', headers)).json(), {
    code: 'FLAG_NOT_FOUND',
  });
  const batch = (await (
    await post(serving, '/api/v1/evaluate', { contexts: [{ user_id: 'u' }] }, 'tagged-key')
  ).json()) as { results: object[] };
  t.same(
    batch.results.map((result) => Object.keys(result)),
    [['half']],
  );
});

test('a batch answers every context in order, from one snapshot', async (t) => {
  const serving = await start(t);
  const contexts = [{ user_id: 'u1' }, { user_id: 'żółw', attributes: { company: 'acme' } }];
  const reply = await post(serving, '/api/v1/evaluate', {
    environment: 'prod',
    contexts,
    flags: ['half', 'nope', '__proto__', 'half'],
  });
  t.equal(reply.headers.get('x-flags-revision'), '812');
  const text = await reply.text();
  t.match(text, /^\{"revision":812,"evaluated_at":"[^"]+","results":\[\{"half":\{"enabled":/);
  t.equal(text.split('"nope":{"error":"FLAG_NOT_FOUND"}').length, 3);
  t.equal(text.split('"__proto__":{"error":"FLAG_NOT_FOUND"}').length, 3);
  const { results } = JSON.parse(text) as { results: Record<string, Record<string, unknown>>[] };
  t.same(
    results.map((result) => result['half']?.['enabled']),
    [isOn('u1'), isOn('żółw')],
  );
  const all = (await (await post(serving, '/api/v1/evaluate', { contexts })).json()) as { results: object[] };
  t.same(
    all.results.map((result) => Object.keys(result)),
    [
      ['all', 'constructor', 'half', 'plan'],
      ['all', 'constructor', 'half', 'plan'],
    ],
  );
  t.same(
    ((await (await post(serving, '/api/v1/evaluate', { contexts: [] })).json()) as { results: object[] }).results,
    [],
  );
});

test('a batch says which part of it is wrong', async (t) => {
  const serving = await start(t);
  const cases: [unknown, string][] = [
    [[], ''],
    [{}, 'contexts'],
    [{ contexts: {} }, 'contexts'],
    [{ contexts: [{}] }, 'contexts[0].user_id'],
    [{ contexts: [{ user_id: 'a' }, { user_id: '' }] }, 'contexts[1].user_id'],
    [{ contexts: [{ user_id: 1 }] }, 'contexts[0].user_id'],
    [{ contexts: [null] }, 'contexts[0]'],
    [{ contexts: [{ user_id: 'a', attr: 1 }] }, 'contexts[0].attr'],
    [{ contexts: [], flag: [] }, 'flag'],
    [{ contexts: [], flags: [1] }, 'flags'],
    [{ contexts: [{ user_id: 'u', attributes: [] }] }, 'contexts[0].attributes'],
    [{ contexts: [], environment: 3 }, 'environment'],
    [{ contexts: Array.from({ length: 1001 }, () => ({ user_id: 'u' })) }, 'contexts'],
    [
      {
        contexts: Array.from({ length: 1000 }, () => ({ user_id: 'u' })),
        flags: Array.from({ length: 101 }, (_, i) => `f${i}`),
      },
      'contexts',
    ],
  ];
  for (const [body, path] of cases) {
    const reply = await post(serving, '/api/v1/evaluate', body);
    const problem = (await reply.json()) as { code: string; errors: { path: string }[] };
    t.same([reply.status, problem.code, problem.errors[0]?.path], [400, 'INVALID_REQUEST', path]);
  }
});

test('a reader that names a revision waits for it, and not for ever', async (t) => {
  const serving = await start(t);
  const path = '/api/v1/flags/half/evaluate?user_id=u';
  t.equal((await get(serving, `${path}&min_revision=812`)).status, 200);
  serving.onWait = (revision) => serving.swap(makeSnapshot(revision, flags, keys));
  const waited = await get(serving, `${path}&min_revision=815`);
  t.same([waited.status, waited.headers.get('x-flags-revision')], [200, '815']);
  const byHeader = await get(serving, path, { 'x-api-key': KEY, 'x-flags-min-revision': '817' });
  t.same([byHeader.status, byHeader.headers.get('x-flags-revision')], [200, '817']);
  serving.onWait = () => {};
  const late = await get(serving, `${path}&min_revision=818`);
  t.match(await late.json(), { status: 409, code: 'REVISION_NOT_REACHED' });
  for (const wrong of ['0', '-1', '1.5', 'x', '', '99999'])
    t.equal((await get(serving, `${path}&min_revision=${wrong}`)).status, 400, wrong);
  t.equal((await get(serving, path, { 'x-api-key': KEY, 'x-flags-min-revision': '99999' })).status, 400);
  t.equal(
    (await get(serving, `${path}&min_revision=812`, { 'x-api-key': KEY, 'x-flags-min-revision': '813' })).status,
    400,
  );
});

test('what a later version does is refused by name', async (t) => {
  const serving = await start(t);
  const path = '/api/v1/flags/half/evaluate?user_id=u';
  const first = async (reply: Response): Promise<unknown> => ((await reply.json()) as { errors: unknown[] }).errors[0];
  t.match(await first(await get(serving, `${path}&at_revision=3`)), {
    path: 'at_revision',
    message: /not supported by this version/,
  });
  t.match(await first(await get(serving, `${path}&at_revision=3&min_revision=3`)), {
    path: 'at_revision',
    message: /together with min_revision/,
  });
  t.match(await first(await get(serving, path, { 'x-api-key': KEY, 'x-flags-at-revision': '3' })), {
    path: 'X-Flags-At-Revision',
  });
});

test('a swapped snapshot serves the next request, and a revoked key does not', async (t) => {
  const serving = await start(t);
  const path = '/api/v1/flags/half/evaluate?user_id=u';
  t.match(await (await get(serving, path)).json(), { revision: 812, version: 1 });
  serving.snapshot = makeSnapshot(813, [makeFlag({ flag_id: 'half', enabled: false }, 'prod', 2)], keys);
  t.match(await (await get(serving, path)).json(), { revision: 813, version: 2, reason: 'DISABLED' });
  serving.snapshot = makeSnapshot(814, flags, keys.slice(1));
  t.equal((await get(serving, path)).status, 401);
  serving.snapshot = makeSnapshot(815, flags, [makeKey({ raw: KEY, scope: 'evaluate', expiresAtMs: Date.now() - 1 })]);
  t.equal((await get(serving, path)).status, 401, 'nor an expired one');
});

test('a stale snapshot still answers, and says so', async (t) => {
  const serving = await start(t);
  const path = '/api/v1/flags/half/evaluate?user_id=u';
  t.equal((await get(serving, path)).headers.get('x-flags-stale'), null);
  serving.staleSeconds = 6;
  t.equal((await get(serving, path)).headers.get('x-flags-stale'), '6');
  t.equal((await post(serving, '/api/v1/flags/half/evaluate', { user_id: 'u' })).headers.get('x-flags-stale'), '6');
  t.match(await (await fetch(`${serving.url}/readyz`)).json(), { status: 'ready', stale_seconds: 6 });
});

test('HEAD is GET without its body', async (t) => {
  const serving = await start(t);
  const path = '/api/v1/flags/half/evaluate?user_id=u';
  const length = (await (await get(serving, path)).text()).length;
  const text = await sendRaw(
    serving.port,
    `HEAD ${path} HTTP/1.1\r\nHost: x\r\nX-API-Key: ${KEY}\r\nConnection: close\r\n\r\n`,
    (reply) => reply.endsWith('\r\n\r\n'),
  );
  t.match(text, new RegExp(`^HTTP/1.1 200 OK\\r\\n[^]*Content-Length: ${length}\\r\\n`));
  t.ok(text.endsWith('\r\n\r\n'));
});
