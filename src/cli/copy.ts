// `burgee store copy`: from the embedded database, or another PostgreSQL, into an empty PostgreSQL.
import { parseArgs } from 'node:util';
import type { Config } from '../config.ts';
import { databaseUrl } from '../config-values.ts';
import { type CopyReport, copyStore } from '../storage/copy.ts';
import { readHead } from '../storage/read.ts';
import type { Sql } from '../storage/sql.ts';
import { UsageError } from './failure.ts';
import { migrateAloud, onEmbedded, onPostgres, requireEmbedded, say } from './straight.ts';

/** A table that takes long says how far it is each so many rows. */
const TOLD_EACH_ROWS = 100_000;

/** Resolves with the exit code. */
export async function runCopy(args: readonly string[], readConfig: () => Config): Promise<number> {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({ args: [...args], options: { to: text, from: text } });
  const from = readUrl('--from', values.from);
  const given = readUrl('--to', values.to);
  const config = readConfig();
  // A variable keeps the password out of the list of processes.
  const to = given ?? config.databaseUrl;
  if (to === undefined) throw new UsageError('store copy needs --to postgres://..., or DATABASE_URL');
  const copied = await onPostgres(to, async (target) => {
    if (from !== undefined) return onPostgres(from, (source) => copy(source, target));
    requireEmbedded(config.dataDir);
    return onEmbedded(config.dataDir, async (source) => {
      // As any start of this version would.
      await migrateAloud(source);
      return copy(source, target);
    });
  });
  process.stdout.write(`${JSON.stringify(copied, undefined, 2)}\n`);
  if (from === undefined) {
    say(
      'burgee: start the nodes with DATABASE_URL now. The embedded database is as it was; a service on it would go its own way',
    );
  }
  return 0;
}

async function copy(source: Sql, target: Sql): Promise<CopyReport> {
  await migrateAloud(target);
  const copied = await copyStore(source, target, (table, rows, isDone) => {
    if (isDone || Math.floor(rows / TOLD_EACH_ROWS) > Math.floor((rows - 1) / TOLD_EACH_ROWS))
      say(`burgee: ${table}: ${rows} rows${isDone ? '' : ' ...'}`);
  });
  say(`burgee: copied and compared, revision ${copied.revision} of epoch ${copied.epoch}`);
  const now = await readHead(source);
  if (now.revision !== copied.revision) {
    say(
      `burgee: the source has moved on to revision ${now.revision} meanwhile: what was written after ${copied.revision} is not in the copy`,
    );
  }
  return copied;
}

function readUrl(option: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const { allowed, parse } = databaseUrl();
  const parsed = parse(text);
  if ('wrong' in parsed) throw new UsageError(`${option} ${parsed.wrong}; it must be ${allowed}`);
  return parsed.value;
}
