// Compiles the segments of a snapshot or a delta, with the ids they name. What the last snapshot has opened already is
// used again: a change of one id in a list of a million reads no file.
import { blobsOf, compileSegment, quarantineSegment, readSegmentItem } from '../core/compile-segment.ts';
import type { CompiledSegment, HashUser } from '../core/compiled.ts';
import type { PackedIds } from '../core/packed-ids.ts';
import type { ReadBlob } from '../snapshot/blob-file.ts';
import type { ItemAddress, SnapshotItem } from '../snapshot/item.ts';
import { addressOf } from '../snapshot/state.ts';
import type { Slices } from './slices.ts';

/** The opened blobs of a snapshot, and who names them. */
export interface HeldBlobs {
  readonly byHash: ReadonlyMap<string, PackedIds>;
  /** address of a segment -> hashes it names. */
  readonly named: ReadonlyMap<string, readonly string[]>;
}

export const NO_BLOBS: HeldBlobs = { byHash: new Map(), named: new Map() };

export interface CompiledSegments {
  readonly segments: readonly CompiledSegment[];
  readonly blobs: HeldBlobs;
}

/** Rejects when a blob cannot be read: better the last snapshot than a wrong answer. */
export async function compileSegments(
  held: HeldBlobs,
  puts: readonly SnapshotItem[],
  removes: readonly ItemAddress[],
  deps: { readonly readBlob: ReadBlob; readonly hash: HashUser; readonly slices: Slices },
): Promise<CompiledSegments> {
  if (puts.length === 0 && removes.length === 0) return { segments: [], blobs: held };
  const opened = new Map(held.byHash);
  const named = new Map(held.named);
  const segments: CompiledSegment[] = [];
  for (const remove of removes) named.delete(addressOf(remove));
  for (const put of puts) {
    const read = readSegmentItem(put.json, put);
    named.set(addressOf(put), read.ok ? blobsOf(read.value).map(({ hash }) => hash) : []);
    if (!read.ok) segments.push(quarantineSegment(put.json, put, read.issues));
    else {
      for (const ref of blobsOf(read.value)) {
        if (!opened.has(ref.hash)) opened.set(ref.hash, await deps.readBlob(ref));
      }
      segments.push(compileSegment(read.value, (hash) => opened.get(hash) as PackedIds, deps.hash));
    }
    await deps.slices.pause();
  }
  const live = new Set([...named.values()].flat());
  const byHash = new Map([...opened].filter(([hash]) => live.has(hash)));
  return { segments, blobs: { byHash, named } };
}
