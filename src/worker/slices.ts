// Work that may take long is done in slices, so that requests and heartbeats go on between them.

/** Longest a slice keeps the loop, in milliseconds (design, section 2, Swap: at most 5 ms). */
const SLICE_MS_MAX = 4;

export interface Slices {
  /** Await this between steps that each take well under a millisecond; it gives the loop away when the slice is over. */
  pause(): Promise<void> | undefined;
}

/** `now`: milliseconds that only grow. */
export function createSlices(now: () => number = () => performance.now()): Slices {
  let startedAt = now();
  return {
    pause() {
      if (now() - startedAt < SLICE_MS_MAX) return undefined;
      return new Promise((resolve) => {
        setImmediate(() => {
          startedAt = now();
          resolve();
        });
      });
    },
  };
}
