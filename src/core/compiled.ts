// What flags and segments become when a snapshot is published: everything an evaluation needs, and every reply it can
// give, made once. Nothing here is parsed, sorted or allocated on a request.
import type { CompiledCondition } from './compiled-condition.ts';
import type { FlagType, Json, JsonObject, Prerequisite, Reason } from './model.ts';

/** MurmurHash3_x86_32(utf8(userId) + suffix, seed 0), unsigned. `suffix` is the UTF-8 of ":" + (salt or flag_id). */
export type HashUser = (userId: string, suffix: Uint8Array) => number;

export interface EvaluationContext {
  /** 1 to 65,535 UTF-8 bytes; empty: there is none (OpenFeature allows that), and whatever needs it is missing. */
  readonly userId: string;
  readonly attributes: JsonObject | undefined;
}

/** One possible answer of one flag. Made at compile, shared by every request that gets it. */
export interface Outcome {
  readonly flagId: string;
  readonly version: number;
  readonly enabled: boolean;
  readonly variant: string;
  readonly value: Json;
  readonly reason: Reason;
  readonly ruleId: string | undefined;
  /** Its place among its flag's `outcomes`. */
  readonly index: number;
  /** Its variant's place among its flag's `variants`. */
  readonly variantIndex: number;
  /** Whether it can meet a prerequisite: false for DISABLED, PREREQUISITE_FAILED, BUCKET_KEY_MISSING, QUARANTINED. */
  readonly satisfies: boolean;
  /**
   * The single reply is `replyHead + JSON(user_id) + ',"evaluated_at":"' + time + replyTail + revision + '}'`:
   * replyHead = {"flag_id":"f","enabled":true,"user_id":
   * replyTail = ","variant":"on","value":true,"reason":"SPLIT","version":3,"revision":     (with "rule_id" after reason)
   */
  readonly replyHead: string;
  readonly replyTail: string;
  /** Where the comma before "reason" stands in replyTail: OFREP sends what is before and behind it in other places. */
  readonly reasonAt: number;
  /** In a batch: {"enabled":true,"variant":"on","value":true,"reason":"SPLIT","version":3} (with "rule_id" after reason) */
  readonly batchJson: string;
}

/** Who gets which variant by bucket. `outcomes[i]` serves buckets below `edges[i]` (and not below `edges[i-1]`). */
export interface CompiledSplit {
  readonly edges: Uint16Array;
  readonly outcomes: readonly Outcome[];
}

/** One variant for all, or a split: exactly one of the two is set. */
export interface CompiledServe {
  readonly fixed: Outcome | undefined;
  readonly split: CompiledSplit | undefined;
}

export interface CompiledRule extends CompiledServe {
  readonly ruleId: string;
  readonly when: CompiledCondition;
  /** It serves by percentage, even where that is 0 or 100; false: one variant, always. */
  readonly weighted: boolean;
}

/** A set of ids, exact: no false answers. */
export interface IdSet {
  readonly count: number;
  has(id: string): boolean;
  /** Each id once, in no particular order; read as it is walked. */
  ids(): Iterable<string>;
}

export interface CompiledSegment {
  readonly segmentId: string;
  readonly environment: string;
  readonly version: number;
  readonly revision: number;
  /** The whole document as the API shows it. */
  readonly json: string;
  /** Set when the document does not compile: why. A flag that asks such a segment answers QUARANTINED. */
  readonly quarantined: string | undefined;
  /** undefined: the user_id; else the attribute whose value is looked up. */
  readonly matchBy: string | undefined;
  /** `matchBy` cut at its dots; undefined when it has none. */
  readonly matchPath: readonly string[] | undefined;
  /** undefined: the list is empty. */
  readonly included: IdSet | undefined;
  readonly excluded: IdSet | undefined;
  readonly when: CompiledCondition | undefined;
}

/** Where an evaluation looks up what a flag names: the flags and segments of one environment of one snapshot. */
export interface EvaluationScope {
  readonly flags: Pick<ReadonlyMap<string, CompiledFlag>, 'get'>;
  readonly segments: Pick<ReadonlyMap<string, CompiledSegment>, 'get'>;
}

/** Why somebody is in a segment or not; `unknown`: it is missing, broken, or too deep. */
export type Membership = 'excluded' | 'included' | 'condition' | 'none' | 'unknown';

/**
 * Is told what an evaluation looks at, in order. Only explain has one; each call says what was found. Of a prerequisite
 * only the conditions and segments are told, for what they cost; its rules are not this flag's story.
 */
export interface Observer {
  /** `served` undefined: there is no such flag. */
  prerequisite(flagId: string, variant: string, served: Outcome | undefined, met: boolean): void;
  target(served: Outcome | undefined): void;
  rule(rule: CompiledRule, matched: boolean): void;
  /** A node of a condition, after all below it; `result` with its negation. */
  condition(condition: CompiledCondition, result: boolean): void;
  segment(segmentId: string, membership: Membership): void;
}

export interface CompiledFlag extends CompiledServe {
  readonly flagId: string;
  readonly environment: string;
  readonly version: number;
  readonly revision: number;
  readonly type: FlagType;
  readonly enabled: boolean;
  readonly tags: readonly string[];
  /** The whole document as the API shows it. */
  readonly json: string;
  /** Set when the document does not compile: why. Such a flag answers QUARANTINED. */
  readonly quarantined: string | undefined;
  /** Names by index, at most 250: what a batch's bytes stand for. A boolean flag has off, on. */
  readonly variants: readonly string[];
  /** All that it can answer, at most 65,535. */
  readonly outcomes: readonly Outcome[];
  /** UTF-8 of ":" + (salt ?? flag_id). */
  readonly hashSuffix: Uint8Array;
  /** undefined: the user_id; else the attribute whose value is hashed. */
  readonly bucketBy: string | undefined;
  /** `bucketBy` cut at its dots, for when no attribute has that exact name; undefined when it has no dot. */
  readonly bucketPath: readonly string[] | undefined;
  /** undefined: it has none. */
  readonly prerequisites: readonly Prerequisite[] | undefined;
  readonly targets: ReadonlyMap<string, Outcome> | undefined;
  /** In order; undefined: it has none. */
  readonly rules: readonly CompiledRule[] | undefined;
  readonly disabled: Outcome;
  readonly prerequisiteFailed: Outcome;
  readonly bucketKeyMissing: Outcome;
  /**
   * QUARANTINED: a segment that it asks is missing or broken, its prerequisites go round in a circle, or what it depends
   * on is more than the limits let one evaluation look at. Writes are checked; rows can be bad.
   */
  readonly unsound: Outcome;
}
