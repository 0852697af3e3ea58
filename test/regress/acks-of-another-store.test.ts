// An ack of revision 812 of one store once counted as an ack of revision 3 of the next, so a write was answered while a
// worker still served the old store.
import { test } from 'tap';
import { createPublisher } from '../../src/primary/publisher.ts';
import { createHashBytes } from '../../src/snapshot/checksum.ts';
import { contentOf, EPOCH, environmentItem } from '../support/snapshot.ts';

const hash = await createHashBytes();
const prod = environmentItem('prod', 1, 1n);

test('what a worker acked of one store says nothing about another', async (t) => {
  const publisher = createPublisher({ hash, now: () => 0, fence: () => {}, kill: () => {} });
  publisher.reset(contentOf(812, [prod]));
  publisher.joined(1, EPOCH, 812, () => {});
  publisher.reset(contentOf(3, [prod], 'another-epoch'));
  let served = false;
  const serving = publisher.served(3).then(() => {
    served = true;
  });
  publisher.acked(1, EPOCH, 812);
  await new Promise(setImmediate);
  t.equal(served, false, 'neither before the change nor on its way during it');
  publisher.acked(1, 'another-epoch', 3);
  await serving;
});

test('an ack that was overtaken does not take a later one back', async (t) => {
  const publisher = createPublisher({ hash, now: () => 0, fence: () => {}, kill: () => {} });
  publisher.reset(contentOf(5, [prod]));
  publisher.joined(1, EPOCH, 5, () => {});
  publisher.acked(1, EPOCH, 4);
  await publisher.served(5);
  t.same([...publisher.standing()], [[1, 5]]);
});
