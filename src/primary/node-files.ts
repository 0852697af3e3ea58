// Packed ids: their files, and the thread that makes them.
import { hashUser } from '../kernel/murmur3.ts';
import { limits } from '../limits.ts';
import { delay, systemClock } from '../run/clock.ts';
import type { RunDir } from '../run/run-dir.ts';
import { createReadBlob } from '../snapshot/blob-file.ts';
import type { SegmentBlobs } from '../storage/segment-blobs.ts';
import type { Store } from '../storage/store.ts';
import { type BlobFiles, createBlobFiles } from './blob-files.ts';
import { createPacking } from './jobs/packing.ts';
import { createSegmentBlobs } from './segment-blobs.ts';

export interface NodeFiles {
  readonly blobs: BlobFiles;
  readonly segmentBlobs: SegmentBlobs;
  sweep(): void;
  close(): Promise<void>;
}

export function createNodeFiles(
  runDir: RunDir,
  readFromStore: Store['readBlob'],
  warn: (fields: object, message: string) => void,
): NodeFiles {
  const folders = { folder: runDir.blobs, uploads: runDir.uploads };
  const readFile = createReadBlob(runDir.blobs, hashUser);
  const packing = createPacking();
  const blobs = createBlobFiles({
    ...folders,
    readFromStore,
    readFile,
    now: () => performance.now(),
    wallClock: Date.now,
    rest: (ms) => delay(systemClock, ms),
    warn,
  });
  const idsMax = limits.segmentIdsMax;
  return {
    blobs,
    segmentBlobs: createSegmentBlobs({ ...folders, files: blobs, readFile, packing, idsMax }),
    sweep: blobs.sweep,
    close: packing.close,
  };
}
