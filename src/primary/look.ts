// One look of a node at its store, and what follows from it: nothing, a delta, everything anew, or an alarm. The sync loop
// decides when. With the store away at the start, what Redis or the disk have is published in its place.
import type { Clock } from '../run/clock.ts';
import { createSeldom } from '../run/seldom.ts';
import type { SnapshotContent, SnapshotHead } from '../snapshot/item.ts';
import type { Store } from '../storage/store.ts';
import type { HotCopy, SnapshotFile, Tier } from '../storage/tiers.ts';
import type { BlobFiles } from './blob-files.ts';
import { createKnownRevisions, type KnownRevisions } from './known-revisions.ts';
import { type Kept, loadFromStore, loadWithoutStore } from './loading.ts';
import type { Publisher } from './publisher.ts';
import { charsOf, type OpenCounts, type ReloadReason } from './sync-counts.ts';

export interface LookDeps {
  readonly store: Pick<Store, 'readHead' | 'readKeys' | 'readAll' | 'readSince'>;
  /**
   * Of a store that may be away at the start: brings its schema up to date and makes its first key. Called again until
   * it resolves. Undefined: both are done.
   */
  readonly prepareStore: (() => Promise<void>) | undefined;
  readonly publisher: Pick<Publisher, 'head' | 'content' | 'reset' | 'advance' | 'confirmed'>;
  /** Lays down the files that a publication names, before it is one. */
  readonly blobs: Pick<BlobFiles, 'prepareAll' | 'prepareDelta' | 'mended'>;
  readonly hotCopy: HotCopy | undefined;
  readonly file: SnapshotFile | undefined;
  readonly clock: Clock;
  /** Milliseconds since 1970, as the file has them. */
  readonly wallClock: () => number;
  readonly onConfirmed: (revision: number) => void;
  readonly warn: (fields: object, message: string) => void;
}

export interface Look {
  /**
   * Looks once. `news`: a revision that somebody tells of; above the published one it saves the query for the head.
   * Rejects when the store cannot be read, or what it has cannot be published yet.
   */
  look(news: number): Promise<void>;
  /** Reads the file. To be called once, before anything else. */
  open(): Promise<void>;
  /** Publishes what Redis or the file have, unless something is published. */
  loadWithoutStore(): Promise<void>;
  readonly known: KnownRevisions;
  /** Why the last question was not answered; undefined: it was. */
  readonly storeAway: string | undefined;
  /** Since when a question waits for its answer; undefined: none does. */
  readonly askedSinceMs: number | undefined;
  readonly tier: Tier | 'none';
  readonly confirmedAtMs: number;
}

