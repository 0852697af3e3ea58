// Wires the launcher: `npm start`, PID 1 in a container, the process under PM2 or systemd.
import { loadConfig } from '../config.ts';
import { createLogger } from '../observe/logger.ts';
import { systemClock } from '../run/clock.ts';
import { Owned } from '../run/owned.ts';
import { isAlive } from '../run/process-identity.ts';
import { openRunDir, type RunDir } from '../run/run-dir.ts';
import { readTls } from '../tls.ts';
import { checkBuild } from './check-build.ts';
import { hashConfig } from './generation.ts';
import { createLauncher, type LauncherSignal } from './launcher.ts';
import { requireAddress } from './listen-address.ts';
import { endStalePrimary } from './stale-primary.ts';

/** Loading everything takes about a second; ten times that on a machine which is busy with the service itself. */
const CHECK_MS_MAX = 15_000;
const SIGNALS: readonly LauncherSignal[] = ['SIGTERM', 'SIGINT', 'SIGHUP'];

/**
 * Runs the service until it ends; resolves with the exit code. `main` is the script that primary and workers run. Throws
 * ConfigError, Owned, DataDirUnusable.
 */
export async function runLauncher(main: string): Promise<number> {
  const config = loadConfig(process.env);
  await requireAddress(config.host);
  const tls = readTls(config, Date.now());
  const log = createLogger({ level: config.logLevel, name: 'launcher' });
  const runDir = openRunDir(config.dataDir);
  refuseSecondLauncher(runDir);
  await endStalePrimary({ runDir, clock: systemClock, log });
  // Once more: another one may have started in that time.
  refuseSecondLauncher(runDir);
  runDir.writePid('launcher');
  const launcher = createLauncher({
    main,
    execArgv: process.execArgv,
    env: process.env,
    configHash: hashConfig(config, tls?.serialNumber),
    check: ({ main, generation }, abort) =>
      checkBuild({
        main,
        execArgv: process.execArgv,
        env: { ...process.env, BURGEE_GENERATION: generation },
        clock: systemClock,
        timeoutMs: CHECK_MS_MAX,
        abort,
      }),
    runDir,
    clock: systemClock,
    log,
    shutdownTimeoutMs: config.shutdownTimeoutMs,
    onReady() {
      // Again, because a launcher that started at the same moment and was then refused may have written over it.
      try {
        runDir.writePid('launcher');
      } catch (error) {
        // A full disk: the file may be right as it is, and a service that answers is not to end for it.
        log.warn({ err: error }, "the launcher's pid file cannot be written");
      }
      // Whoever started it may have gone since: without a callback that would be an error nobody handles.
      process.send?.('ready', undefined, undefined, () => {});
    },
  });
  for (const signal of SIGNALS) process.on(signal, () => launcher.signal(signal));
  try {
    return await launcher.run();
  } finally {
    runDir.removePid('launcher');
  }
}

// The primary's lock is what decides. This only tells the common case, a second start by mistake, at once.
function refuseSecondLauncher(runDir: RunDir): void {
  const other = runDir.readPid('launcher');
  if (other === undefined || other.pid === process.pid || !isAlive(other)) return;
  throw new Owned(
    'data_dir',
    other.pid,
    `DATA_DIR ${runDir.dataDir} is owned by the service whose launcher has pid ${other.pid}; stop it, or set DATA_DIR to another folder.`,
  );
}
