// MurmurHash3_x86_32 in pieces: of one number, and of four at a time.

const C1: u32 = 0xcc9e2d51;
const C2: u32 = 0x1b873593;
const ROUND: u32 = 0xe6546b64;
const FINAL_1: u32 = 0x85ebca6b;
const FINAL_2: u32 = 0xc2b2ae35;

export function product(word: u32): u32 {
  return word * C1;
}

/** Of a word times C1. */
export function scramble(k: u32): u32 {
  return rotl<u32>(k, 15) * C2;
}

export function mix(h: u32, scrambled: u32): u32 {
  return rotl<u32>(h ^ scrambled, 13) * 5 + ROUND;
}

export function avalanche(hash: u32): u32 {
  let h = hash;
  h = (h ^ (h >> 16)) * FINAL_1;
  h = (h ^ (h >> 13)) * FINAL_2;
  return h ^ (h >> 16);
}

export function scrambleFour(k: v128): v128 {
  return i32x4.mul(v128.or(i32x4.shl(k, 15), i32x4.shr_u(k, 17)), i32x4.splat(C2));
}

/** x * 5 as a shift and a sum: a multiplication of four takes ten cycles. */
export function mixFour(h: v128, scrambled: v128): v128 {
  const x = v128.xor(h, scrambled);
  const turned = v128.or(i32x4.shl(x, 13), i32x4.shr_u(x, 19));
  return i32x4.add(i32x4.add(turned, i32x4.splat(ROUND)), i32x4.shl(turned, 2));
}

export function avalancheFour(hash: v128): v128 {
  let h = hash;
  h = i32x4.mul(v128.xor(h, i32x4.shr_u(h, 16)), i32x4.splat(FINAL_1));
  h = i32x4.mul(v128.xor(h, i32x4.shr_u(h, 13)), i32x4.splat(FINAL_2));
  return v128.xor(h, i32x4.shr_u(h, 16));
}

/** Unsigned h % 10000. The multiple is exact for each u32: h / 10000 = h * 0xd1b71759 >> 45. */
export function bucketsOfFour(h: v128): v128 {
  const magic = i32x4.splat(0xd1b71759);
  const low = i64x2.shr_u(i64x2.extmul_low_i32x4_u(h, magic), 45);
  const high = i64x2.shr_u(i64x2.extmul_high_i32x4_u(h, magic), 45);
  const quotient = v128.shuffle<i32>(low, high, 0, 2, 4, 6);
  return i32x4.sub(h, i32x4.mul(quotient, i32x4.splat(10_000)));
}
