// Every message between a primary and its workers (and the burgee command, which speaks as a worker that serves
// nothing). One closed union; the frame is `u32 length, u8 type, bytes`, little-endian, length counting type and bytes.
// Snapshots and deltas travel as the bytes that were encoded once; everything else is JSON.

import type { Issue } from '../core/model.ts';
import type { ErrorCode } from '../errors.ts';

/**
 * What a build understands: 1 is 0.3.0; 2 knows `welcome`, `prepared`, and `idleMs`; 3 knows `loaded` and `clock`. A primary sends a
 * worker nothing that came with a later number than the worker's.
 */
export const IPC_PROTOCOL = 3;

/** A lease of rate-limit tokens, good for one window: until 20 ms before `windowEndMs`. */
export interface Lease {
  readonly keyId: string;
  readonly windowEndMs: number;
  readonly tokens: number;
  /** True when the window has no more to give: further requests are refused without asking. */
  readonly spent: boolean;
  /** What the window still had to give after this grant, for the RateLimit headers. */
  readonly remaining?: number;
}

export interface LeaseUse {
  readonly keyId: string;
  readonly windowEndMs: number;
  /** Requests let through in this window so far, whoever granted them. */
  readonly admitted: number;
  /** Tokens held and not yet used. */
  readonly held: number;
}

export interface CommandRequest {
  readonly id: number;
  /** Who asks: a key_id, or "cli" for the burgee command on the local socket. */
  readonly actor: string;
  readonly requestId: string;
  /** Set when the client sent an Idempotency-Key: its key and the SHA-256 of method, address and body. */
  readonly idempotency: { readonly key: string; readonly fingerprint: string } | undefined;
  /** The asking key's tags, when it has any: a flag that carries none of them does not exist for it. */
  readonly tags?: readonly string[] | undefined;
  /** Set by the primary: what it has published. A store that is behind it, by its own word, writes nothing. */
  readonly seen?: { readonly epoch: string; readonly revision: number } | undefined;
  readonly command: Command;
}

/** Everything a client can ask of the store. Closed: a new write is a new member. */
export type Command =
  | { readonly type: 'flag.create'; readonly environment: string; readonly body: unknown }
  | {
      readonly type: 'flag.replace';
      readonly environment: string;
      readonly flagId: string;
      readonly body: unknown;
      readonly ifMatch: IfMatch;
    }
  | {
      readonly type: 'flag.patch';
      readonly environment: string;
      readonly flagId: string;
      readonly body: unknown;
      readonly ifMatch: IfMatch;
    }
  | { readonly type: 'flag.archive'; readonly environment: string; readonly flagId: string; readonly ifMatch: IfMatch }
  | { readonly type: 'flag.restore'; readonly environment: string; readonly flagId: string; readonly ifMatch: IfMatch }
  | { readonly type: 'segment.create'; readonly environment: string; readonly body: unknown }
  | {
      readonly type: 'segment.replace' | 'segment.patch';
      readonly environment: string;
      readonly segmentId: string;
      readonly body: unknown;
      readonly ifMatch: IfMatch;
    }
  | {
      readonly type: 'segment.archive' | 'segment.restore';
      readonly environment: string;
      readonly segmentId: string;
      readonly ifMatch: IfMatch;
    }
  /** `body`: {list, add, remove}. */
  | {
      readonly type: 'segment.members';
      readonly environment: string;
      readonly segmentId: string;
      readonly body: unknown;
      readonly ifMatch: IfMatch;
    }
  /** The whole list from a file, one id a line. */
  | {
      readonly type: 'segment.replace_members';
      readonly environment: string;
      readonly segmentId: string;
      readonly list: SegmentList;
      /** Name of a file below DATA_DIR/run/uploads; who put it there takes it away. */
      readonly upload: string;
      readonly bytes: number;
      readonly ifMatch: IfMatch;
    }
  | { readonly type: 'environment.create'; readonly body: unknown }
  | { readonly type: 'key.create'; readonly grantor: Grantor; readonly body: unknown }
  | {
      readonly type: 'key.list';
      readonly grantor: Grantor;
      readonly cursor: string | undefined;
      readonly limit: number;
    }
  | { readonly type: 'key.revoke'; readonly grantor: Grantor; readonly keyId: string }
  | { readonly type: 'key.rotate'; readonly grantor: Grantor; readonly keyId: string; readonly body: unknown }
  /**
   * Takes a store that went back as it is now: its revision is set above every revision that anybody has seen. `above`: the
   * highest that the asker knows; the primary takes the highest that it knows itself. `force`: also when the store is at a
   * higher revision than that.
   */
  | { readonly type: 'store.accept'; readonly above: number; readonly force?: boolean };

/** The two lists of ids that a segment has. */
export type SegmentList = 'included' | 'excluded';

/** Versions the client accepts; undefined: any. */
export type IfMatch = readonly number[] | undefined;

/** What the asking key may hand on: a key makes only keys within its own scopes, environments and tags. */
export interface Grantor {
  readonly scopes: readonly string[];
  readonly environments: readonly string[] | undefined;
  readonly tags: readonly string[] | undefined;
}

