// A rule's or segment's `when`, ready to be asked. Every node is made by one function in compile-condition.ts, so that
// all have one shape and the evaluator's reads stay monomorphic.
import type { ConditionNode } from './model.ts';

/** What a node asks. Numbers, so that the evaluator's switch is a jump. */
export const CONDITION = {
  all: 0,
  any: 1,
  segment: 2,
  exists: 3,
  isOneOf: 4,
} as const;

export interface CompiledCondition {
  readonly kind: (typeof CONDITION)[keyof typeof CONDITION];
  readonly negate: boolean;
  /** The document's own node, for explain. */
  readonly source: ConditionNode;
  /** `all` and `any`. */
  readonly members: readonly CompiledCondition[];
  /** `segment`. */
  readonly segmentId: string;
  /** The others: whose value is compared. */
  readonly attribute: string;
  /** `attribute` cut at its dots; undefined when it has none. */
  readonly path: readonly string[] | undefined;
  /** isOneOf. */
  readonly values: ReadonlySet<string | boolean>;
}
