// Keys in the store: the first one, what a key may hand on, rotation and revocation.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import type { Command, Grantor } from '../../src/ipc/messages.ts';
import { ensureFirstKey } from '../../src/storage/bootstrap.ts';
import { generateKey, hashKey, parseKey } from '../../src/storage/key-format.ts';
import { bodyOf, codeOf, openStore, ROOT } from './fixtures/storage.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'burgee-keys-'));
let clockMs = Date.parse('2026-01-05T09:00:00.000Z');
const failures: unknown[] = [];
const { sql, store, ask } = await openStore(dataDir, {
  now: () => new Date(clockMs),
  onError: (error) => failures.push(error),
});

const isServer = sql.kind === 'postgres';

const revision = async (): Promise<number> => (await store.readHead()).revision;
/** A little later each time: keys are listed in the order of making. */
function makeKey(body: object, grantor: Grantor = ROOT): Command {
  clockMs += 1;
  return { type: 'key.create', grantor, body };
}
async function firstKeyEmbedded(t: Test): Promise<void> {
  const announced: string[] = [];
  await t.rejects(ensureFirstKey(sql, { announce: () => Promise.reject(new Error('disk full')) }), /disk full/);
  const { created, key } = await ensureFirstKey(sql, {
    now: () => new Date(clockMs),
    announce: (made) => void announced.push(made),
  });
  t.ok(created);
  t.same(announced, [key]);
  t.same(parseKey(key ?? ''), { scope: 'admin' });
  t.same(await ensureFirstKey(sql), { created: false, key: undefined });
  const [item] = (await store.readAll()).items.filter(({ kind }) => kind === 'key');
  t.match(JSON.parse(item?.json ?? ''), {
    key_hash: hashKey(key ?? ''),
    scopes: ['admin'],
    rate_limit: 0,
    environments: null,
  });
  t.throws(() => ensureFirstKey(sql, { bootstrapAdminKey: 'short' }), /32/);
}

async function firstKeyOnServer(t: Test): Promise<void> {
  t.same(await ensureFirstKey(sql), { created: false, key: undefined });
  const options = { bootstrapAdminKey: generateKey('admin'), now: () => new Date(clockMs) };
  const made = await Promise.all([1, 2, 3].map(() => ensureFirstKey(sql, options)));
  t.equal(made.filter(({ created }) => created).length, 1);
  const [item] = (await store.readAll()).items.filter(({ kind }) => kind === 'key');
  t.match(JSON.parse(item?.json ?? ''), { key_hash: hashKey(options.bootstrapAdminKey), scopes: ['admin'] });
}

if (isServer) test('on a server the first key is the one that is given, or none', firstKeyOnServer);
else test('the first key is made once, announced before it counts', firstKeyEmbedded);

test('a new key is shown once, and its hash never', async (t) => {
  const outcome = await ask(makeKey({ name: 'web', environments: ['prod'] }));
  const body = bodyOf(outcome);
  t.match(outcome, { status: 201, headers: { 'Cache-Control': 'no-store' } });
  t.match(body, {
    name: 'web',
    scopes: ['evaluate'],
    environments: ['prod'],
    tags: null,
    rate_limit: 1000,
    expires_at: null,
    created_by: 'key_tester',
  });
  const list = bodyOf(await ask({ type: 'key.list', grantor: ROOT, cursor: undefined, limit: 1000 }));
  t.match(list, { items: { length: 2 }, next_cursor: null });
  t.notOk(
    JSON.stringify(list).includes(String(body['key'])) || JSON.stringify(list).includes(hashKey(String(body['key']))),
  );
});

test('a replayed key.create shows the same key, which the store holds only encrypted', async (t) => {
  const idempotency = { key: 'a-random-idempotency-key', fingerprint: 'f' };
  const first = await ask(makeKey({ name: 'replayed' }), { idempotency });
  const headers = { ...(first as { headers: object }).headers, 'Idempotent-Replayed': 'true' };
  t.same(await ask(makeKey({ name: 'replayed' }), { idempotency }), { ...first, headers });
  const stored = JSON.stringify(await sql.query('SELECT * FROM idempotency'));
  t.notOk(stored.includes(String(bodyOf(first)['key'])) || stored.includes(idempotency.key));
});

