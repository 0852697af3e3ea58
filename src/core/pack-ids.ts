// Makes packed ids (packed-ids.ts has the layout) of texts or of other packed ids. A list has millions of ids, so all of
// it is typed arrays: no object for each id.
import type { HashUser } from './compiled.ts';
import {
  DIRECTORY_AT,
  PACKED_FORMAT,
  PACKED_ID_BYTES_MAX,
  PACKED_MAGIC,
  type PackedIds,
  readPackedHeader,
} from './packed-ids.ts';

/** A look-up walks its bucket to the end. Honest ids never come near; hashes that were made to collide are refused. */
export const BUCKET_IDS_MAX = 256;

/** Thrown when ids share their hash, or its first bits, by more than chance. */
export class CrowdedIds extends Error {
  constructor() {
    super(`more than ${BUCKET_IDS_MAX} ids collide in their hash`);
    this.name = 'CrowdedIds';
  }
}

/** Ids as bytes of UTF-8: id `i` is the `lengths[i]` bytes from `starts[i]`. */
export interface IdBytes {
  readonly bytes: Uint8Array;
  readonly count: number;
  readonly starts: Uint32Array;
  readonly lengths: Uint16Array;
}

/**
 * Packs well-formed texts of 1 to 65,535 bytes (memberProblem says of each whether it is one); one that comes again is
 * packed once. Throws CrowdedIds.
 */
export function packIds(ids: Iterable<string>, hash: HashUser): Uint8Array {
  return packIdBytes(gather(ids), hash);
}

/** The same for ids that are bytes already. */
export function packIdBytes(ids: IdBytes, hash: HashUser): Uint8Array {
  const { bytes, count, starts, lengths } = ids;
  const hashOf = createBytesHash(hash);
  const hashes = new Uint32Array(count);
  let entryBytes = 0;
  for (let i = 0; i < count; i++) {
    const length = lengths[i] as number;
    hashes[i] = hashOf(bytes, starts[i] as number, length);
    entryBytes += 2 + length;
  }
  const order = sortByHash(hashes);
  const writer = createPackedWriter(count, entryBytes);
  const add = (idHash: number, index: number): void =>
    writer.add(idHash, bytes, starts[index] as number, lengths[index] as number);
  const compare = (a: number, b: number): number =>
    compareBytes(bytes, starts[a] as number, lengths[a] as number, bytes, starts[b] as number, lengths[b] as number);
  for (let i = 0; i < count; ) {
    const idHash = hashes[i] as number;
    let end = i + 1;
    while (end < count && hashes[end] === idHash) end++;
    if (end === i + 1) add(idHash, order[i] as number);
    else for (const index of distinct(order.subarray(i, end), compare)) add(idHash, index);
    i = end;
  }
  return writer.finish();
}

/** One layer of a list, opened; undefined: none. */
export interface OpenedLayer {
  readonly adds: PackedIds | undefined;
  readonly drops: PackedIds | undefined;
}

/** Layers, oldest first, as one set. Throws CrowdedIds. */
export function mergePacked(layers: readonly OpenedLayer[], hash: HashUser): Uint8Array {
  const adds = writerFor(layers.map((layer) => layer.adds));
  merge(layers, hash, adds, undefined);
  return adds.finish();
}

/** Layers, oldest first, as one layer that says the same over whatever lies below. Throws CrowdedIds. */
export function mergeLayers(
  layers: readonly OpenedLayer[],
  hash: HashUser,
): { readonly adds: Uint8Array; readonly drops: Uint8Array } {
  const adds = writerFor(layers.map((layer) => layer.adds));
  const drops = writerFor(layers.map((layer) => layer.drops));
  merge(layers, hash, adds, drops);
  return { adds: adds.finish(), drops: drops.finish() };
}

/** Walks all sets side by side; the newest that names an id decides whether it goes to `adds` or to `drops`. */
function merge(
  layers: readonly OpenedLayer[],
  hash: HashUser,
  adds: PackedWriter,
  drops: PackedWriter | undefined,
): void {
  const cursors = layers.flatMap(({ adds: put, drops: taken }) => [
    ...(put === undefined ? [] : [createCursor(put, adds, hash)]),
    ...(taken === undefined ? [] : [createCursor(taken, drops, hash)]),
  ]);
  for (;;) {
    let least: Cursor | undefined;
    for (const cursor of cursors) {
      if (!cursor.isDone && (least === undefined || compareCursors(cursor, least) <= 0)) least = cursor;
    }
    if (least === undefined) return;
    least.writer?.add(least.idHash, least.bytes, least.at, least.length);
    for (const cursor of cursors) {
      if (cursor !== least && !cursor.isDone && compareCursors(cursor, least) === 0) cursor.next();
    }
    least.next();
  }
}

