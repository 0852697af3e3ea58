import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Test, test } from 'tap';
import { migrate } from '../../src/storage/migrate.ts';
import { type Queryable, StorageUnavailable } from '../../src/storage/sql.ts';
import { createStore } from '../../src/storage/sql-store.ts';
import { openSql, sumsOf } from './fixtures/storage.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'burgee-sql-'));
const sql = await openSql(dataDir);
const applied = await migrate(sql);
const store = createStore(sql);

const hash = (digit: string): string => digit.repeat(64);

/** Head, sums and changes agree; returns the revision. */
async function settled(t: Test): Promise<number> {
  const content = await store.readAll();
  t.match(content.head, sumsOf(content));
  return content.head.revision;
}

test('migrations apply once, in order', async (t) => {
  t.same(applied, readdirSync(new URL('../../migrations/', import.meta.url)).sort());
  t.same(await migrate(sql), []);
});

test('a migration edited afterwards is refused by name, an unknown newer one is not', async (t) => {
  const folder = t.testdir({ '003_more.sql': 'CREATE TABLE more (a int); CREATE TABLE most (a int);' });
  const url = pathToFileURL(`${folder}/`);
  t.same(await migrate(sql, url), ['003_more.sql']);
  writeFileSync(join(folder, '003_more.sql'), 'SELECT 1');
  await t.rejects(migrate(sql, url), /003_more\.sql was edited/);
  t.same(await migrate(sql), []);
});

test('a migration that fails leaves nothing behind', async (t) => {
  const folder = t.testdir({ '004_bad.sql': 'CREATE TABLE half (a int); SELECT nonsense;' });
  await t.rejects(migrate(sql, pathToFileURL(`${folder}/`)), { name: 'SqlError', code: '42703' });
  t.same(await sql.query("SELECT to_regclass('half') AS half"), [{ half: null }]);
});

test('three environments are there from the start', async (t) => {
  const { head, items } = await store.readAll();
  t.same(items.map((item) => `${item.kind} ${item.id}`).sort(), [
    'environment dev',
    'environment prod',
    'environment staging',
    'secret stream',
  ]);
  t.same(head.changedAt, { prod: 1, staging: 1, dev: 1 });
});

test('a store has one secret for streams, of 256 bits, which a follower is sent and the sums of older builds leave out', async (t) => {
  const { items } = await store.readAll();
  const secret = items.find((item) => item.kind === 'secret');
  t.match(JSON.parse(secret?.json ?? ''), { secret: /^[0-9a-f]{64}$/ });
  t.equal(secret?.tag, 0n);
  const delta = await store.readSince((secret?.revision ?? 0) - 1);
  t.same(
    delta?.puts.filter((item) => item.kind === 'secret'),
    [secret],
  );
  await t.rejects(sql.query("INSERT INTO stream_secret (secret, revision) VALUES (repeat('a', 64), 1)"), {
    code: '23505',
  });
});

test('a key inserted by SQL with four columns takes a revision and is followed', async (t) => {
  const before = await settled(t);
  await sql.query('INSERT INTO api_keys (key_id, key_hash, name, rate_limit) VALUES ($1, $2, $3, $4::integer)', [
    'sql-1',
    hash('a'),
    'n',
    60,
  ]);
  t.equal(await settled(t), before + 1);
  const delta = await store.readSince(before);
  t.match(delta, { from: before, head: { revision: before + 1 }, removes: [], puts: { length: 1 } });
  t.same(JSON.parse(delta?.puts[0]?.json ?? ''), {
    key_id: 'sql-1',
    key_hash: hash('a'),
    name: 'n',
    scopes: ['evaluate', 'read', 'write'],
    environments: null,
    tags: null,
    rate_limit: 60,
    expires_at: null,
  });
});

test('a statement over several rows takes one revision', async (t) => {
  const before = await settled(t);
  await sql.query(`INSERT INTO api_keys (key_id, key_hash, name, rate_limit)
    VALUES ('sql-2', '${hash('b')}', 'n', 1), ('sql-3', '${hash('c')}', 'n', 1)`);
  t.equal(await settled(t), before + 1);
  await sql.query("UPDATE api_keys SET rate_limit = 5 WHERE key_id LIKE 'sql-%'");
  t.equal(await settled(t), before + 2);
  t.equal((await store.readSince(before + 1))?.puts.length, 3);
});

test('a statement over no row takes none', async (t) => {
  const before = await settled(t);
  await sql.query("UPDATE api_keys SET rate_limit = 5 WHERE key_id = 'nobody'");
  await sql.query("DELETE FROM api_keys WHERE key_id = 'nobody'");
  t.equal(await settled(t), before);
});

