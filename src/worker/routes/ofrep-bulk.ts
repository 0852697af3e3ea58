// OFREP for all flags of one context, by both ways: the short one, and the pipeline's.
import type { EvaluationContext, HashUser } from '../../core/compiled.ts';
import { limits } from '../../limits.ts';
import type { KeyedHandler } from '../http/call.ts';
import { notModified } from '../http/conditions.ts';
import { withOfrepCode } from '../http/ofrep-failure.ts';
import { invalid, isRefusal, type Refusal } from '../http/refusal.ts';
import { jsonReply } from '../http/reply.ts';
import type { ShortReplies, ShortResponder } from '../http/short-post.ts';
import type { ServingEnvironment, ServingKey } from '../serving.ts';
import { findEnvironment } from './lookup.ts';
import type { BulkFrame, BulkFrames } from './ofrep-bulk-frame.ts';
import { readOfrepContext } from './ofrep-context.ts';
import { flagsJson } from './ofrep-reply.ts';
import { tagOf } from './ofrep-tag.ts';

export function createBulkHandler(hash: HashUser, frameOf: BulkFrames): KeyedHandler {
  return (call) => {
    const context = readOfrepContext(call.body, call.bodyBytes);
    if (isRefusal(context)) return context;
    return (snapshot) => {
      const environment = findEnvironment(snapshot, call.environment);
      if (isRefusal(environment)) return environment;
      const frame = frameOf(snapshot, environment, call.key, Date.now());
      const tag = tagOf(frame.tagBase, context);
      const unchanged = notModified(call.request, tag);
      if (unchanged !== undefined) return unchanged;
      const body = bulkJson(environment, call.key, context, hash, frame);
      return body === undefined ? tooMuchWork() : jsonReply(200, body, [['ETag', tag]]);
    };
  };
}

export function createBulkResponder(hash: HashUser, frameOf: BulkFrames, replies: ShortReplies): ShortResponder {
  return (call) => {
    const { environment, snapshot, delivery } = call;
    const { request, key } = delivery;
    const context = readOfrepContext(call.body, call.bodyBytes);
    if (isRefusal(context)) return false;
    const frame = frameOf(snapshot, environment, key, call.nowMs);
    const tag = tagOf(frame.tagBase, context);
    const unchanged = notModified(request, tag);
    if (unchanged !== undefined) {
      replies.other(call, unchanged);
      return true;
    }
    const body = bulkJson(environment, key, context, hash, frame);
    if (body === undefined) replies.other(call, tooMuchWork());
    else replies.json(call, body, `\r\nETag: ${tag}`);
    return true;
  };
}

/** undefined: it is more work than one request may make. */
function bulkJson(
  environment: ServingEnvironment,
  key: ServingKey,
  context: EvaluationContext,
  hash: HashUser,
  frame: BulkFrame,
): string | undefined {
  const flags = flagsJson(environment, key, context, hash);
  return flags === undefined ? undefined : `{"flags":${flags}${frame.tail}`;
}

function tooMuchWork(): Refusal {
  const told = `makes more work than ${limits.requestConditionsMax} simple conditions for all flags; send shorter texts and arrays`;
  return withOfrepCode(invalid('context', told), 'INVALID_CONTEXT');
}
