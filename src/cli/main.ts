// The burgee command: picks what was asked, and turns what goes wrong into one line and an exit code.
import { type Config, ConfigError, loadConfig } from '../config.ts';
import { DataDirUnusable, Owned } from '../run/owned.ts';
import { runAccept } from './accept.ts';
import { runCopy } from './copy.ts';
import { describe, UsageError } from './failure.ts';
import { runKeys } from './keys.ts';
import { runMigrate } from './migrate.ts';
import { runStatus } from './status.ts';
import { USAGE } from './usage.ts';

/** Runs one command; resolves with the exit code: 0 done, 1 refused or failed, 2 not understood. Throws Owned, ConfigError. */
export async function runCli(args: readonly string[]): Promise<number> {
  if (args.slice(1).some((argument) => argument === '--help' || argument === '-h')) {
    process.stdout.write(USAGE);
    return 0;
  }
  try {
    return await pick(args);
  } catch (error) {
    if (isUsage(error)) {
      process.stderr.write(`burgee: ${describe(error)}\n\n${USAGE}`);
      return 2;
    }
    if (error instanceof Owned || error instanceof DataDirUnusable || error instanceof ConfigError) throw error;
    process.stderr.write(`burgee: ${describe(error)}\n`);
    return 1;
  }
}

async function pick([noun, ...rest]: readonly string[]): Promise<number> {
  const readConfig = (): Config => loadConfig(process.env);
  switch (noun) {
    case 'keys':
      return runKeys(rest, readConfig);
    case 'migrate':
      return runMigrate(rest, readConfig);
    case 'store':
      return runStoreCommand(rest, readConfig);
    default:
      throw new UsageError(`unknown command ${noun ?? ''}`);
  }
}

function runStoreCommand([verb, ...rest]: readonly string[], readConfig: () => Config): Promise<number> {
  switch (verb) {
    case 'accept':
      return runAccept(rest, readConfig);
    case 'copy':
      return runCopy(rest, readConfig);
    case 'status':
      return runStatus(rest, readConfig);
    default:
      throw new UsageError(`unknown command store ${verb ?? ''}`);
  }
}

/** Ours, or that of Node.js about options it does not know. */
function isUsage(error: unknown): error is Error {
  if (error instanceof UsageError) return true;
  return error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
}
