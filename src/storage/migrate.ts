// Brings the database to this version's schema: migrations/NNN_name.sql in order, forward only, each in a transaction
// of its own under one advisory lock, so that nodes that start together take turns.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { type Queryable, type Sql, SqlError } from './sql.ts';

/** "burgee" in bytes: the advisory lock of migrations and of the first key. */
const MIGRATION_LOCK = 0x627572676565n;
const MIGRATION_NAME = /^\d{3}_[a-z0-9_]+\.sql$/;
/**
 * How long one attempt waits for any lock, in seconds. Behind a statement that waits for a table everybody else waits too,
 * so it gives up soon and tries again.
 */
const LOCK_SECONDS_MAX = 4;
const ATTEMPTS_MAX = 15;
/** A migration may rewrite or index a large table. */
const MIGRATION_MS_MAX = 3_600_000;
const LOCK_NOT_AVAILABLE = '55P03';
const INSUFFICIENT_PRIVILEGE = '42501';

// Two folders up both from src/storage and from dist/storage.
const MIGRATIONS = new URL('../../migrations/', import.meta.url);

/** The schema cannot be brought to this version's as things are; the message says what to do. */
export class MigrationRefused extends Error {
  override readonly name = 'MigrationRefused';
}

/** What stands between a database and this version's schema; names of files, in their order. */
export interface MigrationPlan {
  readonly applied: readonly string[];
  /** To be applied. */
  readonly missing: readonly string[];
  /** Applied, and edited afterwards: in the way of everything. */
  readonly edited: readonly string[];
  /** In the database and not in this version: a newer one runs beside it, or ran. */
  readonly unknown: readonly string[];
}

/** Released at the end of the transaction. */
export async function lockMigrations(tx: Queryable): Promise<void> {
  await tx.query('SELECT pg_advisory_xact_lock($1::bigint)', [MIGRATION_LOCK]);
}

/** Reads, and needs no right but to read. */
export async function planMigrations(sql: Queryable, folder: URL = MIGRATIONS): Promise<MigrationPlan> {
  const names = migrationNames(folder);
  const inDatabase = await readApplied(sql);
  const edited = names.filter((name) => {
    const before = inDatabase.get(name);
    return before !== undefined && before !== readMigration(folder, name).sha256;
  });
  return {
    applied: names.filter((name) => inDatabase.has(name)),
    missing: names.filter((name) => !inDatabase.has(name)),
    edited,
    unknown: [...inDatabase.keys()].filter((name) => !names.includes(name)).sort(),
  };
}

/**
 * Applies what is missing and returns its names. Migrations in the database that this version does not know are a newer
 * version's, which runs side by side: fine. Throws MigrationRefused when a migration that is applied was edited
 * afterwards, when the role may not change the schema, and when locks are not had within a minute.
 * @param onWait is told, each few seconds, that somebody holds a lock
 */
export async function migrate(
  sql: Sql,
  folder: URL = MIGRATIONS,
  onWait: (line: string) => void = () => {},
): Promise<string[]> {
  const { missing, edited } = await planMigrations(sql, folder);
  if (edited[0] !== undefined) throw editedRefusal(edited[0]);
  // Nearly every start finds nothing to do, and whoever waits for the next primary waits for this too. Nor does it need
  // the right to change the schema.
  if (missing.length === 0) return [];
  const applied: string[] = [];
  for (const name of missing) {
    if (await applyPatiently(sql, readMigration(folder, name), onWait)) applied.push(name);
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
async function readApplied(sql: Queryable): Promise<ReadonlyMap<string, string>> {
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

async function applyPatiently(sql: Sql, migration: Migration, onWait: (line: string) => void): Promise<boolean> {
  for (let left = ATTEMPTS_MAX; ; left--) {
    try {
      return await sql.transaction((tx) => apply(tx, migration), { msMax: MIGRATION_MS_MAX });
    } catch (error) {
      if (!(error instanceof SqlError)) throw error;
      if (error.code !== LOCK_NOT_AVAILABLE) throw explained(error, migration.name);
      if (left === 1) {
        throw new MigrationRefused(
          `migration ${migration.name} had no lock in ${ATTEMPTS_MAX * LOCK_SECONDS_MAX} s, and was not made: another node ` +
            'migrates, or a long transaction holds a table (pg_stat_activity, pg_locks)',
          { cause: error },
        );
      }
      onWait(`migration ${migration.name} waits: another node migrates, or a long transaction holds a table`);
    }
  }
}

function explained(error: SqlError, name: string): Error {
  if (error.code === INSUFFICIENT_PRIVILEGE) {
    return new MigrationRefused(
      `migration ${name} is to be applied, and this role may not: ${error.message}. Run \`burgee migrate\` once with the ` +
        'DATABASE_URL of a role that may create tables',
      { cause: error },
    );
  }
  return new SqlError(`migration ${name}: ${error.message}`, error.code);
}

function editedRefusal(name: string): MigrationRefused {
  return new MigrationRefused(
    `migration ${name} was edited after it was applied; restore the file and add a new migration instead`,
  );
}

/** True when it was not applied before. */
async function apply(tx: Queryable, { name, text, sha256 }: Migration): Promise<boolean> {
  await tx.query("SELECT set_config('lock_timeout', $1, true)", [`${LOCK_SECONDS_MAX}s`]);
  await lockMigrations(tx);
  await tx.query(`CREATE TABLE IF NOT EXISTS schema_migrations (
    name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`);
  const [before] = await tx.query<{ sha256: string }>('SELECT sha256 FROM schema_migrations WHERE name = $1', [name]);
  if (before?.sha256 === sha256) return false;
  if (before !== undefined) throw editedRefusal(name);
  await tx.query(text);
  await tx.query('INSERT INTO schema_migrations (name, sha256) VALUES ($1, $2)', [name, sha256]);
  return true;
}
