// Documents, lists, commands and the routes at the root.
import { type Test, test } from 'tap';
import type { CommandRequest } from '../../src/ipc/messages.ts';
import { makeFlag, makeKey, makeSnapshot, type Serving, startServing } from '../support/serving.ts';
import { transportUnderTest } from '../support/transport.ts';

const KEY = 'admin-key-of-32-characters-00000';
const keys = [
  makeKey({ raw: KEY, scope: 'admin' }),
  makeKey({ raw: 'tagged', scope: 'write', tags: ['web'] }),
  makeKey({ raw: 'bound', scope: 'admin', environments: ['dev', 'staging'] }),
];
const flags = [
  makeFlag({ flag_id: 'b', description: 'The Żółw flag', tags: ['web', 'x'] }, 'prod', 3),
  makeFlag({ flag_id: 'a', tags: ['x'] }),
  makeFlag({ flag_id: 'c' }),
  makeFlag({ flag_id: 'a' }, 'dev'),
  makeFlag({ flag_id: 'z' }, 'staging'),
];

async function start(t: Test): Promise<Serving> {
  const serving = await startServing(makeSnapshot(40, flags, keys));
  t.teardown(() => serving.http.close());
  return serving;
}

interface Got {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: Record<string, unknown>;
}

async function call(
  serving: Serving,
  method: string,
  path: string,
  options: { key?: string; body?: unknown; headers?: Record<string, string> } = {},
): Promise<Got> {
  const reply = await fetch(serving.url + path, {
    method,
    redirect: 'manual',
    body: options.body === undefined ? null : JSON.stringify(options.body),
    headers: {
      'x-api-key': options.key ?? KEY,
      ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...options.headers,
    },
  });
  const text = await reply.text();
  return {
    status: reply.status,
    headers: reply.headers,
    text,
    json: text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : {},
  };
}

const ids = (got: Got, list = 'flags', field = 'flag_id'): unknown =>
  (got.json[list] as Record<string, unknown>[]).map((item) => item[field]);

test('a flag is read as it is in the snapshot, and not again while it is the same', async (t) => {
  const serving = await start(t);
  const got = await call(serving, 'GET', '/api/v1/flags/b');
  t.equal(got.text, flags[0]?.json);
  t.equal(got.headers.get('etag'), '"3"');
  t.equal((await call(serving, 'GET', '/flags/b')).text, got.text, 'at the address of the original service too');
  for (const tag of ['"3"', 'W/"3"', '"2", "3"', '*']) {
    const same = await call(serving, 'GET', '/api/v1/flags/b', { headers: { 'if-none-match': tag } });
    t.same([same.status, same.text, same.headers.get('etag')], [304, '', '"3"'], tag);
  }
  t.equal((await call(serving, 'GET', '/api/v1/flags/b', { headers: { 'if-none-match': '"4"' } })).status, 200);
  t.equal((await call(serving, 'GET', '/api/v1/flags/a', { key: 'tagged' })).json['code'], 'FLAG_NOT_FOUND');
});

