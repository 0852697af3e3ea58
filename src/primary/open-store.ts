// Opens the store that the configuration names. The embedded one must open, or the service cannot start; a PostgreSQL may
// be away: its schema and first key are then a step that is repeated until it is done.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config.ts';
import { ensureFirstKey } from '../storage/bootstrap.ts';
import { migrate } from '../storage/migrate.ts';
import { openPglite } from '../storage/pglite.ts';
import { openPostgres } from '../storage/postgres.ts';
import type { Sql } from '../storage/sql.ts';

export interface OpenedStore {
  readonly sql: Sql;
  /** Schema and first key; undefined: they are there. To be called again until it resolves. */
  readonly prepare: (() => Promise<void>) | undefined;
  /** What an operator is told of the first key, once it was made. */
  greetingKey(): { readonly shownKey: string | undefined; readonly keyFile: string | undefined };
}

export async function openStore(
  config: Pick<Config, 'databaseUrl' | 'databasePoolSize' | 'databaseTimeoutMs' | 'bootstrapAdminKey'>,
  dataDir: string,
  on: {
    /** Of the embedded database: lines for the operator, and its end. */
    readonly progress: (line: string) => void;
    readonly closed: (reason: unknown) => void;
    readonly warn: (fields: object, message: string) => void;
  },
): Promise<OpenedStore> {
  const keyFile = join(dataDir, 'admin-key');
  let shownKey: string | undefined;

  async function prepareSql(sql: Sql): Promise<void> {
    await migrate(sql);
    await ensureFirstKey(sql, {
      bootstrapAdminKey: config.bootstrapAdminKey,
      announce(key) {
        if (process.stderr.isTTY) shownKey = key;
        else writeFileSync(keyFile, `${key}\n`, { mode: 0o600, flush: true });
      },
    });
  }

  const greetingKey: OpenedStore['greetingKey'] = () => ({
    shownKey,
    keyFile: existsSync(keyFile) ? keyFile : undefined,
  });
  if (config.databaseUrl !== undefined) {
    const sql = openPostgres({
      url: config.databaseUrl,
      connectionsMax: config.databasePoolSize,
      timeoutMs: config.databaseTimeoutMs,
      warn: on.warn,
    });
    return { sql, prepare: () => prepareSql(sql), greetingKey };
  }
  const sql = await openPglite({ dataDir, onProgress: on.progress, onClosed: on.closed });
  await prepareSql(sql);
  return { sql, prepare: undefined, greetingKey };
}
