// `burgee store status`: what a store has, for whoever looks after it or asks for help. Reads only.
import { parseArgs } from 'node:util';
import type { Config } from '../config.ts';
import { COPIED_TABLES } from '../storage/copy.ts';
import { planMigrations } from '../storage/migrate.ts';
import type { Sql } from '../storage/sql.ts';
import { CommandFailed } from './failure.ts';
import { onStore, requireEmbedded } from './straight.ts';

/** Resolves with the exit code. */
export async function runStatus(args: readonly string[], readConfig: () => Config): Promise<number> {
  parseArgs({ args: [...args], options: {} });
  const config = readConfig();
  if (config.databaseUrl === undefined) requireEmbedded(config.dataDir);
  const status = await onStore(config, readStatus);
  process.stdout.write(`${JSON.stringify(status, undefined, 2)}\n`);
  return 0;
}

interface StoreRow extends Record<string, unknown> {
  readonly server: string;
  readonly bytes: string;
  readonly epoch: string;
  readonly revision: string;
  readonly changes_pruned_to: string;
  readonly keys_agree: boolean;
  readonly rest_agrees: boolean;
}

async function readStatus(sql: Sql): Promise<Record<string, unknown>> {
  const migrations = await planMigrations(sql);
  if (migrations.applied.length === 0) throw new CommandFailed('the database was never migrated: it holds no store');
  const store = await readStore(sql);
  const rows: Record<string, number> = {};
  for (const table of COPIED_TABLES) {
    const [counted] = await sql.query<{ rows: string }>(`SELECT count(*) AS rows FROM ${table}`);
    rows[table] = Number(counted?.rows);
  }
  return { store: sql.kind, ...store, migrations, rows };
}

async function readStore(sql: Sql): Promise<Record<string, unknown>> {
  const [row] = await sql.query<StoreRow>(`SELECT current_setting('server_version') AS server,
    pg_database_size(current_database()) AS bytes, epoch::text AS epoch, revision, changes_pruned_to,
    sum_keys = (SELECT coalesce(bit_xor(tag), 0) FROM (
      SELECT tag FROM api_keys WHERE revoked_at IS NULL UNION ALL SELECT tag FROM stream_secret) AS live) AS keys_agree,
    sum_rest = (SELECT coalesce(bit_xor(tag), 0) FROM (
      SELECT tag FROM environments UNION ALL SELECT tag FROM flags WHERE archived_at IS NULL
      UNION ALL SELECT tag FROM segments WHERE archived_at IS NULL) AS live) AS rest_agrees
    FROM store`);
  if (row === undefined) throw new CommandFailed('the table store has lost its row');
  return {
    server_version: row.server,
    bytes: Number(row.bytes),
    epoch: row.epoch,
    revision: Number(row.revision),
    changes_since: Number(row.changes_pruned_to),
    sums_agree: row.keys_agree && row.rest_agrees,
  };
}
