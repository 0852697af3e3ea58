import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'tap';
import { createHashBytes } from '../../../src/snapshot/checksum.ts';
import { encodeDelta, encodeSnapshot, openEnvelope } from '../../../src/snapshot/encoding.ts';
import type { ItemKind, SnapshotItem } from '../../../src/snapshot/item.ts';
import { createSnapshotState } from '../../../src/snapshot/state.ts';
import { contentOf, deltaBetween, environmentItem, flagItem, keyItem } from '../../support/snapshot.ts';

const hash = await createHashBytes();

const items: fc.Arbitrary<SnapshotItem[]> = fc.uniqueArray(
  fc.record(
    {
      kind: fc.constantFrom<ItemKind>('environment', 'flag', 'segment', 'key'),
      environment: fc.string({ unit: 'grapheme', maxLength: 8 }),
      id: fc.string({ unit: 'grapheme', maxLength: 20 }),
      revision: fc.nat(Number.MAX_SAFE_INTEGER),
      tag: fc.bigInt(0n, 2n ** 64n - 1n),
      json: fc.string({ unit: 'grapheme', maxLength: 60 }),
    },
    { noNullPrototype: true },
  ),
  { selector: (item) => `${item.kind}/${item.environment}/${item.id}`, maxLength: 30 },
);

test('a snapshot decodes to what was encoded', async () => {
  fc.assert(
    fc.property(items, fc.nat(Number.MAX_SAFE_INTEGER), (list, revision) => {
      const content = contentOf(revision, list);
      const envelope = openEnvelope(encodeSnapshot(content, hash), hash);
      assert.equal(envelope.kind, 'snapshot');
      assert.deepEqual(envelope.head, content.head);
      assert.deepEqual([...envelope.puts], list);
    }),
  );
});

test('a delta decodes to what was encoded, puts before removes', async (t) => {
  const before = contentOf(7, [
    environmentItem('prod', 1, 1n),
    flagItem('a', 2, 2n),
    flagItem('b', 3, 3n),
    keyItem('k', 4, 4n, 'h'),
  ]);
  const after = contentOf(9, [environmentItem('prod', 1, 1n), flagItem('a', 9, 5n), flagItem('c', 8, 6n)]);
  const delta = deltaBetween(before, after);
  const envelope = openEnvelope(encodeDelta(delta, hash), hash);
  t.equal(envelope.from, 7);
  t.strictSame([...envelope.puts], delta.puts);
  t.strictSame(
    [...envelope.removes].map((address) => address.id),
    ['b', 'k'],
  );
});

test('one changed bit anywhere is noticed', async () => {
  const bytes = encodeSnapshot(contentOf(3, [environmentItem('prod', 1, 1n), flagItem('a', 3, 2n)]), hash);
  fc.assert(
    fc.property(fc.nat(bytes.length * 8 - 1), (bit) => {
      const broken = Buffer.from(bytes);
      broken[bit >> 3] = (broken[bit >> 3] as number) ^ (1 << (bit & 7));
      assert.throws(() => openEnvelope(broken, hash));
    }),
    { numRuns: 500 },
  );
});

test('a snapshot that is cut short is refused, wherever it is cut', async (t) => {
  const bytes = encodeSnapshot(contentOf(3, [environmentItem('prod', 1, 1n)]), hash);
  for (let length = 0; length < bytes.length; length++) t.throws(() => openEnvelope(bytes.subarray(0, length), hash));
});

test('a delta is believed only when the sums come out right', async (t) => {
  const before = contentOf(1, [environmentItem('prod', 1, 1n), flagItem('a', 1, 2n)]);
  const after = contentOf(2, [environmentItem('prod', 1, 1n), flagItem('a', 2, 3n), flagItem('b', 2, 4n)]);
  const delta = deltaBetween(before, after);
  const missing = { ...delta, puts: delta.puts.slice(1) };
  const state = createSnapshotState(before);
  t.match(state.apply(missing), /sum over flags/);
  t.equal(state.head.revision, 1, 'a refused delta changes nothing');
  t.equal(state.apply(delta), undefined);
  t.equal(state.head.revision, 2);
  t.match(state.apply(delta), /delta from revision 1/, 'and it applies once');
});

test('content whose sums are wrong is not a snapshot', async (t) => {
  const content = contentOf(1, [environmentItem('prod', 1, 1n)]);
  t.throws(
    () => createSnapshotState({ head: { ...content.head, sumKeys: 1n }, items: content.items }),
    /sum over keys/,
  );
});
