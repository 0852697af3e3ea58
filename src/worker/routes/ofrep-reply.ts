// Hot path.
// The text of OFREP's answers: what was made when the snapshot was published, put into that protocol's order.
import type { CompiledFlag, Outcome } from '../../core/compiled.ts';
import type { Reason } from '../../core/model.ts';
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
 * One flag among many: a success or a failure. A success tells the revision of the flag's own last change: clients
 * compare whole answers to find what changed, so nothing else may move them.
 */
export function itemJson(flag: CompiledFlag, outcome: Outcome): string {
  const why = unanswered(outcome);
  if (why === undefined) return successJson(outcome, flag.revision);
  const errorCode = why === 'broken' ? 'GENERAL' : 'TARGETING_KEY_MISSING';
  return JSON.stringify({ key: flag.flagId, errorCode, errorDetails: unansweredDetails(flag, why) });
}

/** What is wrong, in words. */
export function unansweredDetails(flag: CompiledFlag, why: Unanswered): string {
  if (why === 'broken') return `The flag ${flag.flagId} cannot be read and has no off_variant to serve.`;
  return flag.bucketBy === undefined
    ? `The flag ${flag.flagId} splits users and needs context.targetingKey.`
    : `The flag ${flag.flagId} splits by ${JSON.stringify(flag.bucketBy)}, which the context lacks.`;
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
