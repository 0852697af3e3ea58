// Which sets of small changes could give another answer: the conditions of rules, segments and prerequisites solved
// backwards. A plan says what must hold, not yet by which values; it is a good guess, which flips.ts then tries.
import { attributeOf, idText } from './attribute.ts';
import { bucketKey, bucketOf } from './bucketing.ts';
import type {
  CompiledFlag,
  CompiledRule,
  CompiledSegment,
  EvaluationContext,
  EvaluationScope,
  HashUser,
  IdSet,
  Outcome,
} from './compiled.ts';
import type { CompiledCondition } from './compiled-condition.ts';
import { documentLimits } from './document-limits.ts';
import { EVALUATION_STEPS_MAX, evaluate, serve } from './evaluate.ts';
import { explainLimits, visitCost, type Work } from './explain-work.ts';
import { type Change, changeAttribute, type Situation } from './flip-change.ts';
import { type Guard, holds } from './holds.ts';
import { edgeToPercentage } from './percentage.ts';

/** `wanted`: whether the operator itself shall match, before any negation. */
export interface Goal {
  readonly condition: CompiledCondition;
  readonly wanted: boolean;
  readonly isMet: boolean;
}

/** What must come together: a tree, so that joining two costs nothing however long they are. */
type Parts =
  | { readonly kind: 'goal'; readonly goal: Goal }
  | { readonly kind: 'change'; readonly change: Change }
  | { readonly kind: 'both'; readonly left: Parts; readonly right: Parts };

export interface Plan {
  /** What it changes, each once: attributes whose goals are not met, and changes of flags and segments. */
  readonly touches: readonly string[];
  readonly parts: Parts | undefined;
}

/** What shall be served: by variant, and whether it can meet a prerequisite. */
export type Wants = (variant: string, satisfies: boolean) => boolean;

export interface PlanDeps extends Situation {
  readonly hash: HashUser;
  readonly work: Work;
  /** Flags that may be looked into; others are taken as they answer. */
  readonly isVisible: (flag: CompiledFlag) => boolean;
}

export interface Planner {
  /** Plans after which the flag would serve what is wanted, the cheapest first; at most `plansMax`. */
  plansFor(wants: Wants, plansMax: number): readonly Plan[];
}

/** A comparison looks nothing up. */
const NOWHERE: EvaluationScope = { flags: new Map(), segments: new Map() };

const NOTHING: Plan = { touches: [], parts: undefined };

/** Plans kept for one part of a whole: of the cheapest, some fail for reasons only seen when tried. */
const PLANS_KEPT_MAX = 6;

/** Texts tried for an attribute that is to be hashed, until one falls into the right range. */
const BUCKET_KEYS_MAX = 200;

