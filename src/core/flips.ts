// The smallest changes that would give another answer. Plans come from solving the conditions backwards; each becomes
// concrete changes, and only what gave another answer when it was really evaluated, and of which no part alone did, is
// offered.
import { attributeOf } from './attribute.ts';
import type { CompiledFlag, EvaluationContext, HashUser, Outcome } from './compiled.ts';
import { evaluate } from './evaluate.ts';
import { explainLimits, visitCost, type Work } from './explain-work.ts';
import { applyChanges, type Change, canBeTold, type Flip, type Situation, tellFlip } from './flip-change.ts';
import { comparisonMatches, createPlanner, type Goal, type Plan, partsOf } from './flip-plans.ts';
import { type Comparison, candidateValues } from './flip-values.ts';
import type { Json } from './model.ts';

export interface Flips {
  /** The smallest first. */
  readonly flips: readonly Flip[];
  /** False: the search ended before its end, and there may be others, also smaller ones. */
  readonly isComplete: boolean;
}

/** Plans that are looked at for one flag. */
const PLANS_MAX = 96;

/** Values tried for each attribute of a plan, one after another, while the first ones do not give another answer. */
const VALUES_TRIED_MAX = 3;

/** Flips of more changes than the smallest one and these are no news. */
const EXTRA_CHANGES_MAX = 1;

interface FoundFlip {
  readonly changes: readonly Change[];
  readonly outcome: Outcome;
}

export function findFlips(
  situation: Situation,
  current: Outcome,
  hash: HashUser,
  work: Work,
  isVisible: (flag: CompiledFlag) => boolean,
): Flips {
  if (situation.flag.quarantined !== undefined || current.reason === 'QUARANTINED')
    return { flips: [], isComplete: true };
  const planner = createPlanner({ ...situation, hash, work, isVisible });
  const plans = planner.plansFor((variant) => variant !== current.variant, PLANS_MAX);
  const trial = createTrial(situation, current, hash, work);
  const found = new Map<string, FoundFlip>();
  const done = new Set<number>();
  let smallest: number = explainLimits.flipChangesMax;
  for (const { changes, plan } of realise(plans, situation, work)) {
    if (found.size >= explainLimits.flipsMax || changes.length > smallest + EXTRA_CHANGES_MAX || work.isSpent()) break;
    // A plan's second values are for when the first did not do.
    if (done.has(plan)) continue;
    const flip = trial.smallest(changes);
    if (flip === undefined) continue;
    found.set(nameOf(flip.changes), flip);
    done.add(plan);
    smallest = Math.min(smallest, flip.changes.length);
  }
  const flips = [...found.values()]
    .filter(({ changes }) => changes.length <= smallest + EXTRA_CHANGES_MAX)
    .sort((a, b) => rank(a.changes) - rank(b.changes))
    .map(({ changes, outcome }) => tellFlip(changes, situation.flag.flagId, outcome));
  return { flips, isComplete: !work.isSpent() && !trial.isOver() };
}

interface Trial {
  /** The smallest part of the changes that gives another answer, if any does. */
  smallest(changes: readonly Change[]): FoundFlip | undefined;
  /** Whether evaluations were refused because there were enough. */
  isOver(): boolean;
}

function createTrial(situation: Situation, current: Outcome, hash: HashUser, work: Work): Trial {
  const tried = new Map<string, Outcome | undefined>();
  let isOver = false;

  /** What the changes give; undefined: the same answer as without them, or none. */
  function outcomeOf(changes: readonly Change[]): Outcome | undefined {
    const name = nameOf(changes);
    if (tried.has(name)) return tried.get(name);
    if (tried.size >= explainLimits.flipEvaluationsMax || !work.take(4)) {
      isOver = true;
      return undefined;
    }
    const { flag, context, scope } = applyChanges(situation, changes);
    const outcome = evaluate(flag, context, scope, hash, work.observer(context), work.allowance);
    const flipped = outcome.variant !== current.variant && outcome.reason !== 'QUARANTINED' ? outcome : undefined;
    tried.set(name, flipped);
    return flipped;
  }

  return {
    smallest: (changes) => {
      for (const part of partsBySize(changes)) {
        const outcome = outcomeOf(part);
        if (isOver) return undefined;
        if (outcome !== undefined) return { changes: part, outcome };
      }
      return undefined;
    },
    isOver: () => isOver,
  };
}

