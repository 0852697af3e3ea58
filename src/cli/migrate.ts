// `burgee migrate`: brings the schema to this version's before any node of it starts, as a role that may; or says what
// that would be. Standard output has the names of the files and nothing else: empty, there is nothing to do.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Config } from '../config.ts';
import { type MigrationPlan, migrate, migrationNames, planMigrations } from '../storage/migrate.ts';
import { onStore, say } from './straight.ts';

/** Resolves with the exit code: 0 also when there is something to do. */
export async function runMigrate(args: readonly string[], readConfig: () => Config): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: { 'dry-run': { type: 'boolean' } } });
  const config = readConfig();
  if (values['dry-run'] === true) return tell(await plan(config), config);
  const applied = await onStore(config, (sql) => migrate(sql, undefined, (line) => say(`burgee: ${line}`)));
  print(applied);
  say(applied.length === 0 ? 'burgee: nothing to apply' : `burgee: applied to ${storeName(config)}`);
  return 0;
}

async function plan(config: Config): Promise<MigrationPlan> {
  // To look makes no database.
  const isThere = config.databaseUrl !== undefined || existsSync(join(config.dataDir, 'pg', 'PG_VERSION'));
  if (!isThere) return { applied: [], missing: migrationNames(), edited: [], unknown: [] };
  return onStore(config, planMigrations);
}

function tell({ applied, missing, edited, unknown }: MigrationPlan, config: Config): number {
  print(missing);
  const newest = applied.at(-1);
  say(`burgee: ${storeName(config)} ${newest === undefined ? 'was never migrated' : `is at ${newest}`}`);
  for (const name of unknown)
    say(`burgee: ${name} is in the database and not in this version: a newer one made it, which is fine`);
  for (const name of edited)
    say(`burgee: ${name} was edited after it was applied: restore the file, nothing can be applied until then`);
  if (missing.length === 0) say('burgee: nothing to apply');
  else say(`burgee: would apply ${missing.length === 1 ? 'this migration' : `these ${missing.length} migrations`}`);
  return edited.length === 0 ? 0 : 1;
}

function print(names: readonly string[]): void {
  process.stdout.write(names.map((name) => `${name}\n`).join(''));
}

function storeName({ databaseUrl }: Config): string {
  return databaseUrl === undefined ? 'the embedded database' : 'the database of DATABASE_URL';
}
