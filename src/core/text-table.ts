// Hot path.
// A finite automaton that reads a text once, character by character (code points; a lone surrogate is one), and says
// whether what it looks for is in it. It is complete when it is published: searching builds nothing, allocates nothing
// and takes the same few nanoseconds for every character, whatever the pattern and the text are.

/**
 * Rows are states, columns are classes of characters, one more for the end of the text. A state is the offset of its
 * row: 0 is the state that can find nothing any more, `width` the one that has found it.
 */
export interface TextTable {
  readonly next: Uint16Array;
  /** Columns of a row. The last one is the end of the text. */
  readonly width: number;
  readonly start: number;
  /** The classes of U+0000 to U+00FF. */
  readonly latin: Uint8Array;
  /** Which page of `pages` holds the classes of 256 code points, by the upper bits of a code point. */
  readonly pageOf: Uint16Array;
  readonly pages: Uint8Array;
}

export const LOST = 0;

/** A state is an offset into the table, kept in 16 bits. */
export const TABLE_ENTRIES_MAX = 65_536;

/** Whether the text holds what the table looks for. */
export function isFoundIn(text: string, table: TextTable): boolean {
  const { next, width, latin } = table;
  const length = text.length;
  let state = table.start;
  for (let i = 0; i < length && state > width; i++) {
    let code = text.charCodeAt(i);
    if (code < 256) {
      state = next[state + (latin[code] as number)] as number;
      continue;
    }
    if (code >= 0xd800 && code < 0xdc00) {
      const low = text.charCodeAt(i + 1);
      if (low >= 0xdc00 && low <= 0xdfff) {
        code = (code - 0xd800) * 0x400 + (low - 0xdc00) + 0x10000;
        i++;
      }
    }
    const page = table.pageOf[code >> 8] as number;
    state = next[state + (table.pages[page * 256 + (code & 0xff)] as number)] as number;
  }
  if (state <= width) return state === width;
  return next[state + width - 1] === width;
}
