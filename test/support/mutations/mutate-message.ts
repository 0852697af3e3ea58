// Valid messages, and what can be done to them: to their bytes, to the members of their JSON, to the fields of a binary
// frame. Each mutation takes a message and gives another payload, valid or not.

import { encodeRequest } from '../binary-client.ts';
import type { Random } from '../random.ts';

export interface Payload {
  readonly isBinary: boolean;
  readonly bytes: Buffer;
}

export interface Mutation {
  readonly name: string;
  /** Which messages it is for. */
  readonly of: 'json' | 'binary' | 'any';
  readonly apply: (bytes: Buffer, random: Random) => Buffer;
}

const USERS = ['user-1', 'user-42', 'żółw-7', '😀', 'a'.repeat(40), '用户-9', 'vip-1'];
const ATTRIBUTES: readonly object[] = [
  {},
  { country: 'PL' },
  { country: 'CZ', age: 33 },
  { company: 'acme', tags: ['a', 'b'] },
];

/** A whole valid message. `flagIds`: that exist. */
export function validMessage(random: Random, flagIds: readonly string[], handle: number): Payload {
  const id = 1 + random.below(100_000);
  if (random.below(2) === 0) {
    const users = Array.from({ length: 1 + random.below(3) }, () => ({
      userId: random.pick(USERS),
      attributes: JSON.stringify(random.pick(ATTRIBUTES)),
    }));
    const request = { op: 1 + random.below(2), options: random.below(2), handle, id, users };
    return { isBinary: true, bytes: encodeRequest(request) };
  }
  const context = (): object => ({
    user_id: random.pick(USERS),
    ...(random.below(2) === 0 ? { attributes: random.pick(ATTRIBUTES) } : {}),
  });
  const asked = {
    id,
    ...(random.below(2) === 0 ? { environment: 'prod' } : {}),
    ...(random.below(2) === 0 ? { flags: [random.pick(flagIds), random.pick([...flagIds, 'nobody'])] } : {}),
  };
  const message = random.pick<() => object>([
    () => ({ type: 'evaluate', ...asked, ...context() }),
    () => ({ type: 'evaluate', ...asked, ...context() }),
    () => ({ type: 'evaluate_batch', ...asked, contexts: [context(), context()] }),
    () => ({ type: 'subscribe', ...asked, ...context() }),
    () => ({ type: 'prepare', ...asked }),
    () => ({ type: 'watch', id, environment: 'prod' }),
    () => ({ type: 'unsubscribe', id }),
    () => ({ type: 'release', handle: 1 + random.below(5) }),
    () => ({ type: 'ping', id }),
    () => ({ type: 'stats', id }),
  ])();
  return { isBinary: false, bytes: Buffer.from(JSON.stringify(message)) };
}

/** What members are turned into. */
const VALUES: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  4_294_967_295,
  4_294_967_296,
  '',
  'x',
  '\ud800',
  '__proto__',
  [],
  [null],
  ['a', 1],
  {},
  { a: 1 },
  [[[]]],
];
const NAMES = ['id', 'type', 'user_id', 'flags', 'attributes', '__proto__', 'constructor', 'x', '', 'ID', 'user_id '];
const NUMBERS = ['1e400', '-0', '1.0', '1e2', '01', '0x10', 'NaN', '9007199254740993', '.5', '1.', '-', '4294967296'];
const WHITE = ['\n', ' ', '\t', '\r', '\u00a0', '\ufeff', '\0', '/**/', ','];
const BAD_UTF8 = ['ff', 'c0af', 'eda080', 'f4908080', 'e282', 'f0808080', '80', 'c3'].map((hex) =>
  Buffer.from(hex, 'hex'),
);
const COUNTS = [0, 1, 2, 3, 10_000, 10_001, 65_536, 2 ** 31, 2 ** 32 - 1];
const DEPTHS = [15, 16, 17, 60, 1000, 100_000];

