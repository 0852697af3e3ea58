// Keeps a primary running, and is the one process that acts on signals. It holds no state worth keeping and loads next to
// nothing, so that nothing can go wrong in it.
import { realpathSync } from 'node:fs';
import type { Clock } from '../run/clock.ts';
import { EXIT_CONFIGURATION, EXIT_OWNED } from '../run/owned.ts';
import { isAlive, type ProcessIdentity, sameProcess, signalProcess } from '../run/process-identity.ts';
import type { RunDir } from '../run/run-dir.ts';
import { type PrimaryExit, type PrimaryProcess, startPrimary } from './primary-process.ts';

export type LauncherSignal = 'SIGTERM' | 'SIGINT' | 'SIGHUP';

export interface LauncherLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** All in milliseconds. */
export interface LauncherTiming {
  readonly silentMs: number;
  readonly firstBeatMs: number;
  readonly restartMsMin: number;
  readonly restartMsMax: number;
  /** A primary that lived this long is not in a crash loop. */
  readonly longLifeMs: number;
  /** A signal that comes again within this time is the same one: npm and the terminal both pass on a Ctrl-C. */
  readonly sameSignalMs: number;
  /** What the primary gets on top of SHUTDOWN_TIMEOUT_MS, to close the store once its workers are gone. */
  readonly shutdownMarginMs: number;
}

export const LAUNCHER_TIMING: LauncherTiming = {
  silentMs: 5000,
  firstBeatMs: 15_000,
  restartMsMin: 100,
  restartMsMax: 5000,
  longLifeMs: 10_000,
  sameSignalMs: 1000,
  shutdownMarginMs: 2000,
};

const POLL_MS = 50;
/** SIGKILL takes effect at once, unless the kernel is busy for that process (a hanging disk). */
const KILL_MS_MAX = 1000;
const SIGNAL_NUMBERS = { SIGTERM: 15, SIGINT: 2, SIGHUP: 1 } as const;

export interface LauncherDeps {
  /** Path of the main script as it was given; resolved again at each start, since a release link may have moved. */
  readonly main: string;
  readonly execArgv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly runDir: Pick<RunDir, 'workers'>;
  readonly clock: Clock;
  readonly log: LauncherLog;
  readonly shutdownTimeoutMs: number;
  /** Each time a primary is ready. */
  readonly onReady?: (url: string) => void;
  readonly timing?: Partial<LauncherTiming>;
}

export interface Launcher {
  /** Resolves with this process's exit code, when the service has ended. To be called once. */
  run(): Promise<number>;
  /** SIGTERM and SIGINT drain; a second one, a second later, ends everything at once. SIGHUP changes nothing yet. */
  signal(name: LauncherSignal): void;
}

export function createLauncher(deps: LauncherDeps): Launcher {
  return new ProcessLauncher(deps);
}

class ProcessLauncher implements Launcher {
  readonly #deps: LauncherDeps;
  readonly #timing: LauncherTiming;
  /** Workers of the launcher before this one. */
  #inherited: readonly ProcessIdentity[] = [];
  #main: string;
  #primary: PrimaryProcess | undefined;
  #everReady = false;
  #quickDeaths = 0;
  #lastSignalMs = Number.NEGATIVE_INFINITY;
  #draining: LauncherSignal | undefined;
  #forced: LauncherSignal | undefined;
  #drainDeadlineMs = Number.POSITIVE_INFINITY;
  #cancelDrainTimer: () => void = () => {};
  #wake: () => void = () => {};

  constructor(deps: LauncherDeps) {
    this.#deps = deps;
    this.#timing = { ...LAUNCHER_TIMING, ...deps.timing };
    this.#main = deps.main;
  }

