// What a snapshot is made of. Each item is one live row of the store; the sums are the XOR of their tags, kept up to
// date in O(change), so that two holders of a snapshot can tell in sixteen bytes that they hold the same.

export type { BlobRef, IdListRef, SegmentItem } from '../core/segment.ts';

export type ItemKind = 'environment' | 'flag' | 'segment' | 'key' | 'secret';

export interface ItemAddress {
  readonly kind: ItemKind;
  /** Empty for keys, environments and secrets. */
  readonly environment: string;
  readonly id: string;
}

export interface SnapshotItem extends ItemAddress {
  /** Revision of the item's last change. */
  readonly revision: number;
  /** 8 random bytes drawn by the store at every write, unsigned. */
  readonly tag: bigint;
  /** The item's document. Flags and environments: as the API shows them; segments and keys: see SegmentItem, KeyItem. */
  readonly json: string;
}

export interface SnapshotHead {
  /** The store's random identity: revisions of two epochs cannot be compared. */
  readonly epoch: string;
  readonly revision: number;
  /** XOR of the tags of all live keys and secrets, unsigned 64 bits. */
  readonly sumKeys: bigint;
  /** The same over everything else. */
  readonly sumRest: bigint;
  /** environment -> revision of its last change; ETags, watch and SSE use it. */
  readonly changedAt: Readonly<Record<string, number>>;
}

export interface SnapshotContent {
  readonly head: SnapshotHead;
  readonly items: readonly SnapshotItem[];
}

export interface DeltaContent {
  readonly from: number;
  readonly head: SnapshotHead;
  readonly puts: readonly SnapshotItem[];
  readonly removes: readonly ItemAddress[];
}

/** Key items in a snapshot: their `json`. Nothing here can be turned back into the key. */
export interface KeyItem {
  readonly key_id: string;
  readonly key_hash: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly environments: readonly string[] | null;
  readonly tags: readonly string[] | null;
  /** Requests a minute; 0: no limit. */
  readonly rate_limit: number;
  readonly expires_at: string | null;
}

/** Environment items: their `json`. */
export interface EnvironmentItem {
  readonly environment: string;
  readonly description: string;
  readonly policy: Readonly<Record<string, unknown>>;
  readonly version: number;
  readonly revision: number;
  readonly created_at: string;
  readonly updated_at: string;
  readonly updated_by: string;
}

/** The one secret item, `stream`: its `json`. Tokens of event streams are signed with it. */
export interface SecretItem {
  /** 256 bits in lower-case hex. */
  readonly secret: string;
}
