// Binary requests and replies by the byte table of docs/protocol.md, for clients that make them by the thousand.

export const PACKED = 1;
export const UNKNOWN_VARIANT = 255;
const REQUEST_HEAD_BYTES = 12;
const REPLY_HEAD_BYTES = 24;

export interface BinaryRequest {
  readonly handle: number;
  readonly id: number;
  readonly packed: boolean;
  readonly users: readonly string[];
  /** JSON, one a user; undefined: op 1. */
  readonly attributes?: readonly string[];
}

export function encodeRequest({ handle, id, packed, users, attributes }: BinaryRequest): Buffer {
  const head = Buffer.alloc(REQUEST_HEAD_BYTES);
  head[0] = attributes === undefined ? 1 : 2;
  head[1] = packed ? PACKED : 0;
  head.writeUInt16LE(handle, 2);
  head.writeUInt32LE(id, 4);
  head.writeUInt32LE(users.length, 8);
  const parts: Buffer[] = [head];
  for (const [i, user] of users.entries()) {
    const bytes = Buffer.from(user);
    const length = Buffer.alloc(2);
    length.writeUInt16LE(bytes.length);
    parts.push(length, bytes);
    if (attributes === undefined) continue;
    const json = Buffer.from(attributes[i] as string);
    const jsonLength = Buffer.alloc(4);
    jsonLength.writeUInt32LE(json.length);
    parts.push(jsonLength, json);
  }
  return Buffer.concat(parts);
}

export interface BinaryReply {
  readonly packed: boolean;
  readonly handle: number;
  readonly id: number;
  readonly users: number;
  readonly flags: number;
  readonly revision: number;
  /** The variant's index, or for packed replies 1 for enabled. */
  cell(user: number, flag: number): number;
}

/** Throws when it is not exactly as long as it says. */
export function decodeReply(bytes: Buffer): BinaryReply {
  if (bytes.length < REPLY_HEAD_BYTES || bytes[0] !== 0x81)
    throw new Error(`no reply: ${bytes.toString('hex', 0, 32)}`);
  if (((bytes[1] as number) & ~PACKED) !== 0) throw new Error(`reply with options ${bytes[1]}`);
  const packed = bytes[1] === PACKED;
  const users = bytes.readUInt32LE(8);
  const flags = bytes.readUInt32LE(12);
  const rowBytes = packed ? Math.ceil(flags / 8) : flags;
  const expected = REPLY_HEAD_BYTES + users * rowBytes;
  if (bytes.length !== expected) throw new Error(`a reply of ${users} x ${flags} has ${bytes.length} bytes`);
  return {
    packed,
    handle: bytes.readUInt16LE(2),
    id: bytes.readUInt32LE(4),
    users,
    flags,
    revision: Number(bytes.readBigUInt64LE(16)),
    cell(user, flag) {
      const row = REPLY_HEAD_BYTES + user * rowBytes;
      return packed ? ((bytes[row + (flag >> 3)] as number) >> (flag & 7)) & 1 : (bytes[row + flag] as number);
    },
  };
}
