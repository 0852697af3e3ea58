import { spawn } from 'node:child_process';
import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { test } from 'tap';
import { openPglite } from '../../src/storage/pglite.ts';
import { OutcomeUnknown, type Queryable, type Sql, StorageUnavailable } from '../../src/storage/sql.ts';
import { openStore, sumsOf } from './fixtures/storage.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'burgee-crash-'));
const WRITER = fileURLToPath(new URL('./fixtures/storage-writer.ts', import.meta.url));

/** Starts the writer and kills it when `until` says so of a line. Returns all lines that came before it was dead. */
async function killWriter(run: number, until: (line: string, count: number) => boolean): Promise<string[]> {
  const child = spawn(process.execPath, [...process.execArgv, WRITER, dataDir, String(run)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = new Promise((resolve) => child.once('close', resolve));
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (until(line, lines.length)) child.kill('SIGKILL');
  }
  await closed;
  return lines;
}

test('killed while the database is made, it is made again', async (t) => {
  const lines = await killWriter(0, (line) => line.startsWith('progress creating'));
  t.match(lines[0], /^progress creating/);
});

test('killed five times in a loop of writes, every acknowledged one is there', async (t) => {
  const acknowledged: string[] = [];
  for (const run of [1, 2, 3, 4, 5]) {
    const lines = await killWriter(run, (_, count) => count >= 20 * run);
    acknowledged.push(...lines.filter((line) => line.startsWith('acknowledged')));
  }
  const { store, sql } = await openStore(dataDir);
  const content = await store.readAll();
  const revisions = new Map(content.items.map((item) => [item.id, item.revision]));
  const lost = acknowledged.filter((line) => {
    const [, revision, flagId] = line.split(' ');
    return revisions.get(String(flagId)) !== Number(revision);
  });
  t.same(lost, []);
  t.ok(acknowledged.length >= 290);
  t.match(content.head, sumsOf(content));
  const [outcomes] = await sql.query<{ rows: string }>('SELECT count(*) AS rows FROM idempotency');
  t.equal(Number(outcomes?.rows), content.items.filter((item) => item.kind === 'flag').length);
  await store.close();
});

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
  const writeAndSwitch = (tx: Queryable, name: string): Promise<unknown> => tx.query(`CREATE TABLE ${name} (a int); SELECT pg_switch_wal()`);
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
  await t.rejects(sql.transaction((tx) => tx.query('INSERT INTO fragile VALUES (1)')), OutcomeUnknown);
  await closed;
  mend();
  const { sql: mended, store } = await openStore(dataDir);
  t.ok((await mended.query('SELECT a FROM fragile')).length <= 1);
  const content = await store.readAll();
  t.match(content.head, sumsOf(content));
  await store.close();
  rmSync(dataDir, { recursive: true });
});
