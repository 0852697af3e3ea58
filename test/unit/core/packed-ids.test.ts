import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'tap';
import { layerIds, type OpenedIdList } from '../../../src/core/layered-ids.ts';
import { BUCKET_IDS_MAX, CrowdedIds, mergeLayers, mergePacked, packIds } from '../../../src/core/pack-ids.ts';
import { hashId, openPackedIds, type PackedIds } from '../../../src/core/packed-ids.ts';
import { hashUser } from '../../../src/kernel/murmur3.ts';

const open = (ids: Iterable<string>): PackedIds => openPackedIds(packIds(ids, hashUser), hashUser);
const anyText = fc.oneof(fc.string({ minLength: 1 }), fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }));
/** Few different ones, so that layers speak of the same ids. */
const fewIds = fc.uniqueArray(
  fc.constantFrom('a', 'b', 'c', 'é', '日本', '\u{1f600}', '\ufeff', 'user-1', 'user-2', 'user-10'),
);

test('a packed set answers as a Set does, for texts of all kinds and for their neighbours', (t) => {
  let wrong = 0;
  let asked = 0;
  fc.assert(
    fc.property(
      fc.array(anyText, { maxLength: 100, size: 'max' }),
      fc.array(anyText, { size: 'large' }),
      (ids, strangers) => {
        const set = new Set(ids);
        const packed = open(ids);
        assert.equal(packed.count, set.size);
        for (const id of [
          ...ids,
          ...strangers,
          ...ids.flatMap((each) => [`${each}x`, each.slice(1), each.slice(0, -1)]),
        ]) {
          asked++;
          if (packed.has(id) !== set.has(id)) wrong++;
        }
        assert.deepEqual(new Set(packed.ids()), set);
      },
    ),
    { numRuns: 200 },
  );
  t.equal(wrong, 0, `of ${asked} look-ups`);
  t.ok(asked > 10_000);
  t.end();
});

test('a hundred thousand ids in and a hundred thousand out', (t) => {
  const packed = open(
    (function* ids() {
      for (let i = 0; i < 100_000; i++) yield `user-${i * 2}`;
    })(),
  );
  let wrong = 0;
  for (let i = 0; i < 200_000; i++) if (packed.has(`user-${i}`) !== (i % 2 === 0)) wrong++;
  t.equal(wrong, 0);
  t.equal(packed.count, 100_000);
  t.end();
});

test('a million ids of 12 characters take less than 20 bytes each', { timeout: 60_000 }, (t) => {
  const bytes = packIds(
    (function* ids() {
      for (let i = 0; i < 1_000_000; i++) yield `u-${String(i).padStart(10, '0')}`;
    })(),
    hashUser,
  );
  t.ok(bytes.byteLength / 1_000_000 < 20, `${bytes.byteLength / 1_000_000} bytes an id`);
  t.end();
});

test('what only looks like a member is none', (t) => {
  const packed = open(['\ufffd', 'é', 'e\u0301', '\ufeffbom', 'x'.repeat(65_535)]);
  t.ok(packed.has('\ufffd'));
  t.notOk(packed.has('\ud800'), 'a lone surrogate is no U+FFFD');
  t.notOk(packed.has('Ã©'), 'the bytes of é read as Latin-1');
  t.ok(packed.has('e\u0301'));
  t.notOk(packed.has('bom'));
  t.notOk(packed.has(''));
  t.ok(packed.has('x'.repeat(65_535)));
  t.notOk(packed.has('x'.repeat(65_536)));
  t.notOk(packed.has('é'.repeat(65_535)));
  t.same(new Set(packed.ids()), new Set(['\ufffd', 'é', 'e\u0301', '\ufeffbom', 'x'.repeat(65_535)]));
  t.end();
});

test('the empty set and the set of one', (t) => {
  t.notOk(open([]).has('a'));
  t.same([...open([]).ids()], []);
  t.ok(open(['a', 'a']).has('a'));
  t.equal(open(['a', 'a']).count, 1);
  t.end();
});

test('the bytes depend on the set alone, not on the order it came in', (t) => {
  fc.assert(
    fc.property(fc.array(anyText), (ids) => {
      assert.deepEqual(packIds(ids, hashUser), packIds([...ids, ...ids].reverse(), hashUser));
    }),
  );
  t.end();
});

test('the bytes are what they were: a store holds them', (t) => {
  t.equal(
    Buffer.from(packIds(['b', 'a', 'ü'], hashUser)).toString('hex'),
    [
      // magic, format, bucket bits, 0, ids, bytes
      '42524749 0100 02 00 03000000 2e000000',
      // where four buckets begin, and the end
      '24000000 27000000 2b000000 2e000000 2e000000',
      // a, whose hash is 3c2569b2; ü; b, whose hash is 9bbfd75f
      '0100 61 0200 c3bc 0100 62',
    ]
      .join('')
      .replaceAll(' ', ''),
  );
  t.end();
});

test('headers that are no packed ids are refused with the reason', (t) => {
  const good = packIds(['a', 'b'], hashUser);
  const broken = (at: number, value: number): Uint8Array => {
    const bytes = good.slice();
    bytes[at] = value;
    return bytes;
  };
  t.throws(() => openPackedIds(new Uint8Array(3), hashUser), /cut short/);
  t.throws(() => openPackedIds(broken(0, 0), hashUser), /not packed ids/);
  t.throws(() => openPackedIds(broken(4, 2), hashUser), /format 2; this build reads 1/);
  t.throws(() => openPackedIds(broken(6, 0), hashUser), /bucket bits/);
  t.throws(() => openPackedIds(broken(6, 31), hashUser), /bucket bits/);
  t.throws(() => openPackedIds(broken(8, 99), hashUser), /cannot hold 99 ids/);
  t.throws(() => openPackedIds(good.slice(0, -1), hashUser), /came as/);
  t.end();
});

