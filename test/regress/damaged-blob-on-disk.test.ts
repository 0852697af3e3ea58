// A file of packed ids that kept its length but not its bytes was believed by the primary, which had verified it once:
// each change of that segment's members was 500, and its tail was never folded, until a restart. The store has the bytes.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import { hashUser } from '../../src/kernel/murmur3.ts';
import { createBlobFiles } from '../../src/primary/blob-files.ts';
import { createPacking } from '../../src/primary/jobs/packing.ts';
import { createSegmentBlobs } from '../../src/primary/segment-blobs.ts';
import { createReadBlob } from '../../src/snapshot/blob-file.ts';
import { blobOf } from '../support/segments.ts';

test('a damaged file of ids is fetched from the store when it is read, by a look-up and by a fold', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'burgee-damaged-'));
  const [folder, uploads] = [join(root, 'blobs'), join(root, 'uploads')];
  for (const path of [folder, uploads]) mkdirSync(path);
  const packing = createPacking();
  t.teardown(async () => {
    await packing.close();
    rmSync(root, { recursive: true, force: true });
  });
  const people = blobOf(['ann', 'bob', 'eve']);
  const path = join(folder, people.ref.hash);
  const readFile = createReadBlob(folder, hashUser);
  const files = createBlobFiles({
    folder,
    uploads,
    readFile,
    now: () => 0,
    wallClock: () => 0,
    rest: async () => {},
    warn: () => {},
    async *readFromStore() {
      yield people.bytes;
    },
  });
  const blobs = createSegmentBlobs({ folder, uploads, files, readFile, packing, idsMax: 1000 });
  const damage = (): void => {
    const bytes = Uint8Array.from(people.bytes);
    bytes[bytes.length - 1] = 0x21;
    writeFileSync(path, bytes);
  };
  await files.fetch(people.ref);

  damage();
  const list = { layers: [{ adds: people.ref, drops: null }], tail: { adds: ['joe'], drops: [] } };
  const folded = await blobs.fold(list, true);
  t.same(folded.adds?.ref, blobOf(['ann', 'bob', 'eve', 'joe']).ref);
  t.same(Uint8Array.from(readFileSync(path)), Uint8Array.from(people.bytes));

  damage();
  t.ok((await blobs.open(people.ref)).has('eve'));
  t.same(Uint8Array.from(readFileSync(path)), Uint8Array.from(people.bytes));
});