/** Every selection of the changes, all of them last: the first that flips has no part that does. */
function partsBySize(changes: readonly Change[]): readonly (readonly Change[])[] {
  const parts: (readonly Change[])[] = [];
  for (let mask = 1; mask < 2 ** changes.length; mask++) parts.push(changes.filter((_, i) => (mask & (1 << i)) !== 0));
  return parts.sort((a, b) => a.length - b.length);
}

interface ConcretePlan {
  readonly changes: readonly Change[];
  /** Which plan they are of. */
  readonly plan: number;
  /** 0: with the best values, 1: with the next ones. */
  readonly round: number;
}

/** The plans with values, in the order of the flips that they would be. */
function realise(plans: readonly Plan[], situation: Situation, work: Work): readonly ConcretePlan[] {
  const ready: ConcretePlan[] = [];
  for (const [plan, each] of plans.entries()) {
    if (work.isSpent()) break;
    const { goals, changes } = partsOf(each);
    for (const [round, made] of withValues(goals, changes, situation.context, work).entries()) {
      if (made.length > 0 && made.length <= explainLimits.flipChangesMax && canBeTold(made))
        ready.push({ changes: made, plan, round });
    }
  }
  return ready.sort((a, b) => rank(a.changes) - rank(b.changes) || a.round - b.round || a.plan - b.plan);
}

/** The changes with a value for each attribute whose goals are not met; several such, the best values first. */
function withValues(
  goals: readonly Goal[],
  changes: readonly Change[],
  context: EvaluationContext,
  work: Work,
): readonly (readonly Change[])[] {
  const byAttribute = new Map<string, Goal[]>();
  for (const goal of goals) {
    const same = byAttribute.get(goal.condition.attribute);
    if (same === undefined) byAttribute.set(goal.condition.attribute, [goal]);
    else same.push(goal);
  }
  const unmet = [...byAttribute].filter(([, same]) => same.some(({ isMet }) => !isMet));
  if (unmet.length + changes.length > explainLimits.flipChangesMax) return [];
  const given = new Map(
    changes.flatMap((change) => (change.kind === 'attribute' ? [[change.name, change.value]] : [])),
  );
  const choices: (readonly Change[])[] = [];
  for (const [name, same] of unmet) {
    if (given.has(name)) return [];
    const values = fittingValues(same, context, work);
    if (values.length === 0) return [];
    choices.push(values.map((value) => ({ kind: 'attribute', name, value })));
  }
  const rounds = Math.max(1, ...choices.map(({ length }) => length));
  return Array.from({ length: rounds }, (_, round) => [
    ...changes,
    ...choices.map((values) => values[Math.min(round, values.length - 1)] as Change),
  ]);
}

/** Values for the attribute of these goals that meet all of them. */
function fittingValues(goals: readonly Goal[], context: EvaluationContext, work: Work): readonly (Json | undefined)[] {
  const first = goals[0];
  if (first === undefined) return [];
  const { attribute, path } = first.condition;
  const wishes = goals.map(({ condition, wanted }) => ({ comparison: condition.source as Comparison, wanted }));
  const fitting: (Json | undefined)[] = [];
  for (const value of candidateValues(wishes, attributeOf(context, attribute, path))) {
    if (meetsAll(goals, attribute, value, context, work)) fitting.push(value);
    if (fitting.length >= VALUES_TRIED_MAX || work.isSpent()) break;
  }
  return fitting;
}

function meetsAll(
  goals: readonly Goal[],
  attribute: string,
  value: Json | undefined,
  context: EvaluationContext,
  work: Work,
): boolean {
  // An attribute of exactly that name is the first that a condition finds.
  const attributes = value === undefined ? {} : Object.fromEntries([[attribute, value]]);
  const tried = { userId: context.userId, attributes };
  return goals.every(
    ({ condition, wanted }) => work.take(visitCost(condition, tried)) && comparisonMatches(condition, tried) === wanted,
  );
}

const KIND_RANKS = { percentage: 0, attribute: 1, segment: 2, target: 3, enabled: 4 } as const;

/** Fewer changes first; then what is changed most lightly. */
function rank(changes: readonly Change[]): number {
  return changes.reduce((sum, { kind }) => sum + 100 + KIND_RANKS[kind], 0);
}

function nameOf(changes: readonly Change[]): string {
  return JSON.stringify(changes.map((change) => Object.values(change)).sort());
}
