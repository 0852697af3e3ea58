import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { test } from 'tap';
import { hashUser, murmur3 } from '../../../src/kernel/murmur3.ts';

const encoder = new TextEncoder();
const NO_SUFFIX = new Uint8Array(0);

function vectors<T>(name: string): readonly T[] {
  return JSON.parse(readFileSync(new URL(`../../vectors/murmur3/${name}`, import.meta.url), 'utf8')) as readonly T[];
}

test('the reference gives every shared vector', (t) => {
  const cases = vectors<{ s: string; seed: number; h: number }>('x86_32.json');
  t.equal(cases.length, 1000);
  for (const { s, seed, h } of cases) {
    if (murmur3(encoder.encode(s), seed) !== h) t.equal(murmur3(encoder.encode(s), seed), h, JSON.stringify(s));
  }
  t.end();
});

test('the string hash gives every shared vector with seed 0, wherever the string is cut into user and suffix', (t) => {
  for (const { s, h } of vectors<{ s: string; seed: number; h: number }>('x86_32.json').filter((v) => v.seed === 0)) {
    if (hashUser(s, NO_SUFFIX) !== h) t.equal(hashUser(s, NO_SUFFIX), h, JSON.stringify(s));
    const points = [...s.slice(0, 40)];
    for (let cut = 0; cut < points.length; cut++) {
      const user = points.slice(0, cut).join('');
      const got = hashUser(user, encoder.encode(s.slice(user.length)));
      // A cut in a lone surrogate's neighbourhood is still a cut between code points.
      if (got !== h) t.equal(got, h, `${JSON.stringify(s)} cut at ${cut}`);
    }
  }
  t.end();
});

test('every shared bucket comes out of user and flag', (t) => {
  const cases = vectors<{ user: string; flag: string; hash: number; bucket: number }>('buckets.json');
  t.equal(cases.length, 1000);
  for (const { user, flag, hash, bucket } of cases) {
    const got = hashUser(user, encoder.encode(`:${flag}`));
    if (got !== hash || got % 10000 !== bucket) t.equal(got, hash, JSON.stringify({ user, flag }));
  }
  t.end();
});

test('a lone surrogate is hashed as EF BF BD, as TextEncoder has it', (t) => {
  const cases = vectors<{ s_escaped: string; utf8_hex: string; seed: number; h: number }>('lone_surrogates.json');
  t.equal(cases.length, 8);
  for (const { s_escaped: escaped, utf8_hex: hex, seed, h } of cases) {
    const text = JSON.parse(`"${escaped}"`) as string;
    t.equal(Buffer.from(encoder.encode(text)).toString('hex'), hex);
    t.equal(murmur3(encoder.encode(text), seed), h);
    t.equal(hashUser(text, NO_SUFFIX), h);
  }
  t.end();
});

test('the answers are those of the published algorithm, not of a broken port', (t) => {
  // murmurhash-wasm 1.3.0 says 1480907334 here: it reads the tail from offset 0.
  t.equal(murmur3(encoder.encode('hello'), 0), 613153351);
  t.equal(hashUser('hello', NO_SUFFIX), 613153351);
  t.end();
});

test('the SMHasher verification value is reached', (t) => {
  const hashes = new Uint8Array(256 * 4);
  const view = new DataView(hashes.buffer);
  const key = Uint8Array.from({ length: 256 }, (_, i) => i);
  for (let i = 0; i < 256; i++) view.setUint32(i * 4, murmur3(key.subarray(0, i), 256 - i), true);
  t.equal(murmur3(hashes, 0), 0xb0f57ee3);
  t.end();
});

test('any UTF-16 string and any suffix hash like their UTF-8 put together', (t) => {
  const anyUtf16 = fc.oneof(
    fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)), maxLength: 40 }),
    fc.string({
      unit: fc.constantFrom('a', 'é', '中', '😀', '\ud800', '\udc00', '\u0000', '\u007f', '\u0080'),
      maxLength: 40,
    }),
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.string({ unit: 'binary-ascii', maxLength: 300 }),
  );
  fc.assert(
    fc.property(anyUtf16, fc.uint8Array({ maxLength: 24 }), (user, suffix) => {
      const bytes = encoder.encode(user);
      const joined = new Uint8Array(bytes.length + suffix.length);
      joined.set(bytes);
      joined.set(suffix, bytes.length);
      return hashUser(user, suffix) === murmur3(joined, 0);
    }),
    { numRuns: 5000 },
  );
  t.end();
});

test('a user of 65,535 bytes hashes right, ASCII or not', (t) => {
  for (const user of [
    'x'.repeat(65535),
    'é'.repeat(32767),
    '中'.repeat(21845),
    `${'a'.repeat(65532)}中`,
    '😀'.repeat(16383),
  ]) {
    t.equal(hashUser(user, encoder.encode(':f')), murmur3(encoder.encode(`${user}:f`), 0));
  }
  t.end();
});
