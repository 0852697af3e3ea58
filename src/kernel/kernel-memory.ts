// What both kernels work in, how large it is, and the checks before a call: inside of them nothing is checked again.
import { HEAD_BYTES, type ScanProblem } from './batch-kernel.ts';

/** Of one scan: a frame may have so many, and a user takes 3 or more of them. */
export const USERS_BYTES = 1_048_576;
export const USERS_MAX = 10_000;
/** Of one call; a byte each, or two for outcomes. */
export const CELLS_MAX = 131_072;
/** Of what one `assemble` writes. */
export const REPLY_BYTES = 1_048_576;
/** Words of a scanned user: where it begins, its bytes, where its attributes begin, their bytes. */
export const PLACE_WORDS = 4;

export interface KernelMemory {
  readonly users: Uint8Array;
  readonly places: Uint32Array;
  /** HEAD_BYTES before it are the caller's. */
  readonly cells: Uint8Array;
  /** The same bytes as `cells`, and as many cells. */
  readonly outcomes: Uint16Array;
  readonly reply: Uint8Array;
}

/** What the calls before have left behind: of the last scan, the last outcomes and the last assembly. */
export interface KernelState {
  scanned: number;
  problem: ScanProblem;
  problemUser: number;
  outcomeColumns: number;
  outcomeRows: number;
  rowsWritten: number;
}

export function createKernelState(): KernelState {
  return { scanned: 0, problem: 'truncated', problemUser: 0, outcomeColumns: 0, outcomeRows: 0, rowsWritten: 0 };
}

/** A memory of its own, for a kernel without WebAssembly. */
export function createKernelMemory(): KernelMemory {
  const cells = new ArrayBuffer(HEAD_BYTES + CELLS_MAX * 2);
  return {
    users: new Uint8Array(USERS_BYTES),
    places: new Uint32Array(USERS_MAX * PLACE_WORDS),
    cells: new Uint8Array(cells, HEAD_BYTES),
    outcomes: new Uint16Array(cells, HEAD_BYTES),
    reply: new Uint8Array(REPLY_BYTES),
  };
}

/** Throws a RangeError for what is the caller's mistake. */
export function checkScan(byteCount: number, count: number): void {
  if (!isWithin(byteCount, USERS_BYTES)) throw new RangeError(`a scan of ${byteCount} bytes`);
  if (!isWithin(count, USERS_MAX)) throw new RangeError(`a scan of ${count} users`);
}

/** The same, for rows of scanned users. @param rowCells with the padding */
export function checkRows(first: number, count: number, scanned: number, rowCells: number): void {
  if (!isWithin(first, scanned) || !isWithin(count, scanned - first)) {
    throw new RangeError(`${count} rows from ${first} on, of ${scanned} scanned users`);
  }
  if (count * rowCells > CELLS_MAX) throw new RangeError(`${count} rows of ${rowCells} cells`);
}

/** The same, for rows of the last outcomes. */
export function checkAssemble(fragmentColumns: number, first: number, count: number, state: KernelState): void {
  if (fragmentColumns !== state.outcomeColumns) {
    throw new RangeError(`fragments of ${fragmentColumns} columns for outcomes of ${state.outcomeColumns}`);
  }
  if (!isWithin(first, state.outcomeRows) || !isWithin(count, state.outcomeRows - first)) {
    throw new RangeError(`${count} rows from ${first} on, of ${state.outcomeRows} rows of outcomes`);
  }
}

/** A cell that its column has no text for: the caller filled in what is not an outcome of that flag. */
export function noOutcome(column: number): string {
  return `a cell of column ${column} holds an outcome that its flag does not have`;
}

/** Other cells take their place: until the next `outcomes` there are no rows to assemble. */
export function forgetOutcomes(state: KernelState): void {
  state.outcomeRows = 0;
}

/** Notes why a scan was refused; returns what `scan` does then. */
export function refuseScan(state: KernelState, user: number, problem: ScanProblem): number {
  state.scanned = 0;
  state.problem = problem;
  state.problemUser = user;
  return -1;
}

/** Cells of a row of `packed`, with those that fill its last byte. */
export function packedRowCells(columnCount: number): number {
  return Math.ceil(columnCount / 8) * 8;
}

function isWithin(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max;
}
