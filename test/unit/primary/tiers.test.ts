// The sync loop in virtual time: hints, a store that is away, what stands in for it, and one that went back.
import { type Test, test } from 'tap';
import { createPublisher } from '../../../src/primary/publisher.ts';
import { createSyncLoop } from '../../../src/primary/sync.ts';
import { createHashBytes } from '../../../src/snapshot/checksum.ts';
import type { DeltaContent, SnapshotContent, SnapshotItem } from '../../../src/snapshot/item.ts';
import type { HotCopy } from '../../../src/storage/tiers.ts';
import { nothingToPrepare } from '../../support/segments.ts';
import { contentOf, deltaBetween, EPOCH, environmentItem, flagItem, keyItem } from '../../support/snapshot.ts';
import { createVirtualClock } from '../../support/virtual-clock.ts';

const hash = await createHashBytes();
const PROD = environmentItem('prod', 1, 1n);
const KEY = keyItem('admin', 1, 2n, 'ab');
const WALL_MS = 1_800_000_000_000;

function memoryStore(first: SnapshotContent) {
  let history = [first];
  const asked = { head: 0, keys: 0, all: 0, since: 0 };
  const store = {
    asked,
    state: 'up' as 'up' | 'away' | 'hung',
    /** Below it changes are not kept. */
    prunedTo: 0,
    get newest(): SnapshotContent {
      return history.at(-1) as SnapshotContent;
    },
    write(...items: SnapshotItem[]): number {
      const revision = store.newest.head.revision + 1;
      const kept = store.newest.items.filter((old) => !items.some((item) => item.id === old.id));
      history.push(contentOf(revision, [...kept, ...items]));
      return revision;
    },
    restore(revision: number): void {
      history = history.filter(({ head }) => head.revision <= revision);
    },
    accept(revision: number): void {
      history.push(contentOf(revision, store.newest.items));
      store.prunedTo = revision;
    },
    async answer<T>(kind: keyof typeof asked, value: () => T): Promise<T> {
      asked[kind]++;
      if (store.state === 'away') throw new Error('the store is away');
      if (store.state === 'hung') return new Promise<T>(() => {});
      return value();
    },
    readHead: () => store.answer('head', () => store.newest.head),
    readAll: () => store.answer('all', () => store.newest),
    readKeys: () =>
      store.answer('keys', () => ({ ...store.newest, items: store.newest.items.filter(({ kind }) => kind === 'key') })),
    readSince: (revision: number) =>
      store.answer('since', (): DeltaContent | undefined => {
        const from = history.find(({ head }) => head.revision === revision);
        return from === undefined || revision < store.prunedTo ? undefined : deltaBetween(from, store.newest);
      }),
  };
  return store;
}

/** A hot copy of `content`, less its keys. */
function hotCopyOf(content: SnapshotContent): HotCopy {
  const items = content.items.filter(({ kind }) => kind !== 'key');
  return {
    trust() {},
    standing: async () => ({ revision: content.head.revision, ttlMs: 40_000 }),
    read: async () => ({ head: { ...content.head, sumKeys: 0n }, items }),
    write: async () => content.head.revision,
    highestSeen: async () => 0,
    noteSeen: async () => {},
  };
}

interface Given {
  readonly content?: SnapshotContent;
  readonly state?: 'up' | 'away' | 'hung';
  readonly file?: SnapshotContent;
  readonly hotCopy?: HotCopy;
}

