// MurmurHash3_x86_32 written down from its description, slowly and in BigInt: the second opinion on the bucket of a user.

const WORD = 0xffff_ffffn;

/** Of the UTF-8 bytes of `text`, seed 0, unsigned. */
export function naiveMurmur3(text: string): number {
  const bytes = [...new TextEncoder().encode(text)].map(BigInt);
  let hash = 0n;
  for (let i = 0; i + 4 <= bytes.length; i += 4) {
    hash ^= scramble(littleEndian(bytes.slice(i, i + 4)));
    hash = (rotate(hash, 13n) * 5n + 0xe654_6b64n) & WORD;
  }
  const rest = bytes.slice(bytes.length - (bytes.length % 4));
  if (rest.length > 0) hash ^= scramble(littleEndian(rest));
  hash ^= BigInt(bytes.length);
  hash ^= hash >> 16n;
  hash = (hash * 0x85eb_ca6bn) & WORD;
  hash ^= hash >> 13n;
  hash = (hash * 0xc2b2_ae35n) & WORD;
  hash ^= hash >> 16n;
  return Number(hash);
}

function scramble(block: bigint): bigint {
  return (rotate((block * 0xcc9e_2d51n) & WORD, 15n) * 0x1b87_3593n) & WORD;
}

function rotate(word: bigint, bits: bigint): bigint {
  return ((word << bits) | (word >> (32n - bits))) & WORD;
}

function littleEndian(bytes: readonly bigint[]): bigint {
  return bytes.reduceRight((word, byte) => (word << 8n) | byte, 0n);
}
