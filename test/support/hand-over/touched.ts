// Which processes the experiment itself has hit: only what was in flight on one of those may fail.
import type { Ledger } from './ledger.ts';

export type FailureClass = 'killed' | 'frozen' | 'drained' | 'in a queue' | 'nobody hit';

export interface Touched {
  hit(pid: number, how: Exclude<FailureClass, 'in a queue' | 'nobody hit'>): void;
  wasHit(pid: number): boolean;
  /** Failures by what had been done to the worker that had the request. */
  readonly failures: ReadonlyMap<FailureClass, number>;
  /**
   * A request got no answer, or a refusal. `pid` undefined: its connection may never have been accepted; then it is
   * nobody's fault when any worker has been hit or has ended since `sinceMs`.
   */
  failed(pid: number | undefined, sinceMs: number, what: string): void;
  /** A worker ended for whatever reason: what waited in its queue is reset by the kernel. */
  ended(): void;
}

export function createTouched(ledger: Pick<Ledger, 'violate'>): Touched {
  const how = new Map<number, FailureClass>();
  const failures = new Map<FailureClass, number>();
  let lastEndMs = Number.NEGATIVE_INFINITY;

  function count(failure: FailureClass): void {
    failures.set(failure, (failures.get(failure) ?? 0) + 1);
  }

  return {
    failures,
    hit(pid, what) {
      // A frozen one that is killed in the end is a killed one.
      if (how.get(pid) !== 'killed') how.set(pid, what);
      lastEndMs = performance.now();
    },
    wasHit: (pid) => how.has(pid),
    failed(pid, sinceMs, what) {
      const hit = pid === undefined ? undefined : how.get(pid);
      if (hit !== undefined) return count(hit);
      if (pid === undefined && lastEndMs >= sinceMs) return count('in a queue');
      count('nobody hit');
      ledger.violate('failed evaluation', `worker ${pid ?? '(not known)'}: ${what}`);
    },
    ended: () => void (lastEndMs = performance.now()),
  };
}
