// The rate limits of this node: counted by its primary alone, or, where there is a counter for all nodes, as its part.
import { type Clock, systemClock } from '../run/clock.ts';
import type { LeaseCounter } from '../storage/lease-counter.ts';
import type { LeaseLedger } from './lease-ledger.ts';
import { createNodeBudgets } from './node-budgets.ts';
import type { NodeMemory } from './node-memory.ts';
import { createNodeRoll } from './node-roll.ts';
import { createRateLeases, type RateLeases } from './rate-leases.ts';

/** Workers are not to serve before the counter was heard, if it is there: shares would be taken from a number assumed. */
const START_WAIT_MS = 1_000;

export interface SharedClock {
  /** How far the counter's clock is ahead of ours, ms. */
  readonly offsetMs: number;
  /** Nodes to divide limits by. */
  readonly nodes: number;
}

export interface SharedLimits {
  readonly leases: RateLeases;
  clock(): SharedClock | undefined;
  /** Resolves when the counter was heard, after a second at most. */
  start(): Promise<void>;
  /** Tells the counter that this node is gone. Never rejects. */
  close(): Promise<void>;
}

/** `shared` undefined: this node counts for itself. */
export function createSharedLimits(deps: {
  readonly shared: { readonly counter: LeaseCounter; readonly memory: NodeMemory } | undefined;
  readonly workers: number;
  readonly ledger: LeaseLedger;
  readonly orphans: readonly string[];
  readonly wallClock: () => number;
  readonly timers?: Clock;
  readonly onClock: () => void;
}): SharedLimits {
  const { shared, workers, ledger, orphans, wallClock, timers: clock = systemClock, onClock } = deps;
  if (shared === undefined) {
    const leases = createRateLeases({ now: wallClock, workers, ledger, orphans });
    return { leases, clock: () => undefined, start: () => Promise.resolve(), close: () => Promise.resolve() };
  }
  const { counter, memory } = shared;
  const roll = createNodeRoll({
    counter,
    memory,
    wallClock,
    clock,
    onChange() {
      budgets.settle();
      onClock();
    },
  });
  const budgets = createNodeBudgets({ counter, nodeId: memory.nodeId, roll, clock });
  return {
    leases: createRateLeases({ now: roll.nowMs, workers, ledger, orphans, budgets, nodes: () => roll.nodesAtMost }),
    clock: () => (roll.isKnown ? { offsetMs: roll.offsetMs, nodes: roll.nodesAtMost } : undefined),
    start: () => roll.start(START_WAIT_MS),
    async close() {
      budgets.close();
      await roll.close();
    },
  };
}
