// The snapshot as it lies in Redis: its encoding less keys and secrets, and behind it 32 bytes, HMAC-SHA256 of all before.
// Redis is not trusted: the tags of its items can be read there, so that their sums alone would also fit documents that
// somebody changed.
import { createHmac, type Hmac, timingSafeEqual } from 'node:crypto';
import { type HashBytes, isOfKeys, toggle } from '../../snapshot/checksum.ts';
import { encodeSnapshotSlowly, FORMAT, openEnvelope } from '../../snapshot/encoding.ts';
import type { SecretItem, SnapshotContent, SnapshotHead, SnapshotItem } from '../../snapshot/item.ts';

const SIGNATURE_BYTES = 32;
/** A millisecond's work. */
const SIGN_BYTES = 1_048_576;
/** Where the encoding has revision and sums, three times 64 bits. */
const REVISION_AT = 24;
const SUMS_END = 48;

/** What signs for one store. */
export interface Signer {
  /** For what is signed in parts. */
  begin(): Hmac;
  sign(bytes: Uint8Array | string): Buffer;
  verify(bytes: Uint8Array | string, signature: Uint8Array): boolean;
}

/** Undefined when the secret is not among the items. */
export function signerOf(items: readonly SnapshotItem[]): Signer | undefined {
  const item = items.find(({ kind, id }) => kind === 'secret' && id === 'stream');
  if (item === undefined) return undefined;
  const { secret } = JSON.parse(item.json) as SecretItem;
  // Not the secret itself: what it signs elsewhere must say nothing here.
  const key = createHmac('sha256', secret).update('burgee redis').digest();
  const begin = (): Hmac => createHmac('sha256', key);
  const sign = (bytes: Uint8Array | string): Buffer => begin().update(bytes).digest();
  return {
    begin,
    sign,
    verify: (bytes, signature) => signature.length === SIGNATURE_BYTES && timingSafeEqual(sign(bytes), signature),
  };
}

/** The first 8 bytes of every snapshot of this format. */
export const FIRST_BYTES = Buffer.from([0x42, 0x52, 0x47, 0x53, FORMAT & 0xff, FORMAT >> 8, 1, 0]);

/** Bytes 24 to 47: what tells two snapshots of an epoch apart. */
export function middleBytes(head: SnapshotHead): Buffer {
  const bytes = Buffer.alloc(SUMS_END - REVISION_AT);
  bytes.writeBigUInt64LE(BigInt(head.revision), 0);
  bytes.writeBigUInt64LE(head.sumRest, 16);
  return bytes;
}

/** In short turns, `pause` between them, for the primary has others to answer. */
export async function encodeHotCopy(
  content: SnapshotContent,
  hash: HashBytes,
  signer: Signer,
  pause: () => Promise<void>,
): Promise<Buffer> {
  const head: SnapshotHead = { ...content.head, sumKeys: 0n };
  const items = content.items.filter(({ kind }) => !isOfKeys(kind));
  const bytes = await encodeSnapshotSlowly({ head, items }, hash, pause);
  const signing = signer.begin();
  for (let at = 0; at < bytes.length; at += SIGN_BYTES) {
    await pause();
    signing.update(bytes.subarray(at, at + SIGN_BYTES));
  }
  return Buffer.concat([bytes, signing.digest()]);
}

/** Undefined when there is anything about it that cannot be believed. */
export function believeHotCopy(
  value: Buffer,
  epoch: string,
  hash: HashBytes,
  signer: Signer,
): SnapshotContent | undefined {
  const end = value.length - SIGNATURE_BYTES;
  if (end <= 0 || !signer.verify(value.subarray(0, end), value.subarray(end))) return undefined;
  try {
    const { kind, head, puts, removeCount } = openEnvelope(value.subarray(0, end), hash);
    const items = [...puts];
    const sums = { keys: 0n, rest: 0n };
    for (const item of items) toggle(sums, item.kind, item.tag);
    const isWhole = kind === 'snapshot' && removeCount === 0 && head.epoch === epoch;
    const fits = sums.rest === head.sumRest && head.sumKeys === 0n && !items.some((item) => isOfKeys(item.kind));
    return isWhole && fits ? { head, items } : undefined;
  } catch {
    // Signed, and yet not to be read: another build's doing.
    return undefined;
  }
}
