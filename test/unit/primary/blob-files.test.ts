import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { hashUser } from '../../../src/kernel/murmur3.ts';
import { createBlobFiles } from '../../../src/primary/blob-files.ts';
import { createReadBlob } from '../../../src/snapshot/blob-file.ts';
import type { SegmentItem } from '../../../src/snapshot/item.ts';
import { type Blob, blobOf, listOf, putBlob, segmentItem } from '../../support/segments.ts';
import { contentOf, deltaBetween, environmentItem, flagItem } from '../../support/snapshot.ts';

const prod = environmentItem('prod', 1, 1n);
const people = blobOf(['ann', 'bob', 'eve']);
const others = blobOf(['joe']);
const segmentOf = (tag: bigint, blob: Blob) => segmentItem('s', 1, tag, { included: listOf(blob) });

function started(t: Test) {
  const root = mkdtempSync(join(tmpdir(), 'burgee-blobs-'));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  const [folder, uploads] = [join(root, 'blobs'), join(root, 'uploads')];
  for (const path of [folder, uploads]) mkdirSync(path);
  const clock = { nowMs: 1_000_000, wallMs: Date.now() };
  const kept = new Map<string, Uint8Array>();
  const asked: string[] = [];
  const warnings: string[] = [];
  const rests: number[] = [];
  const files = createBlobFiles({
    folder,
    uploads,
    readFile: createReadBlob(folder, hashUser),
    now: () => clock.nowMs,
    wallClock: () => clock.wallMs,
    rest: async (ms) => void rests.push(ms),
    warn: (_fields, message) => warnings.push(message),
    async *readFromStore(hash) {
      asked.push(hash);
      const bytes = kept.get(hash);
      if (bytes === undefined) throw new Error('no such blob');
      for (let at = 0; at < bytes.length; at += 7) yield bytes.subarray(at, at + 7);
    },
  });
  const store = (blob: Blob, bytes = blob.bytes) => kept.set(blob.ref.hash, bytes);
  const isThere = (blob: Blob) => existsSync(join(folder, blob.ref.hash));
  return { files, folder, uploads, clock, asked, warnings, rests, store, isThere };
}

function lostOf({ json }: { json: string } = { json: '{}' }): string | undefined {
  return (JSON.parse(json) as SegmentItem).lost;
}

test('what a snapshot names is a file before it is published, fetched once however often it is named', async (t) => {
  const { files, folder, asked, store } = started(t);
  store(people);
  const content = contentOf(1, [prod, segmentOf(2n, people), segmentItem('t', 1, 3n, { excluded: listOf(people) })]);
  t.equal((await files.prepareAll(content)).items, content.items, 'nothing is changed');
  t.same(readdirSync(folder), [people.ref.hash]);
  t.same(new Uint8Array(readFileSync(join(folder, people.ref.hash))), people.bytes);
  await Promise.all([files.fetch(people.ref), files.fetch(people.ref)]);
  t.same(asked, [people.ref.hash]);
  store(others);
  await Promise.all([files.fetch(others.ref), files.fetch(others.ref)]);
  t.same(asked, [people.ref.hash, others.ref.hash]);
});

test('a file that is there already is believed when it is what its name says', async (t) => {
  const { files, folder, asked, store } = started(t);
  store(people);
  store(others);
  putBlob(folder, people);
  writeFileSync(
    join(folder, others.ref.hash),
    others.bytes.map((byte) => byte ^ 1),
  );
  await files.fetch(people.ref);
  await files.fetch(others.ref);
  t.same(asked, [others.ref.hash]);
  t.same(new Uint8Array(readFileSync(join(folder, others.ref.hash))), others.bytes);
});

test('what the store gives is not believed unless length and hash are right', async (t) => {
  const { files, folder, store } = started(t);
  for (const bytes of [
    people.bytes.slice(1),
    people.bytes.map((byte) => byte ^ 1),
    Buffer.concat([people.bytes, people.bytes]),
  ]) {
    store(people, bytes);
    await t.rejects(files.fetch(people.ref), /the store gave/);
    t.same(readdirSync(folder), [], 'and nothing is left of it');
  }
});

