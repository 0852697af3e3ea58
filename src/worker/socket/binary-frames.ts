// Hot path.
// The binary frames of the socket as bytes: a request's head and whether its lengths add up, and a reply's head. All
// numbers are little-endian:
//
//   request  u8 op  u8 options  u16 handle  u32 id  u32 users         then per user: u16 length, UTF-8;
//                                                                     op 2 also: u32 length, JSON
//   reply    u8 0x81  u8 options  u16 handle  u32 id  u32 users  u32 flags  u64 revision         then the rows
const REQUEST_HEAD_BYTES = 12;
const ID_END = 8;

const OP_USERS = 1;
const OP_USERS_WITH_ATTRIBUTES = 2;
const OP_REPLY = 0x81;
const OPTION_PACKED = 1;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;

const TWO_TO_32 = 4_294_967_296;

export interface Frame {
  /** What makes it no message at all; undefined: its lengths add up, and what they hold is still to be looked at. */
  readonly malformed: string | undefined;
  /** null: the frame is too short to have one. */
  readonly id: number | null;
  readonly isPacked: boolean;
  readonly withAttributes: boolean;
  readonly handle: number;
  readonly userCount: number;
}

/** Never throws, whatever the bytes are. */
export function readFrame(bytes: Uint8Array): Frame {
  const length = bytes.length;
  const id = peekFrameId(bytes);
  // What libraries make of JSON that is handed to them as bytes.
  if (bytes[0] === OPENING_BRACE && bytes[length - 1] === CLOSING_BRACE)
    return broken(id, 'this looks like JSON: send it in a text frame, not in a binary one');
  if (length < REQUEST_HEAD_BYTES) return broken(id, `a frame begins with ${REQUEST_HEAD_BYTES} bytes, not ${length}`);
  const op = bytes[0] as number;
  const options = bytes[1] as number;
  if (op !== OP_USERS && op !== OP_USERS_WITH_ATTRIBUTES) return broken(id, `there is no op ${op}; there are 1 and 2`);
  if ((options & ~OPTION_PACKED) !== 0) return broken(id, `of the options only bit 0 is known, not ${options}`);
  const userCount = u32(bytes, 8);
  const withAttributes = op === OP_USERS_WITH_ATTRIBUTES;
  const malformed = withAttributes ? walkWithAttributes(bytes, userCount) : walk(bytes, userCount);
  if (malformed !== undefined) return broken(id, malformed);
  return { malformed, id, isPacked: options === OPTION_PACKED, withAttributes, handle: u16(bytes, 2), userCount };
}

/** Its id without a look at the rest, for what is refused before it is read; null: the frame is too short to have one. */
export function peekFrameId(bytes: Uint8Array): number | null {
  return bytes.length < ID_END ? null : u32(bytes, 4);
}

/** The users of a frame that is not malformed: a view. */
export function usersOf(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(REQUEST_HEAD_BYTES);
}

/** Writes a reply's head into the 24 bytes of `head`. `revision`: below 2^53. */
export function writeReplyHead(
  head: Uint8Array,
  isPacked: boolean,
  handle: number,
  id: number,
  userCount: number,
  flagCount: number,
  revision: number,
): void {
  head[0] = OP_REPLY;
  head[1] = isPacked ? OPTION_PACKED : 0;
  head[2] = handle;
  head[3] = handle >>> 8;
  putU32(head, 4, id);
  putU32(head, 8, userCount);
  putU32(head, 12, flagCount);
  putU32(head, 16, revision >>> 0);
  putU32(head, 20, Math.floor(revision / TWO_TO_32));
}

/** What is wrong with the lengths; undefined: nothing. */
function walk(bytes: Uint8Array, userCount: number): string | undefined {
  const length = bytes.length;
  let at = REQUEST_HEAD_BYTES;
  for (let user = 0; user < userCount; user++) {
    if (at + 2 > length) return endsAt(user);
    at += 2 + u16(bytes, at);
  }
  return at === length ? undefined : doesNotEnd(at, length, userCount);
}

function walkWithAttributes(bytes: Uint8Array, userCount: number): string | undefined {
  const length = bytes.length;
  let at = REQUEST_HEAD_BYTES;
  for (let user = 0; user < userCount; user++) {
    if (at + 2 > length) return endsAt(user);
    at += 2 + u16(bytes, at);
    if (at + 4 > length) return endsAt(user);
    at += 4 + u32(bytes, at);
  }
  return at === length ? undefined : doesNotEnd(at, length, userCount);
}

function endsAt(user: number): string {
  return `the frame ends before users[${user}] does`;
}

function doesNotEnd(at: number, length: number, userCount: number): string {
  return at > length ? endsAt(userCount - 1) : `${length - at} bytes follow the last of ${userCount} users`;
}

function broken(id: number | null, malformed: string): Frame {
  return { malformed, id, isPacked: false, withAttributes: false, handle: 0, userCount: 0 };
}

function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
}

function u32(bytes: Uint8Array, at: number): number {
  return (u16(bytes, at) | (u16(bytes, at + 2) << 16)) >>> 0;
}

function putU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}
