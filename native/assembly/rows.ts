// Decides rows of cells: for each user all columns of an image, four at a time.
//
// T is what becomes of a cell: u8 its variant, i8 whether it is enabled, u16 its outcome. Three functions are compiled.
import {
  ABOVE,
  BELOW,
  CELLS_AT,
  CHUNK_BYTES,
  COLUMNS,
  EDGE,
  GROUP_BLOCKS,
  GROUP_BYTES,
  GROUP_KIND,
  GROUP_LANES,
  GROUP_VECTORS,
  IMAGE_COUNT,
  IMAGE_ENABLED,
  IMAGE_GROUP_COUNTS,
  IMAGE_GROUPS,
  IMAGE_OUTCOMES,
  IMAGE_VARIANTS,
  KIND_TWO,
  LENGTHS,
  MANY_FIRST,
  PLACE_BYTES,
  PLACES_AT,
  RANGES,
  RECORD_EDGES,
  ROW_AT,
  ROW_BYTES,
  TWO_FIRST,
  USERS_AT,
} from './layout';
import { avalanche, avalancheFour, bucketsOfFour, mix, mixFour, product, scramble, scrambleFour } from './murmur3';

export function variants(image: u32, first: u32, count: u32): void {
  const rowBytes = load<u32>(image, IMAGE_COUNT);
  const template = image + load<u32>(image, IMAGE_VARIANTS);
  let target = CELLS_AT;
  for (let user = first; user < first + count; user++) {
    copyRow(template, target, rowBytes);
    decideRow<u8>(image, user, target);
    target += rowBytes;
  }
}

export function outcomes(image: u32, first: u32, count: u32): void {
  const rowBytes = load<u32>(image, IMAGE_COUNT) * 2;
  const template = image + load<u32>(image, IMAGE_OUTCOMES);
  let target = CELLS_AT;
  for (let user = first; user < first + count; user++) {
    copyRow(template, target, rowBytes);
    decideRow<u16>(image, user, target);
    target += rowBytes;
  }
}

export function packed(image: u32, first: u32, count: u32): void {
  const columns = load<u32>(image, IMAGE_COUNT);
  const template = image + load<u32>(image, IMAGE_ENABLED);
  let target = CELLS_AT;
  for (let user = first; user < first + count; user++) {
    copyRow(template, ROW_AT, columns);
    decideRow<i8>(image, user, ROW_AT);
    for (let cell: u32 = 0; cell < columns; cell += 16) {
      store<u16>(target + (cell >> 3), i8x16.bitmask(v128.load(ROW_AT + cell)) as u16);
    }
    target += (columns + 7) >> 3;
  }
}

/** Up to 15 bytes too many: what is behind a row is written after it, or is slack. */
function copyRow(from: u32, to: u32, bytes: u32): void {
  for (let i: u32 = 0; i < bytes; i += 16) v128.store(to + i, v128.load(from + i));
}

function decideRow<T>(image: u32, user: u32, target: u32): void {
  const place = PLACES_AT + user * PLACE_BYTES;
  const bytes = load<u32>(place, 4);
  const alignment = bytes & 3;
  let at = USERS_AT + load<u32>(place, 0);
  const blocksEnd = at + bytes - alignment;
  let hash: u32 = 0;
  for (; at < blocksEnd; at += 4) hash = mix(hash, scramble(product(load<u32>(at))));
  const carry = product(load<u32>(at) & ((1 << (alignment << 3)) - 1));

  let group = image + load<u32>(image + (alignment << 2), IMAGE_GROUPS);
  const groupsEnd = group + load<u32>(image + (alignment << 2), IMAGE_GROUP_COUNTS) * GROUP_BYTES;
  for (; group < groupsEnd; group += GROUP_BYTES) {
    const blocks = load<u32>(group, GROUP_BLOCKS);
    const lanes = load<u32>(group, GROUP_LANES);
    const vectors = image + load<u32>(group, GROUP_VECTORS);
    if (load<u32>(group, GROUP_KIND) === KIND_TWO) {
      decideTwo<T>(vectors, blocks, lanes, hash, carry, bytes, target);
    } else {
      decideMany<T>(image, vectors, blocks, lanes, hash, carry, bytes, target);
    }
  }
}

