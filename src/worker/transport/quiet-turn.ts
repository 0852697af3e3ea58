// A moment at which the kernel has nothing for this process: whatever is closed then takes the fewest unread bytes and
// unaccepted connections along.

/** A turn of the event loop that took less had nothing to read or accept. */
const QUIET_TURN_MS = 0.05;
/** In a busy process every turn has something: the longer it takes, the longer a turn is good enough, per millisecond. */
const PATIENCE = 0.005;
/** A process that is never quiet for that long is too busy to wait for it. */
const WAIT_MS_MAX = 250;
/** How often a drain looks whether the connections are gone. */
const DRAIN_LOOK_MS = 10;

/** Resolves right after a turn of the event loop in which nothing came, at the latest after a quarter of a second. */
export function quietTurn(): Promise<void> {
  const startedMs = performance.now();
  let lastMs = Number.NEGATIVE_INFINITY;
  return new Promise((resolve) => {
    function look(): void {
      const nowMs = performance.now();
      const waitedMs = nowMs - startedMs;
      if (nowMs - lastMs < QUIET_TURN_MS + waitedMs * PATIENCE || waitedMs > WAIT_MS_MAX) return resolve();
      lastMs = nowMs;
      // Comes after the poll of the next turn, which does not wait for anything then.
      setImmediate(look);
      return undefined;
    }
    setImmediate(look);
  });
}

/** Resolves once `holds` does; it is given Date.now(). */
export function until(holds: (nowMs: number) => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = setInterval(() => {
      if (!holds(Date.now())) return;
      clearInterval(look);
      resolve();
    }, DRAIN_LOOK_MS);
  });
}
