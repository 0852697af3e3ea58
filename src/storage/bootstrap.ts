// The first key (contract, section 4): under the migration lock, and only if the store never had a key.
import { limits } from '../limits.ts';
import { generateKey, hashKey } from './key-format.ts';
import { insertKey } from './keys.ts';
import { lockMigrations } from './migrate.ts';
import type { Sql } from './sql.ts';
import { beginWrite, finishWrite } from './write.ts';

export interface FirstKeyOptions {
  /** BOOTSTRAP_ADMIN_KEY: 32 or more characters. */
  readonly bootstrapAdminKey?: string | undefined;
  /**
   * Shows a random key (prints it, writes DATA_DIR/admin-key) before it is committed: a crash in between makes another
   * one next time, where a crash between commit and showing would lock everybody out for ever.
   */
  readonly announce?: (key: string) => Promise<void> | void;
  readonly now?: () => Date;
}

/**
 * Makes the first admin key: the given one, else on the embedded database a random one. `key` is set only for a random
 * one, to be shown once. On PostgreSQL without a given key nothing is made: `burgee keys create` does.
 */
export async function ensureFirstKey(
  sql: Sql,
  options: FirstKeyOptions = {},
): Promise<{ readonly created: boolean; readonly key: string | undefined }> {
  const { bootstrapAdminKey: given, announce, now = () => new Date() } = options;
  if (given !== undefined && given.length < limits.keyCharsMin) {
    throw new Error(`BOOTSTRAP_ADMIN_KEY must have ${limits.keyCharsMin} or more characters`);
  }
  // Once true for ever true: nearly every start ends here, without a transaction that a waiting write would pay for.
  const [before] = await sql.query<{ had_key: boolean }>('SELECT had_key FROM store');
  if (before?.had_key === true) return { created: false, key: undefined };
  return sql.transaction(async (tx) => {
    await lockMigrations(tx);
    const write = await beginWrite(sql, tx, { actor: 'service', requestId: '', at: now() });
    const [store] = await tx.query<{ had_key: boolean }>('SELECT had_key FROM store');
    if (store?.had_key !== false || (given === undefined && sql.kind === 'postgres'))
      return { created: false, key: undefined };
    const key = given ?? generateKey('admin');
    const settings = {
      name: 'first admin key',
      scopes: ['admin'],
      environments: null,
      tags: null,
      rateLimit: 0,
      expiresAt: null,
      owner: '',
    };
    await insertKey(write, settings, hashKey(key));
    await finishWrite(write);
    if (given !== undefined) return { created: true, key: undefined };
    await announce?.(key);
    return { created: true, key };
  });
}
