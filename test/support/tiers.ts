// What a sync loop has where nothing but the store is looked at.
import { systemClock } from '../../src/run/clock.ts';

export const withoutTiers = {
  prepareStore: undefined,
  hotCopy: undefined,
  file: undefined,
  clock: systemClock,
  wallClock: Date.now,
} as const;