test('lists are in order, filtered and cut into pages', async (t) => {
  const serving = await start(t);
  t.same(ids(await call(serving, 'GET', '/api/v1/flags')), ['a', 'b', 'c']);
  t.same(ids(await call(serving, 'GET', '/flags?environment=dev')), ['a']);
  t.same(ids(await call(serving, 'GET', '/api/v1/flags?tag=x')), ['a', 'b']);
  t.same(
    ids(await call(serving, 'GET', '/api/v1/flags?q=%C5%BB%C3%93%C5%81')),
    ['b'],
    'by the description, whatever the case',
  );
  t.same(ids(await call(serving, 'GET', '/api/v1/flags?q=B')), ['b'], 'by flag_id');
  t.same(ids(await call(serving, 'GET', '/api/v1/flags', { key: 'tagged' })), ['b']);
  t.same(ids(await call(serving, 'GET', '/api/v1/flags?environment=*')), ['a', 'a', 'b', 'c', 'z']);
  t.same(ids(await call(serving, 'GET', '/api/v1/flags?environment=*', { key: 'bound' })), ['a', 'z']);
  t.equal((await call(serving, 'GET', '/api/v1/flags?environment=nowhere')).json['code'], 'ENVIRONMENT_NOT_FOUND');
  const seen: unknown[] = [];
  let cursor = '';
  for (let page = 0; page < 5; page += 1) {
    const got = await call(serving, 'GET', `/api/v1/flags?environment=*&limit=2${cursor}`);
    seen.push(...(ids(got) as unknown[]));
    if (got.json['next_cursor'] === null) break;
    cursor = `&cursor=${String(got.json['next_cursor'])}`;
  }
  t.same(seen, ['a', 'a', 'b', 'c', 'z']);
  for (const wrong of ['limit=0', 'limit=1001', 'limit=x', 'cursor=%25', 'cursor=abc', 'page=2', 'limit=1&limit=2']) {
    t.equal((await call(serving, 'GET', `/api/v1/flags?${wrong}`)).status, 400, wrong);
  }
});

test('environments are those of the key', async (t) => {
  const serving = await start(t);
  t.same(ids(await call(serving, 'GET', '/api/v1/environments'), 'items', 'environment'), ['dev', 'prod', 'staging']);
  t.same(ids(await call(serving, 'GET', '/api/v1/environments', { key: 'bound' }), 'items', 'environment'), [
    'dev',
    'staging',
  ]);
  const first = await call(serving, 'GET', '/api/v1/environments?limit=2');
  t.same(
    ids(
      await call(serving, 'GET', `/api/v1/environments?cursor=${String(first.json['next_cursor'])}`),
      'items',
      'environment',
    ),
    ['staging'],
  );
});

test('writes go to the primary as commands, and its answer comes back', async (t) => {
  const serving = await start(t);
  const sent: Omit<CommandRequest, 'id'>[] = [];
  serving.command = (request) => {
    sent.push(request);
    return {
      ok: true,
      status: 201,
      headers: { ETag: '"1"', Location: '/api/v1/flags/n' },
      body: '{"flag_id":"n"}',
      revision: 41,
    };
  };
  const made = await call(serving, 'POST', '/api/v1/flags', {
    body: { flag_id: 'n' },
    headers: { 'x-request-id': 'r1', 'idempotency-key': 'once' },
  });
  t.same(
    [made.status, made.text, made.headers.get('etag'), made.headers.get('location')],
    [201, '{"flag_id":"n"}', '"1"', '/api/v1/flags/n'],
  );
  t.equal(made.headers.get('x-flags-revision'), '41', 'its own revision');
  t.match(sent[0], {
    actor: 'key_admin-key-of',
    requestId: 'r1',
    idempotency: { key: 'once', fingerprint: /^[0-9a-f]{64}$/ },
    tags: undefined,
    command: { type: 'flag.create', environment: 'prod', body: { flag_id: 'n' } },
  });
  const commands: [string, string, unknown, Record<string, string>, object][] = [
    [
      'PUT',
      '/flags/a?environment=dev',
      { enabled: true },
      { 'if-match': '"3", "4"' },
      { type: 'flag.replace', environment: 'dev', flagId: 'a', ifMatch: [3, 4] },
    ],
    [
      'PATCH',
      '/api/v1/flags/a',
      { environment: 'dev', kind: null },
      { 'if-match': '*' },
      { type: 'flag.patch', environment: 'dev', flagId: 'a', ifMatch: undefined },
    ],
    [
      'DELETE',
      '/api/v1/flags/%61',
      undefined,
      { 'if-match': 'W/"3"' },
      { type: 'flag.archive', environment: 'prod', flagId: 'a', ifMatch: [] },
    ],
    [
      'POST',
      '/api/v1/flags/a/restore',
      undefined,
      {},
      { type: 'flag.restore', environment: 'prod', flagId: 'a', ifMatch: undefined },
    ],
    ['POST', '/api/v1/flags/a/restore', { environment: 'dev' }, {}, { type: 'flag.restore', environment: 'dev' }],
    [
      'POST',
      '/api/v1/environments',
      { environment: 'qa' },
      {},
      { type: 'environment.create', body: { environment: 'qa' } },
    ],
    [
      'GET',
      '/api/v1/keys?limit=5&cursor=abc',
      undefined,
      {},
      { type: 'key.list', cursor: 'abc', limit: 5, grantor: { environments: undefined } },
    ],
    [
      'POST',
      '/api/v1/keys',
      { name: 'n', scopes: ['evaluate'] },
      {},
      { type: 'key.create', grantor: { scopes: ['evaluate', 'read', 'write', 'admin'] } },
    ],
    ['DELETE', '/api/v1/keys/key_1', undefined, {}, { type: 'key.revoke', keyId: 'key_1' }],
    ['POST', '/api/v1/keys/key_1/rotate', undefined, {}, { type: 'key.rotate', keyId: 'key_1', body: {} }],
    [
      'POST',
      '/api/v1/keys/key_1/rotate',
      { overlap_seconds: 5 },
      {},
      { type: 'key.rotate', body: { overlap_seconds: 5 } },
    ],
  ];
  for (const [method, path, body, headers, command] of commands) {
    const got = await call(serving, method, path, { body, headers });
    t.equal(got.status, 201, `${method} ${path}`);
    t.match(sent.at(-1)?.command, command);
    t.match(got.headers.get('ratelimit-policy'), null, 'a key without a limit has none to show');
  }
});