test('a key makes only keys within its own scopes, environments and tags', async (t) => {
  const grantor = { scopes: ['write'], environments: ['prod', 'dev'], tags: ['shop'] };
  t.equal(codeOf(await ask(makeKey({ name: 'n', scopes: ['admin'] }, grantor))), 'SCOPE_REQUIRED');
  t.equal(codeOf(await ask(makeKey({ name: 'n', environments: ['staging'] }, grantor))), 'ENVIRONMENT_FORBIDDEN');
  t.equal(codeOf(await ask(makeKey({ name: 'n', tags: ['mail'] }, grantor))), 'SCOPE_REQUIRED');
  t.equal(codeOf(await ask(makeKey({ name: 'n', environments: ['mars'] }))), 'ENVIRONMENT_NOT_FOUND');
  const made = bodyOf(await ask(makeKey({ name: 'bound', scopes: ['read'] }, grantor)));
  t.match(made, { environments: ['prod', 'dev'], tags: ['shop'], scopes: ['read'] });
  const list = bodyOf(await ask({ type: 'key.list', grantor, cursor: undefined, limit: 10 }));
  t.same(
    (list['items'] as { key_id: string }[]).map((item) => item.key_id),
    [made['key_id']],
  );
  const others = bodyOf(await ask({ type: 'key.list', grantor: ROOT, cursor: undefined, limit: 1 }));
  t.equal(
    codeOf(
      await ask({ type: 'key.revoke', grantor, keyId: (others['items'] as { key_id: string }[])[0]?.key_id ?? '' }),
    ),
    'KEY_NOT_FOUND',
  );
});

test('keys are listed page by page', async (t) => {
  const names: string[] = [];
  let cursor: string | undefined;
  do {
    const page = bodyOf(await ask({ type: 'key.list', grantor: ROOT, cursor, limit: 1 }));
    names.push(...(page['items'] as { name: string }[]).map((item) => item.name));
    cursor = (page['next_cursor'] as string | null) ?? undefined;
  } while (cursor !== undefined);
  t.same(names, ['first admin key', 'web', 'replayed', 'bound']);
});

test('a key body is judged whole', async (t) => {
  const bad = {
    scopes: ['root'],
    environments: [],
    rate_limit: -1,
    expires_at: '2020-01-01T00:00:00Z',
    colour: 1,
    hash: 'x',
  };
  const outcome = await ask(makeKey(bad));
  t.same(outcome.ok ? [] : outcome.issues?.map((issue) => issue.path).sort(), [
    'colour',
    'environments',
    'expires_at',
    'hash',
    'name',
    'rate_limit',
    'scopes[0]',
  ]);
  for (const body of [null, [], 'x', 3])
    t.equal(codeOf(await ask({ type: 'key.create', grantor: ROOT, body })), 'INVALID_REQUEST');
});

test('the burgee command brings its own hash', async (t) => {
  const body = { name: 'brought', hash: hashKey('k'.repeat(32)) };
  t.match(bodyOf(await ask(makeKey(body), { actor: 'cli' })), { key: null, name: 'brought' });
  t.equal(codeOf(await ask(makeKey(body), { actor: 'cli' })), 'INVALID_REQUEST');
});

test('rotation makes a second key and ends the first one after the overlap', async (t) => {
  const old = bodyOf(await ask(makeKey({ name: 'turning', scopes: ['write'], rate_limit: 7 })));
  const before = await revision();
  const rotate = (body: unknown): Command => ({
    type: 'key.rotate',
    grantor: ROOT,
    keyId: String(old['key_id']),
    body,
  });
  t.equal(codeOf(await ask(rotate({ overlap_seconds: 2_592_001 }))), 'INVALID_REQUEST');
  const made = bodyOf(await ask(rotate({ overlap_seconds: 60 })));
  t.match(made, { replaces: old['key_id'], name: 'turning', scopes: ['write'], rate_limit: 7, expires_at: null });
  t.not(made['key_id'], old['key_id']);
  const delta = await store.readSince(before);
  t.match(delta, { head: { revision: before + 1 }, puts: { length: 2 } });
  const end = delta?.puts
    .map((put) => JSON.parse(put.json) as Record<string, unknown>)
    .find((key) => key['key_id'] === old['key_id'])?.['expires_at'];
  t.equal(end, new Date(clockMs + 60_000).toISOString());
});

test('a revoked key is gone from the snapshot, and the last admin key is not revoked', async (t) => {
  const { items } = bodyOf(await ask({ type: 'key.list', grantor: ROOT, cursor: undefined, limit: 10 })) as {
    items: { key_id: string; name: string }[];
  };
  const idOf = (name: string): string => items.find((item) => item.name === name)?.key_id ?? '';
  const revoke = (keyId: string): Command => ({ type: 'key.revoke', grantor: ROOT, keyId });
  t.match(bodyOf(await ask(revoke(idOf('web')))), { key_id: idOf('web'), revoked_at: new Date(clockMs).toISOString() });
  t.notOk((await store.readAll()).items.some((item) => item.id === idOf('web')));
  t.match(await ask(revoke(idOf('web'))), { ok: true, status: 200 });
  t.equal(
    codeOf(await ask({ type: 'key.rotate', grantor: ROOT, keyId: idOf('web'), body: undefined })),
    'KEY_NOT_FOUND',
  );
  t.equal(codeOf(await ask(revoke(idOf('first admin key')))), 'IN_USE');
});

test('nothing failed that should not have', async (t) => {
  t.same(failures, []);
  await store.close();
  rmSync(dataDir, { recursive: true });
});
