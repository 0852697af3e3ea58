// Work that may take long is done in slices, so that requests and heartbeats go on between them.

/** Longest a slice keeps the loop, in milliseconds (design, section 2, Swap: at most 5 ms). */
const SLICE_MS_MAX = 4;

export interface Slices {
  /** Await this between steps that each take well under a millisecond; it gives the loop away when the slice is over. */
  pause(): Promise<void> | undefined;
}

export function createSlices(): Slices {
  let startedAt = performance.now();
  return {
    pause() {
      if (performance.now() - startedAt < SLICE_MS_MAX) return undefined;
      return new Promise((resolve) => {
        setImmediate(() => {
          startedAt = performance.now();
          resolve();
        });
      });
    },
  };
}
