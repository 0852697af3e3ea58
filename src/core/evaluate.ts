// Hot path.
// One flag for one user. Everything that can be said was made when the flag was compiled; this chooses among it.
import { bucketKey, bucketOf } from './bucketing.ts';
import type {
  CompiledFlag,
  CompiledRule,
  CompiledServe,
  CompiledSplit,
  EvaluationContext,
  EvaluationScope,
  HashUser,
  Observer,
  Outcome,
} from './compiled.ts';
import { CHARS_PER_STEP_LOG2, STEPS_PER_NODE } from './condition-steps.ts';
import { documentLimits } from './document-limits.ts';
import { type Guard, holds } from './holds.ts';
import type { Prerequisite } from './model.ts';

// Evaluations are synchronous and none begins inside another, so that one guard serves them all.
const guard: Guard = { flagsLeft: 0, stepsLeft: 0, broken: false, endless: false };

/** Of one evaluation: what so many simple conditions take. */
export const EVALUATION_STEPS_MAX = documentLimits.conditionEvaluationsMax * STEPS_PER_NODE;

/** What a request may take for all of its evaluations. Below 1 it is spent, and the last answer is not to be given. */
export interface Allowance {
  stepsLeft: number;
}

/**
 * The flag's answer for this context, in the order of the contract: disabled, prerequisites, targets, rules, rollout.
 * Always one of the outcomes made at compile; never throws. A flag that did not compile answers QUARANTINED by its
 * `disabled` outcome, one that depends on what is missing or goes round in a circle by its `unsound` one.
 * @param scope the flag's environment in the snapshot that the flag is from
 * @param observer is told what is looked at; left out, nothing is recorded
 * @param allowance what the evaluation takes is taken from it; left out, only its own end bounds it
 */
export function evaluate(
  flag: CompiledFlag,
  context: EvaluationContext,
  scope: EvaluationScope,
  hash: HashUser,
  observer?: Observer,
  allowance?: Allowance,
): Outcome {
  const stepsMax = allowance === undefined ? EVALUATION_STEPS_MAX : Math.min(EVALUATION_STEPS_MAX, allowance.stepsLeft);
  guard.flagsLeft = documentLimits.prerequisiteEvaluationsMax;
  guard.stepsLeft = stepsMax;
  guard.broken = false;
  guard.endless = false;
  const outcome = decide(flag, context, scope, hash, 0, observer);
  if (allowance !== undefined) allowance.stepsLeft -= stepsMax - guard.stepsLeft;
  return guard.broken || guard.endless ? flag.unsound : outcome;
}

/** `depth`: flags that wait for this one as their prerequisite. */
function decide(
  flag: CompiledFlag,
  context: EvaluationContext,
  scope: EvaluationScope,
  hash: HashUser,
  depth: number,
  observer: Observer | undefined,
): Outcome {
  if (!flag.enabled) return flag.disabled;
  const prerequisites = flag.prerequisites;
  if (prerequisites !== undefined) {
    for (let i = 0; i < prerequisites.length; i++) {
      const prerequisite = prerequisites[i] as Prerequisite;
      if (!isMet(prerequisite, context, scope, hash, depth, observer)) return flag.prerequisiteFailed;
    }
  }
  if (flag.targets !== undefined) {
    const target = flag.targets.get(context.userId);
    if (observer !== undefined && depth === 0) observer.target(target);
    if (target !== undefined) return target;
  }
  const rules = flag.rules;
  if (rules !== undefined) {
    for (let i = 0; i < rules.length; i++) {
      const rule = rules[i] as CompiledRule;
      const matched = holds(rule.when, context, scope, guard, 0, observer);
      // Below depth 0 a prerequisite is decided: its own rules are not this flag's story.
      if (observer !== undefined && depth === 0) observer.rule(rule, matched);
      if (matched) return serve(flag, rule, context, hash);
    }
  }
  return serve(flag, flag, context, hash);
}

function isMet(
  prerequisite: Prerequisite,
  context: EvaluationContext,
  scope: EvaluationScope,
  hash: HashUser,
  depth: number,
  observer: Observer | undefined,
): boolean {
  const flag = scope.flags.get(prerequisite.flag_id);
  let served: Outcome | undefined;
  if (flag !== undefined) {
    if (depth >= documentLimits.prerequisiteDepthMax || guard.flagsLeft === 0 || guard.stepsLeft <= 0) {
      guard.endless = true;
      return false;
    }
    guard.flagsLeft--;
    served = decide(flag, context, scope, hash, depth + 1, observer);
    if (guard.broken) {
      // What is wrong with its own rules makes the prerequisite QUARANTINED, as when it is asked itself, and not this one.
      guard.broken = false;
      served = flag.unsound;
    }
  }
  const met = served?.satisfies === true && served.variant === prerequisite.variant;
  if (observer !== undefined && depth === 0)
    observer.prerequisite(prerequisite.flag_id, prerequisite.variant, served, met);
  return met;
}

/** What a rule, or the flag itself, gives to this context. A rule's split uses the flag's bucket. */
export function serve(flag: CompiledFlag, choice: CompiledServe, context: EvaluationContext, hash: HashUser): Outcome {
  if (choice.fixed !== undefined) return choice.fixed;
  const key = bucketKey(flag, context);
  if (key === undefined) return flag.bucketKeyMissing;
  // A long user_id takes longer to hash than the rules to try, and each prerequisite hashes it again.
  guard.stepsLeft -= key.length >> CHARS_PER_STEP_LOG2;
  return outcomeAt(choice.split as CompiledSplit, bucketOf(hash(key, flag.hashSuffix)));
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
