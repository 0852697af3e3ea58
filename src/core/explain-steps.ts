// What an evaluation looked at, in order, for a person and for the dashboard. It is told by the evaluator itself
// while it decides (Observer); nothing here decides anything.
import { attributeOf } from './attribute.ts';
import type {
  CompiledFlag,
  CompiledRule,
  CompiledServe,
  EvaluationContext,
  EvaluationScope,
  Membership,
  Observer,
  Outcome,
} from './compiled.ts';
import type { CompiledCondition } from './compiled-condition.ts';
import type { AllocationRange, Json, Operator, Reason } from './model.ts';
import { BUCKET_COUNT } from './percentage.ts';

export type Step =
  | { readonly step: 'enabled'; readonly enabled: boolean }
  | {
      readonly step: 'prerequisite';
      readonly flag_id: string;
      /** What it must serve. */
      readonly variant: string;
      /** null: there is no such flag, or none that the key may see. */
      readonly served: { readonly variant: string; readonly reason: Reason; readonly rule_id?: string } | null;
      readonly met: boolean;
    }
  | { readonly step: 'targets'; readonly matched: boolean; readonly variant?: string }
  | {
      readonly step: 'rule';
      readonly rule_id: string;
      readonly matched: boolean;
      /** Left out where the trace would grow too long. */
      readonly when?: ExplainedCondition;
    }
  | {
      readonly step: 'rollout';
      /** A rule's; without it the flag's own. */
      readonly rule_id?: string;
      readonly bucket_by: string;
      readonly bucket: number | null;
      /** Who gets what around the bucket: its range and its neighbours; the first ones where there is no bucket. */
      readonly ranges: readonly AllocationRange[];
      readonly variant: string;
    }
  | { readonly step: 'quarantined'; readonly detail: string };

/** `result` null: not looked at, as the answer was clear without it. */
export type ExplainedCondition = {
  readonly negate?: true;
  /** With negation. */
  readonly result: boolean | null;
} & (
  | {
      readonly attribute: string;
      readonly op: Operator;
      readonly values?: readonly (string | number | boolean)[];
      /** How many there are, where only the first are shown. */
      readonly values_count?: number;
      readonly ignore_case?: true;
      /** What the context has; null: nothing. */
      readonly actual: Json;
      /** Only the beginning is shown; of an object nothing. */
      readonly actual_cut?: true;
    }
  | { readonly all: readonly ExplainedCondition[]; readonly omitted?: number }
  | { readonly any: readonly ExplainedCondition[]; readonly omitted?: number }
  | {
      readonly segment: string;
      readonly membership: Membership | null;
      /** The segment's own condition, where it was asked. */
      readonly when?: ExplainedCondition;
    }
);

/** What one evaluation told. */
export interface Recording {
  readonly observer: Observer;
  readonly prerequisites: readonly {
    readonly flagId: string;
    readonly variant: string;
    readonly served: Outcome | undefined;
    readonly met: boolean;
  }[];
  /** Looked at, with what was found. */
  readonly targets: readonly (Outcome | undefined)[];
  readonly rules: readonly { readonly rule: CompiledRule; readonly matched: boolean }[];
  readonly results: ReadonlyMap<CompiledCondition, boolean>;
  readonly memberships: ReadonlyMap<string, Membership>;
}

/** Conditions of prerequisites are told too, before the last of them is; they are not written down. */
export function startRecording(flag: CompiledFlag): Recording {
  const prerequisiteCount = flag.prerequisites?.length ?? 0;
  const prerequisites: Recording['prerequisites'][number][] = [];
  const targets: (Outcome | undefined)[] = [];
  const rules: Recording['rules'][number][] = [];
  const results = new Map<CompiledCondition, boolean>();
  const memberships = new Map<string, Membership>();
  return {
    prerequisites,
    targets,
    rules,
    results,
    memberships,
    observer: {
      prerequisite: (flagId, variant, served, met) => void prerequisites.push({ flagId, variant, served, met }),
      target: (served) => void targets.push(served),
      rule: (rule, matched) => void rules.push({ rule, matched }),
      condition: (condition, result) => {
        if (prerequisites.length === prerequisiteCount) results.set(condition, result);
      },
      segment: (segmentId, membership) => {
        if (prerequisites.length === prerequisiteCount) memberships.set(segmentId, membership);
      },
    },
  };
}

const VALUES_SHOWN_MAX = 5;
const CHARS_SHOWN_MAX = 128;
const ELEMENTS_SHOWN_MAX = 8;

export interface StepsDeps {
  readonly flag: CompiledFlag;
  readonly context: EvaluationContext;
  readonly scope: EvaluationScope;
  readonly outcome: Outcome;
  readonly recording: Recording;
  readonly bucket: number | null;
  readonly isVisible: (flag: CompiledFlag) => boolean;
}

/** @param budget rules and conditions that may be shown; what is shown is taken off */
export function makeSteps(deps: StepsDeps, budget: { nodesLeft: number }): readonly Step[] {
  const { flag, recording, outcome, scope } = deps;
  if (flag.quarantined !== undefined) return [{ step: 'quarantined', detail: flag.quarantined }];
  const steps: Step[] = [{ step: 'enabled', enabled: flag.enabled }];
  for (const { flagId, variant, served, met } of recording.prerequisites) {
    const other = scope.flags.get(flagId);
    const shown = other !== undefined && deps.isVisible(other) ? served : undefined;
    steps.push({ step: 'prerequisite', flag_id: flagId, variant, served: tellOutcome(shown), met });
  }
  for (const target of recording.targets) {
    steps.push({ step: 'targets', matched: target !== undefined, ...(target && { variant: target.variant }) });
  }
  for (const { rule, matched } of recording.rules) {
    budget.nodesLeft--;
    const when = budget.nodesLeft > 0 ? explainCondition(rule.when, deps, budget) : undefined;
    steps.push({ step: 'rule', rule_id: rule.ruleId, matched, ...(when && { when }) });
  }
  if (outcome.reason === 'QUARANTINED') {
    const detail = 'a segment or prerequisite is missing, broken, or goes round in a circle';
    return [...steps, { step: 'quarantined', detail }];
  }
  const choice = weightedChoice(flag, recording, outcome);
  return choice === undefined ? steps : [...steps, tellRollout(deps, choice)];
}