const ofBytes: readonly Mutation[] = [
  {
    name: 'one bit flipped',
    of: 'any',
    apply: (bytes, random) => flip(bytes, random, 1),
  },
  { name: 'several bits flipped', of: 'any', apply: (bytes, random) => flip(bytes, random, 2 + random.below(8)) },
  { name: 'cut short', of: 'any', apply: (bytes, random) => bytes.subarray(0, random.below(bytes.length)) },
  {
    name: 'bytes appended',
    of: 'any',
    apply: (bytes, random) => Buffer.concat([bytes, randomBytes(random, 1 + random.below(20))]),
  },
  {
    name: 'a byte inserted',
    of: 'any',
    apply: (bytes, random) => insert(bytes, random.below(bytes.length + 1), randomBytes(random, 1)),
  },
  { name: 'bytes left out', of: 'any', apply: (bytes, random) => remove(bytes, random) },
  {
    name: 'bytes that are not UTF-8',
    of: 'any',
    apply: (bytes, random) => insert(bytes, random.below(bytes.length + 1), random.pick(BAD_UTF8)),
  },
  { name: 'twice in one', of: 'any', apply: (bytes) => Buffer.concat([bytes, bytes]) },
  { name: 'nothing but noise', of: 'any', apply: (_bytes, random) => randomBytes(random, random.below(200)) },
  { name: 'as it is', of: 'any', apply: (bytes) => bytes },
];

const ofJson: readonly Mutation[] = [
  {
    name: 'a member of another type',
    of: 'json',
    apply: (bytes, random) =>
      edit(bytes, (message) => ({ ...message, [member(message, random)]: random.pick(VALUES) })),
  },
  {
    name: 'a member left out',
    of: 'json',
    apply: (bytes, random) => edit(bytes, (message) => ({ ...message, [member(message, random)]: undefined })),
  },
  {
    name: 'a member too many',
    of: 'json',
    apply: (bytes, random) =>
      first(bytes, `${JSON.stringify(random.pick(NAMES))}:${JSON.stringify(random.pick(VALUES))}`),
  },
  {
    name: 'a member twice',
    of: 'json',
    apply: (bytes, random) =>
      edit(
        bytes,
        (message) => message,
        (message) => {
          const name = member(message, random);
          return `${JSON.stringify(name)}:${JSON.stringify(random.pick([...VALUES, message[name]]))}`;
        },
      ),
  },
  {
    name: 'another type of message',
    of: 'json',
    apply: (bytes, random) =>
      edit(bytes, (message) => ({
        ...message,
        type: random.pick(['evaluate', 'ping', 'auth', 'result', 'toString', 'Evaluate', '', 'prepare', 'subscribe']),
      })),
  },
  {
    name: 'another number',
    of: 'json',
    apply: (bytes, random) =>
      Buffer.from(bytes.toString().replace(/"(id|handle)":\d+/, (_all, name) => `"${name}":${random.pick(NUMBERS)}`)),
  },
  {
    name: 'deep',
    of: 'json',
    apply: (bytes, random) => {
      const depth = random.pick(DEPTHS);
      const [open, close] = random.pick([
        ['[', ']'],
        ['{"a":', '}'],
      ] as const);
      const nested = `${open.repeat(depth)}1${close.repeat(depth)}`;
      const name = random.pick(['attributes', 'flags', 'user_id', 'x']);
      return first(bytes, `"${name}":${name === 'attributes' ? `{"country":${nested}}` : nested}`);
    },
  },
  {
    name: 'very many of something',
    of: 'json',
    apply: (bytes, random) =>
      random.pick([
        () => edit(bytes, (message) => ({ ...message, flags: Array.from({ length: 10_001 }, (_, i) => `f${i}`) })),
        () => edit(bytes, (message) => ({ ...message, contexts: Array(1001).fill({ user_id: 'u' }) })),
        () => edit(bytes, (message) => ({ ...message, user_id: 'u'.repeat(65_536) })),
        () => edit(bytes, (message) => ({ ...message, user_id: 'u'.repeat(65_535) })),
        () => edit(bytes, (message) => ({ ...message, attributes: { a: 'x'.repeat(70_000) } })),
        () =>
          edit(bytes, (message) => ({
            ...message,
            attributes: Object.fromEntries(Array.from({ length: 257 }, (_, i) => [`a${i}`, i])),
          })),
      ])(),
  },
  {
    name: 'white space and what is none',
    of: 'json',
    apply: (bytes, random) => {
      const text = bytes.toString();
      const places = [...text.matchAll(/[{}[\],:]/g)].map(({ index }) => index);
      const at = random.pick([0, text.length, ...places]);
      return Buffer.from(text.slice(0, at) + random.pick(WHITE) + text.slice(at));
    },
  },
  {
    name: 'held to a revision',
    of: 'json',
    apply: (bytes, random) =>
      first(
        bytes,
        `"${random.pick(['min_revision', 'at_revision'])}":${random.pick(['0', '1', '-1', '"1"', '1e15', '99999'])}`,
      ),
  },
  { name: 'in an array', of: 'json', apply: (bytes) => Buffer.concat([Buffer.from('['), bytes, Buffer.from(']')]) },
];

