// What evaluates whole batches: many users against many flags in one call, for everything that a bucket alone decides.
// Two implement it: wasm-kernel.ts on native/, and js-kernel.ts, which needs no WebAssembly. Both give the same bytes.
import type { Columns } from './batch-columns.ts';
import type { Fragments } from './batch-fragments.ts';

/** Why `scan` refuses: what is wrong with the user `problemUser`. */
export type ScanProblem = 'truncated' | 'empty' | 'not-utf8';

/**
 * One at a time: what a call returns is a view of the kernel's memory and good until the next call of any method.
 * Cells are row-major: a row is a user, a column a flag.
 */
export interface BatchKernel {
  readonly name: 'wasm' | 'js';
  /**
   * Where users go before `scan`, one behind the other as on the wire: u16 length (little-endian), that many UTF-8 bytes;
   * with attributes then u32 length and that many bytes. Its length is the capacity.
   */
  readonly users: Uint8Array;
  /** Users of one scan at most. */
  readonly usersMax: number;
  /** Cells of one call of `variants`, `packed` or `outcomes` at most, rows padded to whole bytes counted as such. */
  readonly cellsMax: number;
  /**
   * Finds `count` users in the first `byteCount` bytes of `users` and checks that each has 1 to 65,535 bytes of UTF-8.
   * Attributes are only found. Returns how many bytes they take; -1: refused, see `problem` and `problemUser`.
   */
  scan(byteCount: number, count: number, withAttributes: boolean): number;
  readonly problem: ScanProblem;
  readonly problemUser: number;
  /** Of a scanned user: where its bytes and its attributes begin in `users`, and how many there are. */
  userAt(user: number): number;
  userBytes(user: number): number;
  attributesAt(user: number): number;
  attributesBytes(user: number): number;
  /**
   * For the scanned users [first, first + count): a byte a cell, the index into the flag's `variants`, 255 where there is
   * no flag. Columns that need the evaluator hold 255 and are for the caller to fill in. The 24 bytes before the view
   * belong to it too: a reply's head can be written there.
   */
  variants(columns: Columns, first: number, count: number): Uint8Array;
  /** The same, a bit a cell (`enabled`), least significant first, rows padded to a byte. */
  packed(columns: Columns, first: number, count: number): Uint8Array;
  /** The same, the index into the flag's `outcomes`; where there is no flag, and for the evaluator's columns, 0. */
  outcomes(columns: Columns, first: number, count: number): Uint16Array;
  /**
   * JSON for the rows [first, first + count) of the last `outcomes` (0 is its first), as the caller has filled them in:
   * each row is `open`, the fragments of its cells with commas between, `close`; commas between rows. As many rows as
   * fit: see `rowsWritten`; none when not even one does. Throws a RangeError for a cell that is no outcome of its flag,
   * and when other cells were asked for since `outcomes`.
   * @param open ASCII, `{` or `[`
   */
  assemble(fragments: Fragments, first: number, count: number, open: number, close: number): Uint8Array;
  readonly rowsWritten: number;
}

/** Bytes before the view that `variants` and `packed` return. */
export const HEAD_BYTES = 24;
