// Copies the prepared texts of rows of outcomes into a reply.
import { CELLS_AT, REPLY_AT, REPLY_BYTES } from './layout';

const COMMA: u32 = 0x2c;
/** Longer texts are worth the call of a copy; below, pieces of 16 bytes are faster. */
const PIECES_BYTES_MAX: u32 = 256;

/** Rows written by the last call. */
let rows: u32 = 0;

export function rowsWritten(): u32 {
  return rows;
}

/** Bytes written; below 0: the cell of column -(1 + column) holds what is no outcome of its flag. */
export function assemble(image: u32, first: u32, count: u32, open: u32, close: u32): i32 {
  const columns = load<u32>(image);
  const firstEntries = image + 4;
  const entries = firstEntries + ((columns + 1) << 2);
  const end = REPLY_AT + REPLY_BYTES;
  let cell = CELLS_AT + ((first * columns) << 1);
  let written = REPLY_AT;
  rows = 0;
  for (let row: u32 = 0; row < count; row++) {
    let at = written;
    if (end - at < select<u32>(2, 3, row === 0)) break;
    if (row !== 0) store<u8>(at++, COMMA);
    store<u8>(at++, open);
    for (let column: u32 = 0; column < columns; column++) {
      const entry = load<u32>(firstEntries + (column << 2)) + load<u16>(cell);
      if (entry >= load<u32>(firstEntries + (column << 2), 4)) return -1 - (column as i32);
      const text = image + load<u32>(entries + (entry << 3));
      const bytes = load<u32>(entries + (entry << 3), 4);
      // With the comma before it, and room for the close.
      if (bytes + select<u32>(1, 2, column === 0) > end - at) return written - REPLY_AT;
      if (column !== 0) store<u8>(at++, COMMA);
      copyText(text, at, bytes);
      at += bytes;
      cell += 2;
    }
    store<u8>(at++, close);
    written = at;
    rows++;
  }
  return written - REPLY_AT;
}

/** Up to 15 bytes too many: what is behind a text is written after it, or is slack. */
function copyText(from: u32, to: u32, bytes: u32): void {
  if (bytes > PIECES_BYTES_MAX) {
    memory.copy(to, from, bytes);
    return;
  }
  for (let i: u32 = 0; i < bytes; i += 16) v128.store(to + i, v128.load(from + i));
}
