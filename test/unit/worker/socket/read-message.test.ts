// Bytes of a text frame become a message or the reason why not, whatever they are.
import fc from 'fast-check';
import { test } from 'tap';
import { peekId, readApiKey, readMessage } from '../../../../src/worker/socket/read-message.ts';

const SEED = 5;
const bytesOf = (value: unknown): Uint8Array =>
  new Uint8Array(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)));

const id = fc.integer({ min: 0, max: 4_294_967_295 });
const text = fc.string({ unit: 'grapheme', maxLength: 20 });
const optional = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined });
const context = {
  user_id: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
  attributes: optional(fc.dictionary(text, text)),
};
const asked = {
  environment: optional(text),
  flags: optional(fc.array(text, { maxLength: 5 })),
  min_revision: optional(fc.integer({ min: 1, max: 1_000_000 })),
};
const message = fc.oneof(
  fc.record({ type: fc.constant('auth'), api_key: text }),
  fc.record({ type: fc.constant('evaluate'), id, ...context, ...asked }),
  fc.record({
    type: fc.constant('evaluate_batch'),
    id,
    contexts: fc.array(fc.record(context), { maxLength: 4 }),
    ...asked,
  }),
  fc.record({ type: fc.constant('subscribe'), id, ...context, environment: asked.environment, flags: asked.flags }),
  fc.record({ type: fc.constant('watch'), id, environment: asked.environment }),
  fc.record({ type: fc.constant('prepare'), id, ...asked }),
  fc.record({ type: fc.constantFrom('ping', 'stats', 'unsubscribe'), id }),
  fc.record({ type: fc.constant('release'), handle: fc.integer({ min: 0, max: 65_535 }) }),
);

test('what is sent is what is read', (t) => {
  fc.assert(
    fc.property(message, (sent) => {
      const read = readMessage(bytesOf(sent)) as unknown as Readonly<Record<string, unknown>>;
      const { contexts, user_id, attributes, flags, api_key, min_revision, ...same } = sent as unknown as Record<
        string,
        never
      >;
      const wanted: Record<string, unknown> = { ...same };
      const contextOf = (raw: Readonly<Record<string, unknown>>): object => ({
        userId: raw['user_id'],
        attributes: raw['attributes'],
      });
      if (api_key !== undefined) wanted['apiKey'] = api_key;
      if (user_id !== undefined) wanted['context'] = contextOf({ user_id, attributes });
      if (contexts !== undefined) wanted['contexts'] = (contexts as readonly Record<string, unknown>[]).map(contextOf);
      if (flags !== undefined) wanted['flagIds'] = flags;
      if (min_revision !== undefined) wanted['minRevision'] = min_revision;
      return JSON.stringify(sorted(read)) === JSON.stringify(sorted(wanted));
    }),
    { seed: SEED },
  );
  t.end();
});

/** Members in order of name, without those that are undefined. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => [name, sorted(member)]);
}

test('no bytes make it throw, and what cannot be read has no id', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const read = readMessage(bytes);
      peekId(bytes);
      return read.type === 'problem' && read.isMalformed && read.id === null;
    }),
    { seed: SEED, numRuns: 2000 },
  );
  t.end();
});

test('a valid message with some of its bytes changed is read, or refused with the id that it has', (t) => {
  const changes = fc.array(
    fc.tuple(fc.nat(), fc.constantFrom(...Buffer.from('{}[]",:0129eE+-.\\tnfu \u0000\u00ff', 'latin1'))),
    {
      minLength: 1,
      maxLength: 4,
    },
  );
  fc.assert(
    fc.property(message, changes, (sent, list) => {
      const bytes = bytesOf(sent);
      for (const [at, byte] of list) bytes[at % bytes.length] = byte;
      const read = readMessage(bytes);
      const peeked = peekId(bytes);
      const parsed = parsedId(bytes);
      if (read.type !== 'problem') return true;
      // The rest of what cannot be parsed may still show an id; what can be parsed has the one it has.
      return read.id === null || parsed === undefined || read.id === parsed || read.id === peeked;
    }),
    { seed: SEED, numRuns: 2000 },
  );
  t.end();
});

function parsedId(bytes: Uint8Array): unknown {
  try {
    return (JSON.parse(Buffer.from(bytes).toString()) as { readonly id?: unknown } | null)?.id;
  } catch {
    return undefined;
  }
}

test('the id is found without reading the message', (t) => {
  fc.assert(
    fc.property(message, (sent) => peekId(bytesOf(sent)) === ('id' in sent ? sent.id : null)),
    { seed: SEED },
  );
  const cases: readonly (readonly [text: string, id: number | null])[] = [
    ['{"id":7}', 7],
    ['{ "a" : {"id":1}, "b":["id",2], "\\"id\\"":3, "id" : 4294967295 }', 4_294_967_295],
    ['{"id":4294967296}', null],
    ['{"id":1.5}', null],
    ['{"id":-1}', null],
    ['{"id":"7"}', null],
    ['{"id":1e3}', null],
    ['{"id":', null],
    ['{"id"', null],
    ['{"attributes":{"x":"}","id":9}}', null],
    ['', null],
    ['"', null],
  ];
  for (const [bytes, wanted] of cases) t.equal(peekId(bytesOf(bytes)), wanted, bytes);
  t.end();
});

test('a key is read from an auth alone', (t) => {
  t.equal(readApiKey(bytesOf({ type: 'auth', api_key: 'k' })), 'k');
  t.equal(readApiKey(bytesOf({ type: 'auth', api_key: 'k', id: 1 })), undefined);
  t.equal(readApiKey(bytesOf({ type: 'auth', api_key: 5 })), undefined);
  t.equal(readApiKey(bytesOf({ type: 'ping', id: 1 })), undefined);
  t.end();
});
