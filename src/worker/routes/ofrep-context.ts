// The context of an OFREP request: `context.targetingKey` is the user_id, and all else in it are attributes; neither
// has to be there.
import type { EvaluationContext } from '../../core/compiled.ts';
import type { JsonObject } from '../../core/model.ts';
import { asFields, type Fields, own } from '../../core/reading.ts';
import { checkAttributes } from '../http/attributes.ts';
import { withOfrepCode } from '../http/ofrep-failure.ts';
import { invalid, type Refusal, refuseIssues } from '../http/refusal.ts';
import { checkUserId } from '../http/user-id.ts';

/** `value`: of the whole body. `bodyBytes`: its size. */
export function readOfrepContext(value: unknown, bodyBytes: number): EvaluationContext | Refusal {
  const body = asFields(value);
  if (body === undefined) return withOfrepCode(invalid('', 'the body must be an object'), 'PARSE_ERROR');
  const sent = own(body, 'context');
  const context = sent === undefined ? {} : asFields(sent);
  if (context === undefined) return withOfrepCode(invalid('context', 'must be an object'), 'INVALID_CONTEXT');
  // An attribute named user_id is never read: conditions ask the targeting key for it, and without one it is missing.
  const { targetingKey = '' } = context;
  // Most have none, and leaving one member out of an object takes as long as parsing it.
  const attributes = hasAttributes(context) ? attributesIn(context) : undefined;
  const issue = checkUserId(targetingKey, 'context.targetingKey') ?? checkAttributes(attributes, 'context', bodyBytes);
  return issue === undefined
    ? { userId: targetingKey as string, attributes: attributes as JsonObject | undefined }
    : withOfrepCode(refuseIssues([issue]), 'INVALID_CONTEXT');
}

function hasAttributes(context: Fields): boolean {
  for (const name in context) if (name !== 'targetingKey') return true;
  return false;
}

function attributesIn(context: Fields): Fields {
  const { targetingKey: _, ...attributes } = context;
  return attributes;
}
