// What the primary asks of the store. `read*` feed the sync loop; `run` is the one way in for a write.
import type { CommandOutcome, CommandRequest } from '../ipc/messages.ts';
import type { DeltaContent, SnapshotContent, SnapshotHead } from '../snapshot/item.ts';

export interface Store {
  /** One indexed query: epoch, revision and sums as the store has them now. */
  readHead(): Promise<SnapshotHead>;
  /** Everything live, in one consistent read. */
  readAll(): Promise<SnapshotContent>;
  /**
   * The head, and of the items only keys and secrets, in one consistent read: a node that has the rest from a hot copy
   * needs no more.
   */
  readKeys(): Promise<SnapshotContent>;
  /** What changed after `revision` up to now, each item once, in one consistent read; undefined when `changes` no longer reaches back. */
  readSince(revision: number): Promise<DeltaContent | undefined>;
  /**
   * One transaction: lock the revision row, settle idempotency, check, write row, version row, audit row and `changes`.
   * Resolves when durable. Never throws for what the client did; throws StorageUnavailable or OutcomeUnknown.
   */
  run(request: CommandRequest): Promise<CommandOutcome>;
  /** The bytes of a blob that a segment names, in chunks. Rejects with StorageUnavailable when it is not there. */
  readBlob(hash: string): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

export type { EnvironmentItem, KeyItem } from '../snapshot/item.ts';
