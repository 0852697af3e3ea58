// A clock that only a test moves. Between two timers everything that waits for no timer runs to its end.
import type { Clock } from '../../src/run/clock.ts';

export interface VirtualClock extends Clock {
  /** Lets `ms` pass: each timer that is due runs at its time, and what it set going settles. */
  pass(ms: number): Promise<void>;
}

export function createVirtualClock(): VirtualClock {
  let nowMs = 0;
  let order = 0;
  const timers = new Set<{ readonly atMs: number; readonly order: number; readonly run: () => void }>();

  function after(delayMs: number, run: () => void): () => void {
    const timer = { atMs: nowMs + Math.max(0, delayMs), order: order++, run };
    timers.add(timer);
    return () => void timers.delete(timer);
  }

  async function settle(): Promise<void> {
    for (let turns = 0; turns < 5; turns++) await new Promise((resolve) => setImmediate(resolve));
  }

  return {
    nowMs: () => nowMs,
    after,
    every(periodMs, run) {
      let cancel = after(periodMs, tick);
      function tick(): void {
        cancel = after(periodMs, tick);
        run();
      }
      return () => cancel();
    },
    async pass(ms) {
      const untilMs = nowMs + ms;
      await settle();
      for (;;) {
        const [next] = [...timers]
          .filter(({ atMs }) => atMs <= untilMs)
          .sort((a, b) => a.atMs - b.atMs || a.order - b.order);
        if (next === undefined) break;
        timers.delete(next);
        nowMs = next.atMs;
        next.run();
        await settle();
      }
      nowMs = untilMs;
    },
  };
}
