// Holds the published snapshot and brings every worker of the node to it. A delta is encoded once and sent to all; a
// write's reply waits until each worker has acked its revision or is dead.

import type { ToWorker } from '../ipc/messages.ts';
import type { HashBytes } from '../snapshot/checksum.ts';
import { encodeDelta, encodeSnapshot } from '../snapshot/encoding.ts';
import type { DeltaContent, SnapshotContent, SnapshotHead } from '../snapshot/item.ts';
import { createSnapshotState, type SnapshotState } from '../snapshot/state.ts';

/** Time to ack a revision, for a worker that beats and for one that does not (design, section 2, Write). */
const ACK_MS_BEATING = 10_000;
const ACK_MS_SILENT = 1_000;
/** A worker whose last beat is older than this is silent: four beats of 250 ms. */
const SILENT_AFTER_MS = 1_000;

interface Reader {
  readonly pid: number;
  /** undefined while its socket is down and it is not known to be dead: it may still serve, so it is still waited for. */
  send: ((message: ToWorker) => void) | undefined;
  ackedRevision: number;
  waitingSinceMs: number;
  lastBeatMs: number;
}

interface Waiter {
  readonly revision: number;
  readonly sinceMs: number;
  readonly done: () => void;
}

export interface Publisher {
  /** undefined before the first reset(). */
  readonly head: SnapshotHead | undefined;
  /** Replaces the whole snapshot and sends it to all. Throws when its sums are wrong. */
  reset(content: SnapshotContent): void;
  /** Applies and broadcasts a delta; returns why it was refused. */
  advance(delta: DeltaContent): string | undefined;
  /** Resolves when no living worker serves anything older than `revision`. */
  served(revision: number): Promise<void>;
  joined(pid: number, epoch: string, revision: number, send: (message: ToWorker) => void): void;
  beat(pid: number): void;
  acked(pid: number, revision: number): void;
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
  /** Revision each worker has acked, by pid. */
  standing(): ReadonlyMap<number, number>;
  close(): void;
}

export function createPublisher(deps: {
  readonly hash: HashBytes;
  readonly now: () => number;
  /** Ends a worker that holds up a write. */
  readonly kill: (pid: number, why: string) => void;
}): Publisher {
  let state: SnapshotState | undefined;
  let encodedSnapshot: Uint8Array | undefined;
  const readers = new Map<number, Reader>();
  const waiters = new Set<Waiter>();
  let condemned: number | undefined;

  function sendSnapshot(reader: Reader): void {
    if (state === undefined) return;
    encodedSnapshot ??= encodeSnapshot({ head: state.head, items: [...state.items.values()] }, deps.hash);
    reader.waitingSinceMs = deps.now();
    reader.send?.({ type: 'snapshot', bytes: encodedSnapshot });
  }

  function broadcast(message: ToWorker): void {
    const now = deps.now();
    for (const reader of readers.values()) {
      reader.waitingSinceMs = now;
      reader.send?.(message);
    }
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
        const allowed = now - reader.lastBeatMs < SILENT_AFTER_MS ? ACK_MS_BEATING : ACK_MS_SILENT;
        return now - Math.max(waiter.sinceMs, reader.waitingSinceMs) > allowed;
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
    reset(content) {
      state = createSnapshotState(content);
      encodedSnapshot = undefined;
      for (const reader of readers.values()) sendSnapshot(reader);
    },
    advance(delta) {
      if (state === undefined) return 'no snapshot yet';
      const refused = state.apply(delta);
      if (refused !== undefined) return refused;
      encodedSnapshot = undefined;
      broadcast({ type: 'delta', bytes: encodeDelta(delta, deps.hash) });
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
      const reader: Reader = { pid, send, ackedRevision: current ? revision : 0, waitingSinceMs: now, lastBeatMs: now };
      readers.set(pid, reader);
      if (!current) sendSnapshot(reader);
      settle();
    },
    beat(pid) {
      const reader = readers.get(pid);
      if (reader !== undefined) reader.lastBeatMs = deps.now();
    },
    acked(pid, revision) {
      const reader = readers.get(pid);
      if (reader !== undefined) reader.ackedRevision = revision;
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
    toAll(message) {
      for (const reader of readers.values()) reader.send?.(message);
    },
    standing() {
      return new Map([...readers.values()].map((reader) => [reader.pid, reader.ackedRevision]));
    },
    close() {
      for (const waiter of waiters) waiter.done();
      waiters.clear();
    },
  };
}
