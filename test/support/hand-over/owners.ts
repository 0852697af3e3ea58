// Watches who owns DATA_DIR: once another process is named in its lock, the one before must be dead or on its way out.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CpuReading, readCpu, waitedBetween } from '../../../src/run/cpu-wait.ts';
import type { Ledger } from './ledger.ts';
import { type NodeUnderFault, stateOf } from './node.ts';

const LOOK_MS = 25;
/**
 * Between the moment a process gives its lock back, or learns that it lost it, and its end: one that is still starting
 * learns it when it has opened its store. Until then nobody else has the name of DATA_DIR, and so nobody else publishes.
 */
const LEAVE_MS = 3000;

/** Returns what stops it. `waits`: that process is stopped by the experiment, and has its time from when it is continued. */
export function watchOwners(node: NodeUnderFault, ledger: Ledger): () => void {
  let owner: number | undefined;
  /** Former owners that live, and how long they have been let run since. */
  const former = new Map<number, { runningMs: number; lookedMs: number; cpu: CpuReading | undefined }>();
  const timer = setInterval(() => {
    const named = namedOwner(node.dataDir);
    if (named !== undefined && named !== owner) {
      if (owner !== undefined) former.set(owner, { runningMs: 0, lookedMs: performance.now(), cpu: readCpu(owner) });
      former.delete(named);
      owner = named;
    }
    for (const [pid, seen] of former) {
      const state = stateOf(pid);
      if (isGone(state)) {
        former.delete(pid);
        continue;
      }
      // One that waits for a CPU cannot end either.
      const nowMs = performance.now();
      const cpu = readCpu(pid);
      const elapsedMs = Math.min(LOOK_MS, nowMs - seen.lookedMs);
      const waitedMs =
        seen.cpu === undefined || cpu === undefined ? 0 : waitedBetween(seen.cpu, cpu, nowMs - seen.lookedMs);
      // A rival that was refused after it had taken the lock's name is dead, and owns nothing.
      if (state !== 'T' && !isGone(stateOf(owner as number))) seen.runningMs += Math.max(0, elapsedMs - waitedMs);
      seen.lookedMs = nowMs;
      seen.cpu = cpu;
      if (seen.runningMs <= LEAVE_MS) continue;
      former.delete(pid);
      ledger.violate('two publishers', `primary ${pid} lives on though ${owner} owns DATA_DIR`);
    }
  }, LOOK_MS);
  return () => clearInterval(timer);
}

function isGone(state: string | undefined): boolean {
  return state === undefined || state === 'Z' || state === 'X';
}

function namedOwner(dataDir: string): number | undefined {
  try {
    return Number(readFileSync(join(dataDir, 'run', 'primary.lock'), 'utf8').split(' ')[0]);
  } catch {
    return undefined;
  }
}
