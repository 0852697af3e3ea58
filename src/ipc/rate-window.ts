// What both halves of the rate limit must agree on: the windows, and when a lease of one is good.

/** A window is a UTC minute. */
export const WINDOW_MS = 60_000;

/** Leases are good until this long before their window's end, so that none lets a request through in the next one. */
export const LEASE_GUARD_MS = 20;

/** The end of the window that `nowMs` lies in; both in ms since 1970. */
export function windowEnd(nowMs: number): number {
  return Math.floor(nowMs / WINDOW_MS) * WINDOW_MS + WINDOW_MS;
}

/** Requests a worker may let through in a window on its own, while there is no primary. */
export function shareOf(limit: number, workers: number): number {
  return Math.max(1, Math.floor(limit / workers));
}
