// A rule's or segment's `when`, ready to be asked. Every node is made by one function in compile-condition.ts, so that
// all have one shape and the evaluator's reads stay monomorphic.
import type { Moment } from './date-time.ts';
import type { ConditionNode } from './model.ts';
import type { Networks } from './network.ts';
import type { TextTable } from './text-table.ts';

/** What a node asks. Numbers, so that the evaluator's switch is a jump. */
export const CONDITION = {
  all: 0,
  any: 1,
  segment: 2,
  exists: 3,
  isOneOf: 4,
  isOneOfFolded: 5,
  startsWith: 6,
  endsWith: 7,
  isFound: 8,
  numberIs: 9,
  numberAbove: 10,
  numberFrom: 11,
  numberBelow: 12,
  numberUpTo: 13,
  before: 14,
  after: 15,
  versionIs: 16,
  versionAbove: 17,
  versionFrom: 18,
  versionBelow: 19,
  versionUpTo: 20,
  inNetworks: 21,
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
  readonly ignoreCase: boolean;
  /** isOneOf, isOneOfFolded (texts folded), numberIs, versionIs (without their builds). */
  readonly values: ReadonlySet<string | number | boolean>;
  /** isOneOfFolded, startsWith, endsWith: characters of the longest value. */
  readonly charsMax: number;
  /** startsWith and endsWith, as compileAffixes sorted them. */
  readonly affixes: readonly string[];
  /** isFound: what `contains` and `matches` look for. */
  readonly tables: readonly TextTable[];
  /** The one bound that several values come to: any of them is the least or the greatest. */
  readonly numberBound: number;
  readonly momentBound: Moment;
  /** Without its build. */
  readonly versionBound: string;
  readonly networks: Networks;
}
