// Hot path.
// Whether a condition holds for a context. Nothing here throws: what is missing or of the wrong type does not match.
import { endsWithAny, startsWithAny } from './affixes.ts';
import { attributeOf, idText } from './attribute.ts';
import { foldText } from './case-folding.ts';
import type { EvaluationContext, EvaluationScope, Observer } from './compiled.ts';
import { CONDITION, type CompiledCondition } from './compiled-condition.ts';
import { comparisonSteps, lookupSteps, STEPS_PER_NODE } from './condition-steps.ts';
import { isAfter, isBefore } from './date-time.ts';
import { documentLimits } from './document-limits.ts';
import type { Json } from './model.ts';
import { isInNetworks } from './network.ts';
import { compareVersions, precedenceEnd } from './semver.ts';
import { isFoundIn, type TextTable } from './text-table.ts';

/** What an evaluation may still do, and whether it came upon what cannot be evaluated. One object serves all in turn. */
export interface Guard {
  /** Flags that may still be evaluated as prerequisites. */
  flagsLeft: number;
  /** Steps that may still be taken; the one that takes the last of them is finished. */
  stepsLeft: number;
  /** The flag that is being decided, which may be a prerequisite, asks for a segment that is not there. */
  broken: boolean;
  /** What the whole evaluation depends on has no end, or none within the limits. */
  endless: boolean;
}

/** A shorter text takes no more than the visit of its condition. */
const CHARS_UNCOUNTED_MAX = 16;

/** The condition's answer, negation included. `segmentDepth`: segments around it. */
export function holds(
  condition: CompiledCondition,
  context: EvaluationContext,
  scope: EvaluationScope,
  guard: Guard,
  segmentDepth: number,
  observer: Observer | undefined,
): boolean {
  if (guard.stepsLeft <= 0) {
    guard.endless = true;
    return false;
  }
  guard.stepsLeft -= STEPS_PER_NODE;
  const result = matches(condition, context, scope, guard, segmentDepth, observer) !== condition.negate;
  if (observer !== undefined) observer.condition(condition, result);
  return result;
}

function matches(
  condition: CompiledCondition,
  context: EvaluationContext,
  scope: EvaluationScope,
  guard: Guard,
  segmentDepth: number,
  observer: Observer | undefined,
): boolean {
  const members = condition.members;
  switch (condition.kind) {
    case CONDITION.all:
      for (let i = 0; i < members.length; i++) {
        if (!holds(members[i] as CompiledCondition, context, scope, guard, segmentDepth, observer)) return false;
      }
      return true;
    case CONDITION.any:
      for (let i = 0; i < members.length; i++) {
        if (holds(members[i] as CompiledCondition, context, scope, guard, segmentDepth, observer)) return true;
      }
      return false;
    case CONDITION.segment:
      return isMember(condition.segmentId, context, scope, guard, segmentDepth, observer);
    default: {
      const value = attributeOf(context, condition.attribute, condition.path);
      // Most contexts have neither long texts nor lists.
      if (typeof value === 'object' || (typeof value === 'string' && value.length > CHARS_UNCOUNTED_MAX))
        guard.stepsLeft -= comparisonSteps(condition, value);
      return matchesValue(condition, value);
    }
  }
}

/** Excluded wins, then included, then the segment's own condition. */
function isMember(
  segmentId: string,
  context: EvaluationContext,
  scope: EvaluationScope,
  guard: Guard,
  segmentDepth: number,
  observer: Observer | undefined,
): boolean {
  const segment = scope.segments.get(segmentId);
  if (segment === undefined || segment.quarantined !== undefined || segmentDepth >= documentLimits.segmentDepthMax) {
    guard.broken = true;
    if (observer !== undefined) observer.segment(segmentId, 'unknown');
    return false;
  }
  const { included, excluded } = segment;
  if (included !== undefined || excluded !== undefined) {
    const value =
      segment.matchBy === undefined ? context.userId : attributeOf(context, segment.matchBy, segment.matchPath);
    guard.stepsLeft -= lookupSteps(value) * ((excluded === undefined ? 0 : 1) + (included === undefined ? 0 : 1));
    if (excluded !== undefined && isListed(excluded, value)) {
      if (observer !== undefined) observer.segment(segmentId, 'excluded');
      return false;
    }
    if (included !== undefined && isListed(included, value)) {
      if (observer !== undefined) observer.segment(segmentId, 'included');
      return true;
    }
  }
  const result = segment.when !== undefined && holds(segment.when, context, scope, guard, segmentDepth + 1, observer);
  if (observer !== undefined) observer.segment(segmentId, result ? 'condition' : 'none');
  return result;
}