function node(t: Test, given: Given = {}) {
  const clock = createVirtualClock();
  const store = memoryStore(given.content ?? contentOf(1, [PROD, KEY]));
  store.state = given.state ?? 'up';
  const publisher = createPublisher({ hash, now: clock.nowMs, fence: () => {}, kill: () => {} });
  const warnings: string[] = [];
  const written: number[] = [];
  const sync = createSyncLoop({
    store,
    prepareStore: () => (store.state === 'away' ? Promise.reject(new Error('the store is away')) : Promise.resolve()),
    publisher,
    blobs: nothingToPrepare,
    hotCopy: given.hotCopy,
    file: {
      read: async () => given.file && { content: given.file, confirmedAtMs: WALL_MS - 60_000 },
      write: ({ revision }) => void written.push(revision),
      close: async () => {},
    },
    clock,
    wallClock: () => WALL_MS,
    random: () => 0.5,
    onConfirmed: () => {},
    warn: (_fields, message) => warnings.push(message),
  });
  t.teardown(() => sync.close());
  const revision = (): number | undefined => publisher.head?.revision;
  return { clock, store, publisher, sync, warnings, written, revision, started: sync.start() };
}

test('a hint costs one query, and hints while it runs at most one more', async (t) => {
  const { clock, store, sync, revision, started } = node(t);
  await started;
  await clock.pass(10);
  const before = { ...store.asked };
  sync.hinted(store.write(flagItem('a', 2, 3n)));
  for (let i = 0; i < 5; i++) sync.hinted(store.write(flagItem(`b${i}`, 3 + i, BigInt(10 + i))));
  await clock.pass(0);
  t.equal(revision(), 7);
  t.same(store.asked, { ...before, since: before.since + 1 });
  sync.hinted(7);
  sync.hinted(3);
  await clock.pass(0);
  t.same(store.asked, { ...before, since: before.since + 1 }, 'no news is no question');
});

test('made-up hints cost a query in 50 ms, and hide no true one', async (t) => {
  const { clock, store, sync, revision, started } = node(t);
  await started;
  const before = store.asked.head;
  for (let ms = 0; ms < 500; ms++) {
    sync.hinted(Number.MAX_SAFE_INTEGER - ms);
    for (const garbage of [Number.NaN, -1, 0.5, Number.POSITIVE_INFINITY]) sync.hinted(garbage);
    await clock.pass(1);
  }
  t.ok(store.asked.head - before <= 12, `${store.asked.head - before} questions in half a second`);
  sync.hinted(store.write(flagItem('a', 2, 3n)));
  await clock.pass(50);
  t.equal(revision(), 2);
  t.same(sync.counts.reloads, { epoch: 0, pruned: 0, sums: 0, delta: 0, mended: 0, accepted: 0 });
});

test('two nodes that write in turn read nothing whole again', async (t) => {
  const { clock, store, sync, revision, started } = node(t);
  await started;
  for (let i = 2; i < 500; i += 2) {
    store.write(flagItem('of-another', i, BigInt(i)));
    const reached = sync.reach(store.write(flagItem('own', i + 1, BigInt(1000 + i))));
    if (i % 3 === 0) sync.hinted(i);
    await clock.pass(i % 5);
    await reached;
  }
  t.equal(revision(), store.newest.head.revision);
  t.equal(store.asked.all, 1);
});

test('with the store away the newer of hot copy and file is served, with the keys of the file', async (t) => {
  const file = contentOf(4, [PROD, KEY, flagItem('a', 4, 3n)]);
  const hot = contentOf(5, [PROD, keyItem('forged', 5, 9n, 'cd'), flagItem('a', 5, 4n)]);
  const { sync, publisher, revision, started } = node(t, { state: 'away', file, hotCopy: hotCopyOf(hot) });
  await started;
  t.equal(revision(), 5);
  t.equal(sync.tier, 'redis');
  const ids = publisher.content()?.items.map(({ id }) => id);
  t.same(ids?.sort(), ['a', 'admin', 'prod']);
  const alone = node(t, { state: 'away', file, hotCopy: hotCopyOf(contentOf(3, [PROD])) });
  await alone.started;
  t.equal(alone.revision(), 4);
  t.equal(alone.sync.tier, 'file');
  t.equal(alone.sync.confirmedAtMs, -60_000);
  t.same(alone.written, [], 'what the store did not confirm is not written');
});

