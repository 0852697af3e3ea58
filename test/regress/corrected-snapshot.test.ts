// When the primary found that its sums were not the store's it sent the whole again, and workers threw it away because
// its revision was the one they had. And each delta behind a refused one asked for a whole snapshot of its own.
import { test } from 'tap';
import type { ToPrimary } from '../../src/ipc/messages.ts';
import { createHashBytes } from '../../src/snapshot/checksum.ts';
import { encodeDelta, encodeSnapshot } from '../../src/snapshot/encoding.ts';
import { createHolder } from '../../src/worker/holder.ts';
import { withoutBlobs } from '../support/segments.ts';
import { contentOf, deltaBetween, EPOCH, environmentItem, flagItem } from '../support/snapshot.ts';

const hash = await createHashBytes();
const prod = environmentItem('prod', 1, 1n);

function holding() {
  const sent: ToPrimary[] = [];
  const holder = createHolder({
    hash,
    now: () => 0,
    warn: () => {},
    faultCompileMs: 0,
    compile: withoutBlobs,
    send: (m) => void sent.push(m),
  });
  return { holder, sent };
}

test('a whole snapshot of the same revision with other sums replaces what is served', async (t) => {
  const { holder } = holding();
  holder.receive({ type: 'snapshot', bytes: encodeSnapshot(contentOf(5, [prod]), hash) });
  await holder.first;
  const before = holder.current;
  holder.receive({ type: 'snapshot', bytes: encodeSnapshot(contentOf(5, [prod]), hash) });
  const corrected = contentOf(5, [prod, flagItem('a', 5, 5n)]);
  holder.receive({ type: 'snapshot', bytes: encodeSnapshot(corrected, hash) });
  while (holder.current === before) await new Promise(setImmediate);
  t.ok(holder.current?.environments.get('prod')?.flags.has('a'));
});

test('however many deltas cannot be used, one whole snapshot is asked for', async (t) => {
  const { holder, sent } = holding();
  holder.receive({ type: 'snapshot', bytes: encodeSnapshot(contentOf(5, [prod]), hash) });
  for (const revision of [7, 8, 9]) {
    const delta = deltaBetween(contentOf(revision - 1, [prod]), contentOf(revision, [prod]));
    holder.receive({ type: 'delta', bytes: encodeDelta(delta, hash) });
  }
  holder.receive({ type: 'snapshot', bytes: encodeSnapshot(contentOf(9, [prod]), hash) });
  const next = deltaBetween(contentOf(10, [prod]), contentOf(11, [prod]));
  holder.receive({ type: 'delta', bytes: encodeDelta(next, hash) });
  while (sent.length < 4) await new Promise(setImmediate);
  t.match(sent, [
    { type: 'ack', epoch: EPOCH, revision: 5 },
    { type: 'resend', revision: 5 },
    { type: 'ack', epoch: EPOCH, revision: 9 },
    { type: 'resend', revision: 9 },
  ]);
  t.equal(sent.length, 4);
});
