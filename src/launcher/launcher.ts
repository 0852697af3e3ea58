// Keeps a primary running, and is the one process that acts on signals. It holds no state worth keeping and loads next to
// nothing, so that nothing can go wrong in it.
import { existsSync, realpathSync } from 'node:fs';
import type { Clock } from '../run/clock.ts';
import { EXIT_CONFIGURATION, EXIT_OWNED } from '../run/owned.ts';
import { isAlive, type ProcessIdentity } from '../run/process-identity.ts';
import type { RunDir } from '../run/run-dir.ts';
import type { CheckOutcome } from './check-build.ts';
import { generationName } from './generation.ts';
import { type PrimaryExit, type PrimaryProcess, startPrimary } from './primary-process.ts';
import { createWorkersOnFile, type WorkersOnFile } from './workers-on-file.ts';

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
  /** Until a primary that was told to leave is killed: what it has begun for its clients takes up to 10 s. */
  readonly leaveMs: number;
  /** Until a build that takes over is given up for the one before it: nothing can be written meanwhile. */
  readonly takeOverMs: number;
}

export const LAUNCHER_TIMING: LauncherTiming = {
  silentMs: 5000,
  firstBeatMs: 15_000,
  restartMsMin: 100,
  restartMsMax: 5000,
  longLifeMs: 10_000,
  sameSignalMs: 1000,
  shutdownMarginMs: 2000,
  leaveMs: 12_000,
  takeOverMs: 60_000,
};

const POLL_MS = 50;
const SIGNAL_NUMBERS = { SIGTERM: 15, SIGINT: 2, SIGHUP: 1 } as const;

/** What a primary and its workers run: a file, and the settings. */
export interface Build {
  /** Free of links. */
  readonly main: string;
  readonly generation: string;
}

export interface LauncherDeps {
  /** Path of the main script as it was given; resolved again at each SIGHUP, since a release link may have moved. */
  readonly main: string;
  readonly execArgv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** First part of the generation; see generation.ts. */
  readonly configHash: string;
  /** Whether a build could take over. Never rejects; ends early when `abort` says so. */
  readonly check: (build: Build, abort: AbortSignal) => Promise<CheckOutcome>;
  readonly runDir: Pick<RunDir, 'readPid' | 'workers'>;
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
  /**
   * SIGTERM and SIGINT drain; a second one, a second later, ends everything at once. SIGHUP hands the service over to the
   * build that the main script's path leads to now.
   */
  signal(name: LauncherSignal): void;
}

export function createLauncher(deps: LauncherDeps): Launcher {
  return new ProcessLauncher(deps);
}

class ProcessLauncher implements Launcher {
  readonly #deps: LauncherDeps;
  readonly #timing: LauncherTiming;
  readonly #workers: WorkersOnFile;
  /** Those of the launcher before this one. */
  #inherited: readonly ProcessIdentity[] = [];
  #build: Build;
  /** The one that was ready last: what is gone back to. */
  #proven: Build | undefined;
  /** What takes over as soon as the primary is gone, which was told to leave. */
  #next: Build | undefined;
  #primary: PrimaryProcess | undefined;
  #quickDeaths = 0;
  #sighups = 0;
  #replaceWanted = false;
  #replacing = false;
  /** Ends the wait of a replacement: its build is ready, or given up. */
  #settle: () => void = () => {};
  #cancelLeaveTimer: () => void = () => {};
  readonly #abort = new AbortController();
  #lastSignalMs = Number.NEGATIVE_INFINITY;
  #draining: LauncherSignal | undefined;
  #forced: LauncherSignal | undefined;
  #drainDeadlineMs = Number.POSITIVE_INFINITY;
  #cancelDrainTimer: () => void = () => {};
  #wake: () => void = () => {};

  constructor(deps: LauncherDeps) {
    this.#deps = deps;
    this.#timing = { ...LAUNCHER_TIMING, ...deps.timing };
    this.#workers = createWorkersOnFile({ ...deps, warn: (fields, message) => deps.log.warn(fields, message) });
    this.#build = { main: deps.main, generation: generationName(deps.configHash, 0) };
  }

