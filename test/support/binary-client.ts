// The client's side of the binary frames, written from the contract (section 3) and from nothing in src: requests as
// bytes, replies read back, and the rule by which a reply finds the `prepared` that it is read with.

export interface BinaryUser {
  /** A string, or bytes that may be anything. */
  readonly userId: string | Uint8Array;
  /** Only for op 2: JSON, or bytes that may be anything. */
  readonly attributes?: string | Uint8Array;
}

export interface BinaryRequest {
  /** 1: users; 2: users with attributes. */
  readonly op: number;
  readonly options: number;
  readonly handle: number;
  readonly id: number;
  readonly users: readonly BinaryUser[];
}

/** `{}` stands in for attributes that op 2 needs and a user lacks. */
export function encodeRequest({ op, options, handle, id, users }: BinaryRequest): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt8(op, 0);
  head.writeUInt8(options, 1);
  head.writeUInt16LE(handle, 2);
  head.writeUInt32LE(id, 4);
  head.writeUInt32LE(users.length, 8);
  const parts: Uint8Array[] = [head];
  for (const { userId, attributes } of users) {
    const name = Buffer.from(userId);
    const nameLength = Buffer.alloc(2);
    nameLength.writeUInt16LE(name.length);
    parts.push(nameLength, name);
    if (op !== 2) continue;
    const json = Buffer.from(attributes ?? '{}');
    const jsonLength = Buffer.alloc(4);
    jsonLength.writeUInt32LE(json.length);
    parts.push(jsonLength, json);
  }
  return Buffer.concat(parts);
}

export interface BinaryReply {
  readonly isPacked: boolean;
  readonly handle: number;
  readonly id: number;
  readonly userCount: number;
  readonly flagCount: number;
  readonly revision: number;
  /**
   * The cell of one user and one flag: the index into the prepared variants, 255 for unknown or archived; of a packed
   * reply 1 for enabled, else 0.
   */
  cell(user: number, flag: number): number;
}

/** Throws when the bytes are no reply, or more or fewer than they should be. */
export function decodeReply(bytes: Uint8Array): BinaryReply {
  const view = Buffer.from(bytes);
  if (view.length < 24) throw new Error(`a reply has 24 bytes at least, this one ${view.length}`);
  const op = view.readUInt8(0);
  const options = view.readUInt8(1);
  if (op !== 0x81) throw new Error(`op is ${op}`);
  if ((options & ~1) !== 0) throw new Error(`options are ${options}`);
  const isPacked = (options & 1) === 1;
  const userCount = view.readUInt32LE(8);
  const flagCount = view.readUInt32LE(12);
  const rowBytes = isPacked ? Math.ceil(flagCount / 8) : flagCount;
  if (view.length !== 24 + userCount * rowBytes) {
    throw new Error(`${view.length} bytes for ${userCount} users of ${flagCount} flags`);
  }
  if (isPacked && flagCount % 8 !== 0) {
    for (let user = 0; user < userCount; user++) {
      const last = view[24 + (user + 1) * rowBytes - 1] as number;
      if (last >> (flagCount % 8) !== 0) throw new Error(`row ${user} is not padded with zeros`);
    }
  }
  return {
    isPacked,
    handle: view.readUInt16LE(2),
    id: view.readUInt32LE(4),
    userCount,
    flagCount,
    revision: Number(view.readBigUInt64LE(16)),
    cell(user, flag) {
      if (user >= userCount || flag >= flagCount) throw new Error(`there is no cell ${user}, ${flag}`);
      const row = 24 + user * rowBytes;
      if (!isPacked) return view[row + flag] as number;
      return ((view[row + (flag >> 3)] as number) >> (flag & 7)) & 1;
    },
  };
}

/** The message that a `prepare` is answered by, and that follows when a list of variants changed. */
export interface Prepared {
  readonly type: 'prepared';
  readonly id: number;
  readonly handle: number;
  readonly revision: number;
  readonly flags: readonly { readonly flag_id: string; readonly variants: readonly string[] }[];
}

/** What a client keeps of the `prepared` messages of one socket. */
export class PreparedLists {
  private readonly byHandle = new Map<number, Prepared[]>();

  /** One with another id begins anew: the handle was released and given again. */
  add(prepared: Prepared): void {
    const known = this.byHandle.get(prepared.handle);
    if (known === undefined || known[0]?.id !== prepared.id) this.byHandle.set(prepared.handle, [prepared]);
    else known.push(prepared);
  }

  /** The latest `prepared` of its handle whose revision is not above the reply's. */
  readWith(reply: Pick<BinaryReply, 'handle' | 'revision'>): Prepared {
    const known = this.byHandle.get(reply.handle) ?? [];
    const found = known.findLast(({ revision }) => revision <= reply.revision);
    if (found === undefined) throw new Error(`no prepared for handle ${reply.handle} at revision ${reply.revision}`);
    return found;
  }

  /** Each row as variants by flag_id; undefined: unknown or archived. Only of a reply that is not packed. */
  variantsOf(reply: BinaryReply): ReadonlyMap<string, string | undefined>[] {
    const { flags } = this.readWith(reply);
    if (flags.length !== reply.flagCount)
      throw new Error(`${flags.length} flags are prepared, ${reply.flagCount} told`);
    return Array.from({ length: reply.userCount }, (_, user) => {
      const row = new Map<string, string | undefined>();
      for (const [i, { flag_id: flagId, variants }] of flags.entries()) {
        const cell = reply.cell(user, i);
        const variant = cell === 255 ? undefined : variants[cell];
        if (cell !== 255 && variant === undefined) throw new Error(`${flagId} has no variant ${cell}`);
        row.set(flagId, variant);
      }
      return row;
    });
  }
}
