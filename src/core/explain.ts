// Why a flag answered as it did, from which percentage on it would answer otherwise, and what would have to change.
// The answer is the evaluator's own: it is asked once, with an observer that writes down what it looks at.
import { bucketKey, bucketOf } from './bucketing.ts';
import type { CompiledFlag, EvaluationContext, EvaluationScope, HashUser, Outcome } from './compiled.ts';
import { evaluate } from './evaluate.ts';
import { makeSteps, type Step, startRecording, weightedChoice } from './explain-steps.ts';
import { type ExplainBudget, explainLimits, startWork } from './explain-work.ts';
import type { Flip } from './flip-change.ts';
import { findFlips } from './flips.ts';
import { edgeToPercentage } from './percentage.ts';

export interface Trace {
  /** 0 to 9999; null: there is nothing to hash. */
  readonly bucket: number | null;
  /** The percentage from which on this bucket is within; null: no percentage decided. */
  readonly enters_at: number | null;
  readonly steps: readonly Step[];
  readonly flips: readonly Flip[];
  /** False: the search was cut short, and there may be other flips. */
  readonly flips_complete: boolean;
}

export interface Explanation {
  /** What `evaluate` says. */
  readonly outcome: Outcome;
  readonly trace: Trace;
}

/** An explained evaluation. Never throws, and its work and size are bounded by the budget, which it takes from. */
export function explain(
  flag: CompiledFlag,
  context: EvaluationContext,
  scope: EvaluationScope,
  hash: HashUser,
  options: {
    readonly budget: ExplainBudget;
    /** Other flags that may be told of. */
    readonly isVisible: (flag: CompiledFlag) => boolean;
  },
): Explanation {
  const { budget, isVisible } = options;
  const recording = startRecording(flag);
  const outcome = evaluate(flag, context, scope, hash, recording.observer, budget.allowance);
  const key = flag.quarantined === undefined ? bucketKey(flag, context) : undefined;
  const bucket = key === undefined ? null : bucketOf(hash(key, flag.hashSuffix));
  const isWeighted = weightedChoice(flag, recording, outcome) !== undefined;
  const share = { nodesLeft: Math.min(explainLimits.traceConditionsMax, budget.nodesLeft) };
  const nodesBefore = share.nodesLeft;
  const steps = makeSteps({ flag, context, scope, outcome, recording, bucket, isVisible }, share);
  budget.nodesLeft -= nodesBefore - share.nodesLeft;
  const { flips, isComplete } = findFlips({ flag, context, scope }, outcome, hash, startWork(budget), isVisible);
  return {
    outcome,
    trace: {
      bucket,
      enters_at: isWeighted && bucket !== null ? edgeToPercentage(bucket + 1) : null,
      steps,
      flips,
      flips_complete: isComplete,
    },
  };
}