  async run(): Promise<number> {
    this.#inherited = this.#workers.living();
    this.#build = { ...this.#build, main: this.#resolveMain() ?? this.#deps.main };
    for (;;) {
      if (this.#draining !== undefined) return this.#finish(undefined);
      const exit = await this.#runPrimary();
      if (this.#draining !== undefined) return this.#finish(exit);
      if (this.#isLeft(exit) || this.#goesBack(exit)) continue;
      const code = await this.#verdict(exit);
      if (code !== undefined) return code;
      await this.#backOff(exit);
    }
  }

  signal(name: LauncherSignal): void {
    if (name === 'SIGHUP') return this.#askToReplace();
    const { log, clock, shutdownTimeoutMs } = this.#deps;
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
    // A replacement that is under way goes no further.
    this.#abort.abort();
    this.#cancelLeaveTimer();
    this.#settle();
    this.#primary?.drain(name);
    this.#cancelDrainTimer = clock.after(limitMs, () => this.#primary?.kill('it did not end in time'));
    this.#wake();
  }

  // A signal that comes while one is worked on counts once more afterwards, however many there are: whatever it was sent
  // for, a new build or a new certificate, may have come too late for what has been read already.
  #askToReplace(): void {
    if (this.#draining !== undefined) return;
    this.#replaceWanted = true;
    if (!this.#replacing) void this.#replace();
  }

  async #replace(): Promise<void> {
    this.#replacing = true;
    while (this.#replaceWanted && this.#draining === undefined) {
      this.#replaceWanted = false;
      const build = await this.#findBuild();
      // Asked again meanwhile: then what was checked may be out of date.
      if (build !== undefined && !this.#replaceWanted && this.#draining === undefined) await this.#handOver(build);
    }
    this.#replacing = false;
  }

  /** The build that is to take over, checked; undefined when there is none that could. */
  async #findBuild(): Promise<Build | undefined> {
    const { log, configHash } = this.#deps;
    const main = this.#resolveMain();
    if (main === undefined) return undefined;
    this.#sighups += 1;
    const build = { main, generation: generationName(configHash, this.#sighups) };
    log.info(build, 'SIGHUP: checking the build that is to take over');
    const { ok, said } = await this.#deps.check(build, this.#abort.signal);
    if (ok) return build;
    if (this.#draining === undefined) log.error({ ...build, why: said }, 'this build fails its check; nothing changes');
    return undefined;
  }

  /** Resolves when the build is ready or has failed. */
  #handOver(build: Build): Promise<void> {
    const { clock, log } = this.#deps;
    const settled = new Promise<void>((resolve) => {
      this.#settle = resolve;
    });
    this.#next = build;
    const primary = this.#primary;
    log.info({ primary_pid: primary?.pid, ...build }, 'handing over to the next primary; workers serve on');
    if (primary !== undefined) {
      primary.leave('SIGHUP');
      this.#cancelLeaveTimer = clock.after(this.#timing.leaveMs, () => primary.kill('it did not leave in time'));
    }
    // Where none runs the next one is waited for, with back-off.
    this.#wake();
    return settled;
  }

  #runPrimary(): Promise<PrimaryExit> {
    const { clock } = this.#deps;
    if (this.#next !== undefined) this.#quickDeaths = 0;
    this.#build = this.#next ?? this.#build;
    this.#next = undefined;
    const build = this.#present(this.#build);
    const primary = this.#start(build);
    this.#primary = primary;
    const cancel = this.#mayGoBack(build)
      ? clock.after(this.#timing.takeOverMs, () => {
          if (this.#proven !== build) primary.kill('it was not ready in time');
        })
      : () => {};
    return primary.exited.finally(() => {
      cancel();
      this.#cancelLeaveTimer();
      this.#primary = undefined;
    });
  }

  // The build that is told to run may have been tidied away, after a deployment that forgot the signal.
  #present(build: Build): Build {
    if (existsSync(build.main)) return build;
    this.#build = { ...build, main: this.#resolveMain() ?? build.main };
    return this.#build;
  }

  #start(build: Build): PrimaryProcess {
    const deps = this.#deps;
    const bornMs = deps.clock.nowMs();
    const primary = startPrimary({
      ...build,
      execArgv: deps.execArgv,
      env: deps.env,
      clock: deps.clock,
      silentMs: this.#timing.silentMs,
      firstBeatMs: this.#timing.firstBeatMs,
      onReady: (url) => {
        this.#proven = build;
        const startMs = Math.round(deps.clock.nowMs() - bornMs);
        deps.log.info({ primary_pid: primary.pid, url, start_ms: startMs }, 'ready');
        // One that is told to leave may become ready only now.
        if (this.#next === undefined) this.#settle();
        deps.onReady?.(url);
      },
    });
    deps.log.info({ primary_pid: primary.pid, ...build }, 'primary started');
    return primary;
  }

  /** The main script that the path leads to now; undefined, with a line in the log, when it leads nowhere. */
  #resolveMain(): string | undefined {
    try {
      return realpathSync(this.#deps.main);
    } catch (error) {
      // A release link may be moved this very moment.
      this.#deps.log.error({ err: error }, 'the main script cannot be found; the build that ran last stays');
      return undefined;
    }
  }

  /** True when the primary was told to leave: however it ended, the next one is to start at once. */
  #isLeft(exit: PrimaryExit): boolean {
    if (this.#next === undefined) return false;
    if (exit.code !== 0) this.#deps.log.warn(describe(exit), 'the primary did not leave by itself; workers serve on');
    return true;
  }

  /** True when a build that was to take over has failed, and the one before it is to start at once. */
  #goesBack(exit: PrimaryExit): boolean {
    this.#settle();
    const proven = this.#proven;
    if (proven === undefined || !this.#mayGoBack(this.#build)) return false;
    const fields = { ...describe(exit), failed: this.#build, main: proven.main, generation: proven.generation };
    this.#deps.log.error(fields, 'the build that took over ended before it was ready; going back to the one before it');
    this.#build = proven;
    return true;
  }

  #mayGoBack(build: Build): boolean {
    return this.#proven !== undefined && this.#proven !== build && existsSync(this.#proven.main);
  }

  // The exit code that ends the launcher; undefined: start the primary again.
  async #verdict(exit: PrimaryExit): Promise<number | undefined> {
    const { log } = this.#deps;
    const fields = describe(exit);
    const everReady = this.#proven !== undefined;
    if (exit.code === EXIT_CONFIGURATION || exit.code === EXIT_OWNED) {
      log.error(fields, 'the primary refused to run; see its message');
      if (!everReady) await this.#endOwnWorkers();
      return exit.code;
    }
    if (!everReady) {
      log.error(fields, 'the primary ended before it was ever ready; not starting it again');
      await this.#endOwnWorkers();
      // A service that never ran has not ended well, whatever its primary says.
      return exit.code === undefined || exit.code === 0 ? 1 : exit.code;
    }
    log.error(fields, 'the primary ended; workers serve on while it is started again');
    return undefined;
  }

  /**
   * Workers that only a primary of this launcher can have started would wait for another one for ever. Those from before
   * this launcher serve on, and so do those of a primary that lives: it owns DATA_DIR, whoever started it.
   */
  async #endOwnWorkers(): Promise<void> {
    const owner = this.#deps.runDir.readPid('primary');
    if (owner === undefined || !isAlive(owner)) await this.#workers.kill(this.#inherited);
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
    while (this.#forced === undefined && this.#workers.living().length > 0 && clock.nowMs() < this.#drainDeadlineMs) {
      // Workers without a primary are orphans and drain on the signal itself; again and again, because one that has not
      // yet noticed that it is an orphan leaves signals to its primary.
      this.#workers.signal('SIGTERM');
      await this.#pause(POLL_MS);
    }
    this.#cancelDrainTimer();
    const left = this.#workers.living();
    if (this.#forced !== undefined || left.length > 0) await this.#workers.kill();
    if (this.#forced !== undefined) return 128 + SIGNAL_NUMBERS[this.#forced];
    // A primary that was not ready yet may die of the terminal's own Ctrl-C, and has nothing to drain.
    const clean = left.length === 0 && (exit === undefined || exit.code === 0 || !exit.wasReady);
    log.info({ clean }, 'ended');
    return clean ? 0 : 1;
  }

  #killAll(why: string): void {
    this.#primary?.kill(`because ${why}`);
    this.#workers.signal('SIGKILL');
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
