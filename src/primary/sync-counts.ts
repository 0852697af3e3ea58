// What following the store costs, for the metrics: an operator sees from these whether hints arrive and whether anything
// makes this node read everything again.
import type { SnapshotItem } from '../snapshot/item.ts';
import type { Tier } from '../storage/tiers.ts';

/**
 * Why everything was read again: another store; changes no longer kept; sums that differ at one revision; a delta that does
 * not lead to its sums; ids that can be read now; a store that was accepted.
 */
export type ReloadReason = 'epoch' | 'pruned' | 'sums' | 'delta' | 'mended' | 'accepted';

export interface SyncCounts {
  /** Looks at the head alone. */
  readonly polls: number;
  /** Reads of what changed, and those of them that were published. */
  readonly deltaReads: number;
  readonly deltas: number;
  /** News of a write that were news here, and looks that they led to in vain. */
  readonly hints: number;
  readonly hintsFalse: number;
  /** Of documents that were read, in characters. */
  readonly itemChars: number;
  /** First loads, by where from. */
  readonly loads: Readonly<Record<Tier, number>>;
  readonly reloads: Readonly<Record<ReloadReason, number>>;
}

/** Counts, for the loop alone to change. */
export type OpenCounts = { -readonly [Name in keyof SyncCounts]: SyncCounts[Name] } & {
  readonly loads: Record<Tier, number>;
  readonly reloads: Record<ReloadReason, number>;
};

export function createSyncCounts(): OpenCounts {
  return {
    polls: 0,
    deltaReads: 0,
    deltas: 0,
    hints: 0,
    hintsFalse: 0,
    itemChars: 0,
    loads: { store: 0, redis: 0, file: 0 },
    reloads: { epoch: 0, pruned: 0, sums: 0, delta: 0, mended: 0, accepted: 0 },
  };
}

/** By the names of the metrics. */
export function countersOf(counts: SyncCounts): Readonly<Record<string, number>> {
  const { polls, deltaReads, deltas, hints, hintsFalse, itemChars, loads, reloads } = counts;
  const told = { polls, delta_reads: deltaReads, deltas, hints, hints_false: hintsFalse, item_chars: itemChars };
  return Object.fromEntries([
    ...Object.entries(told).map(([name, count]) => [`burgee_sync_${name}_total`, count]),
    ...Object.entries(loads).map(([tier, count]) => [`burgee_sync_loads_${tier}_total`, count]),
    ...Object.entries(reloads).map(([reason, count]) => [`burgee_sync_reloads_${reason}_total`, count]),
  ]);
}

export function charsOf(items: readonly SnapshotItem[]): number {
  let chars = 0;
  for (const { json } of items) chars += json.length;
  return chars;
}
