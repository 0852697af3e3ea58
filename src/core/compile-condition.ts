// Makes of a condition's document what the evaluator asks: lists become sets, texts are parsed once, here.
import { CONDITION, type CompiledCondition } from './compiled-condition.ts';
import type { ConditionNode } from './model.ts';

const NO_MEMBERS: readonly CompiledCondition[] = [];
const NO_VALUES: ReadonlySet<string | boolean> = new Set();

/** @param node as readCondition returned it */
export function compileCondition(node: ConditionNode): CompiledCondition {
  const negate = node.negate === true;
  if ('all' in node)
    return make({ kind: CONDITION.all, negate, source: node, members: node.all.map(compileCondition) });
  if ('any' in node)
    return make({ kind: CONDITION.any, negate, source: node, members: node.any.map(compileCondition) });
  if ('segment' in node) return make({ kind: CONDITION.segment, negate, source: node, segmentId: node.segment });
  const { attribute } = node;
  const path = attribute.includes('.') ? attribute.split('.') : undefined;
  if (node.op === 'exists') return make({ kind: CONDITION.exists, negate, source: node, attribute, path });
  const values = new Set((node.values ?? []) as readonly (string | boolean)[]);
  return make({ kind: CONDITION.isOneOf, negate, source: node, attribute, path, values });
}

function make(
  part: Pick<CompiledCondition, 'kind' | 'negate' | 'source'> & Partial<CompiledCondition>,
): CompiledCondition {
  return {
    kind: part.kind,
    negate: part.negate,
    source: part.source,
    members: part.members ?? NO_MEMBERS,
    segmentId: part.segmentId ?? '',
    attribute: part.attribute ?? '',
    path: part.path,
    values: part.values ?? NO_VALUES,
  };
}