export type CommandOutcome =
  | {
      readonly ok: true;
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
      /** The reply's body, JSON text. */
      readonly body: string;
      /** The revision this write made; for a read, or a write that changed nothing, the store's. */
      readonly revision: number;
    }
  | {
      readonly ok: false;
      readonly code: ErrorCode;
      readonly detail: string;
      readonly issues?: readonly Issue[];
      /** IN_USE: the flag_ids that need the item; segments as `segment/<segment_id>`. */
      readonly dependents?: readonly string[];
    };

/** Cumulative since the worker started, so that a lost or doubled report changes nothing: name -> value. */
export interface TallyReport {
  readonly counters: Readonly<Record<string, number>>;
  /** series -> bucket counts then [sum in seconds]; buckets as in observe/metrics.ts. */
  readonly histograms: Readonly<Record<string, readonly number[]>>;
  readonly gauges: Readonly<Record<string, number>>;
}

/** A flag that was asked for by name and does not exist. Times in ms since 1970. */
export interface UnknownFlag {
  readonly environment: string;
  /** Cut to limits.unknownFlagCharsMax. */
  readonly flagId: string;
  readonly count: number;
  readonly firstMs: number;
  readonly lastMs: number;
}

export interface UnknownFlags {
  /** When counting began. */
  readonly sinceMs: number;
  readonly flags: readonly UnknownFlag[];
  /** Of all further names, for which there was no room. */
  readonly otherCount: number;
}

export type ToPrimary =
  | {
      readonly type: 'hello';
      readonly pid: number;
      readonly startTime: string;
      readonly slot: number;
      readonly build: string;
      readonly role: 'worker' | 'cli';
      readonly epoch: string;
      readonly revision: number;
      readonly leases: readonly LeaseUse[];
      /** What this worker's build understands of this file: see IPC_PROTOCOL. Absent: 1. */
      readonly protocol?: number;
      /** BURGEE_GENERATION of its environment: one of another generation, or build, is to be replaced. Absent: "". */
      readonly generation?: string;
      /** The latest term that it has heard of. Absent: none. */
      readonly term?: number;
      /** It takes no new connections and ends soon: told to by a primary before this one, or as an orphan. Absent: no. */
      readonly draining?: boolean;
    }
  | { readonly type: 'ack'; readonly epoch: string; readonly revision: number }
  | { readonly type: 'resend'; readonly revision: number; readonly reason: string }
  | { readonly type: 'listening' }
  | { readonly type: 'beat'; readonly revision: number; readonly leases: readonly LeaseUse[] }
  | { readonly type: 'want'; readonly revision: number }
  | { readonly type: 'command'; readonly request: CommandRequest }
  | { readonly type: 'lease_request'; readonly keyId: string; readonly limit: number; readonly tokens: number }
  | { readonly type: 'lease_return'; readonly keyId: string; readonly windowEndMs: number; readonly tokens: number }
  | { readonly type: 'tally'; readonly report: TallyReport }
  | { readonly type: 'metrics'; readonly id: number }
  /** Cumulative since `sinceMs`, with those flags whose count has changed since the last one on this connection. */
  | { readonly type: 'unknown_flags'; readonly report: UnknownFlags }
  | { readonly type: 'unknown_report'; readonly id: number }
  /** It holds a snapshot and could serve, but its port is taken by the one that it is to replace and cannot be shared. */
  | { readonly type: 'prepared' };

export type ToWorker =
  | { readonly type: 'snapshot'; readonly bytes: Uint8Array }
  | { readonly type: 'delta'; readonly bytes: Uint8Array }
  /** The primary has just confirmed with the store that `revision` is the newest. Sent every second at least. */
  | { readonly type: 'confirmed'; readonly revision: number; readonly tier: string }
  /**
   * Where the snapshot that follows (or, at a join, the one that is held) comes from, and how long ago the store last
   * confirmed it: with the store away a node serves what Redis or its file had. `staleMs` null: not known. Tier "none":
   * nothing is to be had for now.
   */
  | { readonly type: 'loaded'; readonly tier: string; readonly staleMs: number | null }
  | { readonly type: 'outcome'; readonly id: number; readonly outcome: CommandOutcome }
  | { readonly type: 'lease'; readonly lease: Lease }
  /** Limits are shared by so many nodes, and their minute is that of a clock which is so far ahead of this machine's. */
  | { readonly type: 'clock'; readonly offsetMs: number; readonly nodes: number }
  | { readonly type: 'metrics'; readonly id: number; readonly text: string }
  /** Answers the one of this id: of the whole node. */
  | { readonly type: 'unknown_report'; readonly id: number; readonly report: UnknownFlags }
  /** `idleMs`: how long connections on which nothing comes are waited for. Absent: as a worker that stops for good. */
  | { readonly type: 'drain'; readonly deadlineMs: number; readonly delayMs: number; readonly idleMs?: number }
  /**
   * The first message to a worker of protocol 2 or later. `term` grows with each primary of a DATA_DIR: a worker that has
   * heard of a later one hangs up.
   */
  | { readonly type: 'welcome'; readonly term: number; readonly build: string };
