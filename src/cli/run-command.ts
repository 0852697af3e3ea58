// A command to the store: through the service where one runs, else by this process itself.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config.ts';
import type { Command, CommandOutcome, CommandRequest } from '../ipc/messages.ts';
import { DataDirUnusable } from '../run/owned.ts';
import { openRunDir } from '../run/run-dir.ts';
import type { Sql } from '../storage/sql.ts';
import { createStore } from '../storage/sql-store.ts';
import { askSocket } from './service-socket.ts';
import { migrateAloud, onStore, say } from './straight.ts';

/** By the service that runs on DATA_DIR, whatever its store is; undefined when none does. */
export async function askService(config: Config, command: Command): Promise<CommandOutcome | undefined> {
  const { dataDir, databaseUrl } = config;
  // With PostgreSQL commands come from machines on which no service ever ran, too: no folder is made there.
  if (databaseUrl !== undefined && !existsSync(join(dataDir, 'run'))) return undefined;
  try {
    return await askSocket(openRunDir(dataDir).socketPath(), requestOf(command));
  } catch (error) {
    // Another user's folder: the database is there for both.
    if (databaseUrl !== undefined && error instanceof DataDirUnusable) return undefined;
    throw error;
  }
}

/**
 * Straight on the configured store, whose schema is brought to this version's first: works before the first start, too.
 * @param command may be made from what the store is
 */
export function runStraight(
  config: Config,
  command: Command | ((sql: Sql) => Promise<Command>),
): Promise<CommandOutcome> {
  return onStore(config, async (sql) => {
    await migrateAloud(sql);
    // Closing the store ends what it began; the database is closed by who opened it.
    const store = createStore({ ...sql, close: () => Promise.resolve() });
    try {
      return await store.run(requestOf(typeof command === 'function' ? await command(sql) : command));
    } finally {
      await store.close();
    }
  });
}

/** Prints what came of it; the exit code. */
export function report(outcome: CommandOutcome): number {
  if (outcome.ok) {
    process.stdout.write(`${JSON.stringify(JSON.parse(outcome.body), undefined, 2)}\n`);
    return 0;
  }
  say(`burgee: ${outcome.code}: ${outcome.detail}`);
  // The first one is the detail.
  for (const issue of outcome.issues?.slice(1) ?? []) say(`  ${issue.path}: ${issue.message}`);
  return 1;
}

function requestOf(command: Command): CommandRequest {
  return { id: 1, actor: 'cli', requestId: `cli-${process.pid}`, tags: undefined, idempotency: undefined, command };
}
