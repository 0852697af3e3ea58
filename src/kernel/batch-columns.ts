// A list of flags as the kernel reads it: made once for a snapshot, copied into its memory as it is. What of the hash
// depends on the flag alone is done here, for each of the four places a user's last block can end at.
import type { CompiledFlag, CompiledSplit, Outcome } from '../core/compiled.ts';
import {
  ABOVE_ROW,
  ALIGNMENT,
  BELOW_ROW,
  CELL_ENABLED_SHIFT,
  CELL_OUTCOME_SHIFT,
  CHUNK_EDGES,
  COLUMNS_ROW,
  COUNT_WORD,
  EDGE_ROW,
  ENABLED_TEMPLATE_WORD,
  GROUP_COUNTS_WORD,
  GROUP_WORDS,
  GROUPS_WORD,
  HEAD_WORDS,
  KIND_MANY,
  KIND_TWO,
  LANES,
  LAST_EDGE,
  LENGTHS_ROW,
  MANY_FIRST_ROW,
  NO_VARIANT,
  OUTCOMES_TEMPLATE_WORD,
  RANGES_ROW,
  RECORD_HEAD_WORDS,
  TWO_FIRST_ROW,
  VARIANTS_TEMPLATE_WORD,
} from './columns-layout.ts';
import { C1, scramble } from './murmur3.ts';

export interface Columns {
  /** Columns, in the order of the list they were made from. */
  readonly count: number;
  /** In native/README.md is what stands where. */
  readonly image: Uint8Array;
  /** Columns that the kernel does not decide: flags with targets, rules, prerequisites or a bucket of an attribute. */
  readonly forEvaluator: Uint32Array;
}

/** @param flags undefined: a column without a flag, which answers 255 */
export function makeColumns(flags: readonly (CompiledFlag | undefined)[]): Columns {
  const { splits, fixed, forEvaluator } = sort(flags);
  const groups = ALIGNMENTS.map((alignment) => groupsOf(splits, alignment));
  const place = placer();
  place.words(HEAD_WORDS);
  const templates = [1, 1, 2].map((cellBytes) => place.aligned(flags.length * cellBytes));
  const groupsAt = groups.map((list) => place.words(list.length * GROUP_WORDS));
  const records = placeRecords(splits, place);
  for (const group of groups.flat()) {
    group.at = place.aligned(Math.ceil(group.count / LANES) * vectorWords(group) * WORD_BYTES);
  }
  const image = new Uint8Array(place.end());
  const words = new Uint32Array(image.buffer);
  words[COUNT_WORD] = flags.length;
  words.set(templates, VARIANTS_TEMPLATE_WORD);
  words.set(groupsAt, GROUPS_WORD);
  words.set(
    groups.map((list) => list.length),
    GROUP_COUNTS_WORD,
  );
  writeTemplates(image, words, flags.length, fixed);
  writeRecords(image, words, splits, records);
  for (const alignment of ALIGNMENTS) {
    const list = groups[alignment] as readonly Group[];
    for (const [i, { kind, blocks, count, at }] of list.entries()) {
      words.set([kind, blocks, count, at], (groupsAt[alignment] as number) / WORD_BYTES + i * GROUP_WORDS);
    }
  }
  writeVectors(words, splits, records, groups, flags.length);
  return { count: flags.length, image, forEvaluator: Uint32Array.from(forEvaluator) };
}

const WORD_BYTES = 4;
const ALIGNMENTS = [0, 1, 2, 3] as const;

interface SplitColumn {
  readonly column: number;
  readonly suffix: Uint8Array;
  readonly split: CompiledSplit;
  readonly kind: number;
}

interface FixedColumn {
  readonly column: number;
  readonly outcome: Outcome;
}

/** Columns of one kind whose suffixes have the same number of whole blocks behind a user of one alignment. */
interface Group {
  readonly kind: number;
  readonly blocks: number;
  readonly count: number;
  /** Lanes written so far. */
  filled: number;
  /** Bytes from the image's start. */
  at: number;
}

