// Hot path.
// MurmurHash3_x86_32, twice: over bytes, as the reference that the vectors check, and over a user's string without
// making its bytes, which is what serves single evaluations. Both give the same number for the same UTF-8.
import type { HashUser } from '../core/compiled.ts';

export const C1 = 0xcc9e2d51;
const C2 = 0x1b873593;

/**
 * MurmurHash3_x86_32 of `bytes` with `seed` (unsigned 32 bits).
 * @returns the hash as an unsigned 32-bit integer
 */
export function murmur3(bytes: Uint8Array, seed: number): number {
  return finish(seed | 0, 0, 0, bytes, bytes.length);
}

/**
 * MurmurHash3_x86_32(utf8(userId) + suffix, seed 0) as an unsigned 32-bit integer. Any string is welcome: a lone
 * surrogate counts as EF BF BD, as TextEncoder has it. Nothing is joined and nothing is allocated.
 */
export const hashUser: HashUser = (userId: string, suffix: Uint8Array): number => {
  const length = userId.length;
  const blocksEnd = length - (length & 3);
  let h = 0;
  let i = 0;
  // Nearly all ids are ASCII, where a character is a byte: four of them are a block.
  for (; i < blocksEnd; i += 4) {
    const a = userId.charCodeAt(i);
    const b = userId.charCodeAt(i + 1);
    const c = userId.charCodeAt(i + 2);
    const d = userId.charCodeAt(i + 3);
    if ((a | b | c | d) >= 0x80) return hashFrom(userId, i, h, suffix);
    h = mix(h, a | (b << 8) | (c << 16) | (d << 24));
  }
  let carry = 0;
  let carryBits = 0;
  for (; i < length; i++) {
    const unit = userId.charCodeAt(i);
    if (unit >= 0x80) return hashFrom(userId, blocksEnd, h, suffix);
    carry |= unit << carryBits;
    carryBits += 8;
  }
  return finish(h, carry, carryBits, suffix, length + suffix.length);
};

/** Goes on at `start`, before which all was ASCII and whole blocks: any UTF-16, turned into UTF-8 as it is read. */
function hashFrom(userId: string, start: number, hash: number, suffix: Uint8Array): number {
  const length = userId.length;
  let h = hash;
  let byteCount = start;
  let carry = 0;
  let carryBits = 0;
  for (let i = start; i < length; i++) {
    const unit = userId.charCodeAt(i);
    // `packed` holds the character's UTF-8, first byte lowest, as a little-endian block does.
    let packed: number;
    let packedBits: number;
    if (unit < 0x80) {
      packed = unit;
      packedBits = 8;
    } else if (unit < 0x800) {
      packed = 0x80c0 | (unit >> 6) | ((unit & 0x3f) << 8);
      packedBits = 16;
    } else if (unit < 0xd800 || unit > 0xdfff) {
      packed = 0x8080e0 | (unit >> 12) | (((unit >> 6) & 0x3f) << 8) | ((unit & 0x3f) << 16);
      packedBits = 24;
    } else {
      const low = unit < 0xdc00 && i + 1 < length ? userId.charCodeAt(i + 1) : 0;
      if (low >= 0xdc00 && low <= 0xdfff) {
        i++;
        const point = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        packed =
          0x808080f0 |
          (point >> 18) |
          (((point >> 12) & 0x3f) << 8) |
          (((point >> 6) & 0x3f) << 16) |
          ((point & 0x3f) << 24);
        packedBits = 32;
      } else {
        packed = 0xbdbfef;
        packedBits = 24;
      }
    }
    byteCount += packedBits >> 3;
    carry |= packed << carryBits;
    carryBits += packedBits;
    if (carryBits >= 32) {
      h = mix(h, carry);
      carryBits -= 32;
      // What did not fit: all but the packedBits - carryBits that did. A shift by 32 is a shift by 0 in JavaScript.
      carry = carryBits === 0 ? 0 : packed >>> (packedBits - carryBits);
    }
  }
  return finish(h, carry, carryBits, suffix, byteCount + suffix.length);
}

/** Mixes `bytes` in behind `carryBits` (0, 8, 16 or 24) left over in `carry`, then the tail and the length in bytes. */
function finish(hash: number, carry: number, carryBits: number, bytes: Uint8Array, byteCount: number): number {
  const length = bytes.length;
  const blocksEnd = length - (length & 3);
  let h = hash;
  let left = carry;
  let leftBits = carryBits;
  let i = 0;
  for (; i < blocksEnd; i += 4) {
    const block =
      (bytes[i] as number) |
      ((bytes[i + 1] as number) << 8) |
      ((bytes[i + 2] as number) << 16) |
      ((bytes[i + 3] as number) << 24);
    h = mix(h, left | (block << leftBits));
    left = leftBits === 0 ? 0 : block >>> (32 - leftBits);
  }
  for (; i < length; i++) {
    left |= (bytes[i] as number) << leftBits;
    leftBits += 8;
    if (leftBits === 32) {
      h = mix(h, left);
      left = 0;
      leftBits = 0;
    }
  }
  if (leftBits !== 0) h ^= scramble(left);
  return avalanche(h ^ byteCount);
}

function mix(hash: number, block: number): number {
  return mixScrambled(hash, scramble(block));
}

/** `hash` after one more block that `scramble` was already done to. */
export function mixScrambled(hash: number, scrambled: number): number {
  const h = hash ^ scrambled;
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}

/** The hash, unsigned, of what `h` holds when all bytes and their count are in. */
export function avalanche(h: number): number {
  let mixed = h ^ (h >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  mixed ^= mixed >>> 16;
  return mixed >>> 0;
}

/** What a little-endian word of four bytes becomes before it goes into the hash; 0 for 0. */
export function scramble(block: number): number {
  return scrambleProduct(Math.imul(block, C1));
}

/** The same, of a word that was already multiplied by C1. */
export function scrambleProduct(k: number): number {
  return Math.imul((k << 15) | (k >>> 17), C2);
}
