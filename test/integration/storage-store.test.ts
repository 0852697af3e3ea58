import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { test } from 'tap';
import type { Command } from '../../src/ipc/messages.ts';
import { prune } from '../../src/storage/prune.ts';
import { archive, bodyOf, codeOf, create, openStore, patch, ROOT, restore, sumsOf } from './fixtures/storage.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'burgee-store-'));
let clockMs = Date.parse('2026-01-05T09:00:00.000Z');
const quarantined: string[] = [];
const failures: unknown[] = [];
const { sql, store, ask } = await openStore(dataDir, {
  now: () => new Date(clockMs),
  onQuarantine: ({ environment, id, version }) => quarantined.push(`${environment}/${id}@${version}`),
  onError: (error) => failures.push(error),
});

const revision = async (): Promise<number> => (await store.readHead()).revision;

test('a flag is created at version 1 with Location, ETag and its revision', async (t) => {
  const before = await revision();
  const outcome = await ask(create('first', { enabled: true, rollout_percentage: 25 }));
  t.match(outcome, {
    ok: true,
    status: 201,
    revision: before + 1,
    headers: { ETag: '"1"', Location: '/api/v1/flags/first?environment=prod' },
  });
  t.match(bodyOf(outcome), {
    flag_id: 'first',
    environment: 'prod',
    version: 1,
    revision: before + 1,
    rollout_percentage: 25,
    updated_by: 'key_tester',
    created_at: '2026-01-05T09:00:00.000Z',
    updated_at: '2026-01-05T09:00:00.000Z',
  });
  const delta = await store.readSince(before);
  t.match(delta, {
    puts: [
      { kind: 'flag', environment: 'prod', id: 'first', revision: before + 1, json: outcome.ok ? outcome.body : '' },
    ],
  });
  t.match((await store.readHead()).changedAt, { prod: before + 1, dev: 1 });
});

test('a patch makes the next version, one that changes nothing does not', async (t) => {
  clockMs += 1000;
  const before = await revision();
  t.match(bodyOf(await ask(patch('first', { rollout_percentage: 50 }))), {
    version: 2,
    updated_at: '2026-01-05T09:00:01.000Z',
    created_at: '2026-01-05T09:00:00.000Z',
  });
  t.match(await ask(patch('first', { rollout_percentage: 50 })), {
    ok: true,
    status: 200,
    revision: before + 1,
    headers: { ETag: '"2"' },
  });
  t.equal(await revision(), before + 1);
});

test('If-Match holds a write to its version', async (t) => {
  t.equal(codeOf(await ask(patch('first', { enabled: false }, [1]))), 'VERSION_MISMATCH');
  t.equal(codeOf(await ask(patch('first', { enabled: 3 }, [1]))), 'INVALID_REQUEST');
  t.match(bodyOf(await ask(patch('first', { enabled: false }, [1, 2]))), { version: 3, enabled: false });
});

test('a replaced flag keeps what a PUT keeps', async (t) => {
  const body = { enabled: true, rollout_percentage: 10 };
  t.match(bodyOf(await ask({ type: 'flag.replace', environment: 'prod', flagId: 'first', body, ifMatch: [3] })), {
    version: 4,
    rollout_percentage: 10,
  });
});

test('archive removes a flag from what is read, restore brings it back at the next version', async (t) => {
  const before = await revision();
  t.match(bodyOf(await ask(archive('first'))), { version: 5 });
  t.match(await store.readSince(before), { puts: [], removes: [{ kind: 'flag', environment: 'prod', id: 'first' }] });
  t.equal(codeOf(await ask(archive('first'))), 'FLAG_NOT_FOUND');
  t.equal(codeOf(await ask(patch('first', { enabled: false }))), 'FLAG_NOT_FOUND');
  t.equal(codeOf(await ask(create('first'))), 'FLAG_EXISTS');
  t.match(bodyOf(await ask(restore('first'))), { version: 6 });
  t.match(await ask(restore('first')), { ok: true, status: 200, headers: { ETag: '"6"' } });
  t.equal(codeOf(await ask(restore('nobody'))), 'FLAG_NOT_FOUND');
  t.equal((await sql.query("SELECT version FROM flag_versions WHERE flag_id = 'first'")).length, 6);
});

