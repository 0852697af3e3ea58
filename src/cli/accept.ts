// `burgee store accept`: the word of an operator that a store which went back is to be taken as it is.
import { parseArgs } from 'node:util';
import type { Config } from '../config.ts';
import { UsageError } from './failure.ts';
import { askService, report, runStraight } from './run-command.ts';
import { say } from './straight.ts';

/** Resolves with the exit code. */
export async function runAccept(args: readonly string[], readConfig: () => Config): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: { above: { type: 'string' }, force: { type: 'boolean' } } });
  const command = { type: 'store.accept', above: readAbove(values.above), force: values.force === true } as const;
  const config = readConfig();
  const outcome = (await askService(config, command)) ?? (await runStraight(config, command));
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
  if (!/^\d{1,15}$/.test(text)) throw new UsageError(`--above must be a revision, not "${text}"`);
  return Number(text);
}
