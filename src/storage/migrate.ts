// Brings the database to this version's schema: migrations/NNN_name.sql in order, forward only, each in a transaction
// of its own under one advisory lock, so that nodes that start together take turns.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import type { Queryable, Sql } from './sql.ts';

/** "burgee" in bytes: the advisory lock of migrations and of the first key. */
const MIGRATION_LOCK = 0x627572676565n;
const MIGRATION_NAME = /^\d{3}_[a-z0-9_]+\.sql$/;

// Two folders up both from src/storage and from dist/storage.
const MIGRATIONS = new URL('../../migrations/', import.meta.url);

/** Released at the end of the transaction. */
export async function lockMigrations(tx: Queryable): Promise<void> {
  await tx.query('SELECT pg_advisory_xact_lock($1::bigint)', [MIGRATION_LOCK]);
}

/**
 * Applies what is missing and returns its names. Throws when a migration that is applied was edited afterwards.
 * Migrations in the database that this version does not know are a newer version's, which runs side by side: fine.
 */
export async function migrate(sql: Sql, folder: URL = MIGRATIONS): Promise<string[]> {
  const migrations = migrationNames(folder).map((name) => readMigration(folder, name));
  const before = await readApplied(sql);
  // Nearly every start finds nothing to do, and whoever waits for the next primary waits for this too.
  if (migrations.every(({ name, sha256 }) => before.get(name) === sha256)) return [];
  const applied: string[] = [];
  for (const migration of migrations) {
    if (await sql.transaction((tx) => apply(tx, migration))) applied.push(migration.name);
  }
  return applied;
}

interface Migration {
  readonly name: string;
  readonly text: string;
  /** Of the text, hex. */
  readonly sha256: string;
}

function readMigration(folder: URL, name: string): Migration {
  const text = readFileSync(new URL(name, folder), 'utf8');
  return { name, text, sha256: createHash('sha256').update(text).digest('hex') };
}

/** Name -> sha256; empty in a database that never was migrated. */
async function readApplied(sql: Sql): Promise<ReadonlyMap<string, string>> {
  const [found] = await sql.query<{ is_made: boolean }>(
    "SELECT to_regclass('schema_migrations') IS NOT NULL AS is_made",
  );
  if (found?.is_made !== true) return new Map();
  const rows = await sql.query<{ name: string; sha256: string }>('SELECT name, sha256 FROM schema_migrations');
  return new Map(rows.map(({ name, sha256 }) => [name, sha256]));
}

/** In the order in which they apply. Throws when the folder cannot be read, or holds a file that is named otherwise. */
export function migrationNames(folder: URL = MIGRATIONS): readonly string[] {
  const names = readdirSync(folder).filter((name) => name.endsWith('.sql'));
  const wrong = names.find((name) => !MIGRATION_NAME.test(name));
  if (wrong !== undefined) throw new Error(`${wrong} is no name for a migration; 001_what_it_does.sql is`);
  return names.sort();
}

/** True when it was not applied before. */
async function apply(tx: Queryable, { name, text, sha256 }: Migration): Promise<boolean> {
  await lockMigrations(tx);
  await tx.query(`CREATE TABLE IF NOT EXISTS schema_migrations (
    name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`);
  const [before] = await tx.query<{ sha256: string }>('SELECT sha256 FROM schema_migrations WHERE name = $1', [name]);
  if (before?.sha256 === sha256) return false;
  if (before !== undefined) {
    throw new Error(
      `migration ${name} was edited after it was applied; restore the file and add a new migration instead`,
    );
  }
  await tx.query(text);
  await tx.query('INSERT INTO schema_migrations (name, sha256) VALUES ($1, $2)', [name, sha256]);
  return true;
}
