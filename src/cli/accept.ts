// `burgee store accept`: the word of an operator that a store which went back is to be taken as it is.
import { parseArgs } from 'node:util';
import type { Config } from '../config.ts';
import { systemClock } from '../run/clock.ts';
import { createHashBytes } from '../snapshot/checksum.ts';
import { readHead } from '../storage/read.ts';
import { createSnapshotFile } from '../storage/snapshot-file.ts';
import type { Sql } from '../storage/sql.ts';
import { UsageError } from './failure.ts';
import { askService, report, runStraight } from './run-command.ts';
import { say } from './straight.ts';

/** Resolves with the exit code. */
export async function runAccept(args: readonly string[], readConfig: () => Config): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: { above: { type: 'string' }, force: { type: 'boolean' } } });
  const command = { type: 'store.accept', above: readAbove(values.above), force: values.force === true } as const;
  const config = readConfig();
  const straight = async (sql: Sql): Promise<typeof command> => ({
    ...command,
    above: Math.max(command.above, await highestOnFile(config, sql)),
  });
  const outcome = (await askService(config, command)) ?? (await runStraight(config, straight));
  const code = report(outcome);
  if (outcome.ok) {
    say(
      `burgee: every node loads the store whole as revision ${outcome.revision} and takes writes again; what the store had lost stays lost`,
    );
  }
  return code;
}

/** What the service of this DATA_DIR served last, as long as it is of this store; 0: nothing is known. */
async function highestOnFile({ dataDir }: Config, sql: Sql): Promise<number> {
  const file = createSnapshotFile({
    folder: dataDir,
    hash: await createHashBytes(),
    clock: systemClock,
    wallClock: Date.now,
    warn: ({ path }: { path?: unknown }, message) => say(`burgee: ${String(path)}: ${message}`),
  });
  const kept = await file.read();
  const { epoch } = await readHead(sql);
  return kept?.content.head.epoch === epoch ? kept.content.head.revision : 0;
}

function readAbove(text: string | undefined): number {
  if (text === undefined) return 0;
  // The store stays above it for ever: what no store comes to is a slip of the hand.
  if (!/^\d{1,12}$/.test(text)) throw new UsageError(`--above must be a revision, of at most 12 digits, not "${text}"`);
  return Number(text);
}