export function createPlanner(deps: PlanDeps): Planner {
  const { context, scope, hash, work } = deps;
  const solver = createSolver(deps);
  const observer = work.observer(context);

  /** Plans after which the flag serves what is wanted. `depth`: flags that wait for it as their prerequisite. */
  function serves(flag: CompiledFlag, wants: Wants, depth: number, plansMax: number): readonly Plan[] {
    const isTooDeep = depth > documentLimits.prerequisiteDepthMax;
    if (isTooDeep || flag.quarantined !== undefined || !work.take(1)) return [];
    const { disabled, prerequisiteFailed, flagId } = flag;
    const found: Plan[] = [];
    const enabled = flag.enabled ? [NOTHING] : [changing({ kind: 'enabled', flagId, enabled: true })];
    const met = (flag.prerequisites ?? []).map(({ flag_id: id, variant }) =>
      answers(id, (served, satisfies) => satisfies && served === variant, depth),
    );
    found.push(...choicesOf(flag, wants, met.reduce<readonly Plan[]>(joinAll, enabled)));
    if (flag.prerequisites !== undefined && wants(prerequisiteFailed.variant, false)) {
      const failing = flag.prerequisites.flatMap(({ flag_id: id, variant }) =>
        answers(id, (served, satisfies) => !satisfies || served !== variant, depth),
      );
      found.push(...joinAll(enabled, keep(failing, PLANS_KEPT_MAX)));
    }
    if (wants(disabled.variant, false)) {
      found.unshift(flag.enabled ? changing({ kind: 'enabled', flagId, enabled: false }) : NOTHING);
    }
    return keep(found, plansMax);
  }

  function answers(flagId: string, wants: Wants, depth: number): readonly Plan[] {
    const flag = scope.flags.get(flagId);
    if (flag === undefined) return wants('', false) ? [NOTHING] : [];
    if (deps.isVisible(flag)) return serves(flag, wants, depth + 1, PLANS_KEPT_MAX);
    const served = evaluate(flag, context, scope, hash, observer, work.allowance);
    return wants(served.variant, served.satisfies) ? [NOTHING] : [];
  }

  /** Past its prerequisites: targets, rules, rollout. `before`: what gets it there. */
  function choicesOf(flag: CompiledFlag, wants: Wants, before: readonly Plan[]): readonly Plan[] {
    // What needs no condition to be met comes first: hundreds of rules must not crowd it out.
    const first: Plan[] = [];
    const found: Plan[] = [];
    let reached = before;
    const target = flag.targets?.get(context.userId);
    if (target !== undefined) {
      if (wants(target.variant, target.satisfies)) first.push(...reached);
      reached = joinAll(reached, [changing({ kind: 'target', flagId: flag.flagId, variant: target.variant })]);
    }
    for (const rule of flag.rules ?? []) {
      if (reached.length === 0 || work.isSpent()) return [...first, ...found];
      const isHolding = solver.holdsNow(rule.when);
      const fitting = servings(flag, rule, rule.ruleId, wants);
      if (fitting.length > 0) {
        const plans = joinAll(joinAll(reached, fitting), solver.solve(rule.when, true));
        (isHolding ? first : found).push(...plans);
      }
      if (isHolding) reached = joinAll(reached, solver.solve(rule.when, false));
    }
    return [...first, ...joinAll(reached, servings(flag, flag, undefined, wants)), ...found];
  }

  /** What makes this rule, or the flag itself, serve what is wanted once it is its turn. */
  function servings(
    flag: CompiledFlag,
    choice: CompiledFlag | CompiledRule,
    ruleId: string | undefined,
    wants: Wants,
  ): readonly Plan[] {
    const now = serve(flag, choice, context, hash);
    if (wants(now.variant, now.satisfies)) return [NOTHING];
    const isWeighted = flag.type === 'boolean' && (!('weighted' in choice) || choice.weighted);
    const found: Plan[] = [];
    const percentage = isWeighted ? otherPercentage(flag, now, wants) : undefined;
    if (percentage !== undefined) found.push(changing({ kind: 'percentage', flagId: flag.flagId, ruleId, percentage }));
    const value = now === flag.bucketKeyMissing ? fittingKey(flag, choice, wants) : undefined;
    if (value !== undefined) found.push(changing({ kind: 'attribute', name: flag.bucketBy ?? '', value }));
    return found;
  }

  /** The percentage nearest to the user's bucket that gives him the other variant. */
  function otherPercentage(flag: CompiledFlag, now: Outcome, wants: Wants): number | undefined {
    const key = bucketKey(flag, context);
    const bucket = key === undefined ? undefined : bucketOf(hash(key, flag.hashSuffix));
    // Without a bucket only what is served to everybody is sure.
    if (wants('on', true) && (now.variant === 'off' || bucket === undefined))
      return bucket === undefined ? 100 : edgeToPercentage(bucket + 1);
    if (wants('off', true) && now.variant === 'on') return bucket === undefined ? 0 : edgeToPercentage(bucket);
    return undefined;
  }

  /** A value for the attribute that is hashed and missing. */
  function fittingKey(flag: CompiledFlag, choice: CompiledFlag | CompiledRule, wants: Wants): string | undefined {
    if (flag.bucketBy === undefined) return undefined;
    for (let i = 1; i <= BUCKET_KEYS_MAX && work.take(1); i++) {
      const value = String(i);
      const tried = { ...context, attributes: changeAttribute(context.attributes, flag.bucketBy, value) };
      const served = serve(flag, choice, tried, hash);
      if (wants(served.variant, served.satisfies)) return value;
    }
    return undefined;
  }

  return { plansFor: (wants, plansMax) => serves(deps.flag, wants, 0, plansMax) };
}

interface Solver {
  /** Plans after which the condition, negation included, is as wanted. */
  solve(condition: CompiledCondition, wanted: boolean): readonly Plan[];
  holdsNow(condition: CompiledCondition): boolean;
}

