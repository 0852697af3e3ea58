// Virtual time. What happens is a list of events in order; each belongs to a process that may be frozen (then it happens
// when that goes on) or dead (then it never happens).
import type { CancelTimer, Clock } from '../../src/run/clock.ts';

/** Whose event it is. A process that starts again is another one. */
export interface Process {
  readonly name: string;
  alive: boolean;
  frozenUntilMs: number;
}

interface Event {
  atMs: number;
  order: number;
  readonly process: Process | undefined;
  readonly run: () => void;
  cancelled: boolean;
}

export interface Timeline {
  readonly nowMs: number;
  /** `process` undefined: of the world, which nothing stops. */
  after(delayMs: number, process: Process | undefined, run: () => void): CancelTimer;
  clockOf(process: Process): Clock;
  /** Runs the next event; false: there is none. */
  next(): boolean;
}

export function createTimeline(): Timeline {
  /** The next one is the last. */
  const events: Event[] = [];
  let nowMs = 0;
  let orders = 0;

  function insert(event: Event): void {
    let at = events.length;
    // Those at the same time keep their order.
    while (at > 0 && isBefore(events[at - 1] as Event, event)) at--;
    events.splice(at, 0, event);
  }

  function after(delayMs: number, process: Process | undefined, run: () => void): CancelTimer {
    const event = { atMs: nowMs + Math.max(0, delayMs), order: ++orders, process, run, cancelled: false };
    insert(event);
    return () => {
      event.cancelled = true;
    };
  }

  return {
    get nowMs() {
      return nowMs;
    },
    after,
    clockOf: (process) => ({
      nowMs: () => nowMs,
      after: (delayMs, run) => after(delayMs, process, run),
      every(periodMs, run) {
        let cancel: CancelTimer;
        const again = (): void => {
          cancel = after(periodMs, process, again);
          run();
        };
        cancel = after(periodMs, process, again);
        return () => cancel();
      },
    }),
    next() {
      for (;;) {
        const event = events.pop();
        if (event === undefined) return false;
        if (event.cancelled || event.process?.alive === false) continue;
        nowMs = Math.max(nowMs, event.atMs);
        if (event.process !== undefined && event.process.frozenUntilMs > nowMs) {
          event.atMs = event.process.frozenUntilMs;
          insert(event);
          continue;
        }
        event.run();
        return true;
      }
    },
  };
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
