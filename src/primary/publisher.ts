// Holds the published snapshot and brings every worker of the node to it. A delta is encoded once and sent to all; a
// write's reply waits until each worker has acked its revision or is dead.

import type { ToWorker } from '../ipc/messages.ts';
import type { HashBytes } from '../snapshot/checksum.ts';
import { encodeDelta, encodeSnapshot } from '../snapshot/encoding.ts';
import type { DeltaContent, SnapshotContent, SnapshotHead } from '../snapshot/item.ts';
import { createSnapshotState, type SnapshotState } from '../snapshot/state.ts';
import type { Tier } from '../storage/tiers.ts';

/** Time to ack a revision, for a worker that beats and for one that does not (design, section 2, Write). */
const ACK_MS_BEATING = 10_000;
const ACK_MS_SILENT = 1_000;
/** A worker whose last beat is older than this is silent: four beats of 250 ms. */
const SILENT_AFTER_MS = 1_000;
/** A snapshot that was confirmed longer ago comes with its age: with the store in reach it is confirmed each second. */
const FRESH_MS_MAX = 2_000;

interface Reader {
  readonly pid: number;
  /** undefined while its socket is down and it is not known to be dead: it may still serve, so it is still waited for. */
  send: ((message: ToWorker) => void) | undefined;
  ackedRevision: number;
  /** When it fell behind, or last got further while it was. */
  behindSinceMs: number;
  lastBeatMs: number;
}

/** Of a snapshot that the store did not give: `staleMs`, since the store confirmed it last; null: not known. */
export interface Origin {
  readonly tier: Tier;
  readonly staleMs: number | null;
}

interface Waiter {
  readonly revision: number;
  readonly sinceMs: number;
  readonly done: () => void;
}

export interface Publisher {
  /** undefined before the first reset(). */
  readonly head: SnapshotHead | undefined;
  /** What is published, as it is now; undefined before the first reset(). Costs a copy of the list of items. */
  content(): SnapshotContent | undefined;
  /** The store has just confirmed what is published. */
  confirmed(): void;
  /**
   * Replaces the whole snapshot and sends it to all. Throws when its sums are wrong. `origin`: where it comes from, when
   * that is not the store just now.
   */
  reset(content: SnapshotContent, origin?: Origin): void;
  /** Applies and broadcasts a delta; returns why it was refused. */
  advance(delta: DeltaContent): string | undefined;
  /** Resolves when no living worker serves anything older than `revision`. */
  served(revision: number): Promise<void>;
  joined(pid: number, epoch: string, revision: number, send: (message: ToWorker) => void): void;
  beat(pid: number): void;
  acked(pid: number, epoch: string, revision: number): void;
  /** A worker could not use what it was sent. */
  resend(pid: number): void;
  /** Its socket closed; it may still be alive and serving. */
  detached(pid: number): void;
  dead(pid: number): void;
  /**
   * To be called on a timer. Ends one late worker at a time, and only when another already serves what it does not: so
   * never the last that serves.
   */
  endLate(): void;
  toAll(message: ToWorker): void;
  /** True for a worker that has not acked the newest revision. */
  isBehind(pid: number): boolean;
  /** Revision each worker has acked, by pid. */
  standing(): ReadonlyMap<number, number>;
  close(): void;
}

