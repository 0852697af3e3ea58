// What the supervisor asks for and what it offers.
import type { Clock } from '../run/clock.ts';
import type { ReadCpu } from '../run/cpu-wait.ts';
import type { RunDir } from '../run/run-dir.ts';
import type { ForkedWorker } from './fork-worker.ts';
import type { SupervisorTiming } from './supervisor-timing.ts';

export interface SupervisorLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface SupervisorDeps {
  /** Workers to keep, in slots 1 to `slots`. */
  readonly slots: number;
  readonly runDir: Pick<RunDir, 'workers' | 'writePid' | 'removePid'>;
  readonly log: SupervisorLog;
  readonly clock: Clock;
  /** Starts a worker; throws when the system refuses another process. */
  readonly fork: (slot: number) => ForkedWorker;
  /** A worker of another build or generation is replaced. */
  readonly build: string;
  readonly generation: string;
  /** Tells a worker over its local socket to drain and exit. */
  readonly sendDrain: (pid: number, drain: Drain) => void;
  /** It does not serve the newest revision: of the workers that are to be replaced it goes first. */
  readonly isBehind: (pid: number) => boolean;
  /** Once for each worker that was ever forked, expected or joined; `drained`: it was told to end, and did so by itself. */
  readonly onDead: (pid: number, drained: boolean) => void;
  /** A worker that was forked here ended before it was ready because of the configuration: another try ends alike. */
  readonly onUnusable: () => void;
  /** What a worker that is replaced, or too many, gets to drain. */
  readonly drainMs: number;
  readonly timing?: Partial<SupervisorTiming>;
  /** Left out: what the system says. */
  readonly readCpu?: ReadCpu;
}

export interface Drain {
  readonly deadlineMs: number;
  /** The service goes on: others serve in its place. */
  readonly isReplaced: boolean;
}

export interface JoiningWorker {
  readonly pid: number;
  readonly startTime: string;
  readonly slot: number;
  readonly build: string;
  /** undefined: of a build that knows of none. */
  readonly generation?: string | undefined;
}

export interface Standing {
  /** Workers that serve. */
  readonly serving: number;
  /** Of these, those that are to be replaced. */
  readonly old: number;
  /** Workers that were told to drain because others serve in their place, since this primary's start. */
  readonly replaced: number;
}

export interface Supervisor {
  /** Once the local socket listens: expects the workers on file, and forks for the slots that have none. */
  start(): void;
  /**
   * A worker said hello; it may be told to drain during this call, so its link must be known before. False when no such
   * process lives here: close its socket.
   */
  joined(worker: JoiningWorker): boolean;
  beat(pid: number): void;
  /** It listens for clients. */
  ready(pid: number): void;
  /** It could serve, once those that are to be replaced give up the port that it cannot share. */
  prepared(pid: number): void;
  /** Its socket closed: it is dead, or has 2 s to come back. */
  left(pid: number): void;
  /**
   * SIGKILLs and replaces a worker: one at a time, and not while it is the only one that serves; until then it is put off.
   * Unknown pids are ignored.
   */
  kill(pid: number, why: string): void;
  /** Workers that are linked, ready, not draining and not killed. */
  serving(): number;
  standing(): Standing;
  /** It is silent for longer than one may be, but because it waits for a CPU. */
  isStarved(pid: number): boolean;
  /** Pids that may still answer clients, linked or not: a write waits for each of them. */
  living(): readonly number[];
  /** Resolves when each worker from before this primary has joined or is dead: at most about 2 s. Write nothing earlier. */
  settled(): Promise<void>;
  /** Drains all, forks no more; resolves when all are dead. After `deadlineMs` those that are left are killed. */
  drain(deadlineMs: number): Promise<void>;
  /** Stops watching and leaves the workers as they are. May be called twice. */
  close(): void;
}