test('names from an address that cannot be stored are simply not found', async (t) => {
  t.equal(codeOf(await ask(patch('a\u0000b', {}))), 'FLAG_NOT_FOUND');
  t.equal(codeOf(await ask(patch('first', {}, undefined, 'x\u0000'))), 'ENVIRONMENT_NOT_FOUND');
  t.equal(codeOf(await ask({ type: 'key.revoke', grantor: ROOT, keyId: '\u0000' })), 'KEY_NOT_FOUND');
});

test('an unknown environment is refused, after what is malformed', async (t) => {
  t.equal(codeOf(await ask(create('a', {}, 'mars'))), 'ENVIRONMENT_NOT_FOUND');
  t.equal(codeOf(await ask(create('a', { enabled: 'yes' }, 'mars'))), 'INVALID_REQUEST');
  t.equal(codeOf(await ask(archive('a', 'mars'))), 'ENVIRONMENT_NOT_FOUND');
});

test('a type is the same in every environment, archived flags count', async (t) => {
  await ask(create('typed', { type: 'string', variants: { a: 'A' }, off_variant: 'a' }));
  await ask(archive('typed'));
  t.equal(codeOf(await ask(create('typed', {}, 'dev'))), 'TYPE_CONFLICT');
  t.equal(codeOf(await ask(patch('first', { type: 'number' }))), 'TYPE_CONFLICT');
});

test('a key with tags sees only flags that carry one of them', async (t) => {
  await ask(create('tagged', { tags: ['shop'] }));
  t.equal(codeOf(await ask(patch('tagged', { enabled: true }), { tags: ['mail'] })), 'FLAG_NOT_FOUND');
  t.equal(codeOf(await ask(patch('tagged', { enabled: true }), { tags: ['mail', 'shop'] })), 'ok');
  t.match(await ask(create('untagged'), { tags: ['mail'] }), { code: 'INVALID_REQUEST', issues: [{ path: 'tags' }] });
});

test('an environment is created once', async (t) => {
  const make = (body: unknown): Command => ({ type: 'environment.create', body });
  const outcome = await ask(make({ environment: 'qa', description: 'candidates' }));
  t.match(outcome, { ok: true, status: 201, headers: { Location: '/api/v1/environments/qa' } });
  const item = (await store.readAll()).items.find(({ kind, id }) => kind === 'environment' && id === 'qa');
  t.equal(item?.json, outcome.ok ? outcome.body : '');
  t.equal(codeOf(await ask(make({ environment: 'qa' }))), 'ENVIRONMENT_EXISTS');
  t.match(await ask(make({ environment: '*', colour: 'red' })), { code: 'INVALID_REQUEST', issues: { length: 2 } });
});

test('a write with an Idempotency-Key happens once and is replayed whole', async (t) => {
  const idempotency = { key: 'once', fingerprint: 'f1' };
  const first = await ask(create('once'), { idempotency });
  const before = await revision();
  const headers = { ...(first as { headers: object }).headers, 'Idempotent-Replayed': 'true' };
  t.same(await ask(create('once'), { idempotency }), { ...first, headers });
  t.equal(await revision(), before);
  t.equal(
    codeOf(await ask(create('once'), { idempotency: { key: 'once', fingerprint: 'f2' } })),
    'IDEMPOTENCY_MISMATCH',
  );
  t.equal(codeOf(await ask(create('once'), { idempotency, actor: 'key_other' })), 'FLAG_EXISTS');
});

test('a refused write is not kept and can be tried again', async (t) => {
  const idempotency = { key: 'again', fingerprint: 'f' };
  t.equal(codeOf(await ask(create('again', { enabled: 1 }), { idempotency })), 'INVALID_REQUEST');
  t.equal(codeOf(await ask(create('again'), { idempotency })), 'ok');
});

test('the same Idempotency-Key twice at once runs once', async (t) => {
  const idempotency = { key: 'both', fingerprint: 'f' };
  const both = await Promise.all([ask(create('both'), { idempotency }), ask(create('both'), { idempotency })]);
  t.same(both.map(codeOf), ['ok', 'IDEMPOTENCY_RUNNING']);
});