function decideTwo<T>(vectors: u32, blocks: u32, lanes: u32, hash: u32, carry: u32, bytes: u32, target: u32): void {
  const stride = TWO_FIRST + (blocks + 1) * ROW_BYTES;
  let at = vectors;
  let left = lanes as i32;
  const hashes = i32x4.splat(hash);
  const carries = i32x4.splat(carry);
  const counts = i32x4.splat(bytes);
  // Two vectors at a time: each waits for its own last step, and the other one fills the gap.
  for (; left > 5; left -= 8) {
    const next = at + stride;
    let h = scrambleFour(i32x4.add(carries, v128.load(at + TWO_FIRST)));
    let g = scrambleFour(i32x4.add(carries, v128.load(next + TWO_FIRST)));
    if (blocks === 0) {
      h = v128.xor(hashes, h);
      g = v128.xor(hashes, g);
    } else {
      h = mixFour(hashes, h);
      g = mixFour(hashes, g);
      const tail = at + TWO_FIRST + blocks * ROW_BYTES;
      for (let row = at + TWO_FIRST + ROW_BYTES; row < tail; row += ROW_BYTES) {
        h = mixFour(h, v128.load(row));
        g = mixFour(g, v128.load(row + stride));
      }
      h = v128.xor(h, v128.load(tail));
      g = v128.xor(g, v128.load(tail + stride));
    }
    storeTwo<T>(at, target, avalancheFour(v128.xor(h, i32x4.add(counts, v128.load(at, LENGTHS)))));
    storeTwo<T>(next, target, avalancheFour(v128.xor(g, i32x4.add(counts, v128.load(next, LENGTHS)))));
    at = next + stride;
  }
  for (; left > 1; left -= 4) {
    const h = hashFour(at + TWO_FIRST, blocks, hashes, carries);
    storeTwo<T>(at, target, avalancheFour(v128.xor(h, i32x4.add(counts, v128.load(at, LENGTHS)))));
    at += stride;
  }
  if (left === 1) {
    const h = hashOne(at + TWO_FIRST, blocks, hash, carry);
    const bucket = avalanche(h ^ (bytes + load<u32>(at, LENGTHS))) % 10_000;
    const isBelow = bucket < load<u32>(at, EDGE);
    storeOne<T>(target, load<u32>(at, COLUMNS), select<u32>(load<u32>(at, BELOW), load<u32>(at, ABOVE), isBelow));
  }
}

function decideMany<T>(
  image: u32,
  vectors: u32,
  blocks: u32,
  lanes: u32,
  hash: u32,
  carry: u32,
  bytes: u32,
  target: u32,
): void {
  const stride = MANY_FIRST + (blocks + 1) * ROW_BYTES;
  let at = vectors;
  let left = lanes as i32;
  const hashes = i32x4.splat(hash);
  const carries = i32x4.splat(carry);
  const counts = i32x4.splat(bytes);
  for (; left > 1; left -= 4) {
    const h = hashFour(at + MANY_FIRST, blocks, hashes, carries);
    const buckets = bucketsOfFour(avalancheFour(v128.xor(h, i32x4.add(counts, v128.load(at, LENGTHS)))));
    let cells = i32x4.splat(cellOf(image, load<u32>(at, RANGES), i32x4.extract_lane(buckets, 0)));
    cells = i32x4.replace_lane(cells, 1, cellOf(image, load<u32>(at, RANGES + 4), i32x4.extract_lane(buckets, 1)));
    cells = i32x4.replace_lane(cells, 2, cellOf(image, load<u32>(at, RANGES + 8), i32x4.extract_lane(buckets, 2)));
    cells = i32x4.replace_lane(cells, 3, cellOf(image, load<u32>(at, RANGES + 12), i32x4.extract_lane(buckets, 3)));
    storeFour<T>(at, target, cells);
    at += stride;
  }
  if (left === 1) {
    const h = hashOne(at + MANY_FIRST, blocks, hash, carry);
    const bucket = avalanche(h ^ (bytes + load<u32>(at, LENGTHS))) % 10_000;
    storeOne<T>(target, load<u32>(at, COLUMNS), cellOf(image, load<u32>(at, RANGES), bucket));
  }
}

