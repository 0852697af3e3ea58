// The rate limits of this node with all they need: the ledger on disk, and Redis where there is one.
import type { RedisConnection } from '../storage/redis/connection.ts';
import { createLeaseCounter } from '../storage/redis/leases.ts';
import { openLeaseLedger } from './lease-ledger.ts';
import { openNodeMemory } from './node-memory.ts';
import { createSharedLimits, type SharedLimits } from './shared-limits.ts';

export type NodeLimits = SharedLimits;

/** Before `redis` is closed these are. `folder`: DATA_DIR/run. */
export function openNodeLimits(deps: {
  readonly redis: RedisConnection | undefined;
  /** Of the store that is followed; undefined before the first load. */
  readonly epoch: () => string | undefined;
  readonly folder: string;
  readonly workers: number;
  readonly orphans: readonly string[];
  readonly onClock: () => void;
  readonly warn: (fields: object, message: string) => void;
}): NodeLimits {
  const { redis, epoch, folder, workers, orphans, onClock, warn } = deps;
  return createSharedLimits({
    shared: redis && { counter: createLeaseCounter(redis, epoch), memory: openNodeMemory(folder, warn) },
    workers,
    ledger: openLeaseLedger(folder, warn),
    orphans,
    wallClock: Date.now,
    onClock,
  });
}
