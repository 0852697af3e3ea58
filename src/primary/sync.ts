// Keeps the published snapshot equal to the store's. A commit, a hint or a worker's wish only marks the loop dirty; one
// loop reads what changed since the revision it has, and a poll each second finds what no hint told. Pure in the sense
// that clock, store and publication are arguments.
import type { Store } from '../storage/store.ts';
import type { BlobFiles } from './blob-files.ts';
import type { Publisher } from './publisher.ts';

/** A lost hint costs at most this much staleness, in milliseconds; jittered by a tenth so that nodes do not march in step. */
const POLL_MS = 1000;
/** Wishes of workers cost at most one query in this time, in milliseconds. */
const WISH_MS_MIN = 50;

export interface SyncLoop {
  /** Loads the whole snapshot; rejects when the store cannot be read. Then the loop runs. */
  start(): Promise<void>;
  /** Resolves when `revision` has been published, or the loop was closed. */
  reach(revision: number): Promise<void>;
  /** Somebody asks for a revision that is not here: look soon. */
  wish(revision: number): void;
  /** A worker serves this revision: the store must have had it. */
  witnessed(epoch: string, revision: number): void;
  /** Set when the store is at an older revision than was published, or than a worker serves: why. Writes are refused meanwhile. */
  readonly wentBack: string | undefined;
  /** When the store last confirmed the published revision; milliseconds of `now`. */
  readonly confirmedAtMs: number;
  close(): void;
}

export function createSyncLoop(deps: {
  readonly store: Pick<Store, 'readHead' | 'readAll' | 'readSince'>;
  readonly publisher: Pick<Publisher, 'head' | 'reset' | 'advance'>;
  /** Lays down the files that a publication names, before it is one. */
  readonly blobs: Pick<BlobFiles, 'prepareAll' | 'prepareDelta' | 'mended'>;
  readonly now: () => number;
  readonly random: () => number;
  readonly onConfirmed: (revision: number) => void;
  readonly warn: (fields: object, message: string) => void;
}): SyncLoop {
  const { store, publisher, blobs } = deps;
  let wanted = 0;
  let wentBack: string | undefined;
  /** Highest revision of this store that a worker came with. */
  let witnessedRevision = 0;
  let confirmedAtMs = Number.NEGATIVE_INFINITY;
  let closed = false;
  let wake: () => void = () => {};
  let dirty = false;
  let lastTurnMs = Number.NEGATIVE_INFINITY;
  let wishTimer: NodeJS.Timeout | undefined;
  const waiters = new Set<{ revision: number; done: () => void }>();

  function markDirty(): void {
    dirty = true;
    wake();
  }

  function confirmed(): void {
    const head = publisher.head;
    if (head === undefined) return;
    confirmedAtMs = deps.now();
    deps.onConfirmed(head.revision);
    for (const waiter of waiters) {
      if (head.revision < waiter.revision) continue;
      waiters.delete(waiter);
      waiter.done();
    }
  }

  function lossOf(storeRevision: number, publishedRevision: number): string | undefined {
    const known = Math.max(publishedRevision, witnessedRevision);
    return storeRevision < known ? `the store is at revision ${storeRevision}, ${known} was published` : undefined;
  }

  async function reload(why: string): Promise<void> {
    deps.warn({ why }, 'reloading the whole snapshot');
    const content = await store.readAll();
    const prepared = await blobs.prepareAll(content);
    if (content.head.epoch !== publisher.head?.epoch) witnessedRevision = 0;
    publisher.reset(prepared);
    confirmed();
  }

  async function takeChanges(since: number): Promise<void> {
    const delta = await store.readSince(since);
    if (delta === undefined) return reload(`changes after revision ${since} are no longer kept`);
    const refused = publisher.advance(await blobs.prepareDelta(delta));
    if (refused !== undefined) return reload(refused);
    confirmed();
  }

  /** One look at the store. A known wish for a newer revision saves the query for the head. */
  async function turn(): Promise<void> {
    lastTurnMs = deps.now();
    const mine = publisher.head;
    if (mine === undefined) return reload('nothing loaded yet');
    if (wanted > mine.revision && wentBack === undefined) {
      wanted = 0;
      return takeChanges(mine.revision);
    }
    const head = await store.readHead();
    if (head.epoch !== mine.epoch) return reload(`another store: epoch ${head.epoch}`);
    if (head.revision > mine.revision) return takeChanges(mine.revision);
    wentBack = lossOf(head.revision, mine.revision);
    if (wentBack !== undefined)
      return deps.warn(
        { store: head.revision, published: Math.max(mine.revision, witnessedRevision) },
        'the store went back',
      );
    if (head.sumKeys !== mine.sumKeys || head.sumRest !== mine.sumRest) return reload('the sums differ');
    if (await blobs.mended()) return reload('ids that could not be read can be read now');
    confirmed();
  }

  async function loop(): Promise<void> {
    while (!closed) {
      if (!dirty) await pause(POLL_MS * (0.95 + 0.1 * deps.random()));
      if (closed) return;
      dirty = false;
      try {
        await turn();
      } catch (error) {
        deps.warn({ err: error }, 'the store could not be read; serving on');
        // A store that is down is not asked in a tight loop, however many wishes come in.
        if (!closed) await rest(POLL_MS);
      }
    }
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Like pause(), but nothing cuts it short except close(). */
  async function rest(ms: number): Promise<void> {
    for (const until = deps.now() + ms; !closed && deps.now() < until; ) await pause(until - deps.now());
  }

  return {
    get wentBack() {
      return wentBack;
    },
    get confirmedAtMs() {
      return confirmedAtMs;
    },
    async start() {
      publisher.reset(await blobs.prepareAll(await store.readAll()));
      confirmed();
      void loop();
    },
    reach(revision) {
      if ((publisher.head?.revision ?? 0) >= revision) return Promise.resolve();
      return new Promise((resolve) => {
        waiters.add({ revision, done: resolve });
        wanted = Math.max(wanted, revision);
        markDirty();
      });
    },
    wish(revision) {
      if ((publisher.head?.revision ?? 0) >= revision || wishTimer !== undefined) return;
      // The wish is not believed (a client sent the number): it only makes the next look come soon.
      wishTimer = setTimeout(
        () => {
          wishTimer = undefined;
          markDirty();
        },
        Math.max(0, WISH_MS_MIN - (deps.now() - lastTurnMs)),
      );
    },
    witnessed(epoch, revision) {
      const head = publisher.head;
      if (head === undefined || head.epoch !== epoch || revision <= Math.max(head.revision, witnessedRevision)) return;
      witnessedRevision = revision;
      // Said at once: no write may come in between and make the revision a second time.
      wentBack = lossOf(head.revision, head.revision);
      markDirty();
    },
    close() {
      closed = true;
      for (const waiter of waiters) waiter.done();
      waiters.clear();
      clearTimeout(wishTimer);
      wake();
    },
  };
}