/** What decided the answer by percentage: the flag itself or the rule that matched; undefined: no percentage did. */
export function weightedChoice(
  flag: CompiledFlag,
  recording: Recording,
  outcome: Outcome,
): CompiledFlag | CompiledRule | undefined {
  if (!['SPLIT', 'STATIC', 'RULE_MATCH', 'BUCKET_KEY_MISSING'].includes(outcome.reason)) return undefined;
  const last = recording.rules.at(-1);
  if (last?.matched !== true) return flag;
  return last.rule.weighted ? last.rule : undefined;
}

function tellOutcome(
  outcome: Outcome | undefined,
): { readonly variant: string; readonly reason: Reason; readonly rule_id?: string } | null {
  if (outcome === undefined) return null;
  const { variant, reason, ruleId } = outcome;
  return { variant, reason, ...(ruleId === undefined ? {} : { rule_id: ruleId }) };
}

function tellRollout({ flag, bucket, outcome }: StepsDeps, choice: CompiledFlag | CompiledRule): Step {
  return {
    step: 'rollout',
    ...('weighted' in choice ? { rule_id: choice.ruleId } : {}),
    bucket_by: flag.bucketBy ?? 'user_id',
    bucket,
    ranges: rangesAround(choice, bucket ?? 0),
    variant: outcome.variant,
  };
}

function rangesAround({ fixed, split }: CompiledServe, bucket: number): readonly AllocationRange[] {
  if (split === undefined) return [[0, BUCKET_COUNT, fixed?.variant ?? '']];
  const at = split.edges.findIndex((edge) => bucket < edge);
  const from = Math.max(0, at - 1);
  return [...split.edges.slice(from, at + 2)].map((edge, i): AllocationRange => {
    const start = from + i === 0 ? 0 : (split.edges[from + i - 1] ?? 0);
    return [start, edge, split.outcomes[from + i]?.variant ?? ''];
  });
}

function explainCondition(
  condition: CompiledCondition,
  deps: StepsDeps,
  budget: { nodesLeft: number },
): ExplainedCondition {
  budget.nodesLeft--;
  const { source, members } = condition;
  const { results, memberships } = deps.recording;
  const rest = { ...(condition.negate && { negate: true as const }), result: results.get(condition) ?? null };
  if ('attribute' in source) {
    const { attribute, op, values, ignore_case: ignoreCase } = source;
    return {
      attribute,
      op,
      ...(values && { values: values.slice(0, VALUES_SHOWN_MAX).map(cutValue) }),
      ...(values && values.length > VALUES_SHOWN_MAX && { values_count: values.length }),
      ...(ignoreCase && { ignore_case: true as const }),
      ...cutActual(attributeOf(deps.context, attribute, condition.path)),
      ...rest,
    };
  }
  if ('segment' in source) {
    // A condition that was not looked at may name a segment that another did ask.
    const membership = rest.result === null ? null : (memberships.get(source.segment) ?? null);
    const own =
      membership === 'condition' || membership === 'none' ? deps.scope.segments.get(source.segment) : undefined;
    const when = own?.when !== undefined && budget.nodesLeft > 0 ? explainCondition(own.when, deps, budget) : undefined;
    return { segment: source.segment, membership, ...(when && { when }), ...rest };
  }
  const shown: ExplainedCondition[] = [];
  for (const member of members) {
    if (budget.nodesLeft <= 0) break;
    shown.push(explainCondition(member, deps, budget));
  }
  const omitted = shown.length < members.length ? { omitted: members.length - shown.length } : {};
  return 'all' in source ? { all: shown, ...omitted, ...rest } : { any: shown, ...omitted, ...rest };
}

function cutValue(value: string | number | boolean): string | number | boolean {
  return typeof value === 'string' && value.length > CHARS_SHOWN_MAX ? cutText(value) : value;
}

/** Never between the two halves of a surrogate pair. */
function cutText(text: string): string {
  return `${text.slice(0, CHARS_SHOWN_MAX).replace(/[\uD800-\uDBFF]$/, '')}…`;
}

function cutActual(value: Json | undefined): { readonly actual: Json; readonly actual_cut?: true } {
  if (typeof value === 'string' && value.length > CHARS_SHOWN_MAX) return { actual: cutText(value), actual_cut: true };
  if (typeof value !== 'object' || value === null) return { actual: value ?? null };
  if (!Array.isArray(value)) return { actual: {}, actual_cut: true };
  const shown = (value as readonly Json[]).slice(0, ELEMENTS_SHOWN_MAX).map(cutActual);
  const isCut = value.length > shown.length || shown.some((element) => element.actual_cut === true);
  // An array within an array never matches, so that its inside tells nothing.
  const elements = shown.map(({ actual }) => (Array.isArray(actual) ? [] : actual));
  return { actual: elements, ...(isCut && { actual_cut: true as const }) };
}
