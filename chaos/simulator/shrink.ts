// Leaves out of a schedule that failed whatever it does not need to fail in the same way.
import { type Failure, runSchedules } from './run.ts';
import type { Break } from './wiring.ts';

/** Indexes of the steps that are needed, in order. `count`: of all its steps. */
export async function shrink(failure: Failure, count: number, broken: Break | undefined): Promise<readonly number[]> {
  const { seed, rule } = failure;
  let needed = Array.from({ length: count }, (_, index) => index);
  for (let size = Math.ceil(count / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = needed.length - size; at > -size; at -= size) {
      const fewer = needed.filter((_, index) => index < at || index >= at + size);
      const only = new Set(fewer);
      const { failures } = await runSchedules({ schedules: 1, seed, broken, only });
      if (failures[0]?.rule === rule) needed = fewer;
    }
  }
  return needed;
}
