// The workers of a DATA_DIR as the launcher sees them: by their files, because they outlive the primary that knows more.
import { type Clock, delay } from '../run/clock.ts';
import { isAlive, type ProcessIdentity, sameProcess, signalProcess } from '../run/process-identity.ts';
import type { RunDir } from '../run/run-dir.ts';

/** SIGKILL takes effect at once, unless the kernel is busy for that process (a hanging disk). */
const KILL_MS_MAX = 1000;
const POLL_MS = 50;

export interface WorkersOnFile {
  living(): readonly ProcessIdentity[];
  signal(signal: NodeJS.Signals): void;
  /** SIGKILLs those that live, all or but for `except`; resolves when they are gone, after a second in any case. */
  kill(except?: readonly ProcessIdentity[]): Promise<void>;
}

export function createWorkersOnFile(deps: {
  readonly runDir: Pick<RunDir, 'workers'>;
  readonly clock: Clock;
  readonly warn: (fields: object, message: string) => void;
}): WorkersOnFile {
  function living(): readonly ProcessIdentity[] {
    return deps.runDir
      .workers()
      .map(({ identity }) => identity)
      .filter(isAlive);
  }
  return {
    living,
    signal(signal) {
      for (const identity of living()) signalProcess(identity, signal);
    },
    async kill(except = []) {
      const workers = living().filter((worker) => !except.some((other) => sameProcess(other, worker)));
      if (workers.length > 0) deps.warn({ pids: workers.map(({ pid }) => pid) }, 'killing workers that are left');
      for (const identity of workers) signalProcess(identity, 'SIGKILL');
      const deadlineMs = deps.clock.nowMs() + KILL_MS_MAX;
      while (workers.some(isAlive) && deps.clock.nowMs() < deadlineMs) await delay(deps.clock, POLL_MS);
    },
  };
}
