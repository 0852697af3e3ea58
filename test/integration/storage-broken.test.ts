import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import { openPglite } from '../../src/storage/pglite.ts';
import { OutcomeUnknown, type Queryable, type Sql, StorageUnavailable } from '../../src/storage/sql.ts';
import { openStore, sumsOf } from './fixtures/storage.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'burgee-broken-'));
await (await openStore(dataDir)).store.close();

/** Opens the database and takes its WAL away, so that PostgreSQL panics where it next needs a new segment. */
async function openFragile(): Promise<{ readonly sql: Sql; readonly closed: Promise<Error>; mend(): void }> {
  let onClosed: (reason: Error) => void = () => {};
  const closed = new Promise<Error>((resolve) => {
    onClosed = resolve;
  });
  const sql = await openPglite({ dataDir, onClosed });
  await sql.query(`CREATE TABLE IF NOT EXISTS fragile (a int);
    CREATE OR REPLACE FUNCTION switch_wal() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN PERFORM pg_switch_wal(); RETURN NULL; END $$;
    DROP TRIGGER IF EXISTS switch_at_commit ON fragile;
    CREATE CONSTRAINT TRIGGER switch_at_commit AFTER INSERT ON fragile DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW EXECUTE FUNCTION switch_wal();`);
  const [wal, aside] = [join(dataDir, 'pg/pg_wal'), join(dataDir, 'pg/pg_wal.aside')];
  renameSync(wal, aside);
  return { sql, closed, mend: () => renameSync(aside, wal) };
}

test('a database that breaks before the commit is unavailable, and says so to whoever waits', async (t) => {
  const { sql, closed, mend } = await openFragile();
  const writeAndSwitch = (tx: Queryable, name: string): Promise<unknown> =>
    tx.query(`CREATE TABLE ${name} (a int); SELECT pg_switch_wal()`);
  const broken = sql.transaction(async (tx) => {
    // One segment may be there ahead of time.
    for (const name of ['one', 'two', 'three']) await writeAndSwitch(tx, name);
  });
  const queued = sql.query('SELECT 1');
  await t.rejects(broken, StorageUnavailable);
  await t.rejects(queued, StorageUnavailable);
  t.match(await closed, { message: /PANIC|pg_wal/ });
  mend();
});

test('of a commit whose answer never came the outcome is unknown', async (t) => {
  const { sql, closed, mend } = await openFragile();
  await t.rejects(
    sql.transaction((tx) => tx.query('INSERT INTO fragile VALUES (1)')),
    OutcomeUnknown,
  );
  await closed;
  mend();
  const { sql: mended, store } = await openStore(dataDir);
  t.ok((await mended.query('SELECT a FROM fragile')).length <= 1);
  const content = await store.readAll();
  t.match(content.head, sumsOf(content));
  await store.close();
  rmSync(dataDir, { recursive: true });
});
