// OFREP for all flags: its ETag, 304, and what it says of event streams.
import { type Test, test } from 'tap';
import { schemaErrors } from '../support/ofrep-schema.ts';
import { makeFlag, makeKey, makeSnapshot, type Serving, startServing } from '../support/serving.ts';
import { ofrepFlags } from './fixtures/ofrep-flags.ts';

const KEY = 'evaluate-key-of-32-characters-00';
const keys = [
  makeKey({ raw: KEY, scope: 'evaluate' }),
  makeKey({ raw: 'other-evaluate-key', scope: 'evaluate' }),
  makeKey({ raw: 'tagged-key', scope: 'evaluate', tags: ['web'] }),
];
const flags = [...ofrepFlags.map((flag) => makeFlag(flag)), makeFlag({ flag_id: 'web', tags: ['web'] })];

interface Bulk {
  readonly status: number;
  readonly tag: string;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into all of it
  readonly body: any;
  readonly headers: Headers;
}

async function start(t: Test, origins: readonly string[] = []): Promise<Serving> {
  const serving = await startServing(makeSnapshot(812, flags, keys), origins);
  t.teardown(() => serving.http.close());
  return serving;
}

async function bulk(
  serving: Serving,
  context: unknown,
  headers: Record<string, string> = {},
  query = '',
): Promise<Bulk> {
  const response = await fetch(`${serving.url}/ofrep/v1/evaluate/flags${query}`, {
    method: 'POST',
    headers: { 'x-api-key': KEY, 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ context }),
  });
  const text = await response.text();
  const { status } = response;
  const tag = response.headers.get('etag') ?? '';
  return { status, tag, text, body: text === '' ? undefined : JSON.parse(text), headers: response.headers };
}

const user = { targetingKey: 'u1', country: 'DE', nested: { a: [1, 2], b: 'x' } };

test('all flags come in order, each as one would alone', async (t) => {
  const serving = await start(t);
  const { status, body } = await bulk(serving, user);
  t.equal(status, 200);
  t.same(
    body.flags.map((flag: { key: string }) => flag.key),
    flags.map(({ flagId }) => flagId).sort(),
  );
  for (const flag of body.flags) {
    const alone = await fetch(`${serving.url}/ofrep/v1/evaluate/flags/${flag.key}`, {
      method: 'POST',
      headers: { 'x-api-key': KEY, 'content-type': 'application/json' },
      body: JSON.stringify({ context: user }),
    });
    const { metadata, ...rest } = (await alone.json()) as { metadata: object };
    t.same(flag, { ...rest, metadata: { ...metadata, revision: 7 } }, `${flag.key}, with its own revision`);
  }
  t.same(schemaErrors('bulkEvaluationSuccess', body), []);
  t.same(body.metadata, { environment: 'prod', revision: 812 });
});

test('without a targeting key those that need one are failures among the others', async (t) => {
  const serving = await start(t);
  const { status, body } = await bulk(serving, {});
  t.equal(status, 200);
  t.same(schemaErrors('bulkEvaluationSuccess', body), []);
  const failed = body.flags.filter((flag: object) => 'errorCode' in flag);
  t.same(
    failed.map((flag: { key: string }) => flag.key),
    ['boolean-split', 'float-split', 'integer-split', 'object-split', 'string-split'],
  );
  t.match(failed[0], { errorCode: 'TARGETING_KEY_MISSING', errorDetails: /context\.targetingKey/ });
});

test('a key with tags gets what carries one of them', async (t) => {
  const serving = await start(t);
  const { body } = await bulk(serving, user, { 'x-api-key': 'tagged-key' });
  t.same(
    body.flags.map((flag: { key: string }) => flag.key),
    ['web'],
  );
});

test('the same question of the same state is told by the tag of its answer: 304, and no body', async (t) => {
  const serving = await start(t);
  const { tag } = await bulk(serving, user);
  t.match(tag, /^"[A-Za-z0-9_-]{22}[0-9a-f]{16}"$/);
  for (const sent of [tag, `W/${tag}`, `"other", ${tag}`, `"a",W/${tag},"b"`, '*']) {
    const again = await bulk(serving, user, { 'if-none-match': sent });
    t.match(again, { status: 304, tag, text: '' }, sent);
    t.equal(again.headers.get('content-length'), null);
    t.equal(again.headers.get('content-type'), null);
  }
  for (const sent of ['"other"', tag.slice(1, -1), ''])
    t.equal((await bulk(serving, user, { 'if-none-match': sent })).status, 200, sent);
  const reordered = { nested: { b: 'x', a: [1, 2] }, country: 'DE', targetingKey: 'u1' };
  t.equal((await bulk(serving, reordered, { 'if-none-match': tag })).status, 304, 'the order of names means nothing');
});

