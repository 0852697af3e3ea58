// Hot path.
// A set of ids as one block of bytes: a million ids of 12 characters take 18 MB, and the collector never looks at them.
//
//   0  u32  magic "BRGI"      4  u16  format      6  u8  bucketBits     7  u8  0
//   8  u32  ids              12  u32  bytes of the whole block
//  16  directory: 2^bucketBits + 1 times u32, where each bucket begins, counted from 0; the last is the end
//   .  entries: u16 length, then that many bytes of UTF-8
//
// All little-endian. A bucket is the top bits of the id's MurmurHash3 (seed 0), with about one entry in each. Entries are
// in order of hash and then of bytes, whatever bucketBits is, so that sets are merged by walking them side by side.
import type { HashUser, IdSet } from './compiled.ts';
import { isWellFormed } from './text.ts';

export interface PackedIds extends IdSet {
  readonly byteLength: number;
  readonly bytes: Uint8Array;
  /** The same as `has`, for whoever knows hashId(id) already. */
  hasHashed(id: string, idHash: number): boolean;
  /** In packed order. */
  ids(): Iterable<string>;
}

export const PACKED_MAGIC = 0x49475242;
export const PACKED_FORMAT = 1;
export const DIRECTORY_AT = 16;
/** An id's length stands in 16 bits. */
export const PACKED_ID_BYTES_MAX = 65_535;
/** Hash with this suffix: the id alone. */
const NO_SUFFIX = new Uint8Array(0);
const BUCKET_BITS_MAX = 28;

const encoder = new TextEncoder();
// A look-up is synchronous and none begins inside another, so that one buffer serves them all.
const scratch = new Uint8Array(PACKED_ID_BYTES_MAX);

/**
 * The set in `bytes`, which are kept and not copied. Throws when the header is not that of packed ids; whatever follows
 * it, a look-up reads nothing outside of `bytes` and ends.
 * @param hash the one that packed them
 */
export function openPackedIds(bytes: Uint8Array, hash: HashUser): PackedIds {
  const { count, bucketBits, entriesAt } = readPackedHeader(bytes);
  const directory = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = bytes.byteLength;
  const shift = 32 - bucketBits;

  function hasHashed(id: string, idHash: number): boolean {
    const slot = DIRECTORY_AT + (idHash >>> shift) * 4;
    const begin = directory.getUint32(slot, true);
    const end = Math.min(directory.getUint32(slot + 4, true), size);
    const idLength = id.length;
    let isLongerThere = false;
    for (let at = begin; at < end; ) {
      const length = (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
      at += 2;
      if (length === idLength) {
        if (isAsciiAt(bytes, at, id)) return true;
      } else if (length > idLength) isLongerThere = true;
      at += length;
    }
    // A text with other characters than ASCII has more bytes than UTF-16 units.
    return isLongerThere && hasWide(bytes, begin, end, id);
  }

  return {
    count,
    bytes,
    byteLength: size,
    has: (id) => hasHashed(id, hashId(id, hash)),
    hasHashed,
    ids: () => walk(bytes, entriesAt),
  };
}

/** What hasHashed() wants. */
export function hashId(id: string, hash: HashUser): number {
  return hash(id, NO_SUFFIX);
}

function isAsciiAt(bytes: Uint8Array, at: number, id: string): boolean {
  for (let i = 0; i < id.length; i++) {
    const unit = id.charCodeAt(i);
    if (unit !== bytes[at + i] || unit >= 0x80) return false;
  }
  return true;
}

function hasWide(bytes: Uint8Array, begin: number, end: number, id: string): boolean {
  // A lone surrogate would be encoded as U+FFFD, which is another id.
  if (id.length > PACKED_ID_BYTES_MAX || !isWellFormed(id)) return false;
  const { read, written } = encoder.encodeInto(id, scratch);
  if (read < id.length) return false;
  for (let at = begin; at < end; ) {
    const length = (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
    at += 2;
    if (length === written && isScratchAt(bytes, at, length)) return true;
    at += length;
  }
  return false;
}

function isScratchAt(bytes: Uint8Array, at: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (bytes[at + i] !== scratch[i]) return false;
  return true;
}

/** Cold: for lists that are read as a whole. */
function* walk(bytes: Uint8Array, entriesAt: number): Generator<string> {
  // An id may begin with U+FEFF, which a decoder would take for a mark and drop.
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  for (let at = entriesAt; at < bytes.byteLength; ) {
    const length = (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
    at += 2;
    yield decoder.decode(bytes.subarray(at, at + length));
    at += length;
  }
}

export interface PackedHeader {
  readonly count: number;
  readonly bucketBits: number;
  /** Where the first entry begins. */
  readonly entriesAt: number;
}

/** Cold: once for each set that is opened. Throws with what is wrong. */
export function readPackedHeader(bytes: Uint8Array): PackedHeader {
  if (bytes.byteLength < DIRECTORY_AT) throw new Error(`packed ids of ${bytes.byteLength} bytes are cut short`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== PACKED_MAGIC) throw new Error('not packed ids');
  const format = view.getUint16(4, true);
  if (format !== PACKED_FORMAT) throw new Error(`packed ids of format ${format}; this build reads ${PACKED_FORMAT}`);
  const bucketBits = view.getUint8(6);
  const count = view.getUint32(8, true);
  const size = view.getUint32(12, true);
  if (size !== bytes.byteLength) throw new Error(`packed ids of ${size} bytes came as ${bytes.byteLength}`);
  if (bucketBits < 1 || bucketBits > BUCKET_BITS_MAX) throw new Error(`packed ids with ${bucketBits} bucket bits`);
  const entriesAt = DIRECTORY_AT + (2 ** bucketBits + 1) * 4;
  // An entry has at least three bytes.
  if (entriesAt + count * 3 > size) throw new Error(`packed ids of ${size} bytes cannot hold ${count} ids`);
  return { count, bucketBits, entriesAt };
}
