import fc from 'fast-check';
import { test } from 'tap';
import type { UnknownFlags } from '../../../src/ipc/messages.ts';
import { limits } from '../../../src/limits.ts';
import { createNodeUnknownFlags } from '../../../src/primary/unknown-flags.ts';
import { createUnknownFlags } from '../../../src/worker/unknown-flags.ts';

const report = (counts: Record<string, number>, more: Partial<UnknownFlags> = {}): UnknownFlags => ({
  sinceMs: 100,
  flags: Object.entries(counts).map(([flagId, count]) => ({
    environment: 'prod',
    flagId,
    count,
    firstMs: 200,
    lastMs: 300,
  })),
  otherCount: 0,
  ...more,
});
const countsOf = ({ flags }: UnknownFlags): Record<string, number> =>
  Object.fromEntries(flags.map(({ flagId, count }) => [flagId, count]));

test('workers are added up, a report that comes twice changes nothing, and the dead are still counted', (t) => {
  const node = createNodeUnknownFlags(() => 1000);
  node.receive('1-1', report({ a: 3 }));
  node.receive('1-1', report({ a: 3 }));
  node.receive('2-1', report({ a: 1, b: 1 }, { sinceMs: 50, otherCount: 4 }));
  node.receive('1-1', report({ a: 5 }));
  t.same(countsOf(node.report()), { a: 6, b: 1 });
  node.workerDied('1-1');
  node.receive('1-2', report({ a: 1 }));
  t.same(countsOf(node.report()), { a: 7, b: 1 });
  t.match(node.report(), { sinceMs: 50, otherCount: 4 });
  node.receive('2-1', report({ b: 2 }, { sinceMs: 5000, otherCount: 1 }));
  t.match(countsOf(node.report()), { b: 3 }, 'a worker that begins again counts on top');
  t.equal(node.report().otherCount, 5);
  t.end();
});

test('when there are too many the least asked for go first, into the sum of all others', (t) => {
  const node = createNodeUnknownFlags(() => 0);
  for (let worker = 0; worker < 4; worker++) {
    const names = Array.from({ length: limits.unknownFlagsMax }, (_, i) => [`w${worker}-${i}`, worker + 1] as const);
    node.receive(`${worker}-1`, report(Object.fromEntries(names)));
  }
  const { flags, otherCount } = node.report();
  t.equal(flags.length, limits.unknownFlagsMax);
  t.ok(flags.every(({ count }) => count === 4));
  t.equal(otherCount, limits.unknownFlagsMax * (1 + 2 + 3));
  t.end();
});

test('1,000 runs of workers that lose links and of primaries that die count every evaluation once', (t) => {
  const event = fc.oneof(
    { weight: 6, arbitrary: fc.tuple(fc.constant('count' as const), fc.nat(1), fc.constantFrom('a', 'b', 'c')) },
    { weight: 3, arbitrary: fc.tuple(fc.constantFrom('beat', 'relink', 'repeat'), fc.nat(1), fc.constant('')) },
    { weight: 1, arbitrary: fc.tuple(fc.constant('new primary'), fc.nat(1), fc.constant('')) },
  );
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      const workers = [0, 1].map(() => createUnknownFlags({ now: () => 1, tallies: { count: () => {} } }));
      let node = createNodeUnknownFlags(() => 1);
      const expected: Record<string, number> = {};
      let last: readonly [number, UnknownFlags] | undefined;
      const beat = (index: number): void => {
        const told = workers[index]?.takeReport();
        if (told === undefined) return;
        node.receive(`${index}-1`, told);
        last = [index, told];
      };
      for (const [what, index, name] of events) {
        if (what === 'count') {
          workers[index]?.count('prod', name, 1);
          expected[name] = (expected[name] ?? 0) + 1;
        } else if (what === 'beat') beat(index);
        else if (what === 'relink') {
          // What was under way is lost.
          workers[index]?.takeReport();
          workers[index]?.retell();
        } else if (what === 'repeat' && last !== undefined) node.receive(`${last[0]}-1`, last[1]);
        else if (what === 'new primary') {
          node = createNodeUnknownFlags(() => 1);
          last = undefined;
          for (const worker of workers) worker.retell();
        }
      }
      for (const index of [0, 1]) beat(index);
      const counted = countsOf(node.report());
      return Object.keys({ ...expected, ...counted }).every((name) => expected[name] === counted[name]);
    }),
    { numRuns: 1000 },
  );
  t.end();
});