function createSolver({ context, scope, work }: PlanDeps): Solver {
  const observer = work.observer(context);

  function holdsNow(condition: CompiledCondition): boolean {
    return !work.isSpent() && holds(condition, context, scope, startGuard(), 0, observer);
  }

  function solve(condition: CompiledCondition, wanted: boolean, depth: number): readonly Plan[] {
    const { source, negate, members } = condition;
    const raw = wanted !== negate;
    if ('segment' in source) return solveSegment(condition.segmentId, raw, depth);
    if ('attribute' in source) return solveComparison(condition, raw);
    if (!work.take(1)) return [];
    // `all` is wanted to hold, or `any` not to: each member must do its part. Else one of them suffices.
    if ('all' in source === raw) {
      let plans: readonly Plan[] = [NOTHING];
      for (const member of members) {
        plans = joinAll(plans, solve(member, raw, depth));
        if (plans.length === 0) return plans;
      }
      return plans;
    }
    return keep(
      members.flatMap((member) => solve(member, raw, depth)),
      PLANS_KEPT_MAX,
    );
  }

  function solveComparison(condition: CompiledCondition, wanted: boolean): readonly Plan[] {
    if (!work.take(visitCost(condition, context))) return [];
    const isMet = comparisonMatches(condition, context) === wanted;
    // Who asks is no attribute to play with.
    if (!isMet && condition.attribute === 'user_id') return [];
    return [
      { touches: isMet ? [] : [condition.attribute], parts: { kind: 'goal', goal: { condition, wanted, isMet } } },
    ];
  }

  function solveSegment(segmentId: string, wanted: boolean, depth: number): readonly Plan[] {
    const segment = scope.segments.get(segmentId);
    const isTooDeep = depth >= documentLimits.segmentDepthMax;
    if (segment === undefined || segment.quarantined !== undefined || isTooDeep || !work.take(1)) return [];
    const ids = idsOf(segment);
    const excluded = listed(segment.excluded, ids);
    const included = listed(segment.included, ids);
    const byCondition = (holding: boolean): readonly Plan[] =>
      segment.when === undefined ? (holding ? [] : [NOTHING]) : solve(segment.when, holding, depth + 1);
    const edit = (
      list: 'included' | 'excluded',
      action: 'add' | 'remove',
      among: readonly string[],
    ): readonly Plan[] => {
      const id = among[0];
      // Of an array's elements several may stand in the list; taking one out would not do.
      if (id === undefined || (action === 'remove' && among.length > 1)) return [];
      return [changing({ kind: 'segment', segmentId, list, action, id })];
    };
    if (wanted) {
      if (excluded.length > 0)
        return joinAll(edit('excluded', 'remove', excluded), included.length > 0 ? [NOTHING] : byCondition(true));
      return included.length > 0
        ? [NOTHING]
        : keep([...byCondition(true), ...edit('included', 'add', ids)], PLANS_KEPT_MAX);
    }
    if (excluded.length > 0) return [NOTHING];
    const unlisted = included.length === 0 ? [NOTHING] : edit('included', 'remove', included);
    return keep([...joinAll(unlisted, byCondition(false)), ...edit('excluded', 'add', ids)], PLANS_KEPT_MAX);
  }

  /** The texts that the segment's lists are asked for. */
  function idsOf(segment: CompiledSegment): readonly string[] {
    const { matchBy, matchPath } = segment;
    const value = matchBy === undefined ? context.userId : attributeOf(context, matchBy, matchPath);
    const texts = Array.isArray(value) ? value.map(idText) : [idText(value)];
    return texts.flatMap((text) => (text === undefined || text === '' ? [] : [text]));
  }

  return { holdsNow, solve: (condition, wanted) => solve(condition, wanted, 0) };
}

function listed(list: IdSet | undefined, ids: readonly string[]): readonly string[] {
  return list === undefined ? [] : ids.filter((id) => list.has(id));
}

/** Whether the operator of a comparison matches, before any negation. */
export function comparisonMatches(condition: CompiledCondition, context: EvaluationContext): boolean {
  return holds(condition, context, NOWHERE, startGuard(), 0, undefined) !== condition.negate;
}

function startGuard(): Guard {
  return { flagsLeft: 0, stepsLeft: EVALUATION_STEPS_MAX, broken: false, endless: false };
}

/** All goals of a plan, and its changes, each once. */
export function partsOf(plan: Plan): { readonly goals: readonly Goal[]; readonly changes: readonly Change[] } {
  const goals: Goal[] = [];
  const changes = new Map<string, Change>();
  const pending = plan.parts === undefined ? [] : [plan.parts];
  for (let parts = pending.pop(); parts !== undefined; parts = pending.pop()) {
    if (parts.kind === 'both') pending.push(parts.right, parts.left);
    else if (parts.kind === 'goal') goals.push(parts.goal);
    else changes.set(JSON.stringify(parts.change), parts.change);
  }
  return { goals, changes: [...changes.values()] };
}

function changing(change: Change): Plan {
  // No attribute's name has a control character.
  const name = change.kind === 'attribute' ? change.name : `\n${JSON.stringify(Object.values(change))}`;
  return { touches: [name], parts: { kind: 'change', change } };
}

/** Each of the ones with each of the others, the cheapest kept. */
function joinAll(some: readonly Plan[], others: readonly Plan[]): readonly Plan[] {
  const joined = some.flatMap((one) => others.map((other) => join(one, other)));
  return keep(
    joined.filter(({ touches }) => touches.length <= explainLimits.flipChangesMax),
    PLANS_KEPT_MAX,
  );
}

function join(one: Plan, other: Plan): Plan {
  if (one.parts === undefined) return other;
  if (other.parts === undefined) return one;
  const added = other.touches.filter((name) => !one.touches.includes(name));
  return {
    touches: added.length === 0 ? one.touches : [...one.touches, ...added],
    parts: { kind: 'both', left: one.parts, right: other.parts },
  };
}

/** The cheapest; among equals the first. */
function keep(plans: readonly Plan[], plansMax: number): readonly Plan[] {
  if (plans.length <= 1) return plans;
  return [...plans].sort((a, b) => a.touches.length - b.touches.length).slice(0, plansMax);
}
