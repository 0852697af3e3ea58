import fc from 'fast-check';
import { test } from 'tap';
import {
  EMPTY_LIST,
  foldFrom,
  hashesOf,
  isFoldDue,
  isSameLayers,
  parseChange,
  parseIdList,
  realChange,
  tailSize,
  withChanges,
  withFolded,
} from '../../../src/core/id-list.ts';
import { mergeLayers, mergePacked, type OpenedLayer, packIds } from '../../../src/core/pack-ids.ts';
import { openPackedIds, type PackedIds } from '../../../src/core/packed-ids.ts';
import type { BlobRef, IdLayer, IdListRef } from '../../../src/core/segment.ts';
import { hashUser } from '../../../src/kernel/murmur3.ts';

const blobs = new Map<string, PackedIds>();

function keep(bytes: Uint8Array): BlobRef | null {
  const ids = openPackedIds(bytes, hashUser);
  if (ids.count === 0) return null;
  const hash = String(blobs.size).padStart(64, '0');
  blobs.set(hash, ids);
  return { hash, bytes: bytes.byteLength, count: ids.count };
}

const open = ({ adds, drops }: IdLayer): OpenedLayer => ({
  adds: adds === null ? undefined : blobs.get(adds.hash),
  drops: drops === null ? undefined : blobs.get(drops.hash),
});
const packed = (ids: readonly string[]): PackedIds => openPackedIds(packIds(ids, hashUser), hashUser);
const openAll = (list: Pick<IdListRef, 'layers' | 'tail'>): readonly OpenedLayer[] => [
  ...list.layers.map(open),
  { adds: packed(list.tail.adds), drops: packed(list.tail.drops) },
];
const idsOf = (list: IdListRef): string[] => [...packed(idsIn(openAll(list))).ids()].sort();
const idsIn = (layers: readonly OpenedLayer[]): string[] => [
  ...openPackedIds(mergePacked(layers, hashUser), hashUser).ids(),
];

function fold(list: IdListRef, from: number): IdLayer {
  const layers = openAll({ layers: list.layers.slice(from), tail: list.tail });
  if (from === 0) return { adds: keep(mergePacked(layers, hashUser)), drops: null };
  const { adds, drops } = mergeLayers(layers, hashUser);
  return { adds: keep(adds), drops: keep(drops) };
}

test('any changes and folds, one within another, leave what a plain set would have', (t) => {
  const id = fc.integer({ min: 0, max: 12 }).map((n) => `u${n}`);
  const wanted = fc
    .tuple(fc.array(id, { maxLength: 6 }), fc.array(id, { maxLength: 6 }))
    .map(([adds, drops]) => ({ adds, drops: drops.filter((one) => !adds.includes(one)) }));
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('change' as const), wanted }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('fold' as const),
        from: fc.nat(2),
        meanwhile: fc.array(wanted, { maxLength: 3 }),
      }),
    },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      let list = EMPTY_LIST;
      const model = new Set<string>();
      const change = (wish: { readonly adds: readonly string[]; readonly drops: readonly string[] }): void => {
        const layers = new Set(idsIn(list.layers.map(open)));
        const real = realChange(list, wish, (one) => layers.has(one));
        for (const one of real.adds) if (model.has(one)) throw new Error(`${one} was in`);
        for (const one of real.drops) if (!model.has(one)) throw new Error(`${one} was not in`);
        list = withChanges(list, [real]);
        for (const one of wish.adds) model.add(one);
        for (const one of wish.drops) model.delete(one);
      };
      for (const one of steps) {
        if (one.kind === 'change') change(one.wanted);
        else {
          const then = list;
          const from = Math.min(one.from, list.layers.length);
          const layer = fold(then, from);
          for (const wish of one.meanwhile) change(wish);
          list = withFolded(list, then, from, layer);
        }
        if (JSON.stringify(idsOf(list)) !== JSON.stringify([...model].sort())) throw new Error('other ids');
        if (list.count !== model.size) throw new Error(`count ${list.count}, not ${model.size}`);
        const both = list.tail.adds.filter((added) => list.tail.drops.includes(added));
        if (both.length > 0) throw new Error(`${both} is in both`);
      }
    }),
    { numRuns: 500 },
  );
  t.end();
});

