// Each broadcast once gave a worker that hung behind its ten seconds anew, so that a stream of writes kept it alive and
// none of them was ever answered; and a worker busy with one slow delta after another was ended in the middle of its work.
import { type Test, test } from 'tap';
import { createPublisher } from '../../src/primary/publisher.ts';
import { createHashBytes } from '../../src/snapshot/checksum.ts';
import { contentOf, deltaBetween, EPOCH, environmentItem } from '../support/snapshot.ts';

const hash = await createHashBytes();
const prod = environmentItem('prod', 1, 1n);

function publish(t: Test) {
  const clock = { nowMs: 0 };
  const killed: number[] = [];
  const publisher = createPublisher({ hash, now: () => clock.nowMs, fence: () => {}, kill: (pid) => killed.push(pid) });
  t.teardown(() => publisher.close());
  publisher.reset(contentOf(1, [prod]));
  for (const pid of [1, 2]) publisher.joined(pid, EPOCH, 1, () => {});
  function write(revision: number): void {
    publisher.advance(deltaBetween(contentOf(revision - 1, [prod]), contentOf(revision, [prod])));
    void publisher.served(revision);
  }
  return { clock, killed, publisher, write };
}

test('a worker that takes nothing is ended ten seconds after the first write it missed, however many follow', (t) => {
  const { clock, killed, publisher, write } = publish(t);
  for (let second = 0; second <= 11; second++) {
    clock.nowMs = second * 1000;
    write(second + 2);
    publisher.acked(1, EPOCH, second + 2);
    publisher.beat(2);
    publisher.endLate();
    t.same(killed, second <= 10 ? [] : [2], `at ${second} s`);
  }
  t.end();
});

test('a worker that asks for the whole again and again is late all the same', (t) => {
  const { clock, killed, publisher, write } = publish(t);
  write(2);
  publisher.acked(1, EPOCH, 2);
  for (let second = 1; second <= 11; second++) {
    clock.nowMs = second * 1000;
    publisher.beat(2);
    publisher.resend(2);
  }
  publisher.endLate();
  t.same(killed, [2]);
  t.end();
});

test('a worker that takes one slow delta after another is given ten seconds for each', (t) => {
  const { clock, killed, publisher, write } = publish(t);
  for (const revision of [2, 3, 4, 5]) {
    write(revision);
    publisher.acked(1, EPOCH, revision);
  }
  for (const revision of [2, 3, 4, 5]) {
    clock.nowMs += 9_000;
    publisher.beat(2);
    publisher.endLate();
    publisher.acked(2, EPOCH, revision);
  }
  t.same(killed, []);
  t.end();
});
