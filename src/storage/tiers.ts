// Where a snapshot can come from when it does not come from the store, and how nodes hear of each other's writes. All of it
// is help: whatever Redis or the disk do, a node that reaches the store serves the truth a poll later at most.
import type { SnapshotContent, SnapshotHead, SnapshotItem } from '../snapshot/item.ts';

/** Where what is served was loaded from. Each confirmation by the store makes it "store" again. */
export type Tier = 'store' | 'redis' | 'file';

/** How long a hot copy is kept, from its last renewal. */
export const HOT_COPY_TTL_MS = 60_000;

/** What is known of a hot copy without reading it. */
export interface HotCopyStanding {
  readonly revision: number;
  /** Until it expires, in milliseconds. */
  readonly ttlMs: number;
}

/**
 * The snapshot in Redis, `burgee:{epoch}:snapshot:f<format>`, without keys and secrets: whoever writes there would make
 * himself admin. What is there is signed with the store's own secret, which is never in Redis: so whoever writes there
 * cannot make a flag either. Every call rejects with TierUnavailable when Redis is away or does not answer in time.
 */
export interface HotCopy {
  /**
   * Tells the store's secret, from a snapshot's items as the store (`readKeys`) or the file has them. Until it is known
   * nothing in Redis is believed; `write` finds it in what it is given.
   */
  trust(items: readonly SnapshotItem[]): void;
  /** Undefined: there is none, or it is none. A revision as somebody wrote it there; only `read` finds out if it is true. */
  standing(epoch: string): Promise<HotCopyStanding | undefined>;
  /** Undefined: there is none, or none that can be believed (size, format, xxHash64, signature, epoch, sum). Its head's sumKeys is 0. */
  read(epoch: string): Promise<SnapshotContent | undefined>;
  /**
   * Keeps the content, less keys and secrets, for 60 s: one Lua step that writes only over a lower revision and gives an
   * equal one its time again. Resolves with the revision that is there afterwards: a lower one while another node is
   * writing, or when the content is too large to be kept.
   */
  write(content: SnapshotContent): Promise<number>;
  /** The highest revision that any node has noted for this epoch, without end; 0: none that can be believed. */
  highestSeen(epoch: string): Promise<number>;
  /** Notes one; never lowers what is there. */
  noteSeen(epoch: string, revision: number): Promise<void>;
}

/** DATA_DIR/snapshot.brgs and the generation before it: everything, keys too, for this service's user alone (0600). */
export interface SnapshotFile {
  /** The newest generation that verifies, with the time at which the store last confirmed it (ms since 1970). */
  read(): Promise<{ readonly content: SnapshotContent; readonly confirmedAtMs: number } | undefined>;
  /**
   * The store has just confirmed `head`. Called as often as one likes: at most every 5 s it asks for the content, if it is
   * another than what the file has, and writes it (temporary file, fsync, rename), or else notes the time. Never throws.
   */
  write(head: SnapshotHead, content: () => SnapshotContent): void;
  /** Resolves when what was given is on the disk. */
  close(): Promise<void>;
}

/** News of writes. A hint carries a revision and is never trusted: it makes the next look at the store come now. */
export interface Hints {
  /** Fire and forget. */
  publish(epoch: string, revision: number): void;
  close(): Promise<void>;
}

/** Redis or the disk did not do what was asked, in time. Nobody waits for more. */
export class TierUnavailable extends Error {
  override readonly name = 'TierUnavailable';
}
