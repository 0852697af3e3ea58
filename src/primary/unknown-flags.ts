// The node's count of flags that are asked for and do not exist: its workers' counts, added up. What a worker told once
// stays when it dies. In memory only; a new primary begins with what the living workers tell it.
import type { UnknownFlag, UnknownFlags } from '../ipc/messages.ts';
import { limits } from '../limits.ts';

export interface NodeUnknownFlags {
  /** `workerId` names one process for its whole life. */
  receive(workerId: string, report: UnknownFlags): void;
  workerDied(workerId: string): void;
  report(): UnknownFlags;
}

/** The last counts that a worker told, since its `sinceMs`. */
interface Told {
  readonly sinceMs: number;
  readonly counts: Map<string, number>;
  otherCount: number;
}

interface Sum extends UnknownFlag {
  count: number;
  firstMs: number;
  lastMs: number;
}

export function createNodeUnknownFlags(now: () => number): NodeUnknownFlags {
  const told = new Map<string, Told>();
  const sums = new Map<string, Sum>();
  let sinceMs = now();
  let otherCount = 0;

  function add({ environment, flagId, firstMs, lastMs }: UnknownFlag, more: number): void {
    const key = keyOf(environment, flagId);
    const sum = sums.get(key);
    if (sum === undefined) {
      sums.set(key, { environment, flagId, count: more, firstMs, lastMs });
      return;
    }
    sum.count += more;
    sum.firstMs = Math.min(sum.firstMs, firstMs);
    sum.lastMs = Math.max(sum.lastMs, lastMs);
  }

  /** The least asked for go first, of those asked for alike the ones that were not seen for longest. */
  function forget(): void {
    const order = [...sums].sort(([, a], [, b]) => a.count - b.count || a.lastMs - b.lastMs);
    for (const [key, { count }] of order.slice(0, sums.size - limits.unknownFlagsMax)) {
      sums.delete(key);
      otherCount += count;
    }
  }

  return {
    receive(workerId, report) {
      let last = told.get(workerId);
      if (last === undefined || last.sinceMs !== report.sinceMs) {
        last = { sinceMs: report.sinceMs, counts: new Map(), otherCount: 0 };
        told.set(workerId, last);
        sinceMs = Math.min(sinceMs, report.sinceMs);
      }
      for (const flag of report.flags) {
        const key = keyOf(flag.environment, flag.flagId);
        const more = flag.count - (last.counts.get(key) ?? 0);
        if (more <= 0) continue;
        last.counts.set(key, flag.count);
        add(flag, more);
      }
      otherCount += Math.max(0, report.otherCount - last.otherCount);
      last.otherCount = Math.max(last.otherCount, report.otherCount);
      // Not at every name too many: sorting costs.
      if (sums.size > limits.unknownFlagsMax * 2) forget();
    },

    workerDied: (workerId) => void told.delete(workerId),

    report() {
      if (sums.size > limits.unknownFlagsMax) forget();
      return { sinceMs, flags: [...sums.values()].map((sum) => ({ ...sum })), otherCount };
    },
  };
}

function keyOf(environment: string, flagId: string): string {
  return `${environment}/${flagId}`;
}
