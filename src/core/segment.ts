// A segment as it is stored, published and shown: who belongs to it, by two lists of ids and a condition. Lists may hold
// millions of ids, so they stand beside the document as blobs of packed ids that are named by their content.
import type { ConditionNode } from './model.ts';

/** What an operator decides, apart from the members of the lists. */
export interface SegmentDefinition {
  readonly segment_id: string;
  readonly environment: string;
  readonly description: string;
  /** "user_id", or the attribute whose value is looked up in the lists. */
  readonly match_by: string;
  readonly when: ConditionNode | null;
}

/** A segment as the API shows it. Times are RFC 3339 in UTC with milliseconds. */
export interface SegmentDocument extends SegmentDefinition {
  readonly included_count: number;
  readonly excluded_count: number;
  readonly version: number;
  readonly revision: number;
  readonly created_at: string;
  readonly updated_at: string;
  readonly updated_by: string;
}

/** Packed ids (packed-ids.ts) by the name of their content. */
export interface BlobRef {
  /** Lower-case hex SHA-256 of the bytes. */
  readonly hash: string;
  readonly bytes: number;
  /** Ids in it. */
  readonly count: number;
}

/** One layer over those before it: first `drops` take away, then `adds` put in. null: none. No id is in both. */
export interface IdLayer {
  readonly adds: BlobRef | null;
  readonly drops: BlobRef | null;
}

/** A list of ids: what was packed, and over it what changed since. The newest that names an id decides. */
export interface IdListRef {
  /** Oldest first. */
  readonly layers: readonly IdLayer[];
  /** The newest changes, not packed yet. No id is in both. */
  readonly tail: { readonly adds: readonly string[]; readonly drops: readonly string[] };
  /** Ids in the list, all taken together. */
  readonly count: number;
}

/** Segment items in a snapshot: their `json` is JSON of this. */
export interface SegmentItem {
  /**
   * Set by a primary that could not get the ids, never by the store: why. The segment then answers as one that does not
   * compile, and the rest of the snapshot is served.
   */
  readonly lost?: string;
  readonly document: SegmentDocument;
  readonly included: IdListRef;
  readonly excluded: IdListRef;
}
