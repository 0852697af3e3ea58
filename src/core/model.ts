// The flag document as it is stored, published and shown. Field names are the wire's (snake_case), so that one
// object goes through the API, the store and the snapshot without being renamed.

export type FlagType = 'boolean' | 'string' | 'number' | 'object';
export type FlagKind = 'release' | 'experiment' | 'ops' | 'permission';
export type NumberFormat = 'integer' | 'float';
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };
export type JsonObject = { readonly [name: string]: Json };

export interface WeightedVariant {
  readonly variant: string;
  /** Percent, 0 to 100, at most two decimals. */
  readonly percentage: number;
}

/** Buckets [from, to) that get `variant`; 0 <= from < to <= 10000. */
export type AllocationRange = readonly [from: number, to: number, variant: string];

export interface Target {
  readonly variant: string;
  readonly user_ids: readonly string[];
}

export interface Prerequisite {
  readonly flag_id: string;
  readonly variant: string;
}

export const OPERATORS = [
  'equals',
  'in',
  'contains',
  'starts_with',
  'ends_with',
  'matches',
  'eq',
  'gt',
  'gte',
  'lt',
  'lte',
  'before',
  'after',
  'semver_eq',
  'semver_gt',
  'semver_gte',
  'semver_lt',
  'semver_lte',
  'in_cidr',
  'exists',
] as const;
export type Operator = (typeof OPERATORS)[number];

export type ConditionNode =
  | {
      readonly attribute: string;
      readonly op: Operator;
      readonly values?: readonly (string | number | boolean)[];
      readonly ignore_case?: boolean;
      readonly negate?: boolean;
    }
  | { readonly all: readonly ConditionNode[]; readonly negate?: boolean }
  | { readonly any: readonly ConditionNode[]; readonly negate?: boolean }
  | { readonly segment: string; readonly negate?: boolean };

export type Serve =
  | { readonly variant: string }
  | { readonly rollout: readonly WeightedVariant[]; readonly allocation: readonly AllocationRange[] }
  | { readonly rollout_percentage: number };

export interface Rule {
  readonly rule_id: string;
  readonly description: string;
  readonly when: ConditionNode;
  readonly serve: Serve;
}

/** What an operator decides: exactly what a version holds and a rollback restores. */
export interface FlagDefinition {
  readonly flag_id: string;
  readonly environment: string;
  readonly description: string;
  readonly tags: readonly string[];
  readonly owner: string;
  readonly kind: FlagKind;
  readonly enabled: boolean;
  readonly type: FlagType;
  /** Number flags only. */
  readonly format?: NumberFormat;
  /** Boolean flags only: percent, 0 to 100. */
  readonly rollout_percentage?: number;
  /** The other types only: these four. */
  readonly variants?: JsonObject;
  readonly off_variant?: string;
  readonly rollout?: readonly WeightedVariant[];
  readonly allocation?: readonly AllocationRange[];
  readonly bucket_by: string;
  readonly salt: string | null;
  readonly targets: readonly Target[];
  readonly prerequisites: readonly Prerequisite[];
  readonly rules: readonly Rule[];
}

/** A definition with what the store adds. Times are RFC 3339 in UTC with milliseconds. */
export interface FlagDocument extends FlagDefinition {
  readonly version: number;
  readonly revision: number;
  readonly created_at: string;
  readonly updated_at: string;
  readonly updated_by: string;
}

export interface Issue {
  /** Where in the input: `rollout[1].percentage`; empty for the whole. */
  readonly path: string;
  /** What is wrong and what would be right. */
  readonly message: string;
}

/** Expected failures are values. `code` is a key of src/errors.ts's catalogue. */
export type Result<T> =
  | { readonly ok: true; readonly value: T }
  | {
      readonly ok: false;
      readonly code: 'INVALID_REQUEST' | 'TYPE_CONFLICT' | 'ALLOCATION_FRAGMENTED';
      readonly issues: readonly Issue[];
    };

export type Reason =
  | 'DISABLED'
  | 'PREREQUISITE_FAILED'
  | 'TARGET_MATCH'
  | 'RULE_MATCH'
  | 'SPLIT'
  | 'STATIC'
  | 'BUCKET_KEY_MISSING'
  | 'QUARANTINED';
