// The kernel that a worker evaluates its batches with: the one in WebAssembly, when it can be loaded and agrees with the
// reference; else the one in JavaScript.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { BatchKernel } from './batch-kernel.ts';
import { createJsKernel } from './js-kernel.ts';
import { findDisagreement } from './kernel-agreement.ts';
import { createWasmKernel, type KernelExports } from './wasm-kernel.ts';

export interface CreatedKernel {
  readonly kernel: BatchKernel;
  /** Why it is not the kernel in WebAssembly, for one line in the log; undefined when it is. */
  readonly warning: string | undefined;
}

/** From src/ and from dist/ alike this is the repository's folder. */
const KERNEL_FILE = fileURLToPath(new URL('../../native/kernel.wasm', import.meta.url));

// Node has it; its types are those of a browser.
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
};

/**
 * Never throws: whatever is wrong with the file, or with what it answers, batches are served.
 * @param file another module, for tests
 */
export function createBatchKernel(file: string = KERNEL_FILE): CreatedKernel {
  let why: string | undefined;
  try {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(file)));
    const kernel = createWasmKernel(exports as KernelExports);
    why = findDisagreement(kernel);
    if (why === undefined) return { kernel, warning: undefined };
  } catch (error) {
    why = error instanceof Error ? error.message : String(error);
  }
  return { kernel: createJsKernel(), warning: `batches are evaluated in JavaScript, several times slower: ${why}` };
}