interface Cursor {
  readonly bytes: Uint8Array;
  /** Where its ids go; undefined: nowhere. */
  readonly writer: PackedWriter | undefined;
  isDone: boolean;
  at: number;
  length: number;
  idHash: number;
  next(): void;
}

function createCursor({ bytes }: PackedIds, writer: PackedWriter | undefined, hash: HashUser): Cursor {
  const hashOf = createBytesHash(hash);
  const cursor: Cursor = {
    bytes,
    writer,
    isDone: false,
    at: readPackedHeader(bytes).entriesAt,
    length: 0,
    idHash: 0,
    next() {
      const entryAt = cursor.at + cursor.length;
      cursor.isDone = entryAt >= bytes.byteLength;
      if (cursor.isDone) return;
      cursor.at = entryAt + 2;
      cursor.length = (bytes[entryAt] as number) | ((bytes[entryAt + 1] as number) << 8);
      cursor.idHash = hashOf(bytes, cursor.at, cursor.length);
    },
  };
  cursor.next();
  return cursor;
}

function compareCursors(a: Cursor, b: Cursor): number {
  return a.idHash - b.idHash || compareBytes(a.bytes, a.at, a.length, b.bytes, b.at, b.length);
}

interface PackedWriter {
  /** To be called in packed order, with each id once. */
  add(idHash: number, from: Uint8Array, at: number, length: number): void;
  finish(): Uint8Array;
}

function writerFor(sets: readonly (PackedIds | undefined)[]): PackedWriter {
  let count = 0;
  let entryBytes = 0;
  for (const set of sets) {
    if (set === undefined) continue;
    count += set.count;
    entryBytes += set.byteLength - readPackedHeader(set.bytes).entriesAt;
  }
  return createPackedWriter(count, entryBytes);
}

function createPackedWriter(countMax: number, entryBytesMax: number): PackedWriter {
  const hashes = new Uint32Array(countMax);
  const entries = new Uint8Array(entryBytesMax);
  let count = 0;
  let size = 0;
  return {
    add(idHash, from, at, length) {
      hashes[count++] = idHash;
      entries[size] = length & 0xff;
      entries[size + 1] = length >> 8;
      size += 2;
      for (let i = 0; i < length; i++) entries[size + i] = from[at + i] as number;
      size += length;
    },
    finish() {
      // About one id in a bucket: 3 to 6 bytes of directory for each.
      const bucketBits = Math.max(1, Math.round(Math.log2(Math.max(1, count))));
      const entriesAt = DIRECTORY_AT + (2 ** bucketBits + 1) * 4;
      const packed = new Uint8Array(entriesAt + size);
      const view = new DataView(packed.buffer);
      view.setUint32(0, PACKED_MAGIC, true);
      view.setUint16(4, PACKED_FORMAT, true);
      view.setUint8(6, bucketBits);
      view.setUint32(8, count, true);
      view.setUint32(12, packed.byteLength, true);
      writeDirectory(view, hashes.subarray(0, count), entries, bucketBits, entriesAt);
      packed.set(entries.subarray(0, size), entriesAt);
      return packed;
    },
  };
}

function writeDirectory(
  view: DataView,
  hashes: Uint32Array,
  entries: Uint8Array,
  bucketBits: number,
  entriesAt: number,
): void {
  const bucketCount = 2 ** bucketBits;
  const shift = 32 - bucketBits;
  let at = 0;
  let next = 0;
  for (let bucket = 0; bucket < bucketCount; bucket++) {
    view.setUint32(DIRECTORY_AT + bucket * 4, entriesAt + at, true);
    const first = next;
    while (next < hashes.length && (hashes[next] as number) >>> shift === bucket) {
      at += 2 + ((entries[at] as number) | ((entries[at + 1] as number) << 8));
      next++;
    }
    if (next - first > BUCKET_IDS_MAX) throw new CrowdedIds();
  }
  view.setUint32(DIRECTORY_AT + bucketCount * 4, entriesAt + at, true);
}

