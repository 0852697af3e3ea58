import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { evaluate } from '../../../src/core/evaluate.ts';
import { EMPTY_LIST } from '../../../src/core/id-list.ts';
import type { ToPrimary } from '../../../src/ipc/messages.ts';
import { hashUser } from '../../../src/kernel/murmur3.ts';
import { createReadBlob } from '../../../src/snapshot/blob-file.ts';
import { createHashBytes } from '../../../src/snapshot/checksum.ts';
import { encodeDelta, encodeSnapshot } from '../../../src/snapshot/encoding.ts';
import type { SnapshotContent } from '../../../src/snapshot/item.ts';
import { createHolder } from '../../../src/worker/holder.ts';
import { blobOf, listOf, putBlob, segmentItem } from '../../support/segments.ts';
import { contentOf, deltaBetween, EPOCH, environmentItem, flagItem } from '../../support/snapshot.ts';

const hash = await createHashBytes();
const prod = environmentItem('prod', 1, 1n);
const flag = flagItem('f', 1, 2n, {
  rollout_percentage: 0,
  rules: [{ rule_id: 'r', description: '', when: { segment: 's' }, serve: { variant: 'on' } }],
});
const people = blobOf(['ann', 'bob', 'żółw']);

function holding(t: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'burgee-blobs-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const reads: string[] = [];
  const readBlob = createReadBlob(folder, hashUser);
  let heard: (message: ToPrimary) => void = () => {};
  const holder = createHolder({
    hash,
    now: () => 0,
    warn: () => {},
    faultCompileMs: 0,
    send: (message) => heard(message),
    compile: {
      hashUser,
      readBlob(ref) {
        reads.push(ref.hash);
        return readBlob(ref);
      },
    },
  });
  function take(message: Parameters<typeof holder.receive>[0]): Promise<ToPrimary> {
    return new Promise((resolve) => {
      heard = resolve;
      holder.receive(message);
    });
  }
  const reasonFor = (userId: string): string | undefined => {
    const scope = holder.current?.environments.get('prod');
    const compiled = scope?.flags.get('f');
    if (scope === undefined || compiled === undefined) return undefined;
    return evaluate(compiled, { userId, attributes: undefined }, scope, hashUser).reason;
  };
  return {
    folder,
    holder,
    reads,
    reasonFor,
    snapshot: (content: SnapshotContent) => take({ type: 'snapshot', bytes: encodeSnapshot(content, hash) }),
    delta: (before: SnapshotContent, after: SnapshotContent) =>
      take({ type: 'delta', bytes: encodeDelta(deltaBetween(before, after), hash) }),
    segments: () => [...(holder.current?.environments.get('prod')?.segments.keys() ?? [])],
  };
}

test('a segment answers from the file of its ids', async (t) => {
  const { folder, snapshot, reasonFor, reads } = holding(t);
  putBlob(folder, people);
  const first = contentOf(5, [
    prod,
    flag,
    segmentItem('s', 1, 3n, { included: listOf(people), excluded: listOf(people, [], ['bob', 'żółw']) }),
  ]);
  t.same(await snapshot(first), { type: 'ack', epoch: EPOCH, revision: 5 });
  t.same(reads, [people.ref.hash], 'a blob that is named twice is read once');
  t.equal(reasonFor('ann'), 'STATIC', 'excluded wins');
  t.equal(reasonFor('bob'), 'RULE_MATCH');
  t.equal(reasonFor('żółw'), 'RULE_MATCH');
  t.equal(reasonFor('eve'), 'STATIC');
});

