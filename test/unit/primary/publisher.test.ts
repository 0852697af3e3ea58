import { type Test, test } from 'tap';
import type { ToWorker } from '../../../src/ipc/messages.ts';
import { createPublisher } from '../../../src/primary/publisher.ts';
import { createHashBytes } from '../../../src/snapshot/checksum.ts';
import { openEnvelope } from '../../../src/snapshot/encoding.ts';
import { contentOf, deltaBetween, EPOCH, environmentItem, flagItem } from '../../support/snapshot.ts';

const hash = await createHashBytes();
const one = contentOf(1, [environmentItem('prod', 1, 1n)]);
const two = contentOf(2, [environmentItem('prod', 1, 1n), flagItem('a', 2, 2n)]);

/** A publisher at revision 1 with two workers that hold it, a clock in hand, and what was sent to each. */
function publish(t: Test) {
  const killed: number[] = [];
  const clock = { nowMs: 0 };
  const publisher = createPublisher({ hash, now: () => clock.nowMs, fence: () => {}, kill: (pid) => killed.push(pid) });
  t.teardown(() => publisher.close());
  publisher.reset(one);
  const sent = new Map<number, ToWorker[]>();
  function join(pid: number, revision: number, epoch = EPOCH): void {
    sent.set(pid, []);
    publisher.joined(pid, epoch, revision, (message) => sent.get(pid)?.push(message));
  }
  join(1, 1);
  join(2, 1);
  return { publisher, killed, clock, sent, join };
}

function state(promise: Promise<void>): { readonly settled: boolean } {
  const watched = { settled: false };
  void promise.then(() => {
    watched.settled = true;
  });
  return watched;
}

test('a write is served when every worker has acked it, not before', async (t) => {
  const { publisher } = publish(t);
  t.equal(publisher.advance(deltaBetween(one, two)), undefined);
  const served = publisher.served(2);
  const watched = state(served);
  publisher.acked(1, EPOCH, 2);
  await new Promise(setImmediate);
  t.equal(watched.settled, false);
  publisher.acked(2, EPOCH, 2);
  await served;
});

test('a write is served when the worker that did not ack is dead, and not when only its socket closed', async (t) => {
  const { publisher } = publish(t);
  publisher.advance(deltaBetween(one, two));
  const served = publisher.served(2);
  const watched = state(served);
  publisher.acked(1, EPOCH, 2);
  publisher.detached(2);
  await new Promise(setImmediate);
  t.equal(watched.settled, false, 'it may still answer requests');
  publisher.dead(2);
  await served;
});

test('all workers are sent the very same bytes', async (t) => {
  const { publisher, sent } = publish(t);
  publisher.advance(deltaBetween(one, two));
  const [first, second] = [sent.get(1)?.[0], sent.get(2)?.[0]] as Extract<ToWorker, { type: 'delta' }>[];
  t.equal(first?.type, 'delta');
  t.equal(first?.bytes, second?.bytes);
});

test('a worker that joins behind, or from another store, is sent the whole; one that is current is sent nothing', async (t) => {
  const { sent, join } = publish(t);
  join(3, 0);
  join(4, 1, 'another-epoch');
  for (const pid of [3, 4]) {
    const message = sent.get(pid)?.[0] as Extract<ToWorker, { type: 'snapshot' }>;
    t.equal(openEnvelope(message.bytes, hash).head.revision, 1);
  }
  t.equal(sent.get(1)?.length, 0);
});

test('a worker that cannot use a delta is sent the whole', async (t) => {
  const { publisher, sent } = publish(t);
  publisher.resend(1);
  t.equal(sent.get(1)?.[0]?.type, 'snapshot');
});

test('a late worker that beats is given ten seconds, and is then ended because another serves the revision', async (t) => {
  const { publisher, killed, clock } = publish(t);
  publisher.advance(deltaBetween(one, two));
  const served = publisher.served(2);
  publisher.acked(1, EPOCH, 2);
  clock.nowMs = 9_900;
  publisher.beat(2);
  publisher.endLate();
  t.same(killed, []);
  clock.nowMs = 10_100;
  publisher.endLate();
  t.same(killed, [2]);
  publisher.dead(2);
  await served;
});

test('a late worker that is silent is given one second', async (t) => {
  const { publisher, killed, clock } = publish(t);
  publisher.advance(deltaBetween(one, two));
  const served = publisher.served(2);
  publisher.acked(1, EPOCH, 2);
  clock.nowMs = 1_100;
  publisher.endLate();
  t.same(killed, [2]);
  publisher.dead(2);
  await served;
});

test('the last worker that serves is never ended, however late', async (t) => {
  const { publisher, killed, clock } = publish(t);
  publisher.dead(2);
  publisher.advance(deltaBetween(one, two));
  void publisher.served(2);
  clock.nowMs = 60_000;
  publisher.endLate();
  t.same(killed, []);
});
