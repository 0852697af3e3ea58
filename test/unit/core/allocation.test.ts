import fc from 'fast-check';
import { test } from 'tap';
import { allocationProblem, layoutAllocation } from '../../../src/core/allocation.ts';
import type { AllocationRange, WeightedVariant } from '../../../src/core/model.ts';

const NAMES = ['red', 'green', 'blue', '__proto__', 'constructor'];

function rollout(...entries: readonly (readonly [string, number])[]): readonly WeightedVariant[] {
  return entries.map(([variant, percentage]) => ({ variant, percentage }));
}

function owners(ranges: readonly AllocationRange[]): readonly string[] {
  return ranges.flatMap(([from, to, variant]) => new Array<string>(to - from).fill(variant));
}

/** Rollouts of some of the names in any order, with edges that sum to 10000. */
const anyRollout = fc
  .tuple(
    fc.shuffledSubarray(NAMES, { minLength: 1 }),
    fc.array(fc.integer({ min: 0, max: 10_000 }), { minLength: 4, maxLength: 4 }),
  )
  .map(([names, cuts]): readonly WeightedVariant[] => {
    const bounds = [0, ...cuts.slice(0, names.length - 1).sort((a, b) => a - b), 10_000];
    return names.map((variant, i) => ({
      variant,
      percentage: ((bounds[i + 1] as number) - (bounds[i] as number)) / 100,
    }));
  });

/** A layout that has been through some changes of weights. */
const anyLayout = fc.array(anyRollout, { minLength: 1, maxLength: 6 }).map((steps) => {
  let ranges: readonly AllocationRange[] | undefined;
  for (const step of steps) ranges = layoutAllocation(step, ranges);
  return { rollout: steps.at(-1) as readonly WeightedVariant[], ranges: ranges as readonly AllocationRange[] };
});

function weight(entries: readonly WeightedVariant[], name: string): number {
  return Math.round((entries.find(({ variant }) => variant === name)?.percentage ?? 0) * 100);
}

test('a fresh layout follows the order of the rollout from bucket 0, without variants of 0 %', (t) => {
  t.same(layoutAllocation(rollout(['red', 50], ['blue', 50]), undefined), [
    [0, 5000, 'red'],
    [5000, 10000, 'blue'],
  ]);
  t.same(layoutAllocation(rollout(['red', 0], ['blue', 33.33], ['green', 66.67]), undefined), [
    [0, 3333, 'blue'],
    [3333, 10000, 'green'],
  ]);
  t.same(layoutAllocation(rollout(['red', 100], ['blue', 0]), undefined), [[0, 10000, 'red']]);
  t.end();
});

test('a variant that shrinks gives up its highest buckets, and those that grow take them lowest first in the order of the rollout', (t) => {
  const before = layoutAllocation(rollout(['red', 50], ['blue', 50]), undefined);
  t.same(layoutAllocation(rollout(['red', 40], ['blue', 40], ['green', 20]), before), [
    [0, 4000, 'red'],
    [4000, 5000, 'green'],
    [5000, 9000, 'blue'],
    [9000, 10000, 'green'],
  ]);
  t.same(layoutAllocation(rollout(['green', 15], ['red', 40], ['black', 5], ['blue', 40]), before), [
    [0, 4000, 'red'],
    [4000, 5000, 'green'],
    [5000, 9000, 'blue'],
    [9000, 9500, 'green'],
    [9500, 10000, 'black'],
  ]);
  t.end();
});

test('removing a variant from the rollout is giving it a weight of 0', (t) => {
  const before = layoutAllocation(rollout(['red', 20], ['green', 30], ['blue', 50]), undefined);
  t.same(layoutAllocation(rollout(['red', 50], ['blue', 50]), before), [
    [0, 5000, 'red'],
    [5000, 10000, 'blue'],
  ]);
  t.end();
});

test('the ranges always partition the buckets in the shares of the rollout, and neighbours are never the same variant', (t) => {
  fc.assert(
    fc.property(anyLayout, ({ rollout: weights, ranges }) => {
      const merged = ranges.every(([, , variant], i) => i === 0 || (ranges[i - 1] as AllocationRange)[2] !== variant);
      return merged && allocationProblem(ranges, weights) === undefined;
    }),
    { numRuns: 100 },
  );
  t.end();
});

test('a change of weights moves exactly the buckets that it must: the sum of what grew', (t) => {
  fc.assert(
    fc.property(anyLayout, anyRollout, (layout, next) => {
      const before = owners(layout.ranges);
      const after = owners(layoutAllocation(next, layout.ranges));
      const moved = after.filter((variant, bucket) => variant !== before[bucket]).length;
      return (
        moved === NAMES.reduce((sum, name) => sum + Math.max(0, weight(next, name) - weight(layout.rollout, name)), 0)
      );
    }),
    { numRuns: 100 },
  );
  t.end();
});

test('a variant that grows loses nobody, and one that shrinks keeps its lowest buckets', (t) => {
  fc.assert(
    fc.property(anyLayout, anyRollout, (layout, next) => {
      const before = owners(layout.ranges);
      const after = owners(layoutAllocation(next, layout.ranges));
      return NAMES.every((name) => {
        const had = [...before.keys()].filter((bucket) => before[bucket] === name);
        return had.slice(0, weight(next, name)).every((bucket) => after[bucket] === name);
      });
    }),
    { numRuns: 50 },
  );
  t.end();
});

test('reordering a rollout, and sending equal weights again, keeps the ranges bit for bit', (t) => {
  fc.assert(
    fc.property(
      anyLayout,
      ({ rollout: weights, ranges }) =>
        layoutAllocation([...weights].reverse(), ranges) === ranges && layoutAllocation(weights, ranges) === ranges,
    ),
    { numRuns: 50 },
  );
  t.end();
});

test('a layout that is not a partition in the shares of the rollout is told', (t) => {
  const halves = rollout(['a', 50], ['b', 50]);
  t.equal(
    allocationProblem(
      [
        [0, 5000, 'a'],
        [5000, 10000, 'b'],
      ],
      halves,
    ),
    undefined,
  );
  t.equal(
    allocationProblem(
      [
        [0, 2500, 'a'],
        [2500, 5000, 'a'],
        [5000, 10000, 'b'],
      ],
      halves,
    ),
    undefined,
  );
  for (const ranges of [
    [],
    [[0, 5000, 'a']],
    [
      [0, 5000, 'a'],
      [5001, 10000, 'b'],
    ],
    [
      [0, 5000, 'a'],
      [4999, 10000, 'b'],
    ],
    [
      [1, 5000, 'a'],
      [5000, 10000, 'b'],
    ],
    [
      [0, 5000, 'a'],
      [5000, 10001, 'b'],
    ],
    [
      [0, 5000, 'a'],
      [5000, 5000, 'c'],
      [5000, 10000, 'b'],
    ],
    [
      [0, 4999, 'a'],
      [4999, 10000, 'b'],
    ],
    [
      [0, 5000, 'a'],
      [5000, 10000, 'c'],
    ],
    [
      [0, Number.NaN, 'a'],
      [5000, 10000, 'b'],
    ],
    [
      [0, 0.5, 'a'],
      [0.5, 10000, 'b'],
    ],
  ] as AllocationRange[][]) {
    t.type(allocationProblem(ranges, halves), 'string', JSON.stringify(ranges));
  }
  t.end();
});
