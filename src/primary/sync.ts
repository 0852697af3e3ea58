// Keeps the published snapshot equal to the store's. A commit, a hint or a worker's wish only marks the loop dirty; one
// loop looks at what changed since the revision it has, and a poll each second finds what no hint told. Pure in the sense
// that clock, randomness, store, hot copy, file and publication are arguments.
import type { CancelTimer } from '../run/clock.ts';
import { createSeldom } from '../run/seldom.ts';
import type { Tier } from '../storage/tiers.ts';
import { createLook, type Look, type LookDeps } from './look.ts';
import { createSyncCounts, type SyncCounts } from './sync-counts.ts';

/** A lost hint costs at most this much staleness, in milliseconds; jittered by a tenth so that nodes do not march in step. */
const POLL_MS = 1000;
/** Wishes of workers, and hints after one that led to nothing, cost at most one query in this time, in milliseconds. */
const WISH_MS_MIN = 50;
/** A store that has not answered for so long, in milliseconds, counts as away until it does. */
const STORE_MS_MAX = 2000;
/** At the start the store gets so long, in milliseconds, before what Redis or the disk have is served meanwhile. */
const START_MS_MAX = 3000;
/** A hint further ahead than this is worth a look at the head alone: whoever sends it may be making it up. */
const HINT_AHEAD_MAX = 10_000;

export interface SyncLoop {
  /**
   * Resolves when something is published, or when nothing can be for now. Then the loop runs. Rejects only without
   * `prepareStore`: when the store, which was opened already, cannot be read.
   */
  start(): Promise<void>;
  /** Resolves when `revision`, which a write of this node made, has been published, or the loop was closed. */
  reach(revision: number): Promise<void>;
  /** Somebody asks for a revision that is not here: look soon. */
  wish(revision: number): void;
  /** News of a write, by whatever way. Not believed: if it is news, the next look comes now. */
  hinted(revision: number): void;
  /** Hints may have been lost, or the store may be back: look now. */
  lookNow(): void;
  /** A worker serves this revision, or Redis has noted it: the store must have had it. */
  witnessed(epoch: string, revision: number): void;
  /** Resolves when the store was asked about every revision that was witnessed, or cannot be asked. */
  checked(): Promise<void>;
  /**
   * Set when the store is at an older revision than was published, or than a worker serves: why. Writes are refused until
   * the store is accepted.
   */
  readonly wentBack: string | undefined;
  /** Why the store is known to be away; undefined: it answered last time. */
  readonly storeAway: string | undefined;
  /** The highest revision of the published store that this node knows of. */
  readonly highest: number;
  /** Where what is served comes from. "none": nothing is served. */
  readonly tier: Tier | 'none';
  /** When the store last confirmed the published revision; milliseconds of the clock. */
  readonly confirmedAtMs: number;
  readonly counts: SyncCounts;
  close(): void;
}

export type SyncDeps = LookDeps & {
  /** From 0 up to 1. */
  readonly random: () => number;
};

