// Frames of any bytes: each is answered once, a valid one rightly, and one that is not by an error that says whether it
// could be read. What is valid is decided here by the contract, and by nothing in src.
import fc from 'fast-check';
import { test } from 'tap';
import { evaluate } from '../../../../src/core/evaluate.ts';
import { hashUser } from '../../../../src/kernel/murmur3.ts';
import { type BinaryReply, decodeReply, encodeRequest } from '../../../support/binary-client.ts';
import { startHandles } from '../../../support/handles.ts';
import { makeFlag, makeKey, makeSnapshot } from '../../../support/serving.ts';

const key = makeKey({ raw: 'evaluate-key-of-32-characters-00', scope: 'evaluate' });
const poland = {
  rule_id: 'pl',
  when: { all: [{ attribute: 'country', op: 'equals', values: ['PL'] }] },
  serve: { variant: 'on' },
};
const flags = [
  makeFlag({ flag_id: 'half', enabled: true, rollout_percentage: 50 }),
  makeFlag({ flag_id: 'rule', enabled: true, rollout_percentage: 20, rules: [poland] }),
  makeFlag({ flag_id: 'target', enabled: true, targets: [{ variant: 'on', user_ids: ['user-1', 'ż'] }] }),
];
const snapshot = makeSnapshot(10, flags, [key]);
const environment = snapshot.environments.get('prod');
if (environment === undefined) throw new Error('there is no prod');
const FLAG_IDS = ['half', 'missing', 'rule', 'target'];

type Reading =
  | { readonly kind: 'malformed' }
  | { readonly kind: 'wrong' }
  | { readonly kind: 'request'; readonly isPacked: boolean; readonly users: readonly ReadUser[] };

interface ReadUser {
  readonly userId: string;
  readonly attributes: Record<string, never> | undefined;
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function read(frame: Buffer): Reading {
  try {
    const op = frame.readUInt8(0);
    const options = frame.readUInt8(1);
    const handle = frame.readUInt16LE(2);
    if ((op !== 1 && op !== 2) || options > 1) return { kind: 'malformed' };
    const count = frame.readUInt32LE(8);
    const parts: (readonly [Buffer, Buffer | undefined])[] = [];
    let at = 12;
    const take = (bytes: number): Buffer => {
      if (at + bytes > frame.length) throw new RangeError('it ends before');
      at += bytes;
      return frame.subarray(at - bytes, at);
    };
    for (let i = 0; i < count; i++) {
      const name = take(take(2).readUInt16LE());
      parts.push([name, op === 2 ? take(take(4).readUInt32LE()) : undefined]);
    }
    if (at !== frame.length) return { kind: 'malformed' };
    const users = handle === 1 ? parts.map(([name, json]) => readUser(name, json)) : [undefined];
    return users.includes(undefined)
      ? { kind: 'wrong' }
      : { kind: 'request', isPacked: options === 1, users: users as ReadUser[] };
  } catch (error) {
    if (error instanceof RangeError) return { kind: 'malformed' };
    throw error;
  }
}

/** undefined: it may not be evaluated. */
function readUser(name: Buffer, json: Buffer | undefined): ReadUser | undefined {
  try {
    const userId = strict.decode(name);
    if (userId === '') return undefined;
    if (json === undefined) return { userId, attributes: undefined };
    const attributes: unknown = JSON.parse(strict.decode(json));
    if (typeof attributes !== 'object' || attributes === null || Array.isArray(attributes)) return undefined;
    return { userId, attributes: attributes as Record<string, never> };
  } catch {
    return undefined;
  }
}

function check(reply: BinaryReply, { isPacked, users }: Extract<Reading, { kind: 'request' }>): void {
  if (reply.isPacked !== isPacked || reply.userCount !== users.length || reply.flagCount !== FLAG_IDS.length)
    throw new Error('the head is another');
  for (const [row, context] of users.entries()) {
    for (const [column, flagId] of FLAG_IDS.entries()) {
      const flag = environment?.flags.get(flagId);
      const outcome = flag === undefined ? undefined : evaluate(flag, context, environment as never, hashUser);
      const expected = isPacked ? Number(outcome?.enabled ?? false) : (outcome?.variantIndex ?? 255);
      if (reply.cell(row, column) !== expected) throw new Error(`${flagId} of ${context.userId}`);
    }
  }
}

const arbitraryRequest = fc
  .record({
    op: fc.constantFrom(1, 2),
    options: fc.nat(1),
    id: fc.constantFrom(0, 1, 0xffff_ffff),
    users: fc.array(
      fc.record({
        userId: fc.oneof(
          fc.constantFrom('user-1', 'ż', 'u'.repeat(300)),
          fc.string({ unit: 'grapheme', maxLength: 20 }),
        ),
        attributes: fc.constantFrom('{}', '{"country":"PL"}', '{"country":"CZ","n":1e3}'),
      }),
      { maxLength: 5 },
    ),
  })
  .map((request) => encodeRequest({ ...request, handle: 1 }));

const arbitraryMutation = fc.oneof(
  fc.record({ type: fc.constant('set' as const), at: fc.nat(), byte: fc.nat(255) }),
  fc.record({ type: fc.constant('head' as const), at: fc.nat(15), byte: fc.constantFrom(0, 1, 2, 3, 127, 128, 255) }),
  fc.record({ type: fc.constant('cut' as const), at: fc.nat(), bytes: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ type: fc.constant('insert' as const), at: fc.nat(), bytes: fc.uint8Array({ maxLength: 4 }) }),
  fc.record({ type: fc.constant('end' as const), at: fc.nat() }),
);

const arbitraryFrame = fc.oneof(
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)) },
  { weight: 1, arbitrary: arbitraryRequest },
  {
    weight: 6,
    arbitrary: fc
      .tuple(arbitraryRequest, fc.array(arbitraryMutation, { minLength: 1, maxLength: 3 }))
      .map(([frame, mutations]) => mutations.reduce(mutate, frame)),
  },
);

