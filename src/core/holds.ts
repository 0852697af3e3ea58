// Hot path.
// Whether a condition holds for a context. Nothing here throws: what is missing or of the wrong type does not match.
import { attributeOf, idText } from './attribute.ts';
import type { EvaluationContext, EvaluationScope, Observer } from './compiled.ts';
import { CONDITION, type CompiledCondition } from './compiled-condition.ts';
import { documentLimits } from './document-limits.ts';
import type { Json } from './model.ts';

/** What an evaluation may still do, and whether it came upon what cannot be evaluated. One object serves all in turn. */
export interface Guard {
  /** Flags that may still be evaluated as prerequisites. */
  flagsLeft: number;
  /** Conditions, groups and segments that may still be looked at. */
  conditionsLeft: number;
  /** The flag that is being decided, which may be a prerequisite, asks for a segment that is not there. */
  broken: boolean;
  /** What the whole evaluation depends on has no end, or none within the limits. */
  endless: boolean;
}

/** The condition's answer, negation included. `segmentDepth`: segments around it. */
export function holds(
  condition: CompiledCondition,
  context: EvaluationContext,
  scope: EvaluationScope,
  guard: Guard,
  segmentDepth: number,
  observer: Observer | undefined,
): boolean {
  if (guard.conditionsLeft === 0) {
    guard.endless = true;
    return false;
  }
  guard.conditionsLeft--;
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
    default:
      return matchesValue(condition, attributeOf(context, condition.attribute, condition.path));
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

function matchesScalar(condition: CompiledCondition, value: Json): boolean {
  switch (condition.kind) {
    case CONDITION.exists:
      return true;
    case CONDITION.isOneOf:
      return (typeof value === 'string' || typeof value === 'boolean') && condition.values.has(value);
    default:
      return false;
  }
}