/** All but the count of bytes and the avalanche. With no whole block the first word is the tail. */
function hashFour(first: u32, blocks: u32, hashes: v128, carries: v128): v128 {
  const shared = scrambleFour(i32x4.add(carries, v128.load(first)));
  if (blocks === 0) return v128.xor(hashes, shared);
  let h = mixFour(hashes, shared);
  const tail = first + blocks * ROW_BYTES;
  for (let at = first + ROW_BYTES; at < tail; at += ROW_BYTES) h = mixFour(h, v128.load(at));
  return v128.xor(h, v128.load(tail));
}

/** The same, of the first lane alone: where few columns are asked of many users, three of four would be for nothing. */
function hashOne(first: u32, blocks: u32, hash: u32, carry: u32): u32 {
  const shared = scramble(carry + load<u32>(first));
  if (blocks === 0) return hash ^ shared;
  let h = mix(hash, shared);
  const tail = first + blocks * ROW_BYTES;
  for (let at = first + ROW_BYTES; at < tail; at += ROW_BYTES) h = mix(h, load<u32>(at));
  return h ^ load<u32>(tail);
}

/** The first range whose edge is above the bucket: halves the chunks, then counts the edges of one that are not. */
function cellOf(image: u32, recordAt: u32, bucket: u32): u32 {
  const record = image + recordAt;
  const edges = record + RECORD_EDGES;
  const chunks = load<u32>(record);
  let chunk = edges;
  for (let left = chunks; left > 1; ) {
    const half = left >> 1;
    const next = chunk + half * CHUNK_BYTES;
    chunk = select<u32>(next, chunk, (load<u16>(next - 2) as u32) <= bucket);
    left -= half;
  }
  const notAbove = i16x8.ge_s(i16x8.splat(bucket as i16), v128.load(chunk));
  const range = ((chunk - edges) >> 1) + popcnt<u32>(i16x8.bitmask(notAbove));
  return load<u32>(edges + chunks * CHUNK_BYTES + (range << 2));
}

/** Cells of a vector of one edge each. */
function storeTwo<T>(vector: u32, target: u32, hashes: v128): void {
  const isBelow = i32x4.lt_s(bucketsOfFour(hashes), v128.load(vector, EDGE));
  storeFour<T>(vector, target, v128.bitselect(v128.load(vector, BELOW), v128.load(vector, ABOVE), isBelow));
}

function storeFour<T>(vector: u32, target: u32, cells: v128): void {
  const a = load<u32>(vector, COLUMNS);
  const b = load<u32>(vector, COLUMNS + 4);
  const c = load<u32>(vector, COLUMNS + 8);
  const d = load<u32>(vector, COLUMNS + 12);
  if (sizeof<T>() === 2) {
    v128.store_lane<u16>(target + (a << 1), cells, 1);
    v128.store_lane<u16>(target + (b << 1), cells, 3);
    v128.store_lane<u16>(target + (c << 1), cells, 5);
    v128.store_lane<u16>(target + (d << 1), cells, 7);
  } else if (isSigned<T>()) {
    v128.store_lane<u8>(target + a, cells, 1);
    v128.store_lane<u8>(target + b, cells, 5);
    v128.store_lane<u8>(target + c, cells, 9);
    v128.store_lane<u8>(target + d, cells, 13);
  } else {
    v128.store_lane<u8>(target + a, cells, 0);
    v128.store_lane<u8>(target + b, cells, 4);
    v128.store_lane<u8>(target + c, cells, 8);
    v128.store_lane<u8>(target + d, cells, 12);
  }
}

function storeOne<T>(target: u32, column: u32, cell: u32): void {
  if (sizeof<T>() === 2) store<u16>(target + (column << 1), (cell >> 16) as u16);
  else if (isSigned<T>()) store<u8>(target + column, (cell >> 8) as u8);
  else store<u8>(target + column, cell as u8);
}
