// The places workers take, numbered from 1, and how long a place stays empty after its worker died: not at all the first
// time, then longer and longer while its workers die young.
import type { Clock } from '../run/clock.ts';
import type { SupervisorTiming } from './supervisor-timing.ts';

export interface Slots {
  /** Takes `wish` if it is free, else the lowest free slot; undefined when there is none. */
  take(wish: number): number | undefined;
  /** Gives a slot back after its worker lived for `livedMs`. */
  free(slot: number, livedMs: number): void;
  /** Free slots whose pause is over, lowest first. */
  due(): readonly number[];
  /** The lowest free slot, its pause over or not. */
  lowestFree(): number | undefined;
}

interface Slot {
  taken: boolean;
  quickDeaths: number;
  dueMs: number;
}

export function createSlots(
  count: number,
  clock: Pick<Clock, 'nowMs'>,
  timing: Pick<SupervisorTiming, 'restartMsMin' | 'restartMsMax' | 'longLifeMs'>,
): Slots {
  const slots = new Map<number, Slot>();
  for (let number = 1; number <= count; number++) {
    slots.set(number, { taken: false, quickDeaths: 0, dueMs: Number.NEGATIVE_INFINITY });
  }
  const lowestFree = (): number | undefined => [...slots].find(([, slot]) => !slot.taken)?.[0];
  return {
    lowestFree,
    take(wish) {
      const wished = slots.get(wish);
      const number = wished?.taken === false ? wish : lowestFree();
      const slot = number === undefined ? undefined : slots.get(number);
      if (slot !== undefined) slot.taken = true;
      return number;
    },
    free(number, livedMs) {
      const slot = slots.get(number);
      if (slot === undefined) return;
      slot.taken = false;
      if (livedMs >= timing.longLifeMs) slot.quickDeaths = 0;
      const pauseMs = slot.quickDeaths === 0 ? 0 : timing.restartMsMin * 2 ** (slot.quickDeaths - 1);
      slot.dueMs = clock.nowMs() + Math.min(pauseMs, timing.restartMsMax);
      slot.quickDeaths = Math.min(slot.quickDeaths + 1, 30);
    },
    due() {
      const now = clock.nowMs();
      return [...slots].filter(([, slot]) => !slot.taken && now >= slot.dueMs).map(([number]) => number);
    },
  };
}