export function createSyncLoop(deps: SyncDeps): SyncLoop {
  const { publisher, clock } = deps;
  /** What a write of this node has made, and what was told. */
  let wanted = 0;
  let hintedTo = 0;
  /** The last hint led to nothing: the next ones are in no hurry. */
  let wasMisled = false;
  let closed = false;
  let wake: () => void = () => {};
  let dirty = false;
  let lastLookMs = Number.NEGATIVE_INFINITY;
  let cancelSoon: CancelTimer | undefined;
  const waiters = new Set<{ revision: number; done: () => void }>();
  const doubters = new Set<() => void>();
  const counts = createSyncCounts();
  const look: Look = createLook({ ...deps, counts, onConfirmed });
  const alarm = createSeldom(clock, deps.warn);

  function onConfirmed(revision: number): void {
    deps.onConfirmed(revision);
    for (const waiter of waiters) {
      if (revision < waiter.revision) continue;
      waiters.delete(waiter);
      waiter.done();
    }
  }

  function lookNow(): void {
    dirty = true;
    wake();
  }

  function lookSoon(): void {
    const delayMs = Math.max(0, WISH_MS_MIN - (clock.nowMs() - lastLookMs));
    cancelSoon ??= clock.after(delayMs, () => {
      cancelSoon = undefined;
      lookNow();
    });
  }

  function published(): number {
    return publisher.head?.revision ?? 0;
  }

  function isDoubtful(): boolean {
    const { head } = publisher;
    if (head === undefined || look.known.loss !== undefined) return false;
    return look.known.highestWitnessed(head.epoch) > head.revision;
  }

  function settleDoubts(): void {
    for (const done of doubters) done();
    doubters.clear();
  }

  async function turn(): Promise<void> {
    lastLookMs = clock.nowMs();
    const hint = hintedTo;
    const told = hint > published() + HINT_AHEAD_MAX ? 0 : hint;
    const news = Math.max(wanted, told);
    // What is told from here on may have happened after the store was asked.
    wanted = 0;
    hintedTo = 0;
    dirty = false;
    await look.look(news);
    if (hint > 0) wasMisled = hint > published();
    if (!wasMisled) return;
    if (hint > 0) counts.hintsFalse++;
    if (hintedTo > published()) lookSoon();
  }

  /** The store may be away: what is known otherwise is published when it has not answered in time. */
  async function firstTurn(onStarted: () => void): Promise<void> {
    const looking = turn();
    await new Promise<void>((resolve) => {
      const cancel = clock.after(START_MS_MAX, resolve);
      const settled = (): void => {
        cancel();
        resolve();
      };
      looking.then(settled, settled);
    });
    if (publisher.head === undefined) await look.loadWithoutStore();
    // With nothing to be served, nothing is lost by waiting for what the store says: it may be making its tables.
    if (publisher.head === undefined) await looking.catch(() => {});
    onStarted();
    await looking;
  }

  function isDue(): boolean {
    if (dirty || wanted > published() || publisher.head === undefined) return true;
    return !wasMisled && hintedTo > published();
  }

  async function loop(onStarted?: () => void): Promise<void> {
    // Without it the first turn is over.
    let next = onStarted === undefined ? turn : () => firstTurn(onStarted);
    while (!closed) {
      if (next === turn && !isDue()) await pause(jittered(POLL_MS));
      if (closed) return;
      try {
        await next();
        alarm.over();
        if (!isDoubtful()) settleDoubts();
      } catch (error) {
        alarm.say({ err: error }, 'the store could not be read; serving on');
        settleDoubts();
        // A store that is down is not asked in a tight loop, however many wishes come in.
        if (!closed) await rest(jittered(POLL_MS));
        dirty = true;
      }
      next = turn;
    }
  }

  function jittered(ms: number): number {
    return ms * (0.95 + 0.1 * deps.random());
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = clock.after(ms, resolve);
      wake = () => {
        cancel();
        resolve();
      };
    });
  }

  /** Like pause(), but nothing cuts it short except close(). */
  async function rest(ms: number): Promise<void> {
    for (const until = clock.nowMs() + ms; !closed && clock.nowMs() < until; ) await pause(until - clock.nowMs());
  }

  return {
    get wentBack() {
      return look.known.loss;
    },
    get storeAway() {
      const { askedSinceMs } = look;
      const isSlow = askedSinceMs !== undefined && clock.nowMs() - askedSinceMs > STORE_MS_MAX;
      return look.storeAway ?? (isSlow ? 'it does not answer' : undefined);
    },
    get highest() {
      const { head } = publisher;
      return head === undefined ? 0 : Math.max(head.revision, look.known.highest(head.epoch));
    },
    get tier() {
      return look.tier;
    },
    get confirmedAtMs() {
      return look.confirmedAtMs;
    },
    counts,
    async start() {
      await look.open();
      if (deps.prepareStore !== undefined) return new Promise((resolve) => void loop(resolve));
      await turn();
      void loop();
    },
    reach(revision) {
      if (published() >= revision) return Promise.resolve();
      look.known.made(publisher.head?.epoch ?? '', revision);
      return new Promise((resolve) => {
        waiters.add({ revision, done: resolve });
        wanted = Math.max(wanted, revision);
        lookNow();
      });
    },
    wish(revision) {
      // Not believed (a client sent the number): it only makes the next look come soon.
      if (revision > published()) lookSoon();
    },
    hinted(revision) {
      if (!Number.isSafeInteger(revision) || revision <= Math.max(published(), hintedTo)) return;
      counts.hints++;
      hintedTo = revision;
      if (wasMisled) lookSoon();
      else wake();
    },
    lookNow,
    witnessed(epoch, revision) {
      look.known.witnessed(epoch, revision);
      if (isDoubtful()) lookNow();
    },
    checked() {
      if (closed || !isDoubtful()) return Promise.resolve();
      return new Promise((resolve) => void doubters.add(resolve));
    },
    close() {
      closed = true;
      for (const waiter of waiters) waiter.done();
      waiters.clear();
      settleDoubts();
      cancelSoon?.();
      wake();
    },
  };
}
