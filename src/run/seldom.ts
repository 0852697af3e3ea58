// Tells the operator of what goes on for a while: when it begins, and each minute from then on.
import type { Clock } from './clock.ts';

const EVERY_MS = 60_000;

export interface Seldom {
  say(fields: object, message: string): void;
  /** It is over: the next time is a beginning. True when something had been said. */
  over(): boolean;
}

export function createSeldom(clock: Clock, warn: (fields: object, message: string) => void): Seldom {
  let saidAtMs: number | undefined;
  return {
    say(fields, message) {
      const now = clock.nowMs();
      if (saidAtMs !== undefined && now - saidAtMs < EVERY_MS) return;
      saidAtMs = now;
      warn(fields, message);
    },
    over() {
      const wasSaid = saidAtMs !== undefined;
      saidAtMs = undefined;
      return wasSaid;
    },
  };
}
