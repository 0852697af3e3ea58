// What src/storage/redis/leases.ts does in Lua, written again in TypeScript, for simulated time; and a network to it that
// is slow, loses questions and answers, and delivers some of them long after their deadline.
import type { Holding, LeaseCounter, Roll, Statement } from '../../src/storage/lease-counter.ts';
import { TierUnavailable } from '../../src/storage/tiers.ts';

const NODE_MS = 10_000;
const DEADLINE_MS = 250;

interface Count {
  used: number;
  unused: number;
  lost: boolean;
  readonly nodes: Map<string, { sequence: number; total: number; unused: number }>;
}

/** Its own clock is the argument of each call. */
export class ModelCounter {
  since: number | undefined;
  readonly counts = new Map<string, Count>();
  readonly beats = new Map<string, number>();

  /** Everything is gone, as after a crash. */
  empty(): void {
    this.since = undefined;
    this.counts.clear();
    this.beats.clear();
  }

  state(nowMs: number, nodeId: string, said: Statement): Holding | number | undefined {
    const { keyId, windowEndMs, limit, sequence, answered, keep, want, unused } = said;
    if (nowMs >= windowEndMs || windowEndMs > nowMs + 120_000) return undefined;
    const name = `${windowEndMs}:${keyId}`;
    const count = this.counts.get(name) ?? { used: 0, unused: 0, lost: false, nodes: new Map() };
    const mine = count.nodes.get(nodeId) ?? { sequence: 0, total: 0, unused: 0 };
    if (mine.sequence >= sequence) return mine.sequence;
    this.since ??= nowMs;
    if (mine.sequence < answered) count.lost = true;
    const used = count.used - mine.total + keep;
    const elsewhere = count.unused - mine.unused;
    const complete = !count.lost && this.since <= windowEndMs - 60_000;
    const left = Math.max(0, limit - used);
    const piece = Math.max(1, Math.floor(left / (2 * Math.max(1, this.#alive(nowMs)))));
    const granted = complete && want > 0 && left > 0 ? Math.min(want, left, piece) : 0;
    count.nodes.set(nodeId, { sequence, total: keep + granted, unused: unused + granted });
    count.used = used + granted;
    count.unused = elsewhere + unused + granted;
    this.counts.set(name, count);
    return { total: keep + granted, left: left - granted, unusedElsewhere: elsewhere, complete };
  }

  beat(nowMs: number, nodeId: string, knew: boolean): Roll {
    this.since ??= knew ? nowMs : 0;
    this.beats.set(nodeId, nowMs);
    for (const [node, ms] of this.beats) if (ms < nowMs - NODE_MS) this.beats.delete(node);
    return { nowMs, nodes: this.beats.size };
  }

  leave(nodeId: string): void {
    this.beats.delete(nodeId);
  }

  #alive(nowMs: number): number {
    return [...this.beats.values()].filter((ms) => ms >= nowMs - NODE_MS).length;
  }
}

export interface Weather {
  /** Nobody gets through: refused at once, or not answered. */
  away: 'no' | 'refuses' | 'hangs';
}

/** A node's way to the counter: questions arrive in order, unless they were caught in a hanging server. */
export function wayTo(
  model: ModelCounter,
  world: {
    readonly weather: Weather;
    readonly now: () => number;
    readonly at: (ms: number, run: () => void) => () => void;
    readonly random: () => number;
    /** Of questions or answers. */
    readonly lossPart: number;
    readonly onSettled: () => void;
  },
): LeaseCounter {
  const { weather, now, at, random, onSettled } = world;
  let arrivesMs = 0;
  let pausedUntilMs = 0;

  function ask<T>(run: () => T): Promise<T> {
    if (weather.away === 'refuses' || now() < pausedUntilMs) {
      onSettled();
      return Promise.reject(new TierUnavailable('away'));
    }
    return new Promise((resolve, reject) => {
      const cancel = at(now() + DEADLINE_MS, () => {
        pausedUntilMs = now() + 1000;
        onSettled();
        reject(new TierUnavailable('late'));
      });
      const delayMs = random() < 0.01 ? random() * 60 : 0.2 + random();
      const lost = random();
      arrivesMs = Math.max(arrivesMs, now() + delayMs);
      const arrive = (): void => {
        // What a hanging server was sent it does when it wakes, in any order.
        if (weather.away === 'hangs') return void at(now() + 50 + random() * 500, arrive);
        if (weather.away === 'refuses' || lost < world.lossPart) return;
        const answer = run();
        if (lost < 2 * world.lossPart) return;
        at(now() + 0.2 + random(), () => {
          cancel();
          onSettled();
          resolve(answer);
        });
      };
      at(arrivesMs, arrive);
    });
  }

  return {
    state: (nodeId, statement) => ask(() => model.state(now(), nodeId, statement)),
    beat: (nodeId, knew) => ask(() => model.beat(now(), nodeId, knew)),
    leave: (nodeId) => ask(() => model.leave(nodeId)),
  };
}