/** An array is listed when one of its elements is. */
function isListed(ids: { has(id: string): boolean }, value: Json | undefined): boolean {
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const text = idText(value[i] as Json);
      if (text !== undefined && ids.has(text)) return true;
    }
    return false;
  }
  const text = idText(value);
  return text !== undefined && text !== '' && ids.has(text);
}

/** An array matches when one of its elements does. */
function matchesValue(condition: CompiledCondition, value: Json | undefined): boolean {
  if (value === undefined || value === null) return false;
  if (!Array.isArray(value)) return matchesScalar(condition, value);
  for (let i = 0; i < value.length; i++) {
    const element = value[i] as Json;
    if (element !== null && matchesScalar(condition, element)) return true;
  }
  return false;
}

/** What is of the wrong type for the operator does not match; `exists` takes all types. */
function matchesScalar(condition: CompiledCondition, value: Json): boolean {
  switch (typeof value) {
    case 'string':
      return matchesText(condition, value);
    case 'number':
      return matchesNumber(condition, value);
    case 'boolean':
      return condition.kind === CONDITION.exists || (isOneOf(condition) && condition.values.has(value));
    default:
      return condition.kind === CONDITION.exists;
  }
}

function isOneOf(condition: CompiledCondition): boolean {
  return condition.kind === CONDITION.isOneOf || condition.kind === CONDITION.isOneOfFolded;
}

function matchesNumber(condition: CompiledCondition, value: number): boolean {
  switch (condition.kind) {
    case CONDITION.exists:
      return true;
    case CONDITION.numberIs:
      return condition.values.has(value);
    case CONDITION.numberAbove:
      return value > condition.numberBound;
    case CONDITION.numberFrom:
      return value >= condition.numberBound;
    case CONDITION.numberBelow:
      return value < condition.numberBound;
    case CONDITION.numberUpTo:
      return value <= condition.numberBound;
    default:
      return false;
  }
}

function matchesText(condition: CompiledCondition, value: string): boolean {
  switch (condition.kind) {
    case CONDITION.exists:
      return true;
    case CONDITION.isOneOf:
      return condition.values.has(value);
    case CONDITION.isOneOfFolded:
      // Folding keeps the length, so a long text need not be folded to be none of them.
      return value.length <= condition.charsMax && condition.values.has(foldText(value));
    case CONDITION.startsWith:
      return startsWithAny(value, condition.affixes, condition.ignoreCase);
    case CONDITION.endsWith:
      return endsWithAny(value, condition.affixes, condition.ignoreCase);
    case CONDITION.isFound:
      return isFound(value, condition.tables);
    case CONDITION.before:
      return isBefore(value, condition.momentBound);
    case CONDITION.after:
      return isAfter(value, condition.momentBound);
    case CONDITION.inNetworks:
      return isInNetworks(value, condition.networks);
    default:
      return matchesVersion(condition, value);
  }
}

function isFound(text: string, tables: readonly TextTable[]): boolean {
  for (let i = 0; i < tables.length; i++) if (isFoundIn(text, tables[i] as TextTable)) return true;
  return false;
}

function matchesVersion(condition: CompiledCondition, value: string): boolean {
  const { kind, versionBound: bound } = condition;
  if (kind < CONDITION.versionIs || kind > CONDITION.versionUpTo) return false;
  const end = precedenceEnd(value);
  if (end < 0) return false;
  if (kind === CONDITION.versionIs) return condition.values.has(end === value.length ? value : value.slice(0, end));
  const order = compareVersions(value, end, bound, bound.length);
  switch (kind) {
    case CONDITION.versionAbove:
      return order > 0;
    case CONDITION.versionFrom:
      return order >= 0;
    case CONDITION.versionBelow:
      return order < 0;
    default:
      return order <= 0;
  }
}