  async run(): Promise<number> {
    this.#inherited = this.#livingWorkers();
    for (;;) {
      if (this.#draining !== undefined) return this.#finish(undefined);
      const primary = this.#start();
      this.#primary = primary;
      const exit = await primary.exited;
      this.#primary = undefined;
      if (this.#draining !== undefined) return this.#finish(exit);
      const code = await this.#verdict(exit);
      if (code !== undefined) return code;
      await this.#backOff(exit);
    }
  }

  signal(name: LauncherSignal): void {
    const { log, clock, shutdownTimeoutMs } = this.#deps;
    if (name === 'SIGHUP') {
      log.warn(
        { signal: name },
        'this version cannot change to a new build under way yet: SIGHUP is ignored, restart the service instead',
      );
      return;
    }
    const now = clock.nowMs();
    const same = now - this.#lastSignalMs < this.#timing.sameSignalMs;
    this.#lastSignalMs = now;
    if (same || this.#forced !== undefined) return;
    if (this.#draining !== undefined) {
      this.#forced = name;
      log.warn({ signal: name }, 'a second signal: ending everything at once');
      this.#killAll(`of a second ${name}`);
      this.#wake();
      return;
    }
    this.#draining = name;
    const limitMs = shutdownTimeoutMs + this.#timing.shutdownMarginMs;
    this.#drainDeadlineMs = now + limitMs;
    log.info({ signal: name, shutdown_timeout_ms: shutdownTimeoutMs }, 'draining');
    this.#primary?.drain(name);
    this.#cancelDrainTimer = clock.after(limitMs, () => this.#primary?.kill('it did not end in time'));
    this.#wake();
  }

  #start(): PrimaryProcess {
    const deps = this.#deps;
    try {
      this.#main = realpathSync(deps.main);
    } catch (error) {
      // A release link is being moved this very moment: the build that ran last is still the right one.
      deps.log.warn({ err: error }, 'the main script cannot be found; using the one of the last start');
    }
    const bornMs = deps.clock.nowMs();
    const primary = startPrimary({
      main: this.#main,
      execArgv: deps.execArgv,
      env: deps.env,
      clock: deps.clock,
      silentMs: this.#timing.silentMs,
      firstBeatMs: this.#timing.firstBeatMs,
      onReady: (url) => {
        this.#everReady = true;
        deps.log.info({ primary_pid: primary.pid, url, start_ms: Math.round(deps.clock.nowMs() - bornMs) }, 'ready');
        deps.onReady?.(url);
      },
    });
    deps.log.info({ primary_pid: primary.pid }, 'primary started');
    return primary;
  }

  // The exit code that ends the launcher; undefined: start the primary again.
  async #verdict(exit: PrimaryExit): Promise<number | undefined> {
    const { log } = this.#deps;
    const fields = describe(exit);
    if (exit.code === EXIT_CONFIGURATION || exit.code === EXIT_OWNED) {
      log.error(fields, 'the primary refused to run; see its message');
      if (!this.#everReady) await this.#endOwnWorkers();
      return exit.code;
    }
    if (!this.#everReady) {
      log.error(fields, 'the primary ended before it was ever ready; not starting it again');
      await this.#endOwnWorkers();
      // A service that never ran has not ended well, whatever its primary says.
      return exit.code === undefined || exit.code === 0 ? 1 : exit.code;
    }
    log.error(fields, 'the primary ended; workers serve on while it is started again');
    return undefined;
  }

  async #backOff(exit: PrimaryExit): Promise<void> {
    if (exit.livedMs >= this.#timing.longLifeMs) {
      this.#quickDeaths = 0;
      return;
    }
    const delayMs = Math.min(this.#timing.restartMsMin * 2 ** this.#quickDeaths, this.#timing.restartMsMax);
    this.#quickDeaths = Math.min(this.#quickDeaths + 1, 30);
    await this.#pause(delayMs);
  }

  async #finish(exit: PrimaryExit | undefined): Promise<number> {
    const { clock, log } = this.#deps;
    if (exit?.wasReady === true && exit.code !== 0) log.warn(describe(exit), 'the primary did not drain to its end');
    while (this.#forced === undefined && this.#livingWorkers().length > 0 && clock.nowMs() < this.#drainDeadlineMs) {
      // Workers without a primary are orphans and drain on the signal itself; again and again, because one that has not
      // yet noticed that it is an orphan leaves signals to its primary.
      this.#signalWorkers('SIGTERM');
      await this.#pause(POLL_MS);
    }
    this.#cancelDrainTimer();
    const left = this.#livingWorkers();
    if (this.#forced !== undefined || left.length > 0) await this.#killWorkers(left);
    if (this.#forced !== undefined) return 128 + SIGNAL_NUMBERS[this.#forced];
    // A primary that was not ready yet may die of the terminal's own Ctrl-C, and has nothing to drain.
    const clean = left.length === 0 && (exit === undefined || exit.code === 0 || !exit.wasReady);
    log.info({ clean }, 'ended');
    return clean ? 0 : 1;
  }

  #killAll(why: string): void {
    this.#primary?.kill(`because ${why}`);
    this.#signalWorkers('SIGKILL');
  }

  // Workers of a primary that failed to start would wait for another one for ever; those from before the launcher serve on.
  async #endOwnWorkers(): Promise<void> {
    const own = this.#livingWorkers().filter((worker) => !this.#inherited.some((other) => sameProcess(other, worker)));
    await this.#killWorkers(own);
  }

  async #killWorkers(workers: readonly ProcessIdentity[]): Promise<void> {
    const { clock, log } = this.#deps;
    if (workers.length > 0) log.warn({ pids: workers.map(({ pid }) => pid) }, 'killing workers that are left');
    for (const identity of workers) signalProcess(identity, 'SIGKILL');
    const deadlineMs = clock.nowMs() + KILL_MS_MAX;
    while (workers.some(isAlive) && clock.nowMs() < deadlineMs) await this.#pause(POLL_MS);
  }

  #signalWorkers(signal: NodeJS.Signals): void {
    for (const identity of this.#livingWorkers()) signalProcess(identity, signal);
  }

  #livingWorkers(): readonly ProcessIdentity[] {
    return this.#deps.runDir
      .workers()
      .map(({ identity }) => identity)
      .filter(isAlive);
  }

  /** Ends early when a signal arrives. */
  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#deps.clock.after(delayMs, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }
}

function describe(exit: PrimaryExit): object {
  return {
    code: exit.code,
    signal: exit.signal,
    why: exit.why,
    lived_ms: Math.round(exit.livedMs),
    was_ready: exit.wasReady,
  };
}
