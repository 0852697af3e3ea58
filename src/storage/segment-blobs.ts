// What the store asks of whoever works on packed ids: opening, packing and folding take megabytes and tens of
// milliseconds, so the primary does them in files and jobs of its own, and always before the revision row is locked.
import type { Issue } from '../core/model.ts';
import type { PackedIds } from '../core/packed-ids.ts';
import type { BlobRef, IdLayer } from '../core/segment.ts';

/** Packed ids that were just made; the store keeps the bytes before anything names them. */
export interface MadeBlob {
  readonly ref: BlobRef;
  readonly bytes: Uint8Array;
}

/** Consecutive layers of a list, oldest first, and its tail over them. */
export interface Foldable {
  readonly layers: readonly IdLayer[];
  readonly tail: { readonly adds: readonly string[]; readonly drops: readonly string[] };
}

export interface SegmentBlobs {
  /** A blob that the store holds. Rejects when it cannot be had. */
  open(ref: BlobRef): Promise<PackedIds>;
  /**
   * The ids of an uploaded file, one a line. `blob` is null when there are none.
   * @param upload name of a file below DATA_DIR/run/uploads
   * @returns what is wrong with the lines, the first ones by number
   */
  pack(
    upload: string,
    bytes: number,
  ): Promise<
    { readonly ok: true; readonly blob: MadeBlob | null } | { readonly ok: false; readonly issues: readonly Issue[] }
  >;
  /**
   * One layer that says what these say together; a set without ids is null.
   * @param isBase true: nothing lies below, so that nothing need be dropped
   */
  fold(list: Foldable, isBase: boolean): Promise<{ readonly adds: MadeBlob | null; readonly drops: MadeBlob | null }>;
}
