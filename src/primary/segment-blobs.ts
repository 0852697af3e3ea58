// What the store asks about packed ids, answered from the files that the workers read and by the thread that packs.
import { join } from 'node:path';
import type { PackedIds } from '../core/packed-ids.ts';
import { limits } from '../limits.ts';
import type { ReadBlob } from '../snapshot/blob-file.ts';
import type { BlobRef } from '../snapshot/item.ts';
import type { SegmentBlobs } from '../storage/segment-blobs.ts';
import { StorageUnavailable } from '../storage/sql.ts';
import type { BlobFiles } from './blob-files.ts';
import type { Made, Packing } from './jobs/packing.ts';

/** Uploads are named by whoever receives them; a name that leads elsewhere is none. */
const UPLOAD_NAME = /^[A-Za-z0-9_-]{1,128}$/;

export function createSegmentBlobs(deps: {
  /** DATA_DIR/run/blobs. */
  readonly folder: string;
  /** DATA_DIR/run/uploads. */
  readonly uploads: string;
  readonly files: Pick<BlobFiles, 'fetch' | 'refetch' | 'made'>;
  readonly readFile: ReadBlob;
  readonly packing: Pick<Packing, 'pack' | 'fold'>;
  /** In one list. */
  readonly idsMax: number;
}): SegmentBlobs {
  const { folder, files } = deps;
  const opened = createOpenedBlobs();

  function kept(made: Made | null): Made | null {
    if (made !== null) files.made(made.ref);
    return made;
  }

  /** Reads these files. One that was damaged since it was fetched is fetched anew: the store has it. */
  async function reading<T>(refs: readonly BlobRef[], read: () => Promise<T>): Promise<T> {
    for (const ref of refs) await files.fetch(ref);
    try {
      return await read();
    } catch (error) {
      if (error instanceof StorageUnavailable) throw error;
      for (const ref of refs) await files.refetch(ref);
      return await read();
    }
  }

  return {
    async open(ref) {
      const known = opened.get(ref.hash);
      if (known !== undefined) return known;
      const ids = await reading([ref], () => deps.readFile(ref));
      opened.put(ref, ids);
      return ids;
    },
    async pack(upload, bytes) {
      if (!UPLOAD_NAME.test(upload)) throw new Error(`${JSON.stringify(upload)} is no name of an upload`);
      const task = { path: join(deps.uploads, upload), bytes, idsMax: deps.idsMax, folder };
      const packed = await deps.packing.pack(task);
      return packed.ok ? { ok: true, blob: kept(packed.blob) } : packed;
    },
    async fold(list, isBase) {
      const refs = list.layers.flatMap((layer) => [layer.adds, layer.drops]).filter((ref) => ref !== null);
      const { adds, drops } = await reading(refs, () => deps.packing.fold({ list, isBase, folder }));
      return { adds: kept(adds), drops: kept(drops) };
    },
  };
}

/** Those asked last: who changes the members of a segment often does so again. */
function createOpenedBlobs(): {
  get(hash: string): PackedIds | undefined;
  put(ref: BlobRef, ids: PackedIds): void;
} {
  const opened = new Map<string, PackedIds>();
  let bytes = 0;
  return {
    get(hash) {
      const ids = opened.get(hash);
      if (ids === undefined) return undefined;
      opened.delete(hash);
      opened.set(hash, ids);
      return ids;
    },
    put(ref, ids) {
      if (opened.has(ref.hash)) return;
      opened.set(ref.hash, ids);
      bytes += ids.byteLength;
      for (const [hash, oldest] of opened) {
        if (bytes <= limits.openedBlobBytesMax) return;
        opened.delete(hash);
        bytes -= oldest.byteLength;
      }
    },
  };
}
