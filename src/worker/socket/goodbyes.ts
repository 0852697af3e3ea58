// How the clients of a worker leave it: each is told when to come back, can use its connection until then, and is closed
// at that time, so that those that only see the close are spread as well as those that heed the message.
import type { CancelTimer, Clock } from '../../run/clock.ts';
import type { Slices } from '../slices.ts';
import { CLOSE } from './connection.ts';
import type { LiveConnection } from './live-connection.ts';

/** When the first and the last one goes: all of a worker's clients lose it, and must not arrive elsewhere at once. */
const FIRST_MS = 500;
const LAST_MS = 5000;
/** After the last one's time even what has something in flight is closed. */
const LAST_ANSWERS_MS = 5000;
/** How often those whose time has come are closed. */
const LOOK_MS = 20;

const REASON = 'the server is stopping';

type Leaving = Pick<LiveConnection, 'goodbye' | 'leave' | 'close'>;

export interface Goodbyes {
  /** Once. All are closed within `msMax`; where that is short, they follow each other faster. */
  begin(connections: Iterable<Leaving>, msMax: number): void;
  /** Ends the timers. May be called twice. */
  close(): void;
}

interface Going {
  readonly connection: Leaving;
  readonly atMs: number;
}

export function createGoodbyes(deps: {
  readonly clock: Clock;
  /** From 0 to below 1. */
  readonly random: () => number;
  /** Sending and closing ten thousand takes some time, in which others are answered and the heart beats. */
  readonly slices: () => Slices;
}): Goodbyes {
  const { clock, random } = deps;
  const cancels: CancelTimer[] = [];
  /** The next one to go is the last. */
  let going: Going[] = [];
  let isLettingGo = false;

  async function tell(connections: readonly Leaving[], lastMs: number): Promise<void> {
    const firstMs = Math.min(FIRST_MS, lastMs / 2);
    const told: Going[] = [];
    const slices = deps.slices();
    for (const connection of connections) {
      const waitMs = Math.floor(firstMs + random() * (lastMs - firstMs));
      if (connection.goodbye(`{"type":"goodbye","reconnect_after_ms":${waitMs}}`))
        told.push({ connection, atMs: clock.nowMs() + waitMs });
      else connection.close(CLOSE.goingAway, REASON);
      const pause = slices.pause();
      if (pause !== undefined) await pause;
    }
    going = told.sort((a, b) => b.atMs - a.atMs);
  }

  async function letGo(): Promise<void> {
    if (isLettingGo) return;
    isLettingGo = true;
    const nowMs = clock.nowMs();
    const slices = deps.slices();
    for (let next = going.at(-1); next !== undefined && next.atMs <= nowMs; next = going.at(-1)) {
      going.pop();
      next.connection.leave();
      const pause = slices.pause();
      if (pause !== undefined) await pause;
    }
    isLettingGo = false;
  }

  return {
    begin(connections, msMax) {
      const all = [...connections];
      const lastMs = Math.min(LAST_MS, msMax);
      void tell(all, lastMs);
      const end = (): void => {
        for (const connection of all) connection.close(CLOSE.goingAway, REASON);
      };
      cancels.push(
        clock.every(LOOK_MS, () => void letGo()),
        clock.after(Math.min(lastMs + LAST_ANSWERS_MS, msMax), end),
      );
    },
    close() {
      for (const cancel of cancels) cancel();
    },
  };
}
