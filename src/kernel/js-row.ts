// Hot path.
// All columns of an image for one user, in JavaScript: the user's whole blocks are hashed once, and for each column goes
// on from there with what the image has prepared.
import {
  ABOVE_ROW,
  BELOW_ROW,
  CHUNK_EDGES,
  COLUMNS_ROW,
  EDGE_ROW,
  GROUP_COUNTS_WORD,
  GROUP_WORDS,
  GROUPS_WORD,
  KIND_TWO,
  LANES,
  LENGTHS_ROW,
  MANY_FIRST_ROW,
  RANGES_ROW,
  RECORD_HEAD_WORDS,
  TWO_FIRST_ROW,
} from './columns-layout.ts';
import { avalanche, C1, mixScrambled, scramble, scrambleProduct } from './murmur3.ts';

const BUCKET_COUNT = 10_000;

/**
 * Decides the columns of an image for the user in `byteCount` bytes of `users` from `userAt` on, and puts what stands at
 * `cellShift` of each cell into `target` from `targetAt` on; fixed columns are left as they are.
 */
export function decideRow(
  words: Uint32Array,
  users: Uint8Array,
  userAt: number,
  byteCount: number,
  target: Uint8Array | Uint16Array,
  targetAt: number,
  cellShift: number,
): void {
  const alignment = byteCount & 3;
  const blocksEnd = userAt + byteCount - alignment;
  let hash = 0;
  for (let i = userAt; i < blocksEnd; i += 4) {
    const block =
      (users[i] as number) |
      ((users[i + 1] as number) << 8) |
      ((users[i + 2] as number) << 16) |
      ((users[i + 3] as number) << 24);
    hash = mixScrambled(hash, scramble(block));
  }
  let carry = 0;
  for (let i = 0; i < alignment; i++) carry |= (users[blocksEnd + i] as number) << (8 * i);
  const carryProduct = Math.imul(carry, C1);

  let descriptor = (words[GROUPS_WORD + alignment] as number) >> 2;
  const groups = words[GROUP_COUNTS_WORD + alignment] as number;
  for (let group = 0; group < groups; group++, descriptor += GROUP_WORDS) {
    const isTwo = words[descriptor] === KIND_TWO;
    const blocks = words[descriptor + 1] as number;
    const lanes = words[descriptor + 2] as number;
    const firstRow = isTwo ? TWO_FIRST_ROW : MANY_FIRST_ROW;
    const vectorWords = (firstRow + blocks + 1) * LANES;
    const vectors = (words[descriptor + 3] as number) >> 2;
    for (let lane = 0; lane < lanes; lane++) {
      const at = vectors + (lane >> 2) * vectorWords + (lane & 3);
      const h = finishLane(words, at + firstRow * LANES, blocks, hash, carryProduct);
      const bucket = avalanche(h ^ (byteCount + (words[at + LENGTHS_ROW * LANES] as number))) % BUCKET_COUNT;
      const cell = isTwo ? cellOfTwo(words, at, bucket) : cellOfMany(words, at, bucket);
      // Cut to the cell's bytes by the array: a Uint8Array keeps the lowest.
      target[targetAt + (words[at + COLUMNS_ROW * LANES] as number)] = cell >>> cellShift;
    }
  }
}

/** The hash behind a suffix, but for the count of bytes and the avalanche. */
function finishLane(words: Uint32Array, firstAt: number, blocks: number, hash: number, carryProduct: number): number {
  const shared = scrambleProduct((carryProduct + (words[firstAt] as number)) | 0);
  if (blocks === 0) return hash ^ shared;
  let h = mixScrambled(hash, shared);
  const tailAt = firstAt + blocks * LANES;
  for (let at = firstAt + LANES; at < tailAt; at += LANES) h = mixScrambled(h, words[at] as number);
  return h ^ (words[tailAt] as number);
}

function cellOfTwo(words: Uint32Array, at: number, bucket: number): number {
  const row = bucket < (words[at + EDGE_ROW * LANES] as number) ? BELOW_ROW : ABOVE_ROW;
  return words[at + row * LANES] as number;
}

/** The first range whose edge is above the bucket. Edges are two a word. */
function cellOfMany(words: Uint32Array, at: number, bucket: number): number {
  const record = (words[at + RANGES_ROW * LANES] as number) >> 2;
  const edgesAt = record + RECORD_HEAD_WORDS;
  const edgeCount = (words[record] as number) * CHUNK_EDGES;
  let low = 0;
  let high = edgeCount - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    const edge = ((words[edgesAt + (middle >> 1)] as number) >>> ((middle & 1) * 16)) & 0xffff;
    if (bucket < edge) high = middle;
    else low = middle + 1;
  }
  return words[edgesAt + (edgeCount >> 1) + low] as number;
}