test('revoking, renaming, deleting and upserting by SQL keep sum and changes right', async (t) => {
  const before = await settled(t);
  await sql.query("UPDATE api_keys SET revoked_at = now() WHERE key_id = 'sql-2'");
  await sql.query("UPDATE api_keys SET key_id = 'sql-4' WHERE key_id = 'sql-3'");
  await sql.query(`INSERT INTO api_keys (key_id, key_hash, name, rate_limit)
    VALUES ('sql-4', '${hash('c')}', 'n', 1), ('sql-5', '${hash('d')}', 'n', 1) ON CONFLICT (key_id) DO UPDATE SET name = 'again'`);
  t.equal(await settled(t), before + 3);
  await sql.query("DELETE FROM api_keys WHERE key_id = 'sql-1'");
  t.equal(await settled(t), before + 4);
  const delta = await store.readSince(before);
  t.same(delta?.removes.map((remove) => remove.id).sort(), ['sql-1', 'sql-2', 'sql-3']);
  t.same(delta?.puts.map((put) => put.id).sort(), ['sql-4', 'sql-5']);
  await sql.query('TRUNCATE api_keys');
  t.equal(await settled(t), before + 5);
  t.equal((await store.readHead()).sumKeys, 0n);
});

test('a hash that is not 64 lower-case hex digits, a scope or a limit that does not exist are refused', async (t) => {
  const insert = (column: string, value: string): Promise<unknown> =>
    sql.query(`INSERT INTO api_keys (key_id, name, key_hash, ${column}) VALUES ('bad', 'n', '${hash('e')}', ${value})`);
  await t.rejects(sql.query(`INSERT INTO api_keys (key_id, key_hash, name) VALUES ('bad', '${hash('E')}', 'n')`), {
    code: '23514',
  });
  await t.rejects(insert('scopes', "'{root}'"), { code: '23514' });
  await t.rejects(insert('scopes', "'{}'"), { code: '23514' });
  await t.rejects(insert('rate_limit', '-1'), { code: '23514' });
});

test('bigint comes back as text, arrays as arrays', async (t) => {
  const rows = await sql.query('SELECT $1::bigint AS tag, $2::text[] AS names, $3::text[] AS none', [
    -(2n ** 63n),
    ['a', 'b,"c'],
    null,
  ]);
  t.same(rows, [{ tag: '-9223372036854775808', names: ['a', 'b,"c'], none: null }]);
});

test('a transaction that throws is undone', async (t) => {
  const failed = sql.transaction(async (tx) => {
    await tx.query('CREATE TABLE undone (a int)');
    throw new Error('no');
  });
  await t.rejects(failed, { message: 'no' });
  t.same(await sql.query("SELECT to_regclass('undone') AS undone"), [{ undone: null }]);
});

test('a look sees one state, whatever is written meanwhile, and writes nothing', async (t) => {
  const count = async (tx: Queryable): Promise<unknown> => (await tx.query('SELECT count(*) AS c FROM changes'))[0];
  await sql.transaction(
    async (tx) => {
      const before = await count(tx);
      // The embedded database has one connection, and whoever writes waits for this look to end.
      if (sql.kind === 'postgres') await sql.query("UPDATE api_keys SET name = 'seen'");
      t.same(await count(tx), before);
    },
    { isLook: true },
  );
  await t.rejects(
    sql.transaction((tx) => tx.query('DELETE FROM changes'), { isLook: true }),
    { name: 'SqlError', code: '25006' },
  );
});

test('a write by a node that has seen more of this store is refused, and writes nothing', async (t) => {
  const { epoch, revision } = await store.readHead();
  const write = (id: number, seen: { readonly epoch: string; readonly revision: number }) =>
    store.run({
      id,
      actor: 'test',
      requestId: `seen-${id}`,
      idempotency: undefined,
      seen,
      command: { type: 'environment.create', body: { environment: `seen-${id}` } },
    });
  t.match(await write(1, { epoch, revision: revision + 1 }), { ok: false, code: 'STORE_WENT_BACK' });
  t.equal((await store.readHead()).revision, revision);
  t.match(await write(2, { epoch, revision }), { ok: true, revision: revision + 1 });
  const other = '5f3c1d1e-7f0b-4f0c-9b2e-000000000002';
  t.match(await write(3, { epoch: other, revision: revision + 9 }), { ok: true }, 'of another store it says nothing');
});

test('an error swallowed inside a transaction does not become a quiet rollback', async (t) => {
  await t.rejects(
    sql.transaction((tx) => tx.query('SELECT nonsense').catch(() => 'swallowed')),
    { name: 'SqlError', code: '42703' },
  );
});

test('a transaction that has ended takes no more statements', async (t) => {
  const tx = await sql.transaction(async (open) => open);
  await t.rejects(tx.query('SELECT 1'), /has ended/);
});

test('after closing, statements are refused and closing again is fine', async (t) => {
  await store.close();
  await store.close();
  await t.rejects(sql.query('SELECT 1'), StorageUnavailable);
  rmSync(dataDir, { recursive: true });
});
