// What a node knows of the counter of rate limits and of the other nodes: whether it is there, its clock, how many they are.

import { type CancelTimer, type Clock, systemClock } from '../run/clock.ts';
import type { LeaseCounter, Roll } from '../storage/lease-counter.ts';
import type { NodeMemory } from './node-memory.ts';

/** A node that never heard how many they are takes it that they are this many. */
export const NODES_ASSUMED = 16;

const BEAT_MS = 1_000;
/** While the counter is away: asking costs nothing there, for the connection itself waits between its attempts. */
const BEAT_AWAY_MS = 250;
/** Shares go by the most nodes there were in this time: one that cannot be heard may still be there. */
const MOST_KEPT_MS = 120_000;
/** How fast two clocks part at worst, ms each ms. */
const DRIFT = 0.000_1;

export interface NodeRoll {
  /** Ms since 1970 by the counter's clock, as far as it was heard. */
  nowMs(): number;
  readonly offsetMs: number;
  /** Nodes that live, as last heard; at least 1. */
  readonly nodes: number;
  /** Nodes to divide a limit by while the counter is away. */
  readonly nodesAtMost: number;
  /** The counter was heard once. */
  readonly isKnown: boolean;
  /** The counter does not answer, or has not yet. */
  readonly isAway: boolean;
  /** When it last answered, by its clock. */
  readonly heardMs: number;
  /** It answered something. */
  heard(): void;
  /** It did not, or not soon enough. */
  lost(): void;
  /** Begins to say that we live. Resolves when it was heard, or after `waitMs`. */
  start(waitMs: number): Promise<void>;
  /** Says that we do not. Never rejects. */
  close(): Promise<void>;
}

export function createNodeRoll(deps: {
  readonly counter: LeaseCounter;
  readonly memory: NodeMemory;
  readonly wallClock: () => number;
  readonly clock?: Clock;
  /** The offset, the number of nodes, or whether the counter is there has changed. */
  readonly onChange: () => void;
}): NodeRoll {
  const { counter, memory, wallClock, clock = systemClock, onChange } = deps;
  let offsetMs = 0;
  let offsetErrorMs = Number.POSITIVE_INFINITY;
  let measuredMs = 0;
  let nodes = memory.nodes ?? 1;
  let most = memory.nodes ?? NODES_ASSUMED;
  let mostMs = Number.NEGATIVE_INFINITY;
  let isAway = true;
  let heardMs = Number.NEGATIVE_INFINITY;
  let closed = false;
  let cancelBeat: CancelTimer = () => {};
  let started: () => void = () => {};

  const nowMs = (): number => wallClock() + offsetMs;

  async function beat(): Promise<void> {
    const sentMs = clock.nowMs();
    try {
      take(await counter.beat(memory.nodeId, memory.nodes !== undefined), clock.nowMs() - sentMs);
      roll.heard();
      started();
    } catch {
      roll.lost();
    }
    if (!closed) cancelBeat = clock.after(isAway ? BEAT_AWAY_MS : BEAT_MS, () => void beat());
  }

  function take(heard: Roll, roundTripMs: number): void {
    const monotonicMs = clock.nowMs();
    const errorMs = roundTripMs / 2 + 1;
    const knownToMs = offsetErrorMs + (monotonicMs - measuredMs) * DRIFT;
    const measured = Math.round(heard.nowMs + roundTripMs / 2 - wallClock());
    const before = `${offsetMs} ${most}`;
    // The best measure stands, until a clock was set or another server answers.
    if (errorMs <= knownToMs || Math.abs(measured - offsetMs) > errorMs + knownToMs) {
      offsetMs = measured;
      offsetErrorMs = errorMs;
      measuredMs = monotonicMs;
    }
    nodes = heard.nodes;
    if (nodes >= most || monotonicMs - mostMs > MOST_KEPT_MS) {
      most = nodes;
      mostMs = monotonicMs;
    }
    memory.note(most);
    if (`${offsetMs} ${most}` !== before) onChange();
  }

  const roll: NodeRoll = {
    nowMs,
    get offsetMs() {
      return offsetMs;
    },
    get nodes() {
      return nodes;
    },
    get nodesAtMost() {
      return most;
    },
    get isKnown() {
      return heardMs > 0;
    },
    get isAway() {
      return isAway;
    },
    get heardMs() {
      return heardMs;
    },
    heard() {
      heardMs = nowMs();
      const wasAway = isAway;
      isAway = false;
      if (wasAway) onChange();
    },
    lost() {
      isAway = true;
    },
    start(waitMs) {
      return new Promise((resolve) => {
        const cancel = clock.after(waitMs, resolve);
        started = () => {
          cancel();
          resolve();
        };
        void beat();
      });
    },
    async close() {
      closed = true;
      cancelBeat();
      await counter.leave(memory.nodeId).catch(() => {});
    },
  };
  return roll;
}
