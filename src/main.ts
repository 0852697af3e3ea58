#!/usr/bin/env node
// Where every process of the service begins: picks launcher, primary or worker, and loads only what that role needs.
import { writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { buildInfo } from './build-info.ts';
import { DataDirUnusable, EXIT_CONFIGURATION, Owned } from './run/owned.ts';

/** Of the burgee command, but for `check`, which looks at this build. */
const COMMANDS: readonly string[] = ['keys', 'migrate', 'store'];

process.exitCode = await main(process.argv.slice(2), process.env['BURGEE_ROLE']);

/** Runs until the role ends, or, for primary and worker, until it runs; the exit code so far. */
async function main(args: readonly string[], role: string | undefined): Promise<number> {
  try {
    const [argument] = args;
    if (argument === '--version' || argument === '-v') return print(1, buildInfo().version);
    if (argument !== undefined && COMMANDS.includes(argument))
      return await (await import('./cli/main.ts')).runCli(args);
    const unknown = argument === 'check' ? args[1] : argument;
    if (unknown === '--help' || unknown === '-h') return print(1, await help());
    if (unknown !== undefined) {
      print(2, `burgee: unknown argument ${unknown}; settings are environment variables, see --help.`);
      return EXIT_CONFIGURATION;
    }
    // A library that was loaded may keep a timer.
    if (argument === 'check') process.exit(await checkThisBuild());
    return await run(role);
  } catch (error) {
    // Nothing else may hold the process up: a role that failed to start has sockets, timers and channels open.
    process.exit(await report(error));
  }
}

async function help(): Promise<string> {
  const [{ USAGE }, { helpText }] = await Promise.all([import('./cli/usage.ts'), import('./config.ts')]);
  return `${USAGE}\n${helpText()}`;
}

async function checkThisBuild(): Promise<0 | 2> {
  const { check, CheckFailed } = await import('./cli/check.ts');
  try {
    const line = await check(process.env, {
      worker: async ({ transport }) => (await import('./worker/check-parts.ts')).checkWorkerParts(transport),
      primary: async () => (await import('./primary/check-parts.ts')).checkPrimaryParts(),
    });
    return print(1, line);
  } catch (error) {
    if (!(error instanceof CheckFailed)) throw error;
    print(2, `burgee: ${error.message}`);
    return EXIT_CONFIGURATION;
  }
}

async function run(role: string | undefined): Promise<number> {
  switch (role) {
    case undefined:
    case '':
      // PM2's channel would keep the loop alive.
      return process.exit(await (await import('./launcher/main.ts')).runLauncher(await startedAs()));
    case 'primary':
      await (await import('./primary/main.ts')).runPrimary(process.env['BURGEE_GENERATION'] ?? '');
      return 0;
    case 'worker':
      await (await import('./worker/main.ts')).runWorker(
        readSlot(process.env['BURGEE_SLOT']),
        process.env['BURGEE_GENERATION'] ?? '',
      );
      return 0;
    default:
      print(2, `burgee: BURGEE_ROLE is set by the service itself; "${role}" is no role. Unset it.`);
      return EXIT_CONFIGURATION;
  }
}

/** PM2 loads the script into a process of its own, and leaves the path it was given in a variable. */
async function startedAs(): Promise<string> {
  const { mainScript } = await import('./launcher/main-script.ts');
  return mainScript(fileURLToPath(import.meta.url), [process.argv[1], process.env['pm_exec_path']]);
}

function readSlot(text: string | undefined): number {
  const slot = Number(text);
  if (Number.isSafeInteger(slot) && slot >= 1) return slot;
  throw new Error('a worker is started by its primary, not by hand: BURGEE_SLOT is missing');
}

async function report(error: unknown): Promise<number> {
  const { ConfigError } = await import('./config.ts');
  if (error instanceof Owned || error instanceof DataDirUnusable) {
    print(2, `burgee: ${error.message}`);
    return error.exitCode;
  }
  if (error instanceof ConfigError) {
    print(2, `burgee: ${error.message}`);
    return EXIT_CONFIGURATION;
  }
  print(2, `burgee: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return 1;
}

// In one piece and before the process ends; a reader that has gone does not matter.
function print(descriptor: 1 | 2, text: string): 0 {
  try {
    writeSync(descriptor, text.endsWith('\n') ? text : `${text}\n`);
  } catch {
    // There is nobody left to tell.
  }
  return 0;
}
