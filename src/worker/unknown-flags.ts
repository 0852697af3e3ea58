// Counts the flags that are asked for by name and do not exist, so that a typo in an application is seen. Counts grow
// for as long as this process keeps them, so that a report that is lost or comes twice changes nothing.
import type { UnknownFlags } from '../ipc/messages.ts';
import { limits } from '../limits.ts';
import type { Tallies } from './tallies.ts';

export interface UnknownFlagCounts {
  /** Evaluations of a flag that this environment, which exists, does not have. */
  count(environment: string, flagId: string, evaluations: number): void;
  /** What has changed since the last report; undefined: nothing. */
  takeReport(): UnknownFlags | undefined;
  /** The next report tells everything: whoever heard the last ones may be gone. */
  retell(): void;
}

/** Names that fill all the room are forgotten after this long, for a scan of names must not blind for ever. */
const KEPT_MS = 3_600_000;

interface Entry {
  readonly environment: string;
  readonly flagId: string;
  readonly firstMs: number;
  count: number;
  lastMs: number;
}

export function createUnknownFlags(deps: {
  readonly now: () => number;
  readonly tallies: Pick<Tallies, 'count'>;
}): UnknownFlagCounts {
  const { now, tallies } = deps;
  const entries = new Map<string, Entry>();
  const changed = new Set<Entry>();
  let sinceMs = now();
  let otherCount = 0;
  let hasChanged = false;

  return {
    count(environment, flagId, evaluations) {
      if (evaluations === 0) return;
      tallies.count('burgee_unknown_flag_evaluations_total', evaluations);
      hasChanged = true;
      const name = flagId.slice(0, limits.unknownFlagCharsMax);
      // No environment has a slash in its name.
      const key = `${environment}/${name}`;
      let entry = entries.get(key);
      if (entry === undefined) {
        if (entries.size >= limits.unknownFlagsMax) {
          otherCount += evaluations;
          return;
        }
        entry = { environment, flagId: name, firstMs: now(), count: 0, lastMs: 0 };
        entries.set(key, entry);
      }
      entry.count += evaluations;
      entry.lastMs = now();
      changed.add(entry);
    },

    takeReport() {
      if (!hasChanged) return undefined;
      const report = { sinceMs, flags: [...changed].map((entry) => ({ ...entry })), otherCount };
      changed.clear();
      hasChanged = false;
      if (otherCount > 0 && now() - sinceMs >= KEPT_MS) {
        // What was counted has been told. Another `sinceMs` says that counts begin again.
        entries.clear();
        otherCount = 0;
        sinceMs = now();
      }
      return report;
    },

    retell() {
      for (const entry of entries.values()) changed.add(entry);
      // Others are only counted together once there are names.
      hasChanged = entries.size > 0;
    },
  };
}
