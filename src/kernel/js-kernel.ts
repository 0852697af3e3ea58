// Hot path.
// The kernel without WebAssembly: the same images, the same bytes out. It serves where the other one cannot be loaded,
// and for an image that is larger than the other's arena.
import type { Columns } from './batch-columns.ts';
import type { Fragments } from './batch-fragments.ts';
import type { BatchKernel } from './batch-kernel.ts';
import {
  CELL_ENABLED_SHIFT,
  CELL_OUTCOME_SHIFT,
  ENABLED_TEMPLATE_WORD,
  OUTCOMES_TEMPLATE_WORD,
  VARIANTS_TEMPLATE_WORD,
} from './columns-layout.ts';
import { ENTRY_WORDS, FIRST_ENTRIES_WORD } from './fragments-layout.ts';
import { decideRow } from './js-row.ts';
import {
  CELLS_MAX,
  checkAssemble,
  checkRows,
  checkScan,
  createKernelMemory,
  createKernelState,
  forgetOutcomes,
  type KernelMemory,
  type KernelState,
  noOutcome,
  PLACE_WORDS,
  packedRowCells,
  refuseScan,
  USERS_MAX,
} from './kernel-memory.ts';
import { isUtf8 } from './utf8.ts';

const COMMA = 0x2c;

/**
 * @param memory and `state` of the kernel that hands images over that are too large for it; else there is nobody to
 * share with
 */