test('a blob that cannot be had is asked for again; after the third time the others are served without it', async (t) => {
  const { files, store, warnings, clock } = started(t);
  const first = contentOf(1, [prod]);
  await files.prepareAll(first);
  const second = contentOf(2, [prod, segmentOf(2n, people), flagItem('f', 2, 3n)]);
  const delta = deltaBetween(first, second);
  await t.rejects(files.prepareDelta(delta), /cannot be had/);
  await t.rejects(files.prepareDelta(delta), /cannot be had/);
  const prepared = await files.prepareDelta(delta);
  t.match(lostOf(prepared.puts.find(({ kind }) => kind === 'segment')), /cannot be read: blob/);
  t.equal(
    prepared.puts.find(({ kind }) => kind === 'flag'),
    delta.puts.find(({ kind }) => kind === 'flag'),
  );
  t.same(prepared.head, delta.head);
  t.same(warnings, ['a segment is served without its ids']);
  t.equal(await files.mended(), false);
  store(people);
  t.equal(await files.mended(), false, 'it is not asked for all the time');
  clock.nowMs += 10_000;
  t.equal(await files.mended(), true);
  t.equal((await files.prepareAll(second)).items, second.items);
  clock.nowMs += 10_000;
  t.equal(await files.mended(), false, 'there is nothing to mend any more');
});

test('at the start one try is enough: the service comes up', async (t) => {
  const { files, store } = started(t);
  store(others);
  const { items } = await files.prepareAll(
    contentOf(1, [prod, segmentOf(2n, people), segmentItem('t', 1, 3n, { included: listOf(others) })]),
  );
  t.match(lostOf(items[1]), /cannot be read/);
  t.equal(lostOf(items[2]), undefined);
});

test('a broken segment names nothing', async (t) => {
  const { files, asked } = started(t);
  await files.prepareAll(contentOf(1, [prod, { ...segmentOf(2n, people), json: '{' }]));
  t.same(asked, []);
});

test('a damaged file is found when a worker complains, and fetched anew', async (t) => {
  const { files, folder, store, asked, rests } = started(t);
  store(people);
  await files.prepareAll(contentOf(1, [prod, segmentOf(2n, people)]));
  writeFileSync(
    join(folder, people.ref.hash),
    people.bytes.map((byte) => byte ^ 1),
  );
  await files.fetch(people.ref);
  t.equal(asked.length, 1, 'it is not read over for nothing');
  await Promise.all([files.recheck(), files.recheck()]);
  t.equal(asked.length, 2);
  t.same(new Uint8Array(readFileSync(join(folder, people.ref.hash))), people.bytes);
  t.same(rests, [1000], 'once a second at most');
});

test('what nothing names any more goes after a minute, what is named stays', async (t) => {
  const { files, folder, clock, store, isThere } = started(t);
  store(people);
  store(others);
  const first = contentOf(1, [prod, segmentOf(2n, people)]);
  await files.prepareAll(first);
  await files.prepareDelta(deltaBetween(first, contentOf(2, [prod, segmentOf(3n, others)])));
  const sweepLater = (ms: number): void => {
    clock.nowMs += ms;
    clock.wallMs += ms;
    files.sweep();
  };
  sweepLater(0);
  sweepLater(59_000);
  t.ok(isThere(people));
  await files.fetch(people.ref);
  sweepLater(59_000);
  t.ok(isThere(people), 'somebody asked for it meanwhile');
  sweepLater(2000);
  t.notOk(isThere(people));
  t.ok(isThere(others));
  await files.fetch(people.ref);
  t.ok(isThere(people), 'and it can come back');
  t.equal(readdirSync(folder).length, 2);
});

test('what was left half-written goes after ten minutes', async (t) => {
  const { files, folder, uploads, clock } = started(t);
  const paths = [join(folder, `${people.ref.hash}.7.tmp`), join(uploads, 'abc')];
  for (const path of paths) writeFileSync(path, 'x');
  files.sweep();
  t.ok(paths.every((path) => existsSync(path)));
  const oldS = clock.wallMs / 1000 - 601;
  for (const path of paths) utimesSync(path, oldS, oldS);
  files.sweep();
  t.notOk(paths.some((path) => existsSync(path)));
});

test('a sweep that fails is told and ends nobody', async (t) => {
  const { files, uploads, warnings } = started(t);
  rmSync(uploads, { recursive: true });
  files.sweep();
  t.same(warnings, ['files that nobody needs could not be removed']);
});
