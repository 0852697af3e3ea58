// What a worker serves from: one immutable snapshot behind one reference. A request takes `holder.current` once.
import type { CompiledFlag, CompiledSegment, EvaluationScope } from '../core/compiled.ts';
import type { CommandOutcome, CommandRequest, Lease, ToPrimary, UnknownFlags } from '../ipc/messages.ts';

export interface ServingKey {
  readonly keyId: string;
  /** Lower-case hex SHA-256 of the key. */
  readonly keyHash: string;
  readonly name: string;
  /** Of its highest scope, as RANK in core/scopes.ts has them. */
  readonly rank: number;
  readonly scopes: readonly string[];
  /** undefined: every environment. */
  readonly environments: ReadonlySet<string> | undefined;
  /** undefined: every flag. */
  readonly tags: ReadonlySet<string> | undefined;
  /** Requests a minute; 0: no limit. */
  readonly rateLimit: number;
  /** Milliseconds since 1970; Infinity: never. */
  readonly expiresAtMs: number;
}

export interface ServingEnvironment extends EvaluationScope {
  readonly environment: string;
  readonly json: string;
  /** Revision of this environment's last change. */
  readonly changedAt: number;
  /** Iterates in order of flag_id. */
  readonly flags: ReadonlyMap<string, CompiledFlag>;
  /** Iterates in order of segment_id. */
  readonly segments: ReadonlyMap<string, CompiledSegment>;
}

export interface ServingSnapshot {
  readonly epoch: string;
  readonly revision: number;
  readonly environments: ReadonlyMap<string, ServingEnvironment>;
  readonly keysByHash: ReadonlyMap<string, ServingKey>;
  readonly keysById: ReadonlyMap<string, ServingKey>;
  /** What tokens of event streams are signed with; undefined: the store has none, and there are no streams. */
  readonly streamSecret: Uint8Array | undefined;
}

export interface SnapshotHolder {
  /** undefined until the first snapshot is verified. */
  readonly current: ServingSnapshot | undefined;
  /** Seconds since the primary last confirmed the snapshot with the store; 0 while under 5 s. */
  staleSeconds(): number;
  /** Where the snapshot was loaded from: "store", "file", "redis". */
  readonly tier: string;
  /** Resolves true as soon as `revision` is served here, false after `timeoutMs`. Tells the primary at once. */
  waitFor(revision: number, timeoutMs: number): Promise<boolean>;
  /** `tell` is called right after each swap of `current`. It must not do the work there: it marks, and a loop works. */
  onSwap(tell: () => void): void;
}

export interface PrimaryLink {
  readonly connected: boolean;
  /** Of the latest primary that this worker has heard of; 0: of none. */
  readonly term: number;
  /** Never rejects. No primary: STORAGE_UNAVAILABLE; no answer in 10 s (a list of ids: 60 s) or the link broke meanwhile: OUTCOME_UNKNOWN. */
  command(request: Omit<CommandRequest, 'id'>): Promise<CommandOutcome>;
  /** Fire and forget; dropped while there is no primary. */
  send(message: ToPrimary): void;
  /** The node's metrics in Prometheus text; undefined when the primary does not answer within a second. */
  metrics(): Promise<string | undefined>;
  /** The flags that this node was asked for and that do not exist; undefined when the primary does not answer. */
  unknownFlags(): Promise<UnknownFlags | undefined>;
  onLease(receive: (lease: Lease) => void, setClock: (offsetMs: number, nodes: number) => void): void;
}
