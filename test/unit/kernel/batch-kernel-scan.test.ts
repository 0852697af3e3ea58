// What scan takes and what it refuses, by both kernels.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'tap';
import { createBatchKernel } from '../../../src/kernel/create-batch-kernel.ts';
import { createJsKernel } from '../../../src/kernel/js-kernel.ts';
import { someUsers, wire } from './support.ts';

const kernels = [createJsKernel(), createBatchKernel().kernel];
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const GOOD = [1, 0, 0x61];

for (const kernel of kernels) {
  const scan = (bytes: Uint8Array | readonly number[], count: number, withAttributes = false): unknown => {
    // What stands behind the frame must not matter.
    kernel.users.fill(0x80, bytes.length, bytes.length + 64);
    kernel.users.set(bytes);
    const taken = kernel.scan(bytes.length, count, withAttributes);
    return taken < 0 ? [taken, kernel.problem, kernel.problemUser] : taken;
  };

  test(`${kernel.name}: finds each user and its attributes`, (t) => {
    fc.assert(
      fc.property(
        someUsers,
        fc.array(fc.string({ unit: 'binary' }), { minLength: 12, maxLength: 12 }),
        (ids, texts) => {
          const users = ids.map(({ id }, i) => ({ id, attributes: texts[i] as string }));
          const bytes = wire(users, true);
          assert.equal(scan(bytes, users.length, true), bytes.length);
          for (const [i, { id, attributes }] of users.entries()) {
            const at = kernel.userAt(i);
            assert.equal(Buffer.from(kernel.users.subarray(at, at + kernel.userBytes(i))).toString(), id);
            const from = kernel.attributesAt(i);
            const text = kernel.users.subarray(from, from + kernel.attributesBytes(i));
            assert.equal(Buffer.from(text).toString(), attributes);
          }
        },
      ),
      { seed: 6, numRuns: 60 },
    );
    t.end();
  });

  test(`${kernel.name}: takes what a strict decoder takes, whatever the bytes`, (t) => {
    // Mostly bytes that lead or continue, so that characters come about and break off.
    const byte = fc.oneof(
      fc.integer({ min: 0, max: 255 }),
      fc.constantFrom(0x61, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf),
      fc.constantFrom(0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff),
    );
    const id = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 40 }),
      fc.array(byte, { minLength: 1, maxLength: 6 }).map((bytes) => Uint8Array.from(bytes)),
      fc
        .tuple(fc.string({ unit: 'binary', minLength: 1, maxLength: 30 }), fc.nat(), fc.integer({ min: 0, max: 255 }))
        .map(([text, at, value]) =>
          Buffer.from(text).fill(value, at % Buffer.byteLength(text), (at % Buffer.byteLength(text)) + 1),
        ),
    );
    fc.assert(
      fc.property(id, (bytes) => {
        const frame = [...GOOD, bytes.length & 255, bytes.length >> 8, ...bytes, ...GOOD];
        assert.deepEqual(scan(frame, 3), isDecodable(bytes) ? frame.length : [-1, 'not-utf8', 1]);
      }),
      { seed: 7, numRuns: 20_000 },
    );
    t.end();
  });

  test(`${kernel.name}: every lead byte with what may follow it is judged as by a strict decoder`, (t) => {
    const wrong: string[] = [];
    const judge = (bytes: readonly number[]): void => {
      const taken = scan([bytes.length, 0, ...bytes], 1);
      if ((typeof taken === 'number') !== isDecodable(Uint8Array.from(bytes)))
        wrong.push(Buffer.from(bytes).toString('hex'));
    };
    const seconds = [0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff];
    for (let lead = 0; lead < 256; lead++) {
      judge([lead]);
      for (const second of seconds) {
        judge([lead, second]);
        for (const third of seconds) {
          judge([lead, second, third]);
          // Shorter characters were judged by their ends.
          for (const fourth of lead < 0xe0 ? [] : seconds) judge([lead, second, third, fourth]);
        }
      }
    }
    t.same(wrong, []);
    t.end();
  });

  test(`${kernel.name}: refuses what is cut off, empty, or reaches past the end, and says which user`, (t) => {
    t.same(scan([], 1), [-1, 'truncated', 0], 'no length');
    t.same(scan([1], 1), [-1, 'truncated', 0], 'half a length');
    t.same(scan([...GOOD, 0, 0], 2), [-1, 'empty', 1]);
    t.same(scan([...GOOD, 2, 0, 0x61], 2), [-1, 'truncated', 1], 'an id that is cut off');
    t.same(scan([0xff, 0xff, 0x61], 1), [-1, 'truncated', 0]);
    t.same(scan(GOOD, 2), [-1, 'truncated', 1], 'fewer users than said');
    t.same(scan([...GOOD, 0, 0, 0], 1, true), [-1, 'truncated', 0], 'half a length of attributes');
    t.same(scan([...GOOD, 3, 0, 0, 0, 0x7b, 0x7d], 1, true), [-1, 'truncated', 0], 'attributes that are cut off');
    t.same(scan([...GOOD, 0xff, 0xff, 0xff, 0xff], 1, true), [-1, 'truncated', 0], '4 GiB of attributes');
    t.same(scan([...GOOD, 0, 0, 0, 0x80, 0x7b], 1, true), [-1, 'truncated', 0], '2 GiB of attributes');
    t.end();
  });

  test(`${kernel.name}: says how much it took when there is more`, (t) => {
    t.equal(scan([...GOOD, 9, 9], 1), 3);
    t.equal(scan([...GOOD, 2, 0, 0, 0, 0xff, 0xff], 1, true), 9, 'attributes are only found');
    t.equal(scan([], 0), 0);
    t.end();
  });

  test(`${kernel.name}: a scan that fails leaves no users to evaluate`, (t) => {
    scan(GOOD, 1);
    scan([0, 0], 1);
    t.throws(
      () => kernel.variants({ count: 0, image: new Uint8Array(64), forEvaluator: new Uint32Array(0) }, 0, 1),
      RangeError,
    );
    t.end();
  });

  test(`${kernel.name}: holds as many bytes and users as it says, and no more`, (t) => {
    t.equal(kernel.users.length, 1_048_576);
    const full = Buffer.concat(Array.from({ length: 16 }, () => wire([{ id: 'x'.repeat(65_534) }])));
    t.equal(scan(full.fill(1, full.length - 1), 16), kernel.users.length);
    t.equal(kernel.userBytes(15), 65_534);
    const many = Buffer.concat(Array.from({ length: kernel.usersMax }, () => Buffer.from(GOOD)));
    t.equal(scan(many, kernel.usersMax), many.length);
    t.equal(kernel.userAt(kernel.usersMax - 1), many.length - 1);
    for (const [bytes, count] of [
      [kernel.users.length + 1, 1],
      [-1, 1],
      [3, kernel.usersMax + 1],
      [3, -1],
      [3, 0.5],
      [Number.NaN, 1],
    ] as const) {
      t.throws(() => kernel.scan(bytes, count, false), RangeError, `${bytes} bytes, ${count} users`);
    }
    t.end();
  });
}

function isDecodable(bytes: Uint8Array): boolean {
  try {
    strict.decode(bytes);
    return true;
  } catch {
    return false;
  }
}
