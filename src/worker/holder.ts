// Holds the one reference that requests are served from. Snapshots and deltas are taken in the order they came,
// verified, compiled aside and swapped in; what does not verify is asked for again, and the old one serves on.
import type { ToPrimary, ToWorker } from '../ipc/messages.ts';
import type { HashBytes } from '../snapshot/checksum.ts';
import { type Envelope, openEnvelope } from '../snapshot/encoding.ts';
import { mismatch } from '../snapshot/state.ts';
import {
  type CompileDeps,
  type Compiled,
  compileDelta,
  compileSnapshot,
  type HeldSnapshot,
} from './compile-snapshot.ts';
import type { ServingSnapshot, SnapshotHolder } from './serving.ts';
import { createSlices } from './slices.ts';

/** A snapshot that was not confirmed for this long is called stale (contract, section 2). */
const STALE_AFTER_MS = 5000;
/** Said where nobody knows since when: a day, in seconds, so that whoever compares takes it for old. */
const STALE_UNKNOWN_S = 86_400;

export interface Holder extends SnapshotHolder {
  /** Queues a snapshot, a delta, a confirmation or where a snapshot comes from. Never throws. */
  receive(message: Extract<ToWorker, { type: 'snapshot' | 'delta' | 'confirmed' | 'loaded' }>): void;
  /** Resolves when the first snapshot is served, or when there is none to be had for now. */
  readonly first: Promise<void>;
}

export function createHolder(deps: {
  readonly hash: HashBytes;
  readonly send: (message: ToPrimary) => void;
  readonly now: () => number;
  readonly warn: (fields: object, message: string) => void;
  /** Fault injection for tests: each delta's compile takes this much longer, in slices. */
  readonly faultCompileMs: number;
  readonly compile: CompileDeps;
}): Holder {
  let held: HeldSnapshot | undefined;
  let tier = 'none';
  let confirmedAtMs = Number.NEGATIVE_INFINITY;
  /** How long ago the store confirmed the snapshot that comes next, in milliseconds. */
  let nextStaleMs = 0;
  /** A whole snapshot was asked for and has not come yet. */
  let awaitsWhole = false;
  let queue: Promise<void> = Promise.resolve();
  const waiters = new Set<{ revision: number; done: (reached: boolean) => void }>();
  const swapListeners: (() => void)[] = [];
  let firstServed: () => void = () => {};
  const first = new Promise<void>((resolve) => {
    firstServed = resolve;
  });

  async function take(message: Extract<ToWorker, { type: 'snapshot' | 'delta' }>): Promise<void> {
    const compiled = await verifyAndCompile(message.bytes);
    if (compiled === undefined) return;
    if (!compiled.ok) {
      deps.warn(
        { reason: compiled.reason, revision: held?.serving.revision ?? 0 },
        'snapshot refused; asked for a whole one',
      );
      awaitsWhole = true;
      deps.send({ type: 'resend', revision: held?.serving.revision ?? 0, reason: compiled.reason });
      return;
    }
    held = compiled.held;
    awaitsWhole = false;
    confirmedAtMs = deps.now() - nextStaleMs;
    nextStaleMs = 0;
    ack(held.serving);
    firstServed();
    for (const waiter of waiters) if (held.serving.revision >= waiter.revision) waiter.done(true);
    for (const tell of swapListeners) tell();
  }

  function ack({ epoch, revision }: ServingSnapshot): void {
    deps.send({ type: 'ack', epoch, revision });
  }

  function isCorrection({ kind, head }: Envelope): boolean {
    if (kind !== 'snapshot' || held === undefined || head.revision !== held.serving.revision) return false;
    // The ids that a segment lacked may have been found meanwhile, which no sum tells.
    return mismatch(held.sums, head) !== undefined || hasQuarantinedSegment(held.serving);
  }

  /** undefined: nothing to do, the message is older than what is served, or than what was asked for. */
  async function verifyAndCompile(bytes: Uint8Array): Promise<Compiled | undefined> {
    try {
      const envelope = openEnvelope(bytes, deps.hash);
      const serving = held?.serving;
      const sameStore = serving !== undefined && serving.epoch === envelope.head.epoch;
      // Equal revisions with other sums: the primary found that what it had published was not what the store holds.
      if (sameStore && envelope.head.revision <= serving.revision && !isCorrection(envelope)) {
        awaitsWhole = false;
        ack(serving);
        return undefined;
      }
      if (envelope.kind === 'snapshot') return await compileSnapshot(envelope, deps.compile);
      if (held === undefined || !sameStore || envelope.from !== held.serving.revision) {
        // The snapshot that was asked for is behind this delta in the same socket, and has it in it.
        return awaitsWhole ? undefined : { ok: false, reason: `delta from revision ${envelope.from}` };
      }
      if (deps.faultCompileMs > 0) await burn(deps.faultCompileMs, deps.now);
      return await compileDelta(held, envelope, deps.compile);
    } catch (error) {
      return { ok: false, reason: error instanceof Error ? error.message : String(error) };
    }
  }

  return {
    first,
    get current() {
      return held?.serving;
    },
    get tier() {
      return tier;
    },
    staleSeconds() {
      const ageMs = deps.now() - confirmedAtMs;
      if (ageMs < STALE_AFTER_MS) return 0;
      return Number.isFinite(ageMs) ? Math.floor(ageMs / 1000) : STALE_UNKNOWN_S;
    },
    receive(message) {
      if (message.type === 'confirmed') {
        if (held !== undefined && held.serving.revision >= message.revision) confirmedAtMs = deps.now();
        tier = message.tier;
        return;
      }
      if (message.type === 'loaded') {
        const { tier: from, staleMs } = message;
        queue = queue.then(() => {
          if (from === 'none') return firstServed();
          tier = from;
          nextStaleMs = staleMs ?? Number.POSITIVE_INFINITY;
        });
        return;
      }
      queue = queue.then(() => take(message));
    },
    onSwap: (tell) => void swapListeners.push(tell),
    waitFor(revision, timeoutMs) {
      if (held !== undefined && held.serving.revision >= revision) return Promise.resolve(true);
      deps.send({ type: 'want', revision });
      return new Promise((resolve) => {
        const waiter = {
          revision,
          done: (reached: boolean): void => {
            clearTimeout(timer);
            waiters.delete(waiter);
            resolve(reached);
          },
        };
        const timer = setTimeout(() => waiter.done(false), timeoutMs);
        waiters.add(waiter);
      });
    },
  };
}

function hasQuarantinedSegment({ environments }: ServingSnapshot): boolean {
  return [...environments.values()].some(({ segments }) =>
    [...segments.values()].some(({ quarantined }) => quarantined !== undefined),
  );
}

/** Keeps the processor busy for `ms`, in slices, as a very large delta would. */
async function burn(ms: number, now: () => number): Promise<void> {
  const slices = createSlices();
  for (const until = now() + ms; now() < until; ) await slices.pause();
}
