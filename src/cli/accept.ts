// `burgee store accept`: the word of an operator that a store which went back is to be taken as it is.
import { parseArgs } from 'node:util';
import type { Config } from '../config.ts';
import type { Sql } from '../storage/sql.ts';
import { UsageError } from './failure.ts';
import { highestKnown } from './highest-known.ts';
import { askService, report, runStraight } from './run-command.ts';
import { say } from './straight.ts';

/** Resolves with the exit code. */
export async function runAccept(args: readonly string[], readConfig: () => Config): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: { above: { type: 'string' }, force: { type: 'boolean' } } });
  const command = { type: 'store.accept', above: readAbove(values.above), force: values.force === true } as const;
  const config = readConfig();
  const straight = async (sql: Sql): Promise<typeof command> => ({
    ...command,
    // Who names it, or insists, is not kept from it by what cannot be asked.
    above: Math.max(command.above, await highestKnown(config, sql, command.above > 0 || command.force)),
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

function readAbove(text: string | undefined): number {
  if (text === undefined) return 0;
  // The store stays above it for ever: what no store comes to is a slip of the hand.
  if (!/^\d{1,12}$/.test(text)) throw new UsageError(`--above must be a revision, of at most 12 digits, not "${text}"`);
  return Number(text);
}
