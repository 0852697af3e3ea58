// A list of flags as the kernel reads it: made once for a snapshot, copied into its memory as it is.
import type { CompiledFlag } from '../core/compiled.ts';

export interface Columns {
  /** Columns, in the order of the list they were made from. */
  readonly count: number;
  /** In native/README.md is what stands where. */
  readonly image: Uint8Array;
  /** Columns that the kernel does not decide: flags with targets, rules, prerequisites or a bucket of an attribute. */
  readonly forEvaluator: Uint32Array;
}

/** @param flags undefined: a column without a flag, which answers 255 */
export function makeColumns(_flags: readonly (CompiledFlag | undefined)[]): Columns {
  throw new Error('to be written');
}
