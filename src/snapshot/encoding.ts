// A snapshot or a delta as bytes, made once by the primary and sent to every worker as it is.
//
//   0  u32  magic "BRGS"          4  u16  format        6  u8  kind: 1 snapshot, 2 delta      7  u8  0
//   8  u32  puts                 12  u32  removes      16  u64 from (delta only)             24  u64 revision
//  32  u64  sum of keys          40  u64  sum of rest  48  u32 bytes of the preamble         52  u32 0
//  56  preamble, JSON: {epoch, changedAt}
//   .  each put:    u8 kind, u8 0, u16 environment bytes, u16 id bytes, u16 0, u32 json bytes, u64 revision, u64 tag,
//                   then environment, id and json as UTF-8
//   .  each remove: u8 kind, u8 0, u16 environment bytes, u16 id bytes, then environment and id
//   .  u64  xxHash64 of everything before
//
// All little-endian. A worker may be older than its primary: another format is refused whole, never half-read. A new kind
// of item is a new format, for a build that does not know it would serve without it.
import type { HashBytes } from './checksum.ts';
import type { DeltaContent, ItemAddress, ItemKind, SnapshotContent, SnapshotHead, SnapshotItem } from './item.ts';

const MAGIC = 0x53475242;
/** What these bytes mean; others mean something else. */
export const FORMAT = 2;
const HEADER_BYTES = 56;
const PUT_BYTES = 28;
const REMOVE_BYTES = 6;
const HASH_BYTES = 8;
const KINDS = ['environment', 'flag', 'segment', 'key', 'secret'] as const satisfies readonly ItemKind[];

/** Items written before whoever encodes for later gets a turn: some hundreds of microseconds. */
const PUTS_PER_STEP = 100;

export function encodeSnapshot(content: SnapshotContent, hash: HashBytes): Uint8Array {
  return toEnd(encode(1, 0, content.head, content.items, [], hash));
}

export function encodeDelta(delta: DeltaContent, hash: HashBytes): Uint8Array {
  return toEnd(encode(2, delta.from, delta.head, delta.puts, delta.removes, hash));
}

/** The same for bytes that nobody waits for: `pause` is awaited between steps of less than a millisecond. */
export async function encodeSnapshotSlowly(
  content: SnapshotContent,
  hash: HashBytes,
  pause: () => Promise<void>,
): Promise<Uint8Array> {
  const steps = encode(1, 0, content.head, content.items, [], hash);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    await pause();
  }
}

function toEnd<T>(steps: Generator<void, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

export interface Envelope {
  readonly kind: 'snapshot' | 'delta';
  /** The revision a delta starts from; 0 for a snapshot. */
  readonly from: number;
  readonly head: SnapshotHead;
  readonly putCount: number;
  readonly removeCount: number;
  /** Walk these once, puts before removes; they read the bytes as they go. */
  readonly puts: Iterable<SnapshotItem>;
  readonly removes: Iterable<ItemAddress>;
}

/** Checks hash and format, and reads the head. Throws with the reason: bad bytes are a bug or a broken disk. */
export function openEnvelope(bytes: Uint8Array, hash: HashBytes): Envelope {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.length < HEADER_BYTES + HASH_BYTES) throw new Error(`snapshot of ${view.length} bytes is cut short`);
  if (view.readUInt32LE(0) !== MAGIC) throw new Error('not a snapshot');
  if (view.readUInt16LE(4) !== FORMAT)
    throw new Error(`snapshot format ${view.readUInt16LE(4)}; this build reads ${FORMAT}`);
  const end = view.length - HASH_BYTES;
  if (hash(view.subarray(0, end)) !== view.readBigUInt64LE(end))
    throw new Error('snapshot bytes do not match their hash');
  const putCount = view.readUInt32LE(8);
  const removeCount = view.readUInt32LE(12);
  const preambleEnd = HEADER_BYTES + view.readUInt32LE(48);
  const preamble = JSON.parse(view.toString('utf8', HEADER_BYTES, preambleEnd)) as Pick<
    SnapshotHead,
    'epoch' | 'changedAt'
  >;
  const cursor = { at: preambleEnd };
  return {
    kind: view[6] === 1 ? 'snapshot' : 'delta',
    from: Number(view.readBigUInt64LE(16)),
    head: {
      epoch: preamble.epoch,
      revision: Number(view.readBigUInt64LE(24)),
      sumKeys: view.readBigUInt64LE(32),
      sumRest: view.readBigUInt64LE(40),
      changedAt: preamble.changedAt,
    },
    putCount,
    removeCount,
    puts: readPuts(view, cursor, putCount),
    removes: readRemoves(view, cursor, removeCount),
  };
}