export function createJsKernel(
  memory: KernelMemory = createKernelMemory(),
  state: KernelState = createKernelState(),
): BatchKernel {
  const { users, places, cells, outcomes, reply } = memory;
  // A row of `packed` before its cells become bits.
  let row = new Uint8Array(0);

  return {
    name: 'js',
    users,
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
      let at = 0;
      for (let user = 0; user < count; user++) {
        if (at + 2 > byteCount) return refuseScan(state, user, 'truncated');
        const length = (users[at] as number) | ((users[at + 1] as number) << 8);
        at += 2;
        if (length === 0) return refuseScan(state, user, 'empty');
        if (length > byteCount - at) return refuseScan(state, user, 'truncated');
        if (!isUtf8(users, at, at + length)) return refuseScan(state, user, 'not-utf8');
        const place = user * PLACE_WORDS;
        places[place] = at;
        places[place + 1] = length;
        at += length;
        let attributesLength = 0;
        if (withAttributes) {
          if (at + 4 > byteCount) return refuseScan(state, user, 'truncated');
          attributesLength = wordAt(users, at);
          at += 4;
          if (attributesLength > byteCount - at) return refuseScan(state, user, 'truncated');
        }
        places[place + 2] = at;
        places[place + 3] = attributesLength;
        at += attributesLength;
      }
      state.scanned = count;
      return at;
    },
    userAt: (user) => places[user * PLACE_WORDS] as number,
    userBytes: (user) => places[user * PLACE_WORDS + 1] as number,
    attributesAt: (user) => places[user * PLACE_WORDS + 2] as number,
    attributesBytes: (user) => places[user * PLACE_WORDS + 3] as number,
    variants(columns, first, count) {
      checkRows(first, count, state.scanned, columns.count);
      forgetOutcomes(state);
      const words = wordsOf(columns);
      const template = words[VARIANTS_TEMPLATE_WORD] as number;
      for (let i = 0; i < count; i++) {
        const at = i * columns.count;
        copyRow(columns.image, template, cells, at, columns.count);
        decide(words, first + i, cells, at, 0);
      }
      return cells.subarray(0, count * columns.count);
    },
    packed(columns, first, count) {
      const rowCells = packedRowCells(columns.count);
      checkRows(first, count, state.scanned, rowCells);
      forgetOutcomes(state);
      const words = wordsOf(columns);
      if (row.length < rowCells) row = new Uint8Array(rowCells);
      const template = words[ENABLED_TEMPLATE_WORD] as number;
      for (let i = 0; i < count; i++) {
        // With the zeros behind it.
        copyRow(columns.image, template, row, 0, rowCells);
        decide(words, first + i, row, 0, CELL_ENABLED_SHIFT);
        packRow(row, rowCells, cells, (i * rowCells) >> 3);
      }
      return cells.subarray(0, (count * rowCells) >> 3);
    },
    outcomes(columns, first, count) {
      checkRows(first, count, state.scanned, columns.count);
      const words = wordsOf(columns);
      const template = new Uint16Array(words.buffer, words.byteOffset + (words[OUTCOMES_TEMPLATE_WORD] as number));
      for (let i = 0; i < count; i++) {
        const at = i * columns.count;
        copyRow(template, 0, outcomes, at, columns.count);
        decide(words, first + i, outcomes, at, CELL_OUTCOME_SHIFT);
      }
      state.outcomeColumns = columns.count;
      state.outcomeRows = count;
      return outcomes.subarray(0, count * columns.count);
    },
    assemble(fragments, first, count, open, close) {
      checkAssemble(fragments.count, first, count, state);
      const words = wordsOf(fragments);
      let at = 0;
      let i = 0;
      for (; i < count; i++) {
        const end = writeRow(fragments, words, (first + i) * fragments.count, i === 0 ? 0 : COMMA, at, open, close);
        if (end < 0) break;
        at = end;
      }
      state.rowsWritten = i;
      return reply.subarray(0, at);
    },
  };

  function decide(
    words: Uint32Array,
    user: number,
    target: Uint8Array | Uint16Array,
    at: number,
    cellShift: number,
  ): void {
    const place = user * PLACE_WORDS;
    decideRow(words, users, places[place] as number, places[place + 1] as number, target, at, cellShift);
  }

  /** Where the row ends in `reply`; -1 when it does not fit. */
  function writeRow(
    fragments: Fragments,
    words: Uint32Array,
    cell: number,
    comma: number,
    start: number,
    open: number,
    close: number,
  ): number {
    const { count, image } = fragments;
    const entriesWord = FIRST_ENTRIES_WORD + count + 1;
    let at = start;
    if ((comma === 0 ? 2 : 3) > reply.length - at) return -1;
    if (comma !== 0) reply[at++] = comma;
    reply[at++] = open;
    for (let column = 0; column < count; column++) {
      const entry = (words[FIRST_ENTRIES_WORD + column] as number) + (outcomes[cell + column] as number);
      if (entry >= (words[FIRST_ENTRIES_WORD + column + 1] as number)) throw new RangeError(noOutcome(column));
      let from = words[entriesWord + entry * ENTRY_WORDS] as number;
      const bytes = words[entriesWord + entry * ENTRY_WORDS + 1] as number;
      // With the comma before it, and room for the close.
      if (bytes + (column === 0 ? 1 : 2) > reply.length - at) return -1;
      if (column !== 0) reply[at++] = COMMA;
      for (const end = from + bytes; from < end; from++) reply[at++] = image[from] as number;
    }
    reply[at++] = close;
    return at;
  }
}

function wordsOf({ image }: Columns | Fragments): Uint32Array {
  return new Uint32Array(image.buffer, image.byteOffset, image.length >> 2);
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)) >>>
    0
  );
}

function copyRow(
  from: Uint8Array | Uint16Array,
  fromAt: number,
  to: Uint8Array | Uint16Array,
  toAt: number,
  cellCount: number,
): void {
  for (let i = 0; i < cellCount; i++) to[toAt + i] = from[fromAt + i] as number;
}

/** Eight cells a byte, the first the lowest bit. */
function packRow(row: Uint8Array, cellCount: number, to: Uint8Array, toAt: number): void {
  let at = toAt;
  for (let i = 0; i < cellCount; i += 8) {
    let bits = 0;
    for (let bit = 0; bit < 8; bit++) bits |= (row[i + bit] as number) & (1 << bit);
    to[at++] = bits;
  }
}