/** By what decides it: a bucket, nothing (all users get the same), or the evaluator. */
function sort(flags: readonly (CompiledFlag | undefined)[]) {
  const splits: SplitColumn[] = [];
  const fixed: FixedColumn[] = [];
  const forEvaluator: number[] = [];
  for (const [column, flag] of flags.entries()) {
    if (flag === undefined) continue;
    const { targets, rules, prerequisites, bucketBy, split } = flag;
    if (!flag.enabled) fixed.push({ column, outcome: flag.disabled });
    else if (targets !== undefined || rules !== undefined || prerequisites !== undefined) forEvaluator.push(column);
    else if (flag.fixed !== undefined) fixed.push({ column, outcome: flag.fixed });
    else if (bucketBy !== undefined || split === undefined) forEvaluator.push(column);
    else splits.push({ column, suffix: flag.hashSuffix, split, kind: split.edges.length === 2 ? KIND_TWO : KIND_MANY });
  }
  return { splits, fixed, forEvaluator };
}

/** In order of kind and blocks; `at` is still to be set. */
function groupsOf(splits: readonly SplitColumn[], alignment: number): readonly Group[] {
  const counts: number[] = [];
  for (let i = 0; i < splits.length; i++) {
    const { kind, suffix } = splits[i] as SplitColumn;
    const key = keyOf(kind, blocksOf(suffix.length, alignment));
    while (counts.length <= key) counts.push(0);
    counts[key] = (counts[key] as number) + 1;
  }
  return counts
    .map((count, key): Group => ({ kind: key & 1, blocks: key >> 1, count, filled: 0, at: 0 }))
    .filter(({ count }) => count > 0)
    .sort((a, b) => a.kind - b.kind || a.blocks - b.blocks);
}

function groupsByKey(groups: readonly Group[]): readonly (Group | undefined)[] {
  const byKey: (Group | undefined)[] = [];
  for (const group of groups) byKey[keyOf(group.kind, group.blocks)] = group;
  return byKey;
}

function keyOf(kind: number, blocks: number): number {
  return blocks * 2 + kind;
}

/** Whole blocks of a suffix and what a user of that alignment leaves for it. */
function blocksOf(suffixBytes: number, alignment: number): number {
  return (alignment + suffixBytes) >> 2;
}

function firstRow(kind: number): number {
  return kind === KIND_TWO ? TWO_FIRST_ROW : MANY_FIRST_ROW;
}

/** The first word, and with whole blocks the later ones and the tail. */
function vectorWords({ kind, blocks }: Group): number {
  return (firstRow(kind) + blocks + 1) * LANES;
}

/** Hands out bytes of an image one piece behind the other. */
function placer() {
  let next = 0;
  const aligned = (bytes: number): number => {
    const at = next;
    next += Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
    return at;
  };
  return { aligned, words: (count: number) => aligned(count * WORD_BYTES), end: () => next };
}

/** Where the record of each split with many ranges is, by its place in the list; and at -1 that of a lane for nothing. */
function placeRecords(splits: readonly SplitColumn[], place: ReturnType<typeof placer>): ReadonlyMap<number, number> {
  const records = new Map<number, number>();
  for (const [i, { kind, split }] of splits.entries()) {
    if (kind !== KIND_MANY) continue;
    if (records.size === 0) records.set(-1, place.words(recordWords(1)));
    records.set(i, place.words(recordWords(split.edges.length)));
  }
  return records;
}

function recordWords(ranges: number): number {
  return RECORD_HEAD_WORDS + (chunksOf(ranges) * CHUNK_EDGES) / 2 + ranges;
}

function chunksOf(ranges: number): number {
  return Math.ceil(ranges / CHUNK_EDGES);
}

function writeTemplates(image: Uint8Array, words: Uint32Array, count: number, fixed: readonly FixedColumn[]): void {
  const variantsAt = words[VARIANTS_TEMPLATE_WORD] as number;
  const enabledAt = words[ENABLED_TEMPLATE_WORD] as number;
  const outcomes = new Uint16Array(image.buffer, words[OUTCOMES_TEMPLATE_WORD], count);
  image.fill(NO_VARIANT, variantsAt, variantsAt + count);
  for (const { column, outcome } of fixed) {
    image[variantsAt + column] = outcome.variantIndex;
    image[enabledAt + column] = outcome.enabled ? 255 : 0;
    outcomes[column] = outcome.index;
  }
}

