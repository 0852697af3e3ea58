// What each outcome of each flag of a list adds to a JSON reply, as bytes, laid out for the kernel.
import { ENTRY_WORDS, FIRST_ENTRIES_WORD, FRAGMENT_COLUMNS_WORD, TEXT_SLACK_BYTES } from './fragments-layout.ts';

export interface Fragments {
  readonly count: number;
  /** Of one row, when every column has its longest text; with its commas and brackets. */
  readonly rowBytesMax: number;
  /** In native/README.md is what stands where. */
  readonly image: Uint8Array;
}

/**
 * @param columns for each column the text of each outcome, by the outcome's index; a column without a flag has one text
 * @param bytesMax undefined is returned when the image would be larger
 */
export function makeFragments(columns: readonly (readonly string[])[], bytesMax: number): Fragments | undefined {
  let entries = 0;
  let textBytes = 0;
  let rowBytesMax = 2;
  for (const texts of columns) {
    entries += texts.length;
    let longest = 0;
    for (const text of texts) {
      const byteCount = Buffer.byteLength(text);
      textBytes += byteCount;
      if (byteCount > longest) longest = byteCount;
    }
    rowBytesMax += longest + 1;
  }
  const entriesWord = FIRST_ENTRIES_WORD + columns.length + 1;
  const textsAt = (entriesWord + entries * ENTRY_WORDS) * 4;
  const bytes = Math.ceil((textsAt + textBytes + TEXT_SLACK_BYTES) / 16) * 16;
  if (bytes > bytesMax) return undefined;
  // Not allocUnsafe: its slab would be shared, and the words must begin at a multiple of four.
  const image = Buffer.alloc(bytes);
  const words = new Uint32Array(image.buffer, image.byteOffset, bytes / 4);
  words[FRAGMENT_COLUMNS_WORD] = columns.length;
  let entry = 0;
  let at = textsAt;
  for (const [column, texts] of columns.entries()) {
    words[FIRST_ENTRIES_WORD + column] = entry;
    for (const text of texts) {
      const written = image.write(text, at);
      words[entriesWord + entry * ENTRY_WORDS] = at;
      words[entriesWord + entry * ENTRY_WORDS + 1] = written;
      at += written;
      entry++;
    }
  }
  words[FIRST_ENTRIES_WORD + columns.length] = entry;
  return { count: columns.length, rowBytesMax, image };
}