test('the grantor is the asking key, with its bounds', async (t) => {
  const serving = await start(t);
  let sent: Omit<CommandRequest, 'id'> | undefined;
  serving.command = (request) => {
    sent = request;
    return { ok: false, code: 'IN_USE', detail: 'in use', dependents: ['x'] };
  };
  const refused = await call(serving, 'POST', '/api/v1/keys', { key: 'bound', body: { name: 'n' } });
  t.match(sent?.command, { grantor: { environments: ['dev', 'staging'], tags: undefined } });
  t.match(refused.json, { status: 409, code: 'IN_USE', detail: 'in use', dependents: ['x'] });
  await call(serving, 'PATCH', '/api/v1/flags/b', { key: 'tagged', body: {} });
  t.same(sent?.tags, ['web']);
  t.equal(
    (await call(serving, 'POST', '/api/v1/environments', { key: 'bound', body: { environment: 'qa' } })).json['code'],
    'ENVIRONMENT_FORBIDDEN',
  );
});

test('the same Idempotency-Key with another request has another fingerprint', async (t) => {
  const serving = await start(t);
  const fingerprints = new Set<unknown>();
  serving.command = (request) => {
    fingerprints.add(request.idempotency?.fingerprint);
    return { ok: true, status: 200, headers: {}, body: '{}', revision: 1 };
  };
  const headers = { 'idempotency-key': 'k' };
  for (const [method, path, body] of [
    ['POST', '/api/v1/flags', { flag_id: 'a' }],
    ['POST', '/api/v1/flags', { flag_id: 'b' }],
    ['POST', '/api/v1/flags?environment=dev', { flag_id: 'a' }],
    ['PUT', '/api/v1/flags/a', { enabled: true }],
    ['PATCH', '/api/v1/flags/a', { enabled: true }],
    ['POST', '/api/v1/flags', { flag_id: 'a' }],
  ] as const)
    await call(serving, method, path, { body, headers });
  t.equal(fingerprints.size, 5);
  for (const wrong of ['', 'a b', 'x'.repeat(256)]) {
    t.equal(
      (await call(serving, 'POST', '/api/v1/flags', { body: { flag_id: 'a' }, headers: { 'idempotency-key': wrong } }))
        .status,
      400,
      wrong,
    );
  }
});

