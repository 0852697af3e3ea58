// A node that knew the revision under which its store was accepted before it looked (it had made it itself and heard no
// hint, or Redis told) waited for one above that, served the old snapshot and refused writes until it was restarted.
import { test } from 'tap';
import { createPublisher } from '../../src/primary/publisher.ts';
import { createSyncLoop } from '../../src/primary/sync.ts';
import { createHashBytes } from '../../src/snapshot/checksum.ts';
import { nothingToPrepare } from '../support/segments.ts';
import { contentOf, EPOCH, environmentItem } from '../support/snapshot.ts';
import { withoutTiers } from '../support/tiers.ts';

async function alarmed() {
  let content = contentOf(5, [environmentItem('prod', 1, 1n)]);
  /** The table `changes` goes back to here. */
  let prunedTo = 0;
  const publisher = createPublisher({ hash: await createHashBytes(), now: () => 0, fence: () => {}, kill: () => {} });
  const sync = createSyncLoop({
    store: {
      readHead: async () => content.head,
      readAll: async () => content,
      readKeys: async () => content,
      readSince: async (from) => (from < prunedTo ? undefined : { from, head: content.head, puts: [], removes: [] }),
    },
    publisher,
    blobs: nothingToPrepare,
    ...withoutTiers,
    random: () => 0.5,
    onConfirmed: () => {},
    warn: () => {},
  });
  await sync.start();
  sync.witnessed(EPOCH, 7);
  await sync.checked();
  return {
    sync,
    publisher,
    accept(revision: number) {
      content = { ...content, head: { ...content.head, revision } };
      prunedTo = revision;
    },
  };
}

test('the node that accepted follows, though no hint came', async (t) => {
  const { sync, publisher, accept } = await alarmed();
  t.teardown(() => sync.close());
  t.match(sync.wentBack, /7 was published/);
  accept(8);
  await sync.reach(8);
  t.equal(publisher.head?.revision, 8);
  t.equal(sync.wentBack, undefined);
});

test('a node that Redis told of the accepted revision follows', async (t) => {
  const { sync, publisher, accept } = await alarmed();
  t.teardown(() => sync.close());
  accept(8);
  sync.witnessed(EPOCH, 8);
  await sync.checked();
  sync.lookNow();
  await sync.reach(8);
  t.equal(publisher.head?.revision, 8);
  t.equal(sync.wentBack, undefined);
});
