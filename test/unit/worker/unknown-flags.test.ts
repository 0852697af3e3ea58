import { test } from 'tap';
import { limits } from '../../../src/limits.ts';
import { createUnknownFlags, type UnknownFlagCounts } from '../../../src/worker/unknown-flags.ts';

const HOUR_MS = 3_600_000;

function start(): { counts: UnknownFlagCounts; clock: { ms: number }; metric: () => number } {
  const clock = { ms: 1000 };
  let metric = 0;
  const tallies = { count: (_name: string, by: number) => void (metric += by) };
  return { counts: createUnknownFlags({ now: () => clock.ms, tallies }), clock, metric: () => metric };
}

test('a report tells what has changed, in sums', (t) => {
  const { counts, clock, metric } = start();
  t.equal(counts.takeReport(), undefined);
  counts.count('prod', 'chekout', 1);
  counts.count('dev', 'chekout', 2);
  clock.ms = 1250;
  counts.count('prod', 'chekout', 3);
  counts.count('prod', 'none', 0);
  const first = { environment: 'prod', flagId: 'chekout', count: 4, firstMs: 1000, lastMs: 1250 };
  const dev = { environment: 'dev', flagId: 'chekout', count: 2, firstMs: 1000, lastMs: 1000 };
  t.same(counts.takeReport(), { sinceMs: 1000, flags: [first, dev], otherCount: 0 });
  t.equal(counts.takeReport(), undefined);
  counts.count('prod', 'chekout', 1);
  t.same(counts.takeReport()?.flags, [{ ...first, count: 5 }]);
  counts.retell();
  t.same(counts.takeReport()?.flags, [{ ...first, count: 5 }, dev]);
  t.equal(metric(), 7);
  t.end();
});

test('names are cut, and past the last there is one sum for all others', (t) => {
  const { counts, clock } = start();
  counts.count('prod', `${'x'.repeat(limits.unknownFlagCharsMax)}1`, 1);
  counts.count('prod', `${'x'.repeat(limits.unknownFlagCharsMax)}2`, 1);
  for (let i = 1; i < limits.unknownFlagsMax + 5; i++) counts.count('prod', `f${i}`, 2);
  const report = counts.takeReport();
  t.equal(report?.flags.length, limits.unknownFlagsMax);
  t.match(report?.flags[0], { flagId: 'x'.repeat(limits.unknownFlagCharsMax), count: 2 });
  t.equal(report?.otherCount, 10);
  counts.count('prod', 'f1', 1);
  t.match(counts.takeReport(), { flags: [{ flagId: 'f1', count: 3 }], otherCount: 10 }, 'what is known goes on');

  clock.ms += HOUR_MS;
  counts.count('prod', 'late', 1);
  t.match(
    counts.takeReport(),
    { sinceMs: 1000, flags: [], otherCount: 11 },
    'everything was told before it is forgotten',
  );
  counts.count('prod', 'late', 1);
  t.match(counts.takeReport(), { sinceMs: clock.ms, flags: [{ flagId: 'late', count: 1 }], otherCount: 0 });
  t.end();
});

test('names that leave room for others are kept however long', (t) => {
  const { counts, clock } = start();
  counts.count('prod', 'chekout', 1);
  t.match(counts.takeReport(), { sinceMs: 1000, flags: [{ count: 1 }] });
  clock.ms += 2 * HOUR_MS;
  counts.count('prod', 'chekout', 1);
  counts.takeReport();
  counts.count('prod', 'chekout', 1);
  t.match(counts.takeReport(), { sinceMs: 1000, flags: [{ count: 3, firstMs: 1000 }] });
  t.end();
});
