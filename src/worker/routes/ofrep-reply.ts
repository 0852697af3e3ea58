// Hot path.
// The text of OFREP's answers: what was made when the snapshot was published, put into that protocol's order.
import type { EvaluationContext, HashUser, Outcome } from '../../core/compiled.ts';
import { evaluate } from '../../core/evaluate.ts';
import type { Reason } from '../../core/model.ts';
import type { ServingEnvironment, ServingKey } from '../serving.ts';
import { isSpent, startAllowance } from './allowance.ts';
import { isVisible } from './lookup.ts';
import { jsonString } from './outcome-reply.ts';

/** Why there is no value to send: one that needs a bucket has nothing to hash, or a broken flag has no off_variant. */
export type Unanswered = 'bucket-key-missing' | 'broken';

export function unanswered(outcome: Outcome): Unanswered | undefined {
  if (outcome.reason === 'BUCKET_KEY_MISSING') return 'bucket-key-missing';
  return outcome.variant === '' ? 'broken' : undefined;
}

/** One success. `revision` goes into its metadata. */
export function successJson(outcome: Outcome, revision: number): string {
  const tail = outcome.replyTail;
  const at = outcome.reasonAt;
  return (
    '{"key":' +
    jsonString(outcome.flagId) +
    ',"reason":"' +
    ofrepReason(outcome.reason) +
    '",' +
    tail.slice(2, at) +
    ',"metadata":{' +
    tail.slice(at + 1) +
    revision +
    '}}'
  );
}

/**
 * Every flag that the key may see, for one context, each as a success or a failure. A success tells the revision of the
 * flag's own last change: clients compare whole answers to find what changed, so nothing else may move them.
 * undefined: it is more work than one request may make.
 */
export function flagsJson(
  environment: ServingEnvironment,
  key: ServingKey,
  context: EvaluationContext,
  hash: HashUser,
  failureOf: (outcome: Outcome, why: Unanswered) => string,
): string | undefined {
  const allowance = startAllowance();
  let text = '[';
  for (const flag of environment.flags.values()) {
    if (!isVisible(key, flag)) continue;
    if (text.length > 1) text += ',';
    const outcome = evaluate(flag, context, environment, hash, undefined, allowance);
    if (isSpent(allowance)) return undefined;
    const why = unanswered(outcome);
    text += why === undefined ? successJson(outcome, flag.revision) : failureOf(outcome, why);
  }
  return text + ']';
}

/** The few reasons that every client knows; the service's own is in the metadata. */
function ofrepReason(reason: Reason): string {
  switch (reason) {
    case 'STATIC':
    case 'SPLIT':
    case 'DISABLED':
      return reason;
    case 'TARGET_MATCH':
    case 'RULE_MATCH':
      return 'TARGETING_MATCH';
    default:
      return 'UNKNOWN';
  }
}
