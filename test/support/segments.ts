// Segments made by hand, as the store would publish them.
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EMPTY_LIST } from '../../src/core/id-list.ts';
import { packIds } from '../../src/core/pack-ids.ts';
import { hashUser } from '../../src/kernel/murmur3.ts';
import type {
  BlobRef,
  DeltaContent,
  IdListRef,
  SegmentItem,
  SnapshotContent,
  SnapshotItem,
} from '../../src/snapshot/item.ts';
import type { CompileDeps } from '../../src/worker/compile-snapshot.ts';

/** For holders whose snapshots have no segment with packed ids. */
export const withoutBlobs: CompileDeps = {
  readBlob: (ref) => Promise.reject(new Error(`no blob ${ref.hash}`)),
  hashUser,
};

/** For sync loops whose snapshots name no files. */
export const nothingToPrepare = {
  prepareAll: (content: SnapshotContent) => Promise.resolve(content),
  prepareDelta: (delta: DeltaContent) => Promise.resolve(delta),
  mended: () => Promise.resolve(false),
};

export function segmentDocument(id: string, fields: Partial<SegmentItem['document']> = {}): SegmentItem['document'] {
  return {
    segment_id: id,
    environment: 'prod',
    description: '',
    match_by: 'user_id',
    included_count: 0,
    excluded_count: 0,
    when: null,
    version: 1,
    revision: 1,
    created_at: '2026-01-01T00:00:00.000Z',
    updated_at: '2026-01-01T00:00:00.000Z',
    updated_by: 'test',
    ...fields,
  };
}

export function segmentItem(id: string, revision: number, tag: bigint, item: Partial<SegmentItem> = {}): SnapshotItem {
  const json = JSON.stringify({ document: segmentDocument(id), included: EMPTY_LIST, excluded: EMPTY_LIST, ...item });
  return { kind: 'segment', environment: 'prod', id, revision, tag, json };
}

export interface Blob {
  readonly ref: BlobRef;
  readonly bytes: Uint8Array;
}

export function blobOf(ids: Iterable<string>): Blob {
  const bytes = packIds(ids, hashUser);
  const hash = createHash('sha256').update(bytes).digest('hex');
  return { ref: { hash, bytes: bytes.length, count: Buffer.from(bytes).readUInt32LE(8) }, bytes };
}

export function putBlob(folder: string, blob: Blob): void {
  writeFileSync(join(folder, blob.ref.hash), blob.bytes);
}

export function listOf(blob: Blob, adds: readonly string[] = [], drops: readonly string[] = []): IdListRef {
  return {
    layers: [{ adds: blob.ref, drops: null }],
    tail: { adds, drops },
    count: blob.ref.count + adds.length - drops.length,
  };
}