function writeRecords(
  image: Uint8Array,
  words: Uint32Array,
  splits: readonly SplitColumn[],
  records: ReadonlyMap<number, number>,
): void {
  for (const [i, at] of records) {
    // The lane for nothing serves the cell 0.
    const split = splits[i]?.split;
    const ranges = split === undefined ? 1 : split.edges.length;
    const chunks = chunksOf(ranges);
    const edgesAt = at + RECORD_HEAD_WORDS * WORD_BYTES;
    const edges = new Uint16Array(image.buffer, edgesAt, chunks * CHUNK_EDGES).fill(LAST_EDGE);
    words[at / WORD_BYTES] = chunks;
    if (split === undefined) continue;
    // The last range ends where the buckets do: whatever stands there, it takes the rest.
    edges.set(split.edges.subarray(0, -1));
    const cellsAt = (edgesAt + edges.byteLength) / WORD_BYTES;
    for (const [range, outcome] of split.outcomes.entries()) words[cellsAt + range] = cellOf(outcome);
  }
}

function cellOf({ variantIndex, enabled, index }: Outcome): number {
  const enabledByte = enabled ? 255 : 0;
  return ((variantIndex & 255) | (enabledByte << CELL_ENABLED_SHIFT) | (index << CELL_OUTCOME_SHIFT)) >>> 0;
}

/** Plain loops: with all flags of a large environment this is most of the work. */
function writeVectors(
  words: Uint32Array,
  splits: readonly SplitColumn[],
  records: ReadonlyMap<number, number>,
  groups: readonly (readonly Group[])[],
  dummyColumn: number,
): void {
  const padded = new Uint8Array(splits.reduce((max, { suffix }) => Math.max(max, suffix.length), 0) + 3 * WORD_BYTES);
  const byKey = groups.map(groupsByKey);
  for (let i = 0; i < splits.length; i++) {
    const { column, suffix, split, kind } = splits[i] as SplitColumn;
    // Between zeros, so that words can begin before it and end behind it. A call to copy a few bytes takes longer.
    for (let k = 0; k < suffix.length; k++) padded[WORD_BYTES + k] = suffix[k] as number;
    for (let k = 0; k < WORD_BYTES; k++) padded[WORD_BYTES + suffix.length + k] = 0;
    const edge = split.edges[0] as number;
    const below = cellOf(split.outcomes[0] as Outcome);
    const above = kind === KIND_TWO ? cellOf(split.outcomes[1] as Outcome) : 0;
    for (let alignment = 0; alignment < ALIGNMENTS.length; alignment++) {
      const list = byKey[alignment] as readonly (Group | undefined)[];
      const group = list[keyOf(kind, blocksOf(suffix.length, alignment))] as Group;
      const lane = laneAt(group, group.filled++);
      words[lane + COLUMNS_ROW * LANES] = column;
      words[lane + LENGTHS_ROW * LANES] = suffix.length;
      if (kind === KIND_TWO) {
        words[lane + EDGE_ROW * LANES] = edge;
        words[lane + BELOW_ROW * LANES] = below;
        words[lane + ABOVE_ROW * LANES] = above;
      } else {
        words[lane + RANGES_ROW * LANES] = records.get(i) as number;
      }
      writeSuffix(words, lane + firstRow(kind) * LANES, padded, WORD_BYTES - alignment, group.blocks);
    }
  }
  for (const group of groups.flat()) {
    for (let slot = group.count; slot % LANES !== 0; slot++) {
      // A cell that nobody reads: what is behind a row is written after it, or is slack.
      words[laneAt(group, slot) + COLUMNS_ROW * LANES] = dummyColumn;
      if (group.kind === KIND_MANY) words[laneAt(group, slot) + RANGES_ROW * LANES] = records.get(-1) as number;
    }
  }
}

/** The word in which a lane's first row stands. */
function laneAt(group: Group, slot: number): number {
  return (group.at >> 2) + (slot >> 2) * vectorWords(group) + (slot & 3);
}

/** The suffix as words, the first from padded[from] on, each as far into the hash as it goes without the user. */
function writeSuffix(words: Uint32Array, at: number, padded: Uint8Array, from: number, blocks: number): void {
  words[at] = Math.imul(wordOf(padded, from), C1);
  for (let block = 1; block <= blocks; block++) {
    words[at + block * LANES] = scramble(wordOf(padded, from + block * WORD_BYTES));
  }
}

/** Four bytes as they stand in memory. */
function wordOf(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}