test('whatever stands behind a good header, a look-up ends and reads nothing outside', (t) => {
  const good = packIds(['a', 'bb', 'ccc', 'é', 'user-1'], hashUser);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 16, max: good.length - 1 }), fc.integer({ min: 0, max: 255 }))),
      anyText,
      (damage, id) => {
        const bytes = good.slice();
        for (const [at, value] of damage) bytes[at] = value;
        const packed = openPackedIds(bytes, hashUser);
        assert.equal(typeof packed.has(id), 'boolean');
        assert.equal(typeof packed.has('é'), 'boolean');
        assert.ok([...packed.ids()].length <= bytes.length);
      },
    ),
    { numRuns: 1000 },
  );
  t.end();
});

test('a view into a larger buffer serves as well', (t) => {
  const good = packIds(['a', 'b'], hashUser);
  const shifted = new Uint8Array(good.length + 3).subarray(3);
  shifted.set(good);
  t.ok(openPackedIds(shifted, hashUser).has('a'));
  t.end();
});

test('ids made to collide are refused beyond 256, and served up to there', (t) => {
  const sameHash = () => 7;
  const ids = (count: number) => Array.from({ length: count }, (_, i) => `id-${i}`);
  const packed = openPackedIds(packIds(ids(BUCKET_IDS_MAX), sameHash), sameHash);
  t.ok(ids(BUCKET_IDS_MAX).every((id) => packed.has(id)));
  t.notOk(packed.has('id-256'));
  t.throws(() => packIds(ids(BUCKET_IDS_MAX + 1), sameHash), CrowdedIds);
  t.equal(openPackedIds(packIds(Array(100_000).fill('same'), sameHash), sameHash).count, 1);
  const layers = [0, 1].map((i) => ({
    adds: openPackedIds(
      packIds(
        ids(200).map((id) => `${i}${id}`),
        sameHash,
      ),
      sameHash,
    ),
    drops: undefined,
  }));
  t.throws(() => mergePacked(layers, sameHash), CrowdedIds, 'when merging too');
  t.end();
});

test('an id that cannot be packed throws: whoever packs has looked at it', (t) => {
  t.throws(() => packIds([''], hashUser), /0 bytes/);
  t.throws(() => packIds(['é'.repeat(32_768)], hashUser), /65536 bytes/);
  t.end();
});

interface Change {
  readonly adds: readonly string[];
  readonly drops: readonly string[];
}
const change: fc.Arbitrary<Change> = fc
  .tuple(fewIds, fewIds)
  .map(([adds, drops]) => ({ adds, drops: drops.filter((id) => !adds.includes(id)) }));

function opened(changes: readonly Change[]): OpenedIdList['layers'] {
  return changes.map(({ adds, drops }) => ({
    adds: adds.length === 0 ? undefined : open(adds),
    drops: drops.length === 0 ? undefined : open(drops),
  }));
}

test('layers answer as a Set that went through the same changes; folded into one, too', (t) => {
  let wrong = 0;
  fc.assert(
    fc.property(fc.array(change, { maxLength: 5 }), change, (changes, tail) => {
      const set = new Set<string>();
      for (const { adds, drops } of [...changes, tail]) {
        for (const id of drops) set.delete(id);
        for (const id of adds) set.add(id);
      }
      const all = [...changes, tail].flatMap(({ adds, drops }) => [...adds, ...drops, `${adds[0]}x`]);
      const layers = opened(changes);
      const layered = layerIds({ layers, tail, count: set.size }, hashUser);
      const folded = openPackedIds(mergePacked([...layers, ...opened([tail])], hashUser), hashUser);
      for (const id of all) {
        if ((layered?.has(id) ?? false) !== set.has(id)) wrong++;
        if (folded.has(id) !== set.has(id)) wrong++;
        if (folded.hasHashed(id, hashId(id, hashUser)) !== set.has(id)) wrong++;
      }
      assert.deepEqual([...(layered?.ids() ?? [])].toSorted(), [...set].toSorted());
      assert.deepEqual([...folded.ids()].toSorted(), [...set].toSorted());
      assert.deepEqual(folded.bytes, packIds(set, hashUser), 'merging gives the bytes that packing gives');
    }),
    { numRuns: 500 },
  );
  t.equal(wrong, 0);
  t.end();
});

test('some layers folded to one layer say the same over what lies below', (t) => {
  fc.assert(
    fc.property(change, fc.array(change, { minLength: 1, maxLength: 4 }), change, (base, upper, tail) => {
      const whole = layerIds({ layers: opened([base, ...upper]), tail, count: 0 }, hashUser);
      const { adds, drops } = mergeLayers(opened(upper), hashUser);
      const one = { adds: openPackedIds(adds, hashUser), drops: openPackedIds(drops, hashUser) };
      const folded = layerIds({ layers: [...opened([base]), one], tail, count: 0 }, hashUser);
      for (const id of [base, ...upper, tail].flatMap((each) => [...each.adds, ...each.drops])) {
        assert.equal(folded?.has(id) ?? false, whole?.has(id) ?? false);
      }
      for (const id of one.adds.ids()) assert.ok(!one.drops.has(id), 'no id is in both');
    }),
  );
  t.end();
});

test('a list with nothing in it is none', (t) => {
  t.equal(layerIds({ layers: [], tail: { adds: [], drops: ['a'] }, count: 0 }, hashUser), undefined);
  t.end();
});
