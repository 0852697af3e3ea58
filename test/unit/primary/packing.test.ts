import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { openPackedIds, type PackedIds } from '../../../src/core/packed-ids.ts';
import { hashUser } from '../../../src/kernel/murmur3.ts';
import { readIdLines } from '../../../src/primary/jobs/id-lines.ts';
import { createPacking } from '../../../src/primary/jobs/packing.ts';
import { createSegmentBlobs } from '../../../src/primary/segment-blobs.ts';
import { createReadBlob } from '../../../src/snapshot/blob-file.ts';
import type { BlobRef } from '../../../src/snapshot/item.ts';
import { blobOf, putBlob } from '../../support/segments.ts';

const IDS_MAX = 1000;

/** The ids of a text, or what is wrong with it. */
function read(text: string | Uint8Array): readonly string[] {
  const bytes = Buffer.from(text);
  const lines = readIdLines(bytes, IDS_MAX);
  if (!lines.ok) return lines.issues.map(({ path, message }) => `${path}: ${message}`);
  const { count, starts, lengths } = lines.ids;
  return Array.from({ length: count }, (_, i) => {
    const start = starts[i] as number;
    return bytes.toString('utf8', start, start + (lengths[i] as number));
  });
}

test('one id a line, LF or CRLF, the last with or without', (t) => {
  for (const text of ['a\nb', 'a\nb\n', 'a\r\nb\r\n', 'a\r\nb', 'a\nb\n\n\r\n']) t.same(read(text), ['a', 'b']);
  t.same(read(''), []);
  t.same(read('\n'), []);
  t.same(read(' a \n\té\n\u2028'), [' a ', '\té', '\u2028'], 'nothing else is taken away');
  t.same(read('x'.repeat(65_535)), ['x'.repeat(65_535)]);
  t.end();
});

test('what is wrong is told with its line', (t) => {
  t.match(read('a\n\nb'), [/^line 2: must not be empty/]);
  t.match(read('\na'), [/^line 1: must not be empty/]);
  t.match(read('a\r\n\r\nb'), [/^line 2: must not be empty/]);
  t.match(read('\ufeffa'), [/^line 1: must not begin with a byte order mark/]);
  t.match(read('a\nb\rc'), [/^line 2: must not contain a carriage return/]);
  t.match(read('a\nb\u0000'), [/^line 2: must not contain the character U\+0000/]);
  t.match(read(`a\n${'x'.repeat(65_536)}\nb`), [/^line 2: must have at most 65535 bytes, not 65536/]);
  t.match(read(Buffer.from('610ac30a620aeda080', 'hex')), [/^line 2: must be UTF-8/, /^line 4: must be UTF-8/]);
  t.equal(read(`${'\n'.repeat(100)}a`).length, 10, 'the first ten are enough');
  t.match(read('a\n'.repeat(IDS_MAX + 1)), [/^line 1001: is one more than the 1,000 ids/]);
  t.equal(read('a\n'.repeat(IDS_MAX)).length, IDS_MAX);
  t.end();
});

function started(t: Test) {
  const root = mkdtempSync(join(tmpdir(), 'burgee-packing-'));
  const [folder, uploads] = [join(root, 'blobs'), join(root, 'uploads')];
  for (const path of [folder, uploads]) mkdirSync(path);
  const packing = createPacking();
  t.teardown(async () => {
    await packing.close();
    rmSync(root, { recursive: true, force: true });
  });
  const made: string[] = [];
  const fetched: string[] = [];
  const blobs = createSegmentBlobs({
    folder,
    uploads,
    idsMax: 2_000_000,
    packing,
    readFile: createReadBlob(folder, hashUser),
    files: {
      fetch: async (ref: BlobRef) => void fetched.push(ref.hash),
      refetch: async () => {},
      made: (ref: BlobRef) => void made.push(ref.hash),
    },
  });
  const upload = (text: string): [string, number] => {
    writeFileSync(join(uploads, 'upload-1'), text);
    return ['upload-1', Buffer.byteLength(text)];
  };
  return { folder, blobs, upload, made, fetched };
}

const open = (bytes: Uint8Array | undefined): PackedIds => openPackedIds(bytes ?? new Uint8Array(), hashUser);

test('an upload becomes a blob, in the folder and in hand', async (t) => {
  const { folder, blobs, upload, made } = started(t);
  const packed = await blobs.pack(...upload('ann\nbob\nann\nżółw\n'));
  const blob = packed.ok ? packed.blob : null;
  if (blob === null) throw new Error(JSON.stringify(packed));
  const { ref, bytes } = blob;
  t.same(ref, blobOf(['ann', 'bob', 'żółw']).ref);
  t.same([...open(bytes).ids()].toSorted(), ['ann', 'bob', 'żółw']);
  t.same(readdirSync(folder), [ref.hash]);
  t.same(new Uint8Array(readFileSync(join(folder, ref.hash))), new Uint8Array(bytes));
  t.same(made, [ref.hash]);
  t.same(await blobs.pack(...upload('\n')), { ok: true, blob: null });
});

test('an upload with mistakes is refused, and one that is not whole is an error', async (t) => {
  const { blobs, upload, folder } = started(t);
  t.match(await blobs.pack(...upload('a\n\nb')), { ok: false, issues: [{ path: 'line 2' }] });
  await t.rejects(blobs.pack(upload('abc')[0], 4), /3 bytes and not 4/);
  await t.rejects(blobs.pack('../secret', 4), /no name of an upload/);
  t.same(readdirSync(folder), []);
});

test('layers and a tail become one layer, or one base', async (t) => {
  const { folder, blobs, fetched } = started(t);
  const [base, drops] = [blobOf(['ann', 'bob', 'eve']), blobOf(['bob'])];
  for (const blob of [base, drops]) putBlob(folder, blob);
  const tail = { adds: ['joe', 'bob'], drops: ['ann', 'kim'] };
  const young = { adds: null, drops: drops.ref };
  const asBase = await blobs.fold({ layers: [{ adds: base.ref, drops: null }, young], tail }, true);
  t.same(asBase.adds?.ref, blobOf(['bob', 'eve', 'joe']).ref);
  t.equal(asBase.drops, null);
  const asLayer = await blobs.fold({ layers: [young], tail }, false);
  t.same([...open(asLayer.adds?.bytes).ids()].toSorted(), ['bob', 'joe']);
  t.same([...open(asLayer.drops?.bytes).ids()].toSorted(), ['ann', 'kim']);
  t.same(fetched, [base.ref.hash, drops.ref.hash, drops.ref.hash]);
  t.same(await blobs.fold({ layers: [], tail: { adds: [], drops: ['x'] } }, true), { adds: null, drops: null });
  writeFileSync(join(folder, base.ref.hash), 'other');
  await t.rejects(blobs.fold({ layers: [{ adds: base.ref, drops: null }], tail }, true), /other bytes/);
});

test('a blob that is asked again is open still', async (t) => {
  const { folder, blobs, fetched } = started(t);
  const people = blobOf(['ann']);
  putBlob(folder, people);
  t.ok((await blobs.open(people.ref)).has('ann'));
  rmSync(join(folder, people.ref.hash));
  t.ok((await blobs.open(people.ref)).has('ann'));
  t.equal(fetched.length, 1);
  await t.rejects(blobs.open(blobOf(['bob']).ref), /no such file/);
});