const ref = (count: number, hash = 'a'): BlobRef => ({ hash: hash.repeat(64), bytes: 1, count });
const list = (layers: readonly IdLayer[], tailIds = 0): IdListRef => ({
  layers,
  tail: { adds: Array.from({ length: tailIds }, (_, i) => `t${i}`), drops: [] },
  count: 0,
});

test('the tail becomes a layer of its own, until it and that layer weigh an eighth of the base', (t) => {
  t.equal(foldFrom(list([], 5)), 0);
  t.equal(foldFrom(list([{ adds: ref(100), drops: null }], 5000)), 1);
  const young = { adds: ref(60_000), drops: ref(5000) };
  t.equal(foldFrom(list([{ adds: ref(1000), drops: null }, young], 500)), 1);
  t.equal(foldFrom(list([{ adds: ref(1000), drops: null }, young], 600)), 0);
  t.equal(foldFrom(list([{ adds: ref(1_000_000), drops: null }, young], 600)), 1);
  t.equal(foldFrom(list([{ adds: ref(500_000), drops: null }, young], 600)), 0);
  t.end();
});

test('a tail is due by its ids or its bytes', (t) => {
  t.notOk(isFoldDue(list([], 4096)));
  t.ok(isFoldDue(list([], 4097)));
  const long = { ...EMPTY_LIST, tail: { adds: ['é'.repeat(30_000)], drops: ['x'.repeat(65_000), 'y'.repeat(65_000)] } };
  t.same(tailSize(long), { ids: 3, bytes: 190_000 });
  t.notOk(isFoldDue(long));
  t.ok(
    isFoldDue({ ...long, tail: { ...long.tail, adds: ['é'.repeat(30_000), 'z'.repeat(65_000), 'w'.repeat(8000)] } }),
  );
  t.end();
});

test('layers are the same by their hashes, and a list names each blob once', (t) => {
  const layers = [{ adds: ref(1), drops: ref(1, 'b') }];
  t.ok(isSameLayers(layers, [{ adds: ref(1), drops: ref(1, 'b') }]));
  t.notOk(isSameLayers(layers, [{ adds: ref(1), drops: null }]));
  t.notOk(isSameLayers(layers, []));
  t.same(hashesOf(list(layers), list([{ adds: ref(1, 'b'), drops: null }])), ['a'.repeat(64), 'b'.repeat(64)]);
  t.end();
});

test('what is no list or no change is told from one', (t) => {
  t.same(
    parseIdList(JSON.stringify(list([{ adds: ref(1), drops: null }], 2))),
    list([{ adds: ref(1), drops: null }], 2),
  );
  for (const json of [
    '',
    'null',
    '[]',
    '{}',
    '{"layers":[{}],"tail":{"adds":[],"drops":[]},"count":0}',
    '{"layers":[{"adds":{"hash":"../x","bytes":1,"count":1},"drops":null}],"tail":{"adds":[],"drops":[]},"count":0}',
    '{"layers":[],"tail":{"adds":[1],"drops":[]},"count":0}',
    '{"layers":[],"tail":{"adds":[]},"count":0}',
    '{"layers":[],"tail":{"adds":[],"drops":[]},"count":"0"}',
  ])
    t.equal(parseIdList(json), undefined, json);
  t.same(parseChange('{"adds":["a"],"drops":[]}'), { adds: ['a'], drops: [] });
  for (const json of ['', 'null', '{"adds":["a"]}', '{"adds":[1],"drops":[]}'])
    t.equal(parseChange(json), undefined, json);
  t.end();
});