export function createLook(deps: LookDeps & { readonly counts: OpenCounts }): Look {
  const { store, publisher, blobs, clock, counts } = deps;
  const alarm = createSeldom(clock, deps.warn);
  const known = createKnownRevisions();
  /** Until the store confirmed something. */
  let kept: Kept | undefined;
  let isPrepared = deps.prepareStore === undefined;
  let storeAway: string | undefined = isPrepared ? undefined : 'it was not reached yet';
  let askedSinceMs: number | undefined;
  let tier: Tier | 'none' = 'none';
  let confirmedAtMs = Number.NEGATIVE_INFINITY;
  /** A revision above the loss at which the history was found to go on from before it. */
  let grownTo = 0;
  let publishing: Promise<void> = Promise.resolve();

  /** Everything that is asked of the store goes through here, so that its absence is known. */
  async function ask<T>(question: () => Promise<T>): Promise<T> {
    askedSinceMs = clock.nowMs();
    try {
      const answer = await question();
      storeAway = undefined;
      return answer;
    } catch (error) {
      storeAway = error instanceof Error ? error.message : String(error);
      throw error;
    } finally {
      askedSinceMs = undefined;
    }
  }

  /** One at a time: at the start the store may answer just when its stand-in is about to be published. */
  function inTurn(publish: () => Promise<void>): Promise<void> {
    publishing = publishing.then(publish, publish);
    return publishing;
  }

  function confirmed(): void {
    const head = publisher.head as SnapshotHead;
    kept = undefined;
    tier = 'store';
    confirmedAtMs = clock.nowMs();
    publisher.confirmed();
    deps.file?.write(head, () => publisher.content() as SnapshotContent);
    deps.onConfirmed(head.revision);
  }

  function highestKnown(): number {
    const { head } = publisher;
    return head === undefined ? 0 : Math.max(head.revision, known.highest(head.epoch));
  }

  /** True, and told, when the store lacks a revision that was known before it was asked. */
  function isBehind({ epoch, revision }: SnapshotHead, before: number): boolean {
    if (epoch !== publisher.head?.epoch || revision >= before) return false;
    known.lost(revision, before);
    grownTo = 0;
    alarm.say({ store: revision, published: before }, 'the store went back');
    return true;
  }

  async function publishAll(content: SnapshotContent): Promise<void> {
    await inTurn(async () => {
      if (isBehind(content.head, publisher.head?.revision ?? 0)) return;
      publisher.reset(await blobs.prepareAll(content));
      confirmed();
    });
  }

  async function reload(reason: ReloadReason, why: string): Promise<void> {
    deps.warn({ reason, why }, 'reloading the whole snapshot');
    counts.reloads[reason]++;
    // Where sums differ, something is wrong that a copy may have as well.
    const isSuspect = reason === 'sums' || reason === 'delta' || reason === 'mended';
    const hotCopy = isSuspect ? undefined : deps.hotCopy;
    const loaded = await ask(() => loadFromStore({ store, hotCopy, kept, clock }));
    counts.itemChars += loaded.itemChars;
    if (reason === 'accepted' || reason === 'epoch') {
      known.accepted();
      alarm.over();
    }
    await publishAll(loaded.content);
  }

  async function takeChanges(mine: SnapshotHead, before: number): Promise<void> {
    counts.deltaReads++;
    const delta = await ask(() => store.readSince(mine.revision));
    const head = delta?.head ?? (await ask(() => store.readHead()));
    if (head.epoch !== mine.epoch) return reload('epoch', `another store: epoch ${head.epoch}`);
    if (isBehind(head, before)) return;
    if (delta === undefined) return reload('pruned', `changes after revision ${mine.revision} are no longer kept`);
    if (head.revision === mine.revision) return compare(head, mine);
    counts.itemChars += charsOf(delta.puts);
    const refused = publisher.advance(await blobs.prepareDelta(delta));
    if (refused !== undefined) return reload('delta', refused);
    counts.deltas++;
    confirmed();
  }

  async function compare(head: SnapshotHead, mine: SnapshotHead): Promise<void> {
    if (head.sumKeys !== mine.sumKeys || head.sumRest !== mine.sumRest) return reload('sums', 'the sums differ');
    if (await blobs.mended()) return reload('mended', 'ids that could not be read can be read now');
    confirmed();
  }

  /**
   * A store that went back is followed again once its history was cut off above everything known, which `burgee store
   * accept` does. That it grows past what is known is no such thing.
   */
  async function followAccepted(head: SnapshotHead): Promise<void> {
    const { lostRevision } = known;
    if (head.revision <= lostRevision) grownTo = 0;
    if (head.revision <= lostRevision || head.revision === grownTo) return;
    const delta = await ask(() => store.readSince(lostRevision));
    // The database may have been exchanged between the two questions.
    const { epoch } = delta?.head ?? (await ask(() => store.readHead()));
    if (epoch !== head.epoch) return reload('epoch', `another store: epoch ${epoch}`);
    if (delta === undefined) return reload('accepted', `the store was accepted at revision ${head.revision}`);
    grownTo = delta.head.revision;
  }

  /** The first publication. A copy that is ahead of the store is what was served: it is served on, and the loss told. */
  async function load(): Promise<void> {
    if (kept !== undefined) {
      const { epoch, revision } = await ask(() => store.readHead());
      if (kept.content.head.epoch === epoch && kept.content.head.revision > revision) {
        await withoutStore();
        if (publisher.head !== undefined) return look(0);
      }
    }
    const loaded = await ask(() => loadFromStore({ store, hotCopy: deps.hotCopy, kept, clock }));
    counts.itemChars += loaded.itemChars;
    counts.loads[loaded.from]++;
    await publishAll(loaded.content);
  }

  async function withoutStore(): Promise<void> {
    await inTurn(async () => {
      if (publisher.head !== undefined) return;
      const found = await loadWithoutStore({ kept, hotCopy: deps.hotCopy, wallMs: deps.wallClock() });
      if (found === undefined) return;
      const { staleMs } = found;
      publisher.reset(await blobs.prepareAll(found.content), { tier: found.tier, staleMs });
      tier = found.tier;
      confirmedAtMs = clock.nowMs() - staleMs;
      counts.loads[tier]++;
      deps.warn({ tier, revision: found.content.head.revision, stale_ms: staleMs }, 'serving without the store');
    });
  }

  async function look(news: number): Promise<void> {
    if (!isPrepared) await ask(deps.prepareStore as () => Promise<void>);
    isPrepared = true;
    const mine = publisher.head;
    if (mine === undefined) return load();
    const before = highestKnown();
    if (news > mine.revision && known.loss === undefined) return takeChanges(mine, before);
    counts.polls++;
    const head = await ask(() => store.readHead());
    if (head.epoch !== mine.epoch) return reload('epoch', `another store: epoch ${head.epoch}`);
    if (isBehind(head, before)) return;
    if (known.loss !== undefined) return followAccepted(head);
    if (head.revision > mine.revision) return takeChanges(mine, before);
    return compare(head, mine);
  }

  return {
    look,
    async open() {
      kept = await deps.file?.read();
    },
    loadWithoutStore: withoutStore,
    known,
    get storeAway() {
      return storeAway;
    },
    get askedSinceMs() {
      return askedSinceMs;
    },
    get tier() {
      return tier;
    },
    get confirmedAtMs() {
      return confirmedAtMs;
    },
  };
}
