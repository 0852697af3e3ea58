// What a flag document becomes when a snapshot is published: everything an evaluation needs, and every reply it can
// give, made once. Nothing here is parsed, sorted or allocated on a request.
import type { FlagType, Json, JsonObject, Reason } from './model.ts';

/** MurmurHash3_x86_32(utf8(userId) + suffix, seed 0), unsigned. `suffix` is the UTF-8 of ":" + (salt or flag_id). */
export type HashUser = (userId: string, suffix: Uint8Array) => number;

export interface EvaluationContext {
  /** 1 to 65,535 UTF-8 bytes. */
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
  /**
   * The single reply is `replyHead + JSON(user_id) + ',"evaluated_at":"' + time + replyTail + revision + '}'`:
   * replyHead = {"flag_id":"f","enabled":true,"user_id":
   * replyTail = ","variant":"on","value":true,"reason":"SPLIT","version":3,"revision":     (with "rule_id" after reason)
   */
  readonly replyHead: string;
  readonly replyTail: string;
  /** In a batch: {"enabled":true,"variant":"on","value":true,"reason":"SPLIT","version":3} */
  readonly batchJson: string;
}

/** Who gets which variant by bucket. `outcomes[i]` serves buckets below `edges[i]` (and not below `edges[i-1]`). */
export interface CompiledSplit {
  readonly edges: Uint16Array;
  readonly outcomes: readonly Outcome[];
}

export interface CompiledFlag {
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
  /** UTF-8 of ":" + (salt ?? flag_id). */
  readonly hashSuffix: Uint8Array;
  /** undefined: the user_id; else the attribute whose value is hashed. */
  readonly bucketBy: string | undefined;
  /** `bucketBy` cut at its dots, for when no attribute has that exact name; undefined when it has no dot. */
  readonly bucketPath: readonly string[] | undefined;
  readonly targets: ReadonlyMap<string, Outcome> | undefined;
  /** Exactly one of these two is set: one variant has all the weight, or several share it. */
  readonly fixed: Outcome | undefined;
  readonly split: CompiledSplit | undefined;
  readonly disabled: Outcome;
  readonly bucketKeyMissing: Outcome;
}
