import { type Test, test } from 'tap';
import { createPublisher } from '../../../src/primary/publisher.ts';
import { createSyncLoop } from '../../../src/primary/sync.ts';
import { createHashBytes } from '../../../src/snapshot/checksum.ts';
import type { DeltaContent, SnapshotContent, SnapshotItem } from '../../../src/snapshot/item.ts';
import { nothingToPrepare } from '../../support/segments.ts';
import { contentOf, deltaBetween, environmentItem, flagItem } from '../../support/snapshot.ts';
import { withoutTiers } from '../../support/tiers.ts';

const hash = await createHashBytes();

/** A store in memory that remembers every revision, and can be made to fail, forget and go back. */
function memoryStore() {
  const history: SnapshotContent[] = [contentOf(1, [environmentItem('prod', 1, 1n)])];
  const asked = { head: 0, all: 0, since: 0 };
  const store = {
    asked,
    failing: false,
    pruned: false,
    lying: false,
    get newest(): SnapshotContent {
      return history.at(-1) as SnapshotContent;
    },
    write(...items: SnapshotItem[]): number {
      const revision = store.newest.head.revision + 1;
      const kept = store.newest.items.filter((old) => !items.some((item) => item.id === old.id));
      history.push(contentOf(revision, [...kept, ...items]));
      return revision;
    },
    goBack(): void {
      history.pop();
    },
    async readHead() {
      asked.head++;
      if (store.failing) throw new Error('store away');
      return store.newest.head;
    },
    async readAll() {
      asked.all++;
      if (store.failing) throw new Error('store away');
      return store.newest;
    },
    readKeys(): Promise<SnapshotContent> {
      throw new Error('nobody has a hot copy');
    },
    async readSince(revision: number): Promise<DeltaContent | undefined> {
      asked.since++;
      if (store.failing) throw new Error('store away');
      const from = history.find((content) => content.head.revision === revision);
      if (from === undefined || store.pruned) return undefined;
      const delta = deltaBetween(from, store.newest);
      return store.lying ? { ...delta, puts: [] } : delta;
    },
  };
  return store;
}

async function started(t: Test) {
  const store = memoryStore();
  const publisher = createPublisher({ hash, now: () => performance.now(), fence: () => {}, kill: () => {} });
  const warnings: string[] = [];
  let onConfirmed: (revision: number) => void = () => {};
  const sync = createSyncLoop({
    store,
    publisher,
    blobs: nothingToPrepare,
    ...withoutTiers,
    random: () => 0.5,
    onConfirmed: (revision) => onConfirmed(revision),
    warn: (_fields, message) => warnings.push(message),
  });
  t.teardown(() => sync.close());
  await sync.start();
  function confirmation(): Promise<number> {
    return new Promise((resolve) => {
      onConfirmed = resolve;
    });
  }
  return { store, publisher, sync, warnings, confirmation };
}

test('a commit is published with one query, however far the store went meanwhile', async (t) => {
  const { store, publisher, sync } = await started(t);
  store.write(flagItem('a', 2, 2n));
  const revision = store.write(flagItem('b', 3, 3n));
  await sync.reach(revision);
  t.equal(publisher.head?.revision, 3);
  t.same(store.asked, { head: 0, all: 1, since: 1 });
});

test('a revision that is published already is reached without a query', async (t) => {
  const { store, sync } = await started(t);
  await sync.reach(1);
  t.same(store.asked, { head: 0, all: 1, since: 0 });
});

test('a change that no hint told is found by the poll', async (t) => {
  const { store, publisher, confirmation } = await started(t);
  store.write(flagItem('a', 2, 2n));
  await confirmation();
  t.equal(publisher.head?.revision, 2);
});

test('a hundred wishes for a revision that is not there cost one query', async (t) => {
  const { store, sync, confirmation } = await started(t);
  for (let i = 0; i < 100; i++) sync.wish(9_000);
  await confirmation();
  t.same(store.asked, { head: 1, all: 1, since: 0 });
});

test('a wish finds a change before the poll does', async (t) => {
  const { store, publisher, sync, confirmation } = await started(t);
  store.write(flagItem('a', 2, 2n));
  sync.wish(2);
  await confirmation();
  t.equal(publisher.head?.revision, 2);
});

test('pruned changes, and a delta whose sums are wrong, lead to one full read', async (t) => {
  for (const fault of ['pruned', 'lying'] as const) {
    const { store, publisher, sync, warnings } = await started(t);
    store[fault] = true;
    await sync.reach(store.write(flagItem('a', 2, 2n)));
    t.equal(publisher.head?.revision, 2, fault);
    t.equal(store.asked.all, 2, fault);
    t.same(warnings, ['reloading the whole snapshot'], fault);
    sync.close();
  }
});

test('a store that cannot be read is tried again, and the write that waited is then published', async (t) => {
  const { store, publisher, sync, warnings } = await started(t);
  const revision = store.write(flagItem('a', 2, 2n));
  store.failing = true;
  const reached = sync.reach(revision);
  while (warnings.length === 0) await new Promise(setImmediate);
  t.equal(publisher.head?.revision, 1, 'serving on');
  store.failing = false;
  await reached;
  t.equal(publisher.head?.revision, 2);
});

test('a store that went back is told, not followed', async (t) => {
  const { store, publisher, sync, warnings } = await started(t);
  await sync.reach(store.write(flagItem('a', 2, 2n)));
  store.goBack();
  sync.wish(3);
  while (sync.wentBack === undefined) await new Promise(setImmediate);
  t.equal(publisher.head?.revision, 2);
  t.ok(warnings.includes('the store went back'));
});
