// Randomness that can be had again: the same seed makes the same run.

export interface Random {
  /** 0 to below 1. */
  float(): number;
  /** 0 to `max - 1`. */
  below(max: number): number;
  pick<T>(values: readonly T[]): T;
}

/** mulberry32. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const float = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (max: number): number => Math.floor(float() * max);
  return { float, below, pick: (values) => values[below(values.length)] as (typeof values)[number] };
}
