// OpenFeature Remote Evaluation Protocol: one flag, and all of them with an ETag and the address of an event stream.
import type { EvaluationContext, HashUser } from '../../core/compiled.ts';
import { evaluate } from '../../core/evaluate.ts';
import type { JsonObject } from '../../core/model.ts';
import { asFields, own } from '../../core/reading.ts';
import { limits } from '../../limits.ts';
import { changeTag } from '../change-tag.ts';
import { checkAttributes } from '../http/attributes.ts';
import type { Call, KeyedHandlers } from '../http/call.ts';
import { notModified } from '../http/conditions.ts';
import type { HttpDeps } from '../http/deps.ts';
import { withOfrepCode } from '../http/ofrep-failure.ts';
import { invalid, isRefusal, type Refusal, refuse, refuseIssues } from '../http/refusal.ts';
import { jsonReply } from '../http/reply.ts';
import { checkUserId } from '../http/user-id.ts';
import type { ServingEnvironment, ServingKey, ServingSnapshot } from '../serving.ts';
import { makeStreamToken, tokenWindow } from '../stream-token.ts';
import { findEnvironment, findFlagToEvaluate } from './lookup.ts';
import { flagsJson, successJson, unanswered, unansweredDetails } from './ofrep-reply.ts';
import { bulkTag } from './ofrep-tag.ts';

/** A page that nobody looks at for this long closes its stream; the protocol's own default, said all the same. */
const INACTIVITY_SECONDS = 120;

export function createOfrepHandlers(
  hash: HashUser,
  unknownFlags: HttpDeps['unknownFlags'],
): Pick<KeyedHandlers, 'ofrepEvaluateFlag' | 'ofrepEvaluateFlags'> {
  return {
    ofrepEvaluateFlag: (call) => {
      const context = readContext(call);
      if (isRefusal(context)) return context;
      return (snapshot) => {
        const environment = findEnvironment(snapshot, call.environment);
        if (isRefusal(environment)) return environment;
        const flag = findFlagToEvaluate(environment, call.parameters[0] ?? '', call.key, unknownFlags);
        if (isRefusal(flag)) return flag;
        const outcome = evaluate(flag, context, environment, hash);
        const why = unanswered(outcome);
        if (why === undefined) return jsonReply(200, successJson(outcome, snapshot.revision));
        const details = unansweredDetails(flag, why);
        return why === 'broken'
          ? refuse('INTERNAL', details)
          : withOfrepCode(refuse('INVALID_REQUEST', details), 'TARGETING_KEY_MISSING');
      };
    },
    ofrepEvaluateFlags: (call) => {
      const context = readContext(call);
      if (isRefusal(context)) return context;
      return (snapshot) => {
        const environment = findEnvironment(snapshot, call.environment);
        if (isRefusal(environment)) return environment;
        const nowMs = Date.now();
        const address = streamAddress(snapshot, environment, call.key, nowMs);
        const window = address === undefined ? undefined : tokenWindow(nowMs);
        const tag = bulkTag(snapshot, environment, call.key, context, window);
        const unchanged = notModified(call.request, tag);
        if (unchanged !== undefined) return unchanged;
        const flags = flagsJson(environment, call.key, context, hash);
        if (flags === undefined) return withOfrepCode(invalid('context', TOO_MUCH_WORK), 'INVALID_CONTEXT');
        return jsonReply(200, `{"flags":${flags},${membersBeside(environment, address)}}`, [['ETag', tag]]);
      };
    },
  };
}

const TOO_MUCH_WORK = `makes more work than ${limits.requestConditionsMax} simple conditions for all flags; send shorter texts and arrays`;

/** `context.targetingKey` is the user_id, and all else in it are attributes; neither has to be there. */
function readContext(call: Call): EvaluationContext | Refusal {
  const body = asFields(call.body);
  if (body === undefined) return withOfrepCode(invalid('', 'the body must be an object'), 'PARSE_ERROR');
  const sent = own(body, 'context');
  const context = sent === undefined ? {} : asFields(sent);
  if (context === undefined) return withOfrepCode(invalid('context', 'must be an object'), 'INVALID_CONTEXT');
  // An attribute named user_id is never read: conditions ask the targeting key for it, and without one it is missing.
  const { targetingKey = '', ...attributes } = context;
  const issue =
    checkUserId(targetingKey, 'context.targetingKey') ?? checkAttributes(attributes, 'context', call.bodyBytes);
  return issue === undefined
    ? { userId: targetingKey as string, attributes: attributes as JsonObject }
    : withOfrepCode(refuseIssues([issue]), 'INVALID_CONTEXT');
}

/** Of the set of flags: all of it follows from what the ETag is made of. */
function membersBeside(environment: ServingEnvironment, address: string | undefined): string {
  const metadata = { environment: environment.environment, revision: environment.changedAt };
  const streams =
    address === undefined
      ? []
      : [{ type: 'sse', endpoint: { requestUri: address }, inactivityDelaySec: INACTIVITY_SECONDS }];
  return `"metadata":${JSON.stringify(metadata)},"eventStreams":${JSON.stringify(streams)}`;
}

/**
 * Without scheme and host: behind a proxy only the client knows them. `since` lets the stream tell at once of a change
 * that came between this answer and its opening.
 */
function streamAddress(
  snapshot: ServingSnapshot,
  environment: ServingEnvironment,
  key: ServingKey,
  nowMs: number,
): string | undefined {
  if (snapshot.streamSecret === undefined) return undefined;
  const grant = { keyId: key.keyId, environment: environment.environment };
  const token = makeStreamToken(grant, snapshot.streamSecret, nowMs);
  return token === undefined ? undefined : `/ofrep/v1/stream?token=${token}&since=${changeTag(snapshot, environment)}`;
}
