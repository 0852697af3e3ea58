// Cuts the code points into classes: two are in one class when every set that is looked at holds both or neither. A table
// then needs one column for each class instead of one for each of a million characters.

const CODE_POINTS = 0x110000;
const PAGE_CHARS = 256;

/** Ranges of code points, first and last in turn, in ascending order. */
export type CodePointSet = readonly number[] | Int32Array;

export interface CharacterClasses {
  readonly count: number;
  /** `members[set * count + class]` is 1 when the set holds that class. */
  readonly members: Uint8Array;
  readonly latin: Uint8Array;
  readonly pageOf: Uint16Array;
  readonly pages: Uint8Array;
}

/** Columns are counted in a byte, and the end of the text takes one. */
export const CLASSES_MAX = 255;

/** undefined when there would be more than CLASSES_MAX of them. */
export function classesOf(sets: readonly CodePointSet[]): CharacterClasses | undefined {
  const starts = intervalStarts(sets);
  // Class by interval. Each set cuts the classes that it holds in part; those it holds whole only get another number.
  const classOf = new Int32Array(starts.length);
  let classCount = 1;
  for (const set of sets) {
    const moved = new Map<number, number>();
    forEachInterval(starts, set, (interval) => {
      const before = classOf[interval] as number;
      let after = moved.get(before);
      if (after === undefined) moved.set(before, (after = classCount++));
      classOf[interval] = after;
    });
  }
  const count = renumber(classOf);
  if (count > CLASSES_MAX) return undefined;
  const members = new Uint8Array(sets.length * count);
  for (const [index, set] of sets.entries()) {
    forEachInterval(starts, set, (interval) => {
      members[index * count + (classOf[interval] as number)] = 1;
    });
  }
  return { count, members, ...pagesOf(starts, classOf) };
}

/** Where a set begins or ends, in ascending order, from 0. */
function intervalStarts(sets: readonly CodePointSet[]): Int32Array {
  const starts = new Set([0]);
  for (const set of sets) {
    for (let i = 0; i < set.length; i += 2) {
      starts.add(set[i] as number);
      starts.add((set[i + 1] as number) + 1);
    }
  }
  starts.delete(CODE_POINTS);
  return Int32Array.from(starts).sort();
}

function forEachInterval(starts: Int32Array, set: CodePointSet, see: (interval: number) => void): void {
  for (let i = 0; i < set.length; i += 2) {
    const last = set[i + 1] as number;
    for (let at = indexOf(starts, set[i] as number); at < starts.length && (starts[at] as number) <= last; at++)
      see(at);
  }
}

/** Where `start`, which is one of them, stands. */
function indexOf(starts: Int32Array, start: number): number {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((starts[middle] as number) < start) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Numbers from 0, without gaps; 0 is the class of the last interval, which most characters are in. Returns the count. */
function renumber(classOf: Int32Array): number {
  const numbers = new Map<number, number>([[classOf.at(-1) as number, 0]]);
  for (let i = 0; i < classOf.length; i++) {
    const before = classOf[i] as number;
    let after = numbers.get(before);
    if (after === undefined) numbers.set(before, (after = numbers.size));
    classOf[i] = after;
  }
  return numbers.size;
}

/** Pages with one class in all of their characters are there once for each class. */
function pagesOf(starts: Int32Array, classOf: Int32Array): Pick<CharacterClasses, 'latin' | 'pageOf' | 'pages'> {
  const pageOf = new Uint16Array(CODE_POINTS / PAGE_CHARS);
  const pages: Uint8Array[] = [];
  const uniform = new Map<number, number>();
  let interval = 0;
  for (let page = 0; page < pageOf.length; page++) {
    const first = page * PAGE_CHARS;
    while (interval + 1 < starts.length && (starts[interval + 1] as number) <= first) interval++;
    const isUniform = interval + 1 === starts.length || (starts[interval + 1] as number) >= first + PAGE_CHARS;
    const known = isUniform ? uniform.get(classOf[interval] as number) : undefined;
    if (known !== undefined) {
      pageOf[page] = known;
      continue;
    }
    if (isUniform) uniform.set(classOf[interval] as number, pages.length);
    pageOf[page] = pages.length;
    pages.push(pageFrom(first, interval, starts, classOf));
  }
  const packed = new Uint8Array(pages.length * PAGE_CHARS);
  for (const [index, page] of pages.entries()) packed.set(page, index * PAGE_CHARS);
  return { latin: packed.slice(0, PAGE_CHARS), pageOf: sharedIfPlain(pageOf), pages: packed };
}

function pageFrom(first: number, interval: number, starts: Int32Array, classOf: Int32Array): Uint8Array {
  const page = new Uint8Array(PAGE_CHARS);
  let at = interval;
  for (let i = 0; i < PAGE_CHARS; i++) {
    while (at + 1 < starts.length && (starts[at + 1] as number) <= first + i) at++;
    page[i] = classOf[at] as number;
  }
  return page;
}

// Most tables tell characters apart only on the first page: page 0 of theirs, and one that all others share.
const PLAIN_PAGE_OF = new Uint16Array(CODE_POINTS / PAGE_CHARS).fill(1, 1);

function sharedIfPlain(pageOf: Uint16Array): Uint16Array {
  return pageOf.every((page, index) => page === PLAIN_PAGE_OF[index]) ? PLAIN_PAGE_OF : pageOf;
}
