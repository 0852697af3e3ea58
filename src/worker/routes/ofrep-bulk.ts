// Hot path.
// OFREP for all flags of one context, by both ways: the short one, and the pipeline's.
import type { EvaluationContext } from '../../core/compiled.ts';
import { limits } from '../../limits.ts';
import type { HashText } from '../../snapshot/checksum.ts';
import type { Batches, JsonBatch } from '../batch/batches.ts';
import type { Plan, Plans } from '../batch/plans.ts';
import type { Turns } from '../batch/turns.ts';
import type { Answer, KeyedHandler } from '../http/call.ts';
import { notModified } from '../http/conditions.ts';
import { withOfrepCode } from '../http/ofrep-failure.ts';
import { invalid, isRefusal, type Refusal, refuse } from '../http/refusal.ts';
import { emptyReply, jsonReply } from '../http/reply.ts';
import { overloaded } from '../http/shedding.ts';
import type { ShortReplies, ShortResponder } from '../http/short-post.ts';
import { findEnvironment } from './lookup.ts';
import { BULK_HEAD, createBulkFrames } from './ofrep-bulk-frame.ts';
import { readOfrepContext } from './ofrep-context.ts';
import { tagOf } from './ofrep-tag.ts';

export interface Bulk {
  readonly handler: KeyedHandler;
  responder(replies: ShortReplies): ShortResponder;
}

export function createBulk({
  plans,
  batches,
  turns,
  hashText,
}: {
  readonly plans: Plans;
  readonly batches: Batches;
  readonly turns: Turns;
  readonly hashText: HashText;
}): Bulk {
  const frameOf = createBulkFrames();

  return {
    handler: (call) => {
      const context = readOfrepContext(call.body, call.bodyBytes);
      if (isRefusal(context)) return context;
      return (snapshot) => {
        const environment = findEnvironment(snapshot, call.environment);
        if (isRefusal(environment)) return environment;
        const { tagBase, tail } = frameOf(snapshot, environment, call.key, Date.now());
        const tag = tagOf(tagBase, context, hashText);
        const unchanged = notModified(call.request, tag);
        if (unchanged !== undefined) return unchanged;
        return new Promise<Answer>((resolve) => {
          const done: JsonBatch['done'] = (reply, isOwn) =>
            resolve(jsonReply(200, isOwn ? reply : Uint8Array.from(reply), [['ETag', tag]]));
          const refuseWork = (): void => resolve(tooMuchWork());
          const refuseSize = (): void => resolve(tooLarge());
          const isGone = (): boolean => {
            if (!call.hasGone()) return false;
            // Nobody reads it; it ends what waits for the answer.
            resolve(emptyReply(204));
            return true;
          };
          const plan = plans.find(environment, call.key, undefined);
          if (turns.isFullFor(plan.flags.length)) return resolve(overloaded());
          const batch = batchOf(plan, context, tail, done, refuseWork, refuseSize, isGone);
          turns.run(call.request, batches.json(batch), () => resolve(refuse('INTERNAL')));
        });
      };
    },

    responder: (replies) => (call) => {
      const { environment, snapshot } = call;
      const { request, key } = call.delivery;
      const context = readOfrepContext(call.body, call.bodyBytes);
      if (isRefusal(context)) return false;
      const { tagBase, tail } = frameOf(snapshot, environment, key, call.nowMs);
      const tag = tagOf(tagBase, context, hashText);
      const unchanged = notModified(request, tag);
      if (unchanged === undefined) {
        const done: JsonBatch['done'] = (reply) => replies.json(call, reply, `\r\nETag: ${tag}`);
        const refuseWork = (): void => replies.other(call, tooMuchWork());
        const refuseSize = (): void => replies.other(call, tooLarge());
        const plan = plans.find(environment, key, undefined);
        if (turns.isFullFor(plan.flags.length)) {
          replies.other(call, overloaded());
          return true;
        }
        const batch = batchOf(plan, context, tail, done, refuseWork, refuseSize, () => replies.isGone(call));
        turns.run(request, batches.json(batch), () => replies.other(call, refuse('INTERNAL')));
      } else replies.other(call, unchanged);
      return true;
    },
  };
}

function batchOf(
  plan: Plan,
  context: EvaluationContext,
  tail: string,
  done: JsonBatch['done'],
  tooMuch: JsonBatch['tooMuchWork'],
  tooLarge: JsonBatch['tooLarge'],
  abandoned: () => boolean,
): JsonBatch {
  return {
    plan,
    contexts: [context],
    form: 'ofrep',
    head: BULK_HEAD,
    tail,
    done,
    tooMuchWork: tooMuch,
    replyBytesMax: limits.batchReplyBytesMax,
    tooLarge,
    abandoned,
  };
}

function tooMuchWork(): Refusal {
  const told = `makes more work than ${limits.requestConditionsMax} simple conditions for all flags; send shorter texts and arrays`;
  return withOfrepCode(invalid('context', told), 'INVALID_CONTEXT');
}

function tooLarge(): Refusal {
  const told = `All flags make a reply of more than ${limits.batchReplyBytesMax} bytes; ask for them one by one.`;
  return withOfrepCode(invalid('', told), 'GENERAL');
}