test('a store that hangs at the start is waited for three seconds, and followed when it answers', async (t) => {
  const file = contentOf(4, [PROD, KEY]);
  const { clock, store, sync, revision, started } = node(t, {
    state: 'hung',
    file,
    content: contentOf(4, [PROD, KEY]),
  });
  await clock.pass(2999);
  t.equal(revision(), undefined);
  await clock.pass(1);
  await started;
  t.equal(revision(), 4);
  t.match(sync.storeAway, /does not answer|not reached/);
  t.equal(store.asked.all, 0);
});

test('a store that comes back at the file’s revision is confirmed with one row', async (t) => {
  const file = contentOf(4, [PROD, KEY]);
  const { clock, store, sync, started } = node(t, { state: 'away', file, content: file });
  await started;
  store.state = 'up';
  await clock.pass(1100);
  t.equal(sync.tier, 'store');
  t.equal(sync.storeAway, undefined);
  t.same(store.asked, { head: 1, keys: 0, all: 0, since: 0 });
});

test('a node that starts takes the hot copy, the gap after it and keys, and reads nothing whole', async (t) => {
  const old = contentOf(1, [PROD, KEY]);
  const made = node(t, { content: old, hotCopy: hotCopyOf(old) });
  made.store.write(flagItem('a', 2, 3n));
  await made.started;
  t.equal(made.revision(), 2);
  t.same(made.store.asked, { head: 1, keys: 1, all: 0, since: 1 });
  const forged = contentOf(1, [PROD, KEY, flagItem('more', 1, 77n)]);
  const wary = node(t, { content: old, hotCopy: hotCopyOf(forged) });
  await wary.started;
  t.equal(wary.store.asked.all, 1, 'sums that are not the store’s are not served');
});

test('nothing to serve: the loop goes on trying', async (t) => {
  const { clock, store, revision, started, sync } = node(t, { state: 'away' });
  await started;
  t.equal(revision(), undefined);
  t.equal(sync.tier, 'none');
  store.state = 'up';
  await clock.pass(1100);
  t.equal(revision(), 1);
});

test('a store that went back stays refused though it grows, until it is accepted', async (t) => {
  const { clock, store, sync, revision, started } = node(t);
  await started;
  for (let i = 2; i <= 5; i++) store.write(flagItem('a', i, BigInt(i)));
  await clock.pass(1100);
  store.restore(3);
  await clock.pass(1100);
  t.match(sync.wentBack, /revision 3, 5 was published/);
  for (let i = 4; i <= 9; i++) store.write(flagItem('other', i, BigInt(100 + i)));
  await clock.pass(3000);
  t.match(sync.wentBack, /5 was published/);
  t.equal(revision(), 5, 'served on');
  t.equal(sync.counts.reloads.accepted, 0);
  store.accept(12);
  // As the node does through which it was accepted.
  const reached = sync.reach(12);
  await clock.pass(1100);
  await reached;
  t.equal(sync.wentBack, undefined);
  t.equal(revision(), 12);
});

test('a file that is ahead of the store is served, and tells that the store went back', async (t) => {
  const file = contentOf(9, [PROD, KEY]);
  const { sync, revision, started } = node(t, { file });
  await started;
  t.equal(revision(), 9);
  t.match(sync.wentBack, /revision 1, 9 was published/);
});

test('a witness is believed only when the store was asked', async (t) => {
  const { clock, store, sync, started } = node(t);
  await started;
  await clock.pass(0);
  store.write(flagItem('a', 2, 3n));
  sync.witnessed(EPOCH, 2);
  const checked = sync.checked();
  await clock.pass(0);
  await checked;
  t.equal(sync.wentBack, undefined, 'another node wrote it');
  sync.witnessed(EPOCH, 2 ** 52);
  await clock.pass(2000);
  t.equal(sync.wentBack, undefined, 'no store ever reaches this');
});