test('after a day an Idempotency-Key is new again', async (t) => {
  const idempotency = { key: 'day', fingerprint: 'f' };
  await ask(create('day'), { idempotency });
  clockMs += 24 * 3_600_000 + 1;
  t.equal(codeOf(await ask(create('day'), { idempotency })), 'FLAG_EXISTS');
  await prune(sql, new Date(clockMs));
  t.same(await sql.query('SELECT fingerprint FROM idempotency'), []);
});

test("a row that cannot be read is served from its newest version that can, with the row's tag", async (t) => {
  await ask(create('bad'));
  await ask(patch('bad', { enabled: true }));
  await sql.query("UPDATE flags SET document = '{\"flag_id\":' WHERE flag_id = 'bad'");
  await sql.query(
    "UPDATE flag_versions SET document = replace(document, 'false', 'maybe') WHERE flag_id = 'bad' AND version = 1",
  );
  const content = await store.readAll();
  t.match(content.head, sumsOf(content));
  t.match(JSON.parse(content.items.find((item) => item.id === 'bad')?.json ?? ''), {
    flag_id: 'bad',
    version: 2,
    enabled: true,
  });
  t.ok(quarantined.includes('prod/bad@2'));
  t.match(bodyOf(await ask(patch('bad', { enabled: true }))), { version: 3 });
});

test('a row with no readable version at all is passed on as it is', async (t) => {
  await ask(create('lost'));
  await sql.query(
    "UPDATE flags SET document = 'null' WHERE flag_id = 'lost'; UPDATE flag_versions SET document = '' WHERE flag_id = 'lost'",
  );
  const content = await store.readAll();
  t.equal(content.items.find((item) => item.id === 'lost')?.json, 'null');
  t.match(content.head, sumsOf(content));
  t.equal(codeOf(await ask(patch('lost', { enabled: true }))), 'INTERNAL');
});

test('sums are those of a recomputation after any sequence of commands, and deltas lead where a reload leads', async (t) => {
  const flagId = fc.constantFrom('p1', 'p2', 'p3');
  const environment = fc.constantFrom('prod', 'dev');
  const command = fc.oneof(
    fc.tuple(flagId, environment).map(([id, env]) => create(id, {}, env)),
    fc
      .tuple(flagId, environment, fc.integer({ min: 0, max: 100 }))
      .map(([id, env, share]) => patch(id, { rollout_percentage: share }, undefined, env)),
    fc.tuple(flagId, environment).map(([id, env]) => archive(id, env)),
    fc.tuple(flagId, environment).map(([id, env]) => restore(id, env)),
    fc.constant<Command>({ type: 'key.create', grantor: ROOT, body: { name: 'p' } }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 1, maxLength: 12 }), async (commands) => {
      const before = await store.readAll();
      let last = before.head.revision;
      for (const one of commands) {
        const outcome = await ask(one);
        if (!outcome.ok) continue;
        if (outcome.revision !== last && outcome.revision !== last + 1)
          throw new Error(`a gap: ${last}, then ${outcome.revision}`);
        last = outcome.revision;
      }
      const after = await store.readAll();
      const delta = await store.readSince(before.head.revision);
      t.match(after.head, sumsOf(after));
      const items = new Map(before.items.map((item) => [`${item.kind}/${item.environment}/${item.id}`, item]));
      for (const gone of delta?.removes ?? []) items.delete(`${gone.kind}/${gone.environment}/${gone.id}`);
      for (const put of delta?.puts ?? []) items.set(`${put.kind}/${put.environment}/${put.id}`, put);
      t.match(after.head, sumsOf({ head: after.head, items: [...items.values()] }));
      t.equal(items.size, after.items.length);
    }),
    { numRuns: 12 },
  );
});

test('changes that were pruned cannot be followed, those that were not can', async (t) => {
  const head = await revision();
  await prune(sql, new Date(clockMs), { ms: 365 * 86_400_000, revisions: 5 });
  t.equal(await store.readSince(head - 6), undefined);
  t.match(await store.readSince(head - 5), { head: { revision: head } });
  t.match(await store.readSince(head), { puts: [], removes: [] });
  t.equal(await store.readSince(head + 1), undefined);
});

test('nothing failed that should not have', async (t) => {
  t.same(failures, []);
  await store.close();
  rmSync(dataDir, { recursive: true });
});
