// A store restored from a backup while workers lived on was written to: its next write made a revision for the second
// time, and workers that had served the first one took it for the same.
import { test } from 'tap';
import { createPublisher } from '../../src/primary/publisher.ts';
import { createSyncLoop } from '../../src/primary/sync.ts';
import { createHashBytes } from '../../src/snapshot/checksum.ts';
import { nothingToPrepare } from '../support/segments.ts';
import { contentOf, EPOCH, environmentItem } from '../support/snapshot.ts';
import { withoutTiers } from '../support/tiers.ts';

test('a worker that serves more than the store has says that the store went back', async (t) => {
  const content = contentOf(5, [environmentItem('prod', 1, 1n)]);
  const publisher = createPublisher({ hash: await createHashBytes(), now: () => 0, fence: () => {}, kill: () => {} });
  const warnings: string[] = [];
  let looked: () => void = () => {};
  const sync = createSyncLoop({
    store: {
      readHead: async () => content.head,
      readAll: async () => content,
      readKeys: async () => content,
      readSince: async () => undefined,
    },
    publisher,
    blobs: nothingToPrepare,
    ...withoutTiers,
    random: () => 0.5,
    onConfirmed: () => {},
    warn: (_fields, message) => {
      warnings.push(message);
      looked();
    },
  });
  t.teardown(() => sync.close());
  await sync.start();
  sync.witnessed(EPOCH, 5);
  sync.witnessed('another-epoch', 812);
  t.equal(sync.wentBack, undefined, 'neither what it has nor what another store had is missing');
  const seen = new Promise<void>((resolve) => {
    looked = resolve;
  });
  sync.witnessed(EPOCH, 6);
  // No write may come in between and make the revision a second time: writes wait for this.
  await sync.checked();
  t.match(sync.wentBack, /the store is at revision 5, 6 was published/);
  await seen;
  t.match(sync.wentBack, /6 was published/, 'and the next look at the store does not forget it');
  t.same(warnings, ['the store went back']);
});
