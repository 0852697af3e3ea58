// Which processes the experiment itself has hit: only what was in flight on one of those may fail.
import { alive } from '../service.ts';
import type { Ledger } from './ledger.ts';

export type FailureClass = 'killed' | 'frozen' | 'drained' | 'in a queue' | 'nobody hit';

export interface Touched {
  hit(pid: number, how: Exclude<FailureClass, 'in a queue' | 'nobody hit'>): void;
  wasHit(pid: number): boolean;
  /** Failures by what had been done to the worker that had the request. */
  readonly failures: ReadonlyMap<FailureClass, number>;
  /**
   * A request got no answer, or a refusal. `pid` undefined: its connection may never have been accepted; then it is
   * nobody's fault when any worker that was hit has ended since `sinceMs`: the kernel resets what waited in its queue.
   */
  failed(pid: number | undefined, sinceMs: number, what: string): void;
}

/** The kernel closes a dying process's sockets a moment before it calls it dead. */
const DEATH_MS = 200;

export function createTouched(ledger: Pick<Ledger, 'violate'>): Touched {
  const how = new Map<number, FailureClass>();
  const failures = new Map<FailureClass, number>();
  const living = new Set<number>();
  let lastEndMs = Number.NEGATIVE_INFINITY;

  function count(failure: FailureClass): void {
    failures.set(failure, (failures.get(failure) ?? 0) + 1);
  }
  function lookForDead(): void {
    for (const pid of living) {
      if (alive(pid)) continue;
      living.delete(pid);
      lastEndMs = performance.now();
    }
  }
  function judge(pid: number | undefined, sinceMs: number, what: string): void {
    lookForDead();
    const hit = pid === undefined ? undefined : how.get(pid);
    if (hit !== undefined) return count(hit);
    if (pid === undefined && lastEndMs >= sinceMs) return count('in a queue');
    count('nobody hit');
    ledger.violate('failed evaluation', `worker ${pid ?? '(not known)'}: ${what}`);
  }

  return {
    failures,
    hit(pid, what) {
      lookForDead();
      living.add(pid);
      // A frozen one that is killed in the end is a killed one.
      if (how.get(pid) !== 'killed') how.set(pid, what);
    },
    wasHit: (pid) => how.has(pid),
    failed: (pid, sinceMs, what) => void setTimeout(() => judge(pid, sinceMs, what), DEATH_MS),
  };
}
