// Keeps the hot copy in Redis no older than it need be, at a cost that does not grow with the number of nodes: all look,
// and whoever looks first renews it for all. What Redis knows of higher revisions is handed to the sync loop, to ask the store.
import type { CancelTimer, Clock } from '../run/clock.ts';
import { HOT_COPY_TTL_MS, type HotCopy } from '../storage/tiers.ts';
import type { Publisher } from './publisher.ts';

const LOOK_MS = 5000;
/** After a publication, so that a copy is not written for each of a row of writes. */
const LOOK_AFTER_PUBLICATION_MS = 1000;
/** A copy with less than this left is renewed. */
const TTL_MS_MIN = 30_000;
/** A copy that somebody wrote just now may stay behind for so long: those who load fill the gap. */
const YOUNG_MS = 5000;
/** What was confirmed longer ago is not spread: its time in Redis would tell it younger than it is. */
const CONFIRMED_MS_MAX = 5000;

export interface HotCopyUpkeep {
  start(): void;
  /** Something newer is published. */
  published(): void;
  /** Resolves when no call to Redis is under way. */
  close(): Promise<void>;
}

export function createHotCopyUpkeep(deps: {
  readonly hotCopy: HotCopy;
  readonly publisher: Pick<Publisher, 'head' | 'content'>;
  /** When the store last confirmed what is published; milliseconds of the clock. */
  readonly confirmedAtMs: () => number;
  readonly witnessed: (epoch: string, revision: number) => void;
  readonly clock: Clock;
  readonly random: () => number;
}): HotCopyUpkeep {
  const { hotCopy, publisher, clock } = deps;
  let cancel: CancelTimer | undefined;
  let dueAtMs = Number.POSITIVE_INFINITY;
  let running: Promise<void> | undefined;
  let lastRevision = 0;
  let noted = '';
  let trusted = '';
  let closed = false;

  function schedule(ms: number): void {
    if (closed) return;
    const delayMs = ms * (0.75 + 0.5 * deps.random());
    const at = clock.nowMs() + delayMs;
    if (at >= dueAtMs) return;
    cancel?.();
    dueAtMs = at;
    cancel = clock.after(delayMs, () => {
      dueAtMs = Number.POSITIVE_INFINITY;
      if (running !== undefined) return;
      // Redis that is away is no news: the next look may find it.
      running = look()
        .catch(() => {})
        .then(() => {
          running = undefined;
          schedule(LOOK_MS);
        });
    });
  }

  async function look(): Promise<void> {
    const head = publisher.head;
    if (head === undefined || clock.nowMs() - deps.confirmedAtMs() > CONFIRMED_MS_MAX) return;
    const { epoch, revision } = head;
    // What Redis has is signed with a secret of this store.
    if (epoch !== trusted) hotCopy.trust(publisher.content()?.items ?? []);
    trusted = epoch;
    deps.witnessed(epoch, await hotCopy.highestSeen(epoch));
    if (noted !== `${epoch} ${revision}`) await hotCopy.noteSeen(epoch, revision);
    noted = `${epoch} ${revision}`;
    const standing = await hotCopy.standing(epoch);
    if (standing !== undefined && standing.revision >= revision && standing.ttlMs >= TTL_MS_MIN) return;
    const isYoung = standing !== undefined && standing.ttlMs > HOT_COPY_TTL_MS - YOUNG_MS;
    const content = isYoung ? undefined : publisher.content();
    if (content !== undefined) await hotCopy.write(content);
  }

  return {
    start: () => schedule(LOOK_AFTER_PUBLICATION_MS),
    published() {
      const revision = publisher.head?.revision ?? 0;
      if (revision === lastRevision) return;
      lastRevision = revision;
      schedule(LOOK_AFTER_PUBLICATION_MS);
    },
    async close() {
      closed = true;
      cancel?.();
      await running;
    },
  };
}
