import { type Test, test } from 'tap';
import type { ToPrimary } from '../../../src/ipc/messages.ts';
import { createHashBytes } from '../../../src/snapshot/checksum.ts';
import { encodeDelta, encodeSnapshot } from '../../../src/snapshot/encoding.ts';
import type { SnapshotContent } from '../../../src/snapshot/item.ts';
import { createHolder } from '../../../src/worker/holder.ts';
import { withoutBlobs } from '../../support/segments.ts';
import {
  contentOf,
  deltaBetween,
  EPOCH,
  environmentItem,
  flagItem,
  keyItem,
  secretItem,
} from '../../support/snapshot.ts';

const hash = await createHashBytes();
const prod = environmentItem('prod', 1, 1n);
const first = contentOf(5, [prod, flagItem('b', 2, 2n), flagItem('d', 3, 3n), keyItem('k', 4, 4n, 'hash-of-k')]);

function holding(_t: Test, faultCompileMs = 0) {
  const clock = { nowMs: 1_000_000 };
  const sent: ToPrimary[] = [];
  let heard: () => void = () => {};
  const holder = createHolder({
    hash,
    // Of CPU, so that a busy machine takes no turns away.
    now: () => (faultCompileMs > 0 ? process.cpuUsage().user / 1000 : clock.nowMs),
    warn: () => {},
    faultCompileMs,
    compile: withoutBlobs,
    send: (message) => {
      sent.push(message);
      heard();
    },
  });
  /** Gives the holder a message and waits for what it tells the primary of it. */
  async function take(message: Parameters<typeof holder.receive>[0]): Promise<ToPrimary> {
    const answered = new Promise<void>((resolve) => {
      heard = resolve;
    });
    holder.receive(message);
    await answered;
    return sent.at(-1) as ToPrimary;
  }
  const snapshot = (content: SnapshotContent) => take({ type: 'snapshot', bytes: encodeSnapshot(content, hash) });
  const delta = (before: SnapshotContent, after: SnapshotContent) =>
    take({ type: 'delta', bytes: encodeDelta(deltaBetween(before, after), hash) });
  return { holder, clock, sent, take, snapshot, delta };
}

function flagIds(holder: ReturnType<typeof createHolder>): string[] {
  return [...(holder.current?.environments.get('prod')?.flags.keys() ?? [])];
}

test('nothing is served before a snapshot is verified', async (t) => {
  const { holder, snapshot } = holding(t);
  t.equal(holder.current, undefined);
  t.same(await snapshot(first), { type: 'ack', epoch: EPOCH, revision: 5 });
  await holder.first;
  t.same(flagIds(holder), ['b', 'd']);
  t.equal(holder.current?.keysByHash.get('hash-of-k')?.keyId, 'k');
});

test('a delta puts, replaces and removes, keeps the order by flag_id, and leaves the old snapshot as it was', async (t) => {
  const { holder, snapshot, delta } = holding(t);
  await snapshot(first);
  const old = holder.current;
  const next = contentOf(6, [
    prod,
    flagItem('a', 6, 7n),
    flagItem('c', 6, 8n),
    flagItem('d', 6, 9n, { version: 2 }),
    flagItem('e', 6, 10n),
  ]);
  t.same(await delta(first, next), { type: 'ack', epoch: EPOCH, revision: 6 });
  t.same(flagIds(holder), ['a', 'c', 'd', 'e']);
  t.equal(holder.current?.environments.get('prod')?.flags.get('d')?.version, 2);
  t.equal(holder.current?.keysByHash.size, 0, 'the key is revoked');
  t.same([...(old?.environments.get('prod')?.flags.keys() ?? [])], ['b', 'd']);
  t.equal(old?.keysByHash.size, 1);
});

test('an environment that is added is served, and one that is removed is not', async (t) => {
  const { holder, snapshot, delta } = holding(t);
  await snapshot(first);
  const more = contentOf(6, [...first.items, environmentItem('qa', 6, 20n)]);
  await delta(first, more);
  t.same([...(holder.current?.environments.keys() ?? [])], ['prod', 'qa']);
  await delta(more, contentOf(7, first.items));
  t.same([...(holder.current?.environments.keys() ?? [])], ['prod']);
});

test('a delta from another revision, wrong sums and broken bytes are refused by asking for the whole', async (t) => {
  const { holder, snapshot, delta, take } = holding(t);
  await snapshot(first);
  const seven = contentOf(7, [prod]);
  t.match(await delta(contentOf(6, first.items), seven), {
    type: 'resend',
    revision: 5,
    reason: /delta from revision 6/,
  });
  const lying = { ...deltaBetween(first, seven), removes: [] };
  t.match(await take({ type: 'delta', bytes: encodeDelta(lying, hash) }), { type: 'resend', reason: /sum/ });
  const broken = Buffer.from(encodeSnapshot(seven, hash));
  broken[70] = (broken[70] as number) ^ 1;
  t.match(await take({ type: 'snapshot', bytes: broken }), { type: 'resend', reason: /hash/ });
  t.equal(holder.current?.revision, 5, 'and the old snapshot serves on');
  t.same(
    await delta(first, contentOf(6, [prod])),
    { type: 'ack', epoch: EPOCH, revision: 6 },
    'after which a right delta still applies',
  );
});

