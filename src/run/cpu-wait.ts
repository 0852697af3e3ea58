// How long a process wanted a CPU and got none. One that is silent on a busy machine may be as well as ever: it only was
// not let run. The kernel counts a wait when it is over, so one that goes on is read off a runnable process whose time on
// a CPU stands still.
import { readFileSync } from 'node:fs';

/** A process's main thread, as the system sees it now. */
export interface CpuReading {
  /** It runs or wants to. */
  readonly runnable: boolean;
  /** Milliseconds on a CPU, since it began. */
  readonly ranMs: number;
  /** Milliseconds of waiting for one that are over, since it began. */
  readonly waitedMs: number;
}

export type ReadCpu = (pid: number) => CpuReading | undefined;

/** undefined where the system does not tell. */
export const readCpu: ReadCpu = (pid) => {
  try {
    const stat = readFileSync(`/proc/${pid}/task/${pid}/stat`, 'latin1');
    const [ran, waited] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'latin1').split(' ');
    const ranMs = Number(ran) / 1e6;
    const waitedMs = Number(waited) / 1e6;
    if (!Number.isFinite(ranMs) || !Number.isFinite(waitedMs)) return undefined;
    return { runnable: stat.startsWith('R', stat.lastIndexOf(')') + 2), ranMs, waitedMs };
  } catch {
    return undefined;
  }
};

/** Of `elapsedMs` between two readings, what the process waited for a CPU. */
export function waitedBetween(before: CpuReading, after: CpuReading, elapsedMs: number): number {
  const counted = after.waitedMs - before.waitedMs;
  const goingOn = before.runnable && after.runnable ? elapsedMs - (after.ranMs - before.ranMs) : 0;
  return Math.min(elapsedMs, Math.max(counted, goingOn, 0));
}
