// Hot path.
// POST /api/v1/evaluate by the short way: what is plainly right, answered on the batch path.
import { limits } from '../../limits.ts';
import type { Batches, JsonBatch } from '../batch/batches.ts';
import type { Plans } from '../batch/plans.ts';
import type { Turns } from '../batch/turns.ts';
import type { HttpDeps } from '../http/deps.ts';
import { isRefusal, refuse } from '../http/refusal.ts';
import { overloaded } from '../http/shedding.ts';
import type { ShortReplies, ShortResponder } from '../http/short-post.ts';
import { countUnknown, readBatch, tooLarge, tooMuchWork } from './evaluations.ts';
import { isoTime } from './outcome-reply.ts';

export function createBatchResponder(
  deps: {
    readonly unknownFlags: HttpDeps['unknownFlags'];
    readonly plans: Plans;
    readonly batches: Batches;
    readonly turns: Turns;
  },
  replies: ShortReplies,
): ShortResponder {
  const { unknownFlags, plans, batches, turns } = deps;

  return (call) => {
    const { environment, snapshot, delivery } = call;
    const asked = readBatch(call.body, call.bodyBytes);
    if (isRefusal(asked)) return false;
    const { contexts, flagIds } = asked;
    const { key } = delivery;
    const plan = plans.find(environment, key, flagIds);
    if (plan.flags.length * contexts.length > limits.batchEvaluationsMax) return false;
    countUnknown(environment, asked, unknownFlags);
    const batch: JsonBatch = {
      plan,
      contexts,
      form: 'batch',
      head: `{"revision":${snapshot.revision},"evaluated_at":"${isoTime(call.nowMs)}","results":[`,
      tail: ']}',
      done: (reply) => replies.json(call, reply, ''),
      tooMuchWork: () => replies.other(call, tooMuchWork()),
      replyBytesMax: limits.batchReplyBytesMax,
      tooLarge: () => replies.other(call, tooLarge()),
      abandoned: () => replies.isGone(call),
    };
    if (turns.isFullFor(plan.flags.length * contexts.length)) replies.other(call, overloaded());
    else turns.run(delivery.request, batches.json(batch), () => replies.other(call, refuse('INTERNAL')));
    return true;
  };
}