test('what is wrong with a document is told at the door', async (t) => {
  const serving = await start(t);
  const paths = async (method: string, path: string, body: unknown): Promise<unknown> =>
    ((await call(serving, method, path, { body })).json['errors'] as { path: string }[] | undefined)?.map(
      (issue) => issue.path,
    );
  t.same(await paths('POST', '/api/v1/flags', {}), ['flag_id']);
  t.same(await paths('POST', '/api/v1/flags', { flag_id: 'a', enabeld: true, tags: ['x', 1] }), ['tags[1]', 'enabeld']);
  t.same(
    await paths('PUT', '/flags/a', {
      rollout: [
        { variant: 'a', percentage: 1 },
        { variant: 'b', percentage: 'x' },
      ],
    }),
    ['rollout[1].percentage'],
  );
  t.same(await paths('PATCH', '/flags/a', { environment: 1 }), ['environment']);
  t.same(await paths('POST', '/api/v1/keys', { name: '', scopes: ['root'], rate_limit: -1, expires_at: 'soon' }), [
    'name',
    'scopes[0]',
    'rate_limit',
    'expires_at',
  ]);
  t.same(await paths('POST', '/api/v1/environments', { environment: 'Prod' }), ['environment']);
  const ifMatch = await call(serving, 'PUT', '/flags/a', { body: { enabled: true }, headers: { 'if-match': '3' } });
  t.match(ifMatch.json['detail'], /^If-Match: must be the version in quotes/);
});

test('the routes at the root tell a stranger only how it is', async (t) => {
  const serving = await start(t);
  const stranger = { key: '' };
  t.same((await call(serving, 'GET', '/livez', stranger)).json, { status: 'ok' });
  t.same((await call(serving, 'GET', '/readyz', stranger)).json, { status: 'ready', stale_seconds: 0 });
  t.same((await call(serving, 'GET', '/healthz', stranger)).json, { status: 'ok' });
  t.match((await call(serving, 'GET', '/healthz')).json, {
    status: 'ok',
    revision: 40,
    epoch: 'e1',
    tier: 'store',
    transport: transportUnderTest,
    kernel: 'wasm',
    build: 'abc',
    pid: process.pid,
  });
  t.same((await call(serving, 'GET', '/version', stranger)).json, { version: '1.2.3', build: 'abc' });
  t.equal((await call(serving, 'GET', '/', stranger)).headers.get('location'), '/docs');
  serving.metricsText = '# HELP a b\na_total 1\nb_total{flag="secret"} 2\n';
  t.equal((await call(serving, 'GET', '/metrics', stranger)).text, '# HELP a b\na_total 1\n');
  t.equal((await call(serving, 'GET', '/metrics')).text, serving.metricsText);
  serving.metricsText = undefined;
  t.match((await call(serving, 'GET', '/metrics', stranger)).text, /^# The primary does not answer.*\nown 1\n/);
});

test('the documentation works without anything from elsewhere', async (t) => {
  const serving = await start(t);
  const page = await call(serving, 'GET', '/docs');
  t.match(
    page.headers.get('content-security-policy'),
    /^default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:/,
  );
  t.equal(page.headers.get('x-content-type-options'), 'nosniff');
  const addresses = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? '');
  t.ok(addresses.length >= 4);
  for (const address of addresses) t.equal((await call(serving, 'GET', address)).status, 200, address);
  t.notMatch(page.text, /<script>|<style|style=/);
  const etag = page.headers.get('etag') ?? '';
  t.equal((await call(serving, 'GET', '/docs', { headers: { 'if-none-match': etag } })).status, 304);
  t.equal((await call(serving, 'GET', '/docs/package.json')).status, 404);
  t.match((await call(serving, 'GET', '/openapi.json')).json, { openapi: '3.1.0' });
});
