// Time as an argument, for the processes that watch other processes; and a measure of the time this process itself was
// awake, so that a watcher that was frozen does not take its own sleep for another's silence.
import { performance } from 'node:perf_hooks';

/** Stops a timer; may be called twice, and after it has fired. */
export type CancelTimer = () => void;

export interface Clock {
  /** Monotonic milliseconds; only differences mean something. */
  nowMs(): number;
  /** Runs once after `delayMs`. Keeps the process alive until then. */
  after(delayMs: number, run: () => void): CancelTimer;
  /** Runs each `periodMs`. Does not keep the process alive. */
  every(periodMs: number, run: () => void): CancelTimer;
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
  every(periodMs, run) {
    const timer = setInterval(run, periodMs);
    timer.unref();
    return () => clearInterval(timer);
  },
};

/** Resolves after `delayMs` of `clock`. */
export function delay(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => void clock.after(delayMs, resolve));
}

export interface AwakeTime {
  /** To be called each `tickMs` by a timer of this process. */
  tick(): void;
  /** Milliseconds in which this process's timers ran on time, since it was created. */
  readonly ms: number;
}

/**
 * Counts a late tick as at most two periods: what a stopped, starved or suspended process missed beyond that was its own
 * absence, and says nothing about those it watches.
 */
export function createAwakeTime(clock: Clock, tickMs: number): AwakeTime {
  let lastMs = clock.nowMs();
  let awakeMs = 0;
  return {
    tick() {
      const now = clock.nowMs();
      awakeMs += Math.min(now - lastMs, 2 * tickMs);
      lastMs = now;
    },
    get ms() {
      return awakeMs;
    },
  };
}
