// Flags that are asked for and do not exist, over real connections.
import { type Test, test } from 'tap';
import type { UnknownFlag } from '../../src/ipc/messages.ts';
import { makeFlag, makeKey, makeSnapshot, type Serving, startServing } from '../support/serving.ts';

const keys = [
  makeKey({ raw: 'reader', scope: 'read' }),
  makeKey({ raw: 'evaluator', scope: 'evaluate' }),
  makeKey({ raw: 'tagged', scope: 'read', tags: ['web'] }),
  makeKey({ raw: 'dev-only', scope: 'read', environments: ['dev'] }),
];
const flags = [
  makeFlag({ flag_id: 'new-checkout', enabled: true, rollout_percentage: 100 }),
  makeFlag({ flag_id: 'dark-mode', enabled: true, tags: ['web'] }),
];

async function start(t: Test): Promise<Serving> {
  const serving = await startServing(makeSnapshot(7, flags, keys));
  t.teardown(() => serving.http.close());
  return serving;
}

async function ask(
  serving: Serving,
  path: string,
  key: string,
  body?: object,
): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`${serving.url}/api/v1${path}`, {
    ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
    headers: { 'x-api-key': key, 'content-type': 'application/json' },
  });
  return { status: response.status, body: await response.json() };
}

const asked = (flagId: string, count: number, environment = 'prod'): UnknownFlag => ({
  environment,
  flagId,
  count,
  firstMs: 1_767_690_000_000,
  lastMs: 1_767_690_001_500,
});

test('each way of asking counts a name that does not exist', async (t) => {
  const serving = await start(t);
  t.equal((await ask(serving, '/flags/typo/evaluate?user_id=u', 'evaluator')).status, 404);
  t.equal((await ask(serving, '/flags/typo/evaluate', 'evaluator', { user_id: 'u', environment: 'dev' })).status, 404);
  const contexts = [{ user_id: 'u1' }, { user_id: 'u2' }];
  await ask(serving, '/evaluate', 'evaluator', { contexts, flags: ['typo', 'new-checkout', 'typo', '__proto__'] });
  const headers = { 'x-api-key': 'evaluator', 'content-type': 'application/json' };
  const ofrep = { method: 'POST', headers, body: '{"context":{"targetingKey":"u"}}' };
  t.equal((await fetch(`${serving.url}/ofrep/v1/evaluate/flags/typo`, ofrep)).status, 404);
  t.same(serving.unknown, [
    ['prod', 'typo', 1],
    ['dev', 'typo', 1],
    ['prod', 'typo', 2],
    ['prod', '__proto__', 2],
    ['prod', 'typo', 1],
  ]);
});

test('what exists beyond the tags of a key, in no environment, or in a refused request is not counted', async (t) => {
  const serving = await start(t);
  t.equal((await ask(serving, '/flags/new-checkout/evaluate?user_id=u', 'tagged')).status, 404);
  await ask(serving, '/evaluate', 'tagged', { contexts: [{ user_id: 'u' }], flags: ['new-checkout'] });
  t.equal((await ask(serving, '/flags/typo/evaluate?user_id=u&environment=none', 'evaluator')).status, 404);
  t.equal((await ask(serving, '/flags/typo/evaluate', 'evaluator')).status, 400);
  t.equal((await ask(serving, '/flags/typo', 'reader')).status, 404);
  t.same(serving.unknown, []);
});

test('the report lists them by count, with what was probably meant, page by page', async (t) => {
  const serving = await start(t);
  serving.unknownReport = () => ({
    sinceMs: 1_767_680_000_000,
    flags: [
      asked('b', 5),
      asked('new-chekout', 900),
      asked('a', 5),
      asked('new-checkout', 7),
      asked('dark_mode', 5, 'dev'),
    ],
    otherCount: 3,
  });
  t.same(await ask(serving, '/reports/unknown?limit=2', 'reader'), {
    status: 200,
    body: {
      items: [
        {
          flag_id: 'new-chekout',
          environment: 'prod',
          count: 900,
          first_seen: '2026-01-06T09:00:00.000Z',
          last_seen: '2026-01-06T09:00:01.500Z',
          suggestion: 'new-checkout',
        },
        {
          flag_id: 'a',
          environment: 'prod',
          count: 5,
          first_seen: '2026-01-06T09:00:00.000Z',
          last_seen: '2026-01-06T09:00:01.500Z',
        },
      ],
      next_cursor: Buffer.from('["5","prod","a"]').toString('base64url'),
      since: '2026-01-06T06:13:20.000Z',
      other_count: 3,
    },
  });
  const rest = (
    await ask(serving, `/reports/unknown?cursor=${Buffer.from('["5","prod","a"]').toString('base64url')}`, 'reader')
  ).body;
  t.match(rest, { items: [{ flag_id: 'b' }], next_cursor: null }, 'new-checkout exists by now');
  t.equal((rest as { items: unknown[] }).items.length, 1);
});

test('a key sees the names of its environments, and suggestions among its flags', async (t) => {
  const serving = await start(t);
  const longest = '\u0001'.repeat(128);
  serving.unknownReport = () => ({
    sinceMs: 0,
    flags: [asked('new-chekout', 2), asked('dark_mode', 1), asked('x', 3, 'dev'), asked(longest, 9, 'staging')],
    otherCount: 0,
  });
  const namesOf = async (path: string, key: string): Promise<unknown> =>
    ((await ask(serving, path, key)).body as { items: { flag_id: string; suggestion?: string }[] }).items.map(
      ({ flag_id: flagId, suggestion }) => [flagId, suggestion],
    );
  t.same(await namesOf('/reports/unknown?environment=*', 'dev-only'), [['x', undefined]]);
  t.same(await namesOf('/reports/unknown', 'dev-only'), [['x', undefined]]);
  t.equal((await ask(serving, '/reports/unknown?environment=prod', 'dev-only')).status, 403);
  t.equal((await ask(serving, '/reports/unknown?environment=none', 'reader')).status, 404);
  t.equal((await ask(serving, '/reports/unknown', 'evaluator')).status, 403);
  t.same(await namesOf('/reports/unknown', 'tagged'), [
    ['new-chekout', undefined],
    ['dark_mode', 'dark-mode'],
  ]);
  const first = await ask(serving, '/reports/unknown?environment=*&limit=1', 'reader');
  const { next_cursor: cursor } = first.body as { next_cursor: string };
  t.same(await namesOf(`/reports/unknown?environment=*&limit=1&cursor=${cursor}`, 'reader'), [['x', undefined]]);
  t.match(await ask(serving, '/reports/unknown?cursor=WyJhIl0', 'reader'), { status: 400 });
});

test('without the primary there is no report', async (t) => {
  const serving = await start(t);
  serving.unknownReport = undefined;
  t.match(await ask(serving, '/reports/unknown', 'reader'), { status: 503, body: { code: 'STORAGE_UNAVAILABLE' } });
});
