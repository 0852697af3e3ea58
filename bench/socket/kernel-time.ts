// What the kernel alone takes for a frame, in this process: the part of a worker's time that is evaluation.
import type { CompiledFlag } from '../../src/core/compiled.ts';
import { makeColumns } from '../../src/kernel/batch-columns.ts';
import { createBatchKernel } from '../../src/kernel/create-batch-kernel.ts';

const MEASURED_MICROS = 500_000;
const WARM_UP_FRAMES = 2000;
const FRAMES_BETWEEN_LOOKS = 100;

/**
 * Microseconds for one frame.
 * @param users as in a request of op 1: each with its length before it
 */
export function kernelMicros(
  flags: readonly CompiledFlag[],
  users: Uint8Array,
  userCount: number,
  packed: boolean,
): number {
  const { kernel, warning } = createBatchKernel();
  if (warning !== undefined) console.log(`NOTE: ${warning}`);
  const columns = makeColumns(flags);
  const run = (): void => {
    kernel.users.set(users);
    if (kernel.scan(users.length, userCount, false) < 0) throw new Error(`users are ${kernel.problem}`);
    if (packed) kernel.packed(columns, 0, userCount);
    else kernel.variants(columns, 0, userCount);
  };
  for (let i = 0; i < WARM_UP_FRAMES; i++) run();
  // CPU time, as that of the worker is: others may have this core too.
  const before = process.cpuUsage();
  let frames = 0;
  let tookMicros = 0;
  while (tookMicros < MEASURED_MICROS) {
    for (let i = 0; i < FRAMES_BETWEEN_LOOKS; i++) run();
    frames += FRAMES_BETWEEN_LOOKS;
    const { user, system } = process.cpuUsage(before);
    tookMicros = user + system;
  }
  return tookMicros / frames;
}