test('revisions never go back within one store', async (t) => {
  const { holder, snapshot } = holding(t);
  await snapshot(first);
  t.same(await snapshot(contentOf(4, [prod])), { type: 'ack', epoch: EPOCH, revision: 5 });
  t.equal(holder.current?.revision, 5);
});

test('another store replaces the snapshot whatever its revision', async (t) => {
  const { holder, snapshot } = holding(t);
  await snapshot(first);
  await snapshot(contentOf(2, [prod], 'another-epoch'));
  t.equal(holder.current?.revision, 2);
  t.equal(holder.current?.epoch, 'another-epoch');
});

test('a document that does not compile is quarantined and the rest is served', async (t) => {
  const { holder, snapshot } = holding(t);
  const broken = { ...flagItem('broken', 2, 30n), json: '{"flag_id":"broken","rollout_percentage":"NaN"}' };
  await snapshot(contentOf(5, [prod, broken, flagItem('whole', 2, 31n)]));
  const flags = holder.current?.environments.get('prod')?.flags;
  t.type(flags?.get('broken')?.quarantined, 'string');
  t.equal(flags?.get('whole')?.quarantined, undefined);
});

test('waiting for a revision ends when it comes, and in a refusal when it does not', async (t) => {
  const { holder, snapshot, sent } = holding(t);
  await snapshot(first);
  t.equal(await holder.waitFor(5, 1000), true);
  const waiting = holder.waitFor(6, 60_000);
  t.same(sent.at(-1), { type: 'want', revision: 6 }, 'the primary is told at once');
  await snapshot(contentOf(6, [prod]));
  t.equal(await waiting, true);
  t.equal(await holder.waitFor(7, 1), false);
});

test('a snapshot that nobody confirmed for five seconds is stale and says for how long', async (t) => {
  const { holder, snapshot, clock } = holding(t);
  await snapshot(first);
  clock.nowMs += 4_999;
  t.equal(holder.staleSeconds(), 0);
  clock.nowMs += 2_001;
  t.equal(holder.staleSeconds(), 7);
  holder.receive({ type: 'confirmed', revision: 6, tier: 'store' });
  t.equal(holder.staleSeconds(), 7, 'the confirmation of a revision that is not here confirms nothing');
  holder.receive({ type: 'confirmed', revision: 5, tier: 'store' });
  t.equal(holder.staleSeconds(), 0);
  t.equal(holder.tier, 'store');
});

test('a compile that takes long leaves the loop free between slices of at most 5 ms', async (t) => {
  const { holder, snapshot, delta } = holding(t, 200);
  await snapshot(first);
  let turns = 0;
  const ticking = setInterval(() => turns++, 1);
  t.teardown(() => clearInterval(ticking));
  await delta(first, contentOf(6, [prod]));
  t.equal(holder.current?.revision, 6);
  t.ok(turns >= 10, `${turns} timer turns during 200 ms of compiling`);
});

test('ten thousand flags compile in slices', async (t) => {
  const { holder, snapshot } = holding(t);
  const many = Array.from({ length: 10_000 }, (_, i) =>
    flagItem(`flag-${String(i).padStart(5, '0')}`, 1, BigInt(i + 100)),
  );
  const compiled = snapshot(contentOf(1, [prod, ...many]));
  let turns = 0;
  const count = () => {
    turns++;
    if (holder.current === undefined) setImmediate(count);
  };
  setImmediate(count);
  await compiled;
  t.equal(flagIds(holder).length, 10_000);
  t.ok(turns > 3, `${turns} turns of the loop meanwhile`);
});

test('the secret of streams counts with the keys, outlives deltas that do not name it, and can be replaced', async (t) => {
  const { holder, snapshot, delta } = holding(t);
  const hex = (): string => Buffer.from(holder.current?.streamSecret ?? []).toString('hex');
  const one = contentOf(5, [prod, secretItem(2, 9n, 'ab'.repeat(32))]);
  t.equal(one.head.sumKeys, 9n);
  await snapshot(one);
  t.equal(hex(), 'ab'.repeat(32));
  const two = contentOf(6, [...one.items, flagItem('a', 6, 7n)]);
  t.match(await delta(one, two), { type: 'ack' });
  t.equal(hex(), 'ab'.repeat(32));
  const three = contentOf(7, [prod, secretItem(7, 11n, 'cd'.repeat(32)), flagItem('a', 6, 7n)]);
  t.match(await delta(two, three), { type: 'ack' });
  t.equal(hex(), 'cd'.repeat(32));
  const four = contentOf(8, [prod, secretItem(8, 13n, 'not hex'), flagItem('a', 6, 7n)]);
  t.match(await delta(three, four), { type: 'ack' }, 'one that cannot be read stops nothing else');
  t.equal(holder.current?.streamSecret, undefined);
});

test('whoever asked is told of each swap, after it', async (t) => {
  const { holder, snapshot, delta } = holding(t);
  const seen: (number | undefined)[] = [];
  holder.onSwap(() => void seen.push(holder.current?.revision));
  await snapshot(first);
  const next = contentOf(6, [...first.items, flagItem('e', 6, 5n)]);
  await delta(first, next);
  await delta(first, next);
  t.same(seen, [5, 6], 'and of no delta that was not taken');
});