test('whatever in the context changes, the old tag does not stand for it', async (t) => {
  const serving = await start(t);
  const { tag } = await bulk(serving, user);
  const changed: [name: string, context: object][] = [
    ['targeting key', { ...user, targetingKey: 'u2' }],
    ['no targeting key', { country: 'DE', nested: user.nested }],
    ['attribute', { ...user, country: 'PL' }],
    ['attribute more', { ...user, extra: null }],
    ['attribute less', { targetingKey: 'u1', country: 'DE' }],
    ['type', { ...user, nested: { a: ['1', 2], b: 'x' } }],
    ['order of an array', { ...user, nested: { a: [2, 1], b: 'x' } }],
    ['deep', { ...user, nested: { a: [1, 2], b: 'y' } }],
  ];
  for (const [name, context] of changed) {
    const told = await bulk(serving, context, { 'if-none-match': tag });
    t.equal(told.status, 200, name);
    t.not(told.tag, tag);
  }
  const poland = await bulk(serving, { ...user, country: 'PL' }, { 'if-none-match': tag });
  t.equal(poland.body.flags.find((flag: { key: string }) => flag.key === 'boolean').value, false);
});

test('a change of this environment moves the tag, one of another does not, nor does the worker that answers', async (t) => {
  const serving = await start(t);
  const other = await start(t);
  const { tag, text } = await bulk(serving, user);
  const elsewhere = await bulk(other, user);
  t.equal(elsewhere.tag, tag);
  t.equal(elsewhere.text, text, 'byte for byte');
  const next = makeSnapshot(813, flags, keys);
  const prod = next.environments.get('prod');
  const unchanged = new Map(next.environments).set('prod', { ...prod, changedAt: 812 } as NonNullable<typeof prod>);
  serving.swap({ ...next, environments: unchanged });
  t.equal((await bulk(serving, user, { 'if-none-match': tag })).status, 304);
  serving.swap(next);
  t.equal((await bulk(serving, user, { 'if-none-match': tag })).status, 200);
});

test('a tag is of one environment, and of one key with what it may see', async (t) => {
  const serving = await start(t);
  const { tag } = await bulk(serving, user);
  t.equal((await bulk(serving, user, { 'if-none-match': tag, 'x-flags-environment': 'dev' })).status, 200);
  t.equal((await bulk(serving, user, { 'if-none-match': tag, 'x-api-key': 'tagged-key' })).status, 200);
  t.equal((await bulk(serving, user, { 'if-none-match': tag, 'x-api-key': 'other-evaluate-key' })).status, 200);
});

test('an answer names one event stream, on the same host, and its token is not made anew each time', async (t) => {
  const serving = await start(t);
  const first = await bulk(serving, user);
  const [stream, ...others] = first.body.eventStreams;
  t.same(others, []);
  t.match(stream, { type: 'sse', inactivityDelaySec: 120 });
  t.same(Object.keys(stream.endpoint), ['requestUri']);
  t.match(stream.endpoint.requestUri, /^\/ofrep\/v1\/stream\?token=[A-Za-z0-9_-]+&since=e1-812$/);
  t.same((await bulk(serving, { targetingKey: 'u2' })).body.eventStreams, first.body.eventStreams);
  const { snapshot } = serving;
  serving.swap({ ...(snapshot as NonNullable<typeof snapshot>), streamSecret: undefined });
  t.same((await bulk(serving, user)).body.eventStreams, [], 'and none without a secret');
});

test("an event's etag is waited for as a revision, and anything else in its place is ignored", async (t) => {
  const serving = await start(t);
  const waited: number[] = [];
  serving.onWait = (revision) => {
    waited.push(revision);
    serving.swap(makeSnapshot(revision, flags, keys));
  };
  t.equal(
    (await bulk(serving, user, {}, '?flagConfigEtag=e1-813&flagConfigLastModified=1771622898')).body.metadata.revision,
    813,
  );
  t.same(waited, [813]);
  for (const etag of ['e2-900', 'e1-99999', '550e8400-e29b-41d4-a716-446655440000', '', 'x%22', 'e1-812'])
    t.equal((await bulk(serving, user, {}, `?flagConfigEtag=${etag}`)).status, 200, etag);
  t.same(waited, [813]);
  serving.onWait = () => {};
  const late = await bulk(serving, user, {}, '?flagConfigEtag=e1-814');
  t.match(late, { status: 409, body: { errorCode: 'GENERAL', errorDetails: /814 has not arrived/ } });
});

test('a page of a listed origin may send what a web client sends, and read what it needs', async (t) => {
  const origin = 'https://app.example.com';
  const serving = await start(t, [origin]);
  const preflight = await fetch(`${serving.url}/ofrep/v1/evaluate/flags`, {
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type,if-none-match,x-api-key,x-flags-environment',
    },
  });
  t.equal(preflight.status, 204);
  t.equal(preflight.headers.get('access-control-allow-origin'), origin);
  t.match(preflight.headers.get('access-control-allow-methods'), /POST/);
  t.equal(
    preflight.headers.get('access-control-allow-headers'),
    'authorization, content-type, if-none-match, x-api-key, x-flags-environment',
  );
  for (const tag of ['', (await bulk(serving, user)).tag]) {
    const told = await bulk(serving, user, { origin, 'if-none-match': tag });
    t.equal(told.status, tag === '' ? 200 : 304);
    t.equal(told.headers.get('access-control-allow-origin'), origin);
    t.match(told.headers.get('access-control-expose-headers'), /ETag, Retry-After/);
  }
});
