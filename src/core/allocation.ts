// Which buckets each variant of a split gets. Boolean rollouts need none of this: they are always [0, edge). With more
// variants, laying the ranges out again at each change of weights would move users who need not move, so a split keeps
// its ranges and a change moves as few buckets as the weights demand.
import type { AllocationRange, WeightedVariant } from './model.ts';
import { BUCKET_COUNT, percentageToEdge } from './percentage.ts';

/**
 * The ranges for a rollout: sorted, adjacent, covering [0, 10000), neighbours of one variant merged.
 *
 * Without `previous` they follow the order of `rollout` from bucket 0. With it, a variant that shrinks gives up its
 * highest buckets and those that grow take the freed ones, lowest first, in the order of `rollout`: the buckets that
 * change hands are exactly the sum of what grew, reordering moves none, and equal weights keep `previous` as it is.
 *
 * @param rollout edges of its percentages sum to 10000, no variant twice
 * @param previous ranges that cover [0, 10000)
 */
export function layoutAllocation(
  rollout: readonly WeightedVariant[],
  previous: readonly AllocationRange[] | undefined,
): readonly AllocationRange[] {
  const wanted = bucketsByVariant(rollout);
  if (previous === undefined) {
    return toRanges(rollout.flatMap(({ variant }) => new Array<string>(wanted.get(variant) ?? 0).fill(variant)));
  }
  if (hasWeights(previous, wanted)) return previous;

  const owners = previous.flatMap(([from, to, variant]) => new Array<string>(to - from).fill(variant));
  const freed: number[] = [];
  const kept = new Map<string, number>();
  // Upwards, so that the first `wanted` buckets of a variant stay and its highest go.
  owners.forEach((variant, bucket) => {
    const count = kept.get(variant) ?? 0;
    if (count < (wanted.get(variant) ?? 0)) kept.set(variant, count + 1);
    else freed.push(bucket);
  });
  let next = 0;
  for (const { variant } of rollout) {
    const growth = (wanted.get(variant) ?? 0) - (kept.get(variant) ?? 0);
    for (const bucket of freed.slice(next, next + growth)) owners[bucket] = variant;
    next += growth;
  }
  return toRanges(owners);
}

/** Why these ranges are not an allocation of this rollout; undefined when they are. */
export function allocationProblem(
  ranges: readonly AllocationRange[],
  rollout: readonly WeightedVariant[],
): string | undefined {
  let expected = 0;
  for (const [from, to] of ranges) {
    if (!Number.isInteger(from) || !Number.isInteger(to) || from !== expected || to <= from || to > BUCKET_COUNT) {
      return 'must be ranges [from, to) that follow each other from 0 to 10000';
    }
    expected = to;
  }
  if (expected !== BUCKET_COUNT) return 'must be ranges [from, to) that follow each other from 0 to 10000';
  return hasWeights(ranges, bucketsByVariant(rollout))
    ? undefined
    : 'must give each variant as many buckets as its percentage';
}

/** Buckets of each variant that has any. */
function bucketsByVariant(rollout: readonly WeightedVariant[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { variant, percentage } of rollout) {
    const count = percentageToEdge(percentage) ?? 0;
    if (count > 0) counts.set(variant, count);
  }
  return counts;
}

function hasWeights(ranges: readonly AllocationRange[], wanted: ReadonlyMap<string, number>): boolean {
  const counts = new Map<string, number>();
  for (const [from, to, variant] of ranges) counts.set(variant, (counts.get(variant) ?? 0) + to - from);
  return counts.size === wanted.size && [...counts].every(([variant, count]) => wanted.get(variant) === count);
}

function toRanges(owners: readonly string[]): readonly AllocationRange[] {
  const ranges: AllocationRange[] = [];
  let from = 0;
  for (let to = 1; to <= owners.length; to++) {
    if (to < owners.length && owners[to] === owners[from]) continue;
    ranges.push([from, to, owners[from] as string]);
    from = to;
  }
  return ranges;
}
