// The store without a service between: PostgreSQL, where nodes may be at work meanwhile, or the embedded database, whose
// folder is then held as a service would hold it.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config.ts';
import { takeDataDir } from '../run/data-dir-name.ts';
import { openRunDir } from '../run/run-dir.ts';
import { migrate } from '../storage/migrate.ts';
import { openPglite } from '../storage/pglite.ts';
import { openPostgres } from '../storage/postgres.ts';
import type { Sql } from '../storage/sql.ts';
import { CommandFailed } from './failure.ts';

/** A reading transaction, and one that writes. */
const CONNECTIONS_MAX = 2;

/** Runs on the configured store: PostgreSQL with DATABASE_URL, else the embedded database. Throws Owned for the latter. */
export function onStore<T>({ databaseUrl, dataDir }: Config, run: (sql: Sql) => Promise<T>): Promise<T> {
  return databaseUrl === undefined ? onEmbedded(dataDir, run) : onPostgres(databaseUrl, run);
}

export async function onPostgres<T>(url: string, run: (sql: Sql) => Promise<T>): Promise<T> {
  const sql = openPostgres({ url, connectionsMax: CONNECTIONS_MAX });
  try {
    return await run(sql);
  } finally {
    await sql.close();
  }
}

/** Makes the database where there is none. Throws Owned when a service runs on DATA_DIR. */
export async function onEmbedded<T>(dataDir: string, run: (sql: Sql) => Promise<T>): Promise<T> {
  const runDir = openRunDir(dataDir);
  const lock = await takeDataDir(runDir, { onLost: () => process.exit(1) });
  try {
    const sql = await openPglite({ dataDir: runDir.dataDir, onProgress: say });
    try {
      return await run(sql);
    } finally {
      await sql.close();
    }
  } finally {
    await lock.close();
  }
}

/** Throws CommandFailed where there is no embedded database: whoever only reads must not make one. */
export function requireEmbedded(dataDir: string): void {
  if (existsSync(join(dataDir, 'pg', 'PG_VERSION'))) return;
  throw new CommandFailed(`there is no embedded database in DATA_DIR ${dataDir}`);
}

/** migrate(), saying what it did and whom it waits for. */
export async function migrateAloud(sql: Sql): Promise<readonly string[]> {
  const applied = await migrate(sql, undefined, (line) => say(`burgee: ${line}`));
  // A database that was just made, embedded, is told of already.
  if (applied.length > 0) say(`burgee: applied ${applied.join(', ')}`);
  return applied;
}

/** To standard error: standard output is for what was asked. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