/** Lengths up to this have a view of their own, made once. */
const VIEW_BYTES_MAX = 256;

/**
 * The hash of bytes: of no text and those bytes as its suffix. They are copied into a buffer whose views are made once,
 * so that hashing a million ids makes no million views.
 */
function createBytesHash(hash: HashUser): (bytes: Uint8Array, at: number, length: number) => number {
  const buffer = new Uint8Array(VIEW_BYTES_MAX);
  const views = Array.from({ length: VIEW_BYTES_MAX + 1 }, (_, length) => buffer.subarray(0, length));
  return (bytes, at, length) => {
    if (length > VIEW_BYTES_MAX) return hash('', bytes.subarray(at, at + length));
    for (let i = 0; i < length; i++) buffer[i] = bytes[at + i] as number;
    return hash('', views[length] as Uint8Array);
  };
}

/** Sorts `hashes` in place and returns which was where. Least significant byte first; equal ones keep their order. */
function sortByHash(hashes: Uint32Array): Uint32Array {
  const count = hashes.length;
  let keys: Uint32Array = hashes;
  let order: Uint32Array = new Uint32Array(count);
  for (let i = 0; i < count; i++) order[i] = i;
  let nextKeys: Uint32Array = new Uint32Array(count);
  let nextOrder: Uint32Array = new Uint32Array(count);
  const places = new Uint32Array(256);
  for (let shift = 0; shift < 32; shift += 8) {
    places.fill(0);
    for (let i = 0; i < count; i++) (places[((keys[i] as number) >>> shift) & 0xff] as number)++;
    let before = 0;
    for (let digit = 0; digit < 256; digit++) {
      const here = places[digit] as number;
      places[digit] = before;
      before += here;
    }
    for (let i = 0; i < count; i++) {
      const key = keys[i] as number;
      const digit = (key >>> shift) & 0xff;
      const place = places[digit] as number;
      places[digit] = place + 1;
      nextKeys[place] = key;
      nextOrder[place] = order[i] as number;
    }
    [keys, nextKeys] = [nextKeys, keys];
    [order, nextOrder] = [nextOrder, order];
  }
  // Four passes: the sorted keys are back where they came from.
  return order;
}

/** Those of one hash in order of their bytes, each once. There are few, or one that comes again and again. */
function distinct(indexes: Uint32Array, compare: (a: number, b: number) => number): readonly number[] {
  const sorted: number[] = [];
  for (const index of indexes) {
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compare(sorted[middle] as number, index) < 0) low = middle + 1;
      else high = middle;
    }
    if (low < sorted.length && compare(sorted[low] as number, index) === 0) continue;
    sorted.splice(low, 0, index);
    if (sorted.length > BUCKET_IDS_MAX) throw new CrowdedIds();
  }
  return sorted;
}

function compareBytes(
  a: Uint8Array,
  aAt: number,
  aLength: number,
  b: Uint8Array,
  bAt: number,
  bLength: number,
): number {
  const shorter = Math.min(aLength, bLength);
  for (let i = 0; i < shorter; i++) {
    const difference = (a[aAt + i] as number) - (b[bAt + i] as number);
    if (difference !== 0) return difference;
  }
  return aLength - bLength;
}

function gather(ids: Iterable<string>): IdBytes {
  const encoder = new TextEncoder();
  let bytes = new Uint8Array(65_536);
  let starts = new Uint32Array(4096);
  let lengths = new Uint16Array(4096);
  let count = 0;
  let size = 0;
  for (const id of ids) {
    if (size + id.length * 3 > bytes.length) bytes = grow(bytes, new Uint8Array((size + id.length * 3) * 2));
    if (count === starts.length) {
      starts = grow(starts, new Uint32Array(count * 2));
      lengths = grow(lengths, new Uint16Array(count * 2));
    }
    const { written } = encoder.encodeInto(id, bytes.subarray(size));
    if (written === 0 || written > PACKED_ID_BYTES_MAX) throw new Error(`an id of ${written} bytes cannot be packed`);
    starts[count] = size;
    lengths[count] = written;
    size += written;
    count++;
  }
  return { bytes, count, starts, lengths };
}

function grow<T extends Uint8Array | Uint16Array | Uint32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
