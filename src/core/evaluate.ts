// Hot path.
// One flag for one user. Everything that can be said was made when the flag was compiled; this chooses among it.
import { bucketKey, bucketOf } from './bucketing.ts';
import type { CompiledFlag, CompiledSplit, EvaluationContext, HashUser, Outcome } from './compiled.ts';

/**
 * The flag's answer for this context, in the order of the contract: disabled, target, rollout. Always one of the
 * outcomes made at compile. A flag that did not compile answers QUARANTINED by its `disabled` outcome.
 */
export function evaluate(flag: CompiledFlag, context: EvaluationContext, hash: HashUser): Outcome {
  if (!flag.enabled) return flag.disabled;
  if (flag.targets !== undefined) {
    const target = flag.targets.get(context.userId);
    if (target !== undefined) return target;
  }
  if (flag.fixed !== undefined) return flag.fixed;
  const key = bucketKey(flag, context);
  if (key === undefined) return flag.bucketKeyMissing;
  return outcomeAt(flag.split as CompiledSplit, bucketOf(hash(key, flag.hashSuffix)));
}

/** The outcome whose range holds the bucket: the first whose exclusive upper edge is above it. */
function outcomeAt(split: CompiledSplit, bucket: number): Outcome {
  const edges = split.edges;
  let low = 0;
  let high = edges.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (bucket < (edges[middle] as number)) high = middle;
    else low = middle + 1;
  }
  return split.outcomes[low] as Outcome;
}