test('one more id comes with the delta, and no file is read for it', async (t) => {
  const { folder, snapshot, delta, reasonFor, reads, holder } = holding(t);
  putBlob(folder, people);
  const first = contentOf(5, [prod, flag, segmentItem('s', 1, 3n, { included: listOf(people) })]);
  await snapshot(first);
  const old = holder.current;
  const second = contentOf(6, [prod, flag, segmentItem('s', 6, 4n, { included: listOf(people, ['eve'], ['ann']) })]);
  t.same(await delta(first, second), { type: 'ack', epoch: EPOCH, revision: 6 });
  t.same(reads, [people.ref.hash]);
  t.same(['ann', 'bob', 'eve'].map(reasonFor), ['STATIC', 'RULE_MATCH', 'RULE_MATCH']);
  t.notOk(old?.environments.get('prod')?.segments.get('s')?.included?.has('eve'), 'the old snapshot is as it was');
  const third = contentOf(7, [prod, flag, segmentItem('s', 7, 5n)]);
  await delta(second, third);
  await delta(third, contentOf(8, [prod, flag, segmentItem('s', 8, 6n, { included: listOf(people) })]));
  t.equal(reads.length, 2, 'what nobody named any more was let go');
  t.equal(reasonFor('ann'), 'RULE_MATCH');
});

test('segments come, go and keep their order', async (t) => {
  const { snapshot, delta, segments, reasonFor } = holding(t);
  const first = contentOf(5, [prod, flag, segmentItem('s', 1, 3n), segmentItem('b', 1, 4n)]);
  await snapshot(first);
  t.same(segments(), ['b', 's']);
  const second = contentOf(6, [prod, flag, segmentItem('a', 6, 5n), segmentItem('b', 6, 6n), segmentItem('c', 6, 7n)]);
  await delta(first, second);
  t.same(segments(), ['a', 'b', 'c']);
  t.equal(reasonFor('ann'), 'QUARANTINED', 'the flag asks a segment that is gone');
});

test('a blob that is missing, cut or another one is refused, and the last snapshot serves on', async (t) => {
  const { folder, snapshot, delta, reasonFor, holder } = holding(t);
  putBlob(folder, people);
  const first = contentOf(5, [prod, flag, segmentItem('s', 1, 3n, { included: listOf(people) })]);
  await snapshot(first);
  const others = blobOf(['eve']);
  const path = join(folder, others.ref.hash);
  const second = contentOf(6, [prod, flag, segmentItem('s', 6, 4n, { included: listOf(others) })]);
  t.match(await delta(first, second), { type: 'resend', revision: 5, reason: /no such file/ });
  putBlob(folder, others);
  truncateSync(path, others.ref.bytes - 1);
  t.match(await snapshot(second), { type: 'resend', reason: /bytes and not/ });
  writeFileSync(
    path,
    others.bytes.map((byte, i) => (i === others.bytes.length - 1 ? byte ^ 1 : byte)),
  );
  t.match(await snapshot(second), { type: 'resend', reason: /other bytes than its name says/ });
  t.equal(holder.current?.revision, 5);
  t.equal(reasonFor('ann'), 'RULE_MATCH');
  putBlob(folder, others);
  t.match(await snapshot(second), { type: 'ack', revision: 6 });
  t.equal(reasonFor('ann'), 'STATIC');
  t.equal(reasonFor('eve'), 'RULE_MATCH');
});

test('a segment that the primary calls lost is quarantined, until the same revision comes without', async (t) => {
  const { folder, snapshot, reasonFor } = holding(t);
  const item = { included: listOf(people) };
  await snapshot(contentOf(5, [prod, flag, segmentItem('s', 1, 3n, { ...item, lost: 'the store has no such blob' })]));
  t.equal(reasonFor('ann'), 'QUARANTINED');
  putBlob(folder, people);
  await snapshot(contentOf(5, [prod, flag, segmentItem('s', 1, 3n, item)]));
  t.equal(reasonFor('ann'), 'RULE_MATCH');
});

test('a broken segment is quarantined and another serves', async (t) => {
  const { snapshot, reasonFor, holder } = holding(t);
  const broken = { ...segmentItem('s', 1, 3n), json: '{"document":1}' };
  await snapshot(
    contentOf(5, [prod, flag, broken, segmentItem('u', 1, 4n, { included: { ...EMPTY_LIST, count: 1 } })]),
  );
  const segments = holder.current?.environments.get('prod')?.segments;
  t.type(segments?.get('s')?.quarantined, 'string');
  t.equal(segments?.get('u')?.quarantined, undefined);
  t.equal(reasonFor('ann'), 'QUARANTINED');
});