function mutate(frame: Buffer, mutation: typeof arbitraryMutation extends fc.Arbitrary<infer T> ? T : never): Buffer {
  const at = mutation.at % Math.max(1, frame.length);
  const before = frame.subarray(0, at);
  switch (mutation.type) {
    case 'set':
    case 'head': {
      const changed = Buffer.from(frame);
      changed[at] = mutation.byte;
      return changed;
    }
    case 'cut':
      return Buffer.concat([before, frame.subarray(at + mutation.bytes)]);
    case 'insert':
      return Buffer.concat([before, mutation.bytes, frame.subarray(at)]);
    case 'end':
      return before;
  }
}

test('10,000 frames, random, mutated and valid, are each answered once and rightly', (t) => {
  const counts = { malformed: 0, wrong: 0, request: 0 };
  const benches = [false, true].map((isSliced) => {
    const bench = startHandles(snapshot, isSliced);
    const client = bench.connect(key);
    const message = { type: 'prepare', id: 5, environment: 'prod', minRevision: undefined, flagIds: FLAG_IDS } as const;
    bench.handles.prepare(client, message);
    return { bench, client };
  });
  fc.assert(
    fc.property(arbitraryFrame, fc.nat(1), (frame, which) => {
      const { bench, client } = benches[which] as (typeof benches)[0];
      client.received.length = 0;
      const reading = read(frame);
      counts[reading.kind] += 1;
      const given = Buffer.from(frame);
      if (bench.handles.frame(client, given) !== (reading.kind !== 'malformed')) throw new Error(reading.kind);
      given.fill(0xee);
      while (bench.turn());
      if (client.received.length !== 1 || client.inFlight !== 0) throw new Error(`${client.received.length} answers`);
      const [answer] = client.received;
      const id = frame.length < 8 ? null : frame.readUInt32LE(4);
      if (answer instanceof Uint8Array) {
        if (reading.kind !== 'request') throw new Error(`answered, and is ${reading.kind}`);
        const reply = decodeReply(answer);
        if (reply.id !== id) throw new Error('another id');
        check(reply, reading);
      } else if (reading.kind === 'request' || answer?.type !== 'error' || answer.id !== id)
        throw new Error(`${reading.kind}: ${JSON.stringify(answer)}`);
    }),
    { seed: 5, numRuns: 10_000 },
  );
  t.comment(JSON.stringify(counts));
  for (const [kind, count] of Object.entries(counts)) t.ok(count > 300, `${kind}: ${count}`);
  t.end();
});