export function createPublisher(deps: {
  readonly hash: HashBytes;
  readonly now: () => number;
  /** To be called before anything is published: ends this process when another primary has taken its place. */
  readonly fence: () => void;
  /** True for one that counts as silent no sooner than its supervisor says: it waits for a CPU. */
  readonly isStarved?: (pid: number) => boolean;
  /** Ends a worker that holds up a write. */
  readonly kill: (pid: number, why: string) => void;
}): Publisher {
  let state: SnapshotState | undefined;
  let encodedSnapshot: Uint8Array | undefined;
  let origin: { readonly tier: Tier; readonly confirmedAtMs: number | null } = { tier: 'store', confirmedAtMs: null };
  const readers = new Map<number, Reader>();
  const waiters = new Set<Waiter>();
  let condemned: number | undefined;

  function sendSnapshot(reader: Reader): void {
    if (state === undefined) return;
    encodedSnapshot ??= encodeSnapshot({ head: state.head, items: [...state.items.values()] }, deps.hash);
    const { tier, confirmedAtMs } = origin;
    const staleMs = confirmedAtMs === null ? null : deps.now() - confirmedAtMs;
    // What the store gave just now says so by its first confirmation.
    if (tier !== 'store' || staleMs === null || staleMs > FRESH_MS_MAX)
      reader.send?.({ type: 'loaded', tier, staleMs });
    reader.send?.({ type: 'snapshot', bytes: encodedSnapshot });
  }

  /** Those that had everything fall behind now; for those that had not, newer revisions are no excuse. */
  function fallBehind(publishedRevision: number): void {
    const now = deps.now();
    for (const reader of readers.values()) if (reader.ackedRevision >= publishedRevision) reader.behindSinceMs = now;
  }

  function toAll(message: ToWorker): void {
    for (const reader of readers.values()) reader.send?.(message);
  }

  function confirmed(): void {
    origin = { tier: 'store', confirmedAtMs: deps.now() };
  }

  function settle(): void {
    for (const waiter of waiters) {
      if (![...readers.values()].some((reader) => reader.ackedRevision < waiter.revision)) {
        waiters.delete(waiter);
        waiter.done();
      }
    }
  }

  function endLate(): void {
    if (condemned !== undefined) return;
    const now = deps.now();
    for (const waiter of waiters) {
      const late = [...readers.values()].find((reader) => {
        if (reader.ackedRevision >= waiter.revision) return false;
        const beats = now - reader.lastBeatMs < SILENT_AFTER_MS || deps.isStarved?.(reader.pid) === true;
        const allowed = beats ? ACK_MS_BEATING : ACK_MS_SILENT;
        return now - Math.max(waiter.sinceMs, reader.behindSinceMs) > allowed;
      });
      if (late === undefined) continue;
      if (![...readers.values()].some((reader) => reader.ackedRevision >= waiter.revision)) continue;
      condemned = late.pid;
      deps.kill(late.pid, `did not take revision ${waiter.revision}`);
      return;
    }
  }

  return {
    get head() {
      return state?.head;
    },
    content: () => state && { head: state.head, items: [...state.items.values()] },
    confirmed,
    reset(content, from) {
      deps.fence();
      if (from === undefined) confirmed();
      else origin = { tier: from.tier, confirmedAtMs: from.staleMs === null ? null : deps.now() - from.staleMs };
      const next = createSnapshotState(content);
      fallBehind(state?.head.revision ?? 0);
      // Revisions of another store say nothing about this one.
      if (state?.head.epoch !== next.head.epoch) for (const reader of readers.values()) reader.ackedRevision = 0;
      state = next;
      encodedSnapshot = undefined;
      for (const reader of readers.values()) sendSnapshot(reader);
    },
    advance(delta) {
      if (state === undefined) return 'no snapshot yet';
      deps.fence();
      const { revision } = state.head;
      const refused = state.apply(delta);
      if (refused !== undefined) return refused;
      encodedSnapshot = undefined;
      confirmed();
      fallBehind(revision);
      toAll({ type: 'delta', bytes: encodeDelta(delta, deps.hash) });
      return undefined;
    },
    served(revision) {
      return new Promise((resolve) => {
        waiters.add({ revision, sinceMs: deps.now(), done: resolve });
        settle();
      });
    },
    joined(pid, epoch, revision, send) {
      const now = deps.now();
      const current = state !== undefined && state.head.epoch === epoch && state.head.revision === revision;
      const reader: Reader = { pid, send, ackedRevision: current ? revision : 0, behindSinceMs: now, lastBeatMs: now };
      readers.set(pid, reader);
      if (!current) sendSnapshot(reader);
      settle();
    },
    beat(pid) {
      const reader = readers.get(pid);
      if (reader !== undefined) reader.lastBeatMs = deps.now();
    },
    acked(pid, epoch, revision) {
      const reader = readers.get(pid);
      if (reader === undefined || epoch !== state?.head.epoch || revision <= reader.ackedRevision) return;
      reader.ackedRevision = revision;
      // One slow delta after another is work, not silence.
      reader.behindSinceMs = deps.now();
      settle();
    },
    resend(pid) {
      const reader = readers.get(pid);
      if (reader !== undefined) sendSnapshot(reader);
    },
    detached(pid) {
      const reader = readers.get(pid);
      if (reader !== undefined) reader.send = undefined;
    },
    dead(pid) {
      if (condemned === pid) condemned = undefined;
      readers.delete(pid);
      settle();
    },
    endLate,
    toAll,
    isBehind: (pid) => (readers.get(pid)?.ackedRevision ?? 0) < (state?.head.revision ?? 0),
    standing() {
      return new Map([...readers.values()].map((reader) => [reader.pid, reader.ackedRevision]));
    },
    close() {
      for (const waiter of waiters) waiter.done();
      waiters.clear();
    },
  };
}