function* readPuts(view: Buffer, cursor: { at: number }, count: number): Generator<SnapshotItem> {
  for (let i = 0; i < count; i++) {
    const at = cursor.at;
    const kind = kindAt(view, at);
    const environmentEnd = at + PUT_BYTES + view.readUInt16LE(at + 2);
    const idEnd = environmentEnd + view.readUInt16LE(at + 4);
    const jsonEnd = idEnd + view.readUInt32LE(at + 8);
    cursor.at = jsonEnd;
    yield {
      kind,
      environment: view.toString('utf8', at + PUT_BYTES, environmentEnd),
      id: view.toString('utf8', environmentEnd, idEnd),
      revision: Number(view.readBigUInt64LE(at + 12)),
      tag: view.readBigUInt64LE(at + 20),
      json: view.toString('utf8', idEnd, jsonEnd),
    };
  }
}

function* readRemoves(view: Buffer, cursor: { at: number }, count: number): Generator<ItemAddress> {
  for (let i = 0; i < count; i++) {
    const at = cursor.at;
    const kind = kindAt(view, at);
    const environmentEnd = at + REMOVE_BYTES + view.readUInt16LE(at + 2);
    const idEnd = environmentEnd + view.readUInt16LE(at + 4);
    cursor.at = idEnd;
    yield {
      kind,
      environment: view.toString('utf8', at + REMOVE_BYTES, environmentEnd),
      id: view.toString('utf8', environmentEnd, idEnd),
    };
  }
}

function kindAt(view: Buffer, at: number): ItemKind {
  const kind = KINDS[view[at] as number];
  if (kind === undefined) throw new Error(`unknown item kind ${view[at]}`);
  return kind;
}

function* encode(
  kind: 1 | 2,
  from: number,
  head: SnapshotHead,
  puts: readonly SnapshotItem[],
  removes: readonly ItemAddress[],
  hash: HashBytes,
): Generator<void, Uint8Array> {
  const preamble = JSON.stringify({ epoch: head.epoch, changedAt: head.changedAt });
  // UTF-16 units times three bounds UTF-8, so one allocation is enough and nothing is measured twice.
  let bound = HEADER_BYTES + HASH_BYTES + preamble.length * 3;
  for (const put of puts) bound += PUT_BYTES + (put.environment.length + put.id.length + put.json.length) * 3;
  for (const remove of removes) bound += REMOVE_BYTES + (remove.environment.length + remove.id.length) * 3;
  const bytes = Buffer.allocUnsafe(bound);
  bytes.fill(0, 0, HEADER_BYTES);
  bytes.writeUInt32LE(MAGIC, 0);
  bytes.writeUInt16LE(FORMAT, 4);
  bytes[6] = kind;
  bytes.writeUInt32LE(puts.length, 8);
  bytes.writeUInt32LE(removes.length, 12);
  bytes.writeBigUInt64LE(BigInt(from), 16);
  bytes.writeBigUInt64LE(BigInt(head.revision), 24);
  bytes.writeBigUInt64LE(head.sumKeys, 32);
  bytes.writeBigUInt64LE(head.sumRest, 40);
  const preambleBytes = bytes.write(preamble, HEADER_BYTES);
  bytes.writeUInt32LE(preambleBytes, 48);
  let at = HEADER_BYTES + preambleBytes;
  for (const [i, put] of puts.entries()) {
    at = writePut(bytes, at, put);
    if ((i + 1) % PUTS_PER_STEP === 0) yield;
  }
  for (const remove of removes) at = writeRemove(bytes, at, remove);
  bytes.writeBigUInt64LE(hash(bytes.subarray(0, at)), at);
  return bytes.subarray(0, at + HASH_BYTES);
}

function writePut(bytes: Buffer, at: number, put: SnapshotItem): number {
  const environmentBytes = bytes.write(put.environment, at + PUT_BYTES);
  const idBytes = bytes.write(put.id, at + PUT_BYTES + environmentBytes);
  const jsonBytes = bytes.write(put.json, at + PUT_BYTES + environmentBytes + idBytes);
  bytes[at] = KINDS.indexOf(put.kind);
  bytes[at + 1] = 0;
  bytes.writeUInt16LE(environmentBytes, at + 2);
  bytes.writeUInt16LE(idBytes, at + 4);
  bytes.writeUInt16LE(0, at + 6);
  bytes.writeUInt32LE(jsonBytes, at + 8);
  bytes.writeBigUInt64LE(BigInt(put.revision), at + 12);
  bytes.writeBigUInt64LE(put.tag, at + 20);
  return at + PUT_BYTES + environmentBytes + idBytes + jsonBytes;
}

function writeRemove(bytes: Buffer, at: number, remove: ItemAddress): number {
  const environmentBytes = bytes.write(remove.environment, at + REMOVE_BYTES);
  const idBytes = bytes.write(remove.id, at + REMOVE_BYTES + environmentBytes);
  bytes[at] = KINDS.indexOf(remove.kind);
  bytes[at + 1] = 0;
  bytes.writeUInt16LE(environmentBytes, at + 2);
  bytes.writeUInt16LE(idBytes, at + 4);
  return at + REMOVE_BYTES + environmentBytes + idBytes;
}
