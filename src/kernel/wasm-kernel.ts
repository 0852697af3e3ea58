// Hot path.
// The kernel in WebAssembly: native/kernel.wasm. Its memory is fixed; images are copied into an arena of it when they
// are first used, and stay until it is full. Every bound is checked here before a call.
import type { BatchKernel, ScanProblem } from './batch-kernel.ts';
import { createJsKernel } from './js-kernel.ts';
import {
  CELLS_MAX,
  checkAssemble,
  checkRows,
  checkScan,
  createKernelState,
  forgetOutcomes,
  type KernelMemory,
  noOutcome,
  PLACE_WORDS,
  packedRowCells,
  REPLY_BYTES,
  refuseScan,
  USERS_BYTES,
  USERS_MAX,
} from './kernel-memory.ts';

interface ExportedNumber {
  readonly value: number;
}

/** As the module exports them; the numbers are where areas of its memory begin, in bytes. */
export interface KernelExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly USERS_AT: ExportedNumber;
  readonly PLACES_AT: ExportedNumber;
  readonly CELLS_AT: ExportedNumber;
  readonly REPLY_AT: ExportedNumber;
  readonly ARENA_AT: ExportedNumber;
  readonly ARENA_BYTES: ExportedNumber;
  scan(byteCount: number, count: number, withAttributes: number): number;
  variants(image: number, first: number, count: number): void;
  packed(image: number, first: number, count: number): void;
  outcomes(image: number, first: number, count: number): void;
  assemble(image: number, first: number, count: number, open: number, close: number): number;
  rowsWritten(): number;
}

const PROBLEMS: readonly ScanProblem[] = ['truncated', 'truncated', 'empty', 'not-utf8'];
const IMAGE_ALIGNMENT = 16;

/** @param native an instance of native/kernel.wasm */
export function createWasmKernel(native: KernelExports): BatchKernel {
  const memory = memoryOf(native);
  const state = createKernelState();
  const { cells, outcomes, reply } = memory;
  const place = createArena(native);
  // Takes images that are larger than the arena, in the same memory.
  const js = createJsKernel(memory, state);

  return {
    name: 'wasm',
    users: memory.users,
    usersMax: USERS_MAX,
    cellsMax: CELLS_MAX,
    get problem() {
      return state.problem;
    },
    get problemUser() {
      return state.problemUser;
    },
    get rowsWritten() {
      return state.rowsWritten;
    },
    scan(byteCount, count, withAttributes) {
      checkScan(byteCount, count);
      const taken = native.scan(byteCount, count, withAttributes ? 1 : 0);
      if (taken < 0) return refuseScan(state, -taken >> 2, PROBLEMS[-taken & 3] as ScanProblem);
      state.scanned = count;
      return taken;
    },
    userAt: js.userAt,
    userBytes: js.userBytes,
    attributesAt: js.attributesAt,
    attributesBytes: js.attributesBytes,
    variants(columns, first, count) {
      checkRows(first, count, state.scanned, columns.count);
      forgetOutcomes(state);
      const image = place(columns.image);
      if (image < 0) return js.variants(columns, first, count);
      native.variants(image, first, count);
      return cells.subarray(0, count * columns.count);
    },
    packed(columns, first, count) {
      const rowCells = packedRowCells(columns.count);
      checkRows(first, count, state.scanned, rowCells);
      forgetOutcomes(state);
      const image = place(columns.image);
      if (image < 0) return js.packed(columns, first, count);
      native.packed(image, first, count);
      return cells.subarray(0, (count * rowCells) >> 3);
    },
    outcomes(columns, first, count) {
      checkRows(first, count, state.scanned, columns.count);
      const image = place(columns.image);
      if (image < 0) return js.outcomes(columns, first, count);
      native.outcomes(image, first, count);
      state.outcomeColumns = columns.count;
      state.outcomeRows = count;
      return outcomes.subarray(0, count * columns.count);
    },
    assemble(fragments, first, count, open, close) {
      checkAssemble(fragments.count, first, count, state);
      const image = place(fragments.image);
      if (image < 0) return js.assemble(fragments, first, count, open, close);
      const written = native.assemble(image, first, count, open, close);
      if (written < 0) throw new RangeError(noOutcome(-1 - written));
      state.rowsWritten = native.rowsWritten();
      return reply.subarray(0, written);
    },
  };
}

/** Views of the kernel's memory, which is fixed, so that they stay good. Cold: once a process. */
function memoryOf(native: KernelExports): KernelMemory {
  const buffer = native.memory.buffer;
  return {
    users: new Uint8Array(buffer, native.USERS_AT.value, USERS_BYTES),
    places: new Uint32Array(buffer, native.PLACES_AT.value, USERS_MAX * PLACE_WORDS),
    cells: new Uint8Array(buffer, native.CELLS_AT.value, CELLS_MAX * 2),
    outcomes: new Uint16Array(buffer, native.CELLS_AT.value, CELLS_MAX),
    reply: new Uint8Array(buffer, native.REPLY_AT.value, REPLY_BYTES),
  };
}

/** Where in the kernel's memory an image is, in bytes; -1: it is larger than the arena. */
type Place = (image: Uint8Array) => number;

/** Images lie one behind the other in the order of their first use; when the next one has no room, all are dropped. */
function createArena(native: KernelExports): Place {
  const arenaBytes = native.ARENA_BYTES.value;
  const arena = new Uint8Array(native.memory.buffer, native.ARENA_AT.value, arenaBytes);
  let placed = new WeakMap<Uint8Array, number>();
  let used = 0;
  return (image) => {
    const known = placed.get(image);
    if (known !== undefined) return known;
    if (image.length > arenaBytes) return -1;
    if (image.length > arenaBytes - used) {
      placed = new WeakMap();
      used = 0;
    }
    arena.set(image, used);
    const at = arena.byteOffset + used;
    placed.set(image, at);
    used += Math.ceil(image.length / IMAGE_ALIGNMENT) * IMAGE_ALIGNMENT;
    return at;
  };
}
