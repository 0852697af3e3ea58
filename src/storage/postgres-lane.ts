// So many at once and no more; who comes later waits in order, and not for ever.
import type { Clock } from '../run/clock.ts';

export interface Lane {
  /** Resolves with what leaves the lane again, to be called once; with undefined when there was no room for so long. */
  enter(msMax: number): Promise<(() => void) | undefined>;
  readonly waiting: number;
}

export function createLane(places: number, clock: Pick<Clock, 'after'>): Lane {
  let free = places;
  const queue = new Set<() => void>();

  function leave(): void {
    const [next] = queue;
    if (next === undefined) free += 1;
    else next();
  }

  return {
    get waiting() {
      return queue.size;
    },
    enter(msMax) {
      if (free > 0) {
        free -= 1;
        return Promise.resolve(leave);
      }
      return new Promise((resolve) => {
        const cancel = clock.after(msMax, () => {
          queue.delete(go);
          resolve(undefined);
        });
        function go(): void {
          queue.delete(go);
          cancel();
          resolve(leave);
        }
        queue.add(go);
      });
    },
  };
}