const ofBinary: readonly Mutation[] = [
  {
    name: 'another count of users',
    of: 'binary',
    apply: (bytes, random) => changed(bytes, (copy) => copy.writeUInt32LE(random.pick(COUNTS), 8)),
  },
  {
    name: 'a length off by one',
    of: 'binary',
    apply: (bytes, random) =>
      changed(bytes, (copy) => copy.writeUInt16LE((copy.readUInt16LE(12) + random.pick([1, 65_535])) & 0xffff, 12)),
  },
  {
    name: 'another handle',
    of: 'binary',
    apply: (bytes, random) => changed(bytes, (copy) => copy.writeUInt16LE(random.pick([0, 2, 65_535]), 2)),
  },
  {
    name: 'another op',
    of: 'binary',
    apply: (bytes, random) => changed(bytes, (copy) => copy.writeUInt8(random.pick([0, 1, 2, 3, 0x81, 255]), 0)),
  },
  {
    name: 'other options',
    of: 'binary',
    apply: (bytes, random) => changed(bytes, (copy) => copy.writeUInt8(random.pick([0, 1, 2, 3, 128, 255]), 1)),
  },
  {
    name: 'an empty user',
    of: 'binary',
    apply: (bytes) => {
      const length = bytes.readUInt16LE(12);
      const emptied = Buffer.concat([bytes.subarray(0, 14), bytes.subarray(14 + length)]);
      emptied.writeUInt16LE(0, 12);
      return emptied;
    },
  },
  {
    name: 'a user that is not UTF-8',
    of: 'binary',
    apply: (bytes, random) => {
      const bad = random.pick(BAD_UTF8);
      const spoilt = insert(bytes, 14, bad);
      spoilt.writeUInt16LE(bytes.readUInt16LE(12) + bad.length, 12);
      return spoilt;
    },
  },
  {
    name: 'other attributes',
    of: 'binary',
    apply: (bytes, random) => {
      const json = random.pick([
        'null',
        '[]',
        '{',
        '{"a":1}}',
        '{"country":"PL","country":"CZ"}',
        ' {} ',
        `{"a":${'['.repeat(1000)}${']'.repeat(1000)}}`,
        `{"a":"${'x'.repeat(70_000)}"}`,
        '{"__proto__":{"country":"PL"}}',
        '{"country":"\\ud800"}',
        '"{}"',
      ]);
      const request = {
        op: 2,
        options: (bytes[1] as number) & 1,
        handle: bytes.readUInt16LE(2),
        id: bytes.readUInt32LE(4),
      };
      return encodeRequest({ ...request, users: [{ userId: random.pick(USERS), attributes: json }] });
    },
  },
  {
    name: 'ten thousand users',
    of: 'binary',
    apply: (bytes, random) => {
      const userCount = random.pick([10_000, 10_001]);
      const request = { op: 1, options: 0, handle: bytes.readUInt16LE(2), id: bytes.readUInt32LE(4) };
      return encodeRequest({
        ...request,
        users: Array.from({ length: userCount }, () => ({ userId: random.pick(USERS) })),
      });
    },
  },
];

export const messageMutations: readonly Mutation[] = [...ofBytes, ...ofJson, ...ofBinary];

function flip(bytes: Buffer, random: Random, count: number): Buffer {
  return changed(bytes, (copy) => {
    for (let i = 0; i < count; i++) {
      const at = random.below(copy.length);
      copy[at] = (copy[at] as number) ^ (1 << random.below(8));
    }
  });
}

function randomBytes(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random.below(256)));
}

function insert(bytes: Buffer, at: number, inserted: Uint8Array): Buffer {
  return Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at)]);
}

function remove(bytes: Buffer, random: Random): Buffer {
  const at = random.below(bytes.length);
  return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(4))]);
}

function changed(bytes: Buffer, change: (copy: Buffer) => void): Buffer {
  const copy = Buffer.from(bytes);
  change(copy);
  return copy;
}

type Message = Readonly<Record<string, unknown>>;

function member(message: Message, random: Random): string {
  return random.pick(Object.keys(message));
}

/** The message changed, and with one member more in front or behind when `more` says which. */
function edit(bytes: Buffer, change: (message: Message) => Message, more?: (message: Message) => string): Buffer {
  const message = JSON.parse(bytes.toString()) as Message;
  const json = JSON.stringify(change(message));
  return Buffer.from(more === undefined ? json : `${json.slice(0, -1)},${more(message)}}`);
}

/** With one member more, before all others: a later one of the same name counts. */
function first(bytes: Buffer, text: string): Buffer {
  return Buffer.from(`{${text},${bytes.toString().slice(1)}`);
}
