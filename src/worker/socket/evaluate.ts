// Hot path.
// `evaluate` and `evaluate_batch`: all flags of a message from one snapshot, by the batch engine; what is small is
// answered before the handler of its message returns.
import { errors } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { Batches } from '../batch/batches.ts';
import type { Plans } from '../batch/plans.ts';
import type { Turns } from '../batch/turns.ts';
import { isRefusal, type Refusal } from '../http/refusal.ts';
import { RETRY_MS } from '../http/shedding.ts';
import type { UnknownFlagCounts } from '../unknown-flags.ts';
import { type Asked, type FindAsked, retryMsOf } from './asked-environment.ts';
import type { Connection } from './connection.ts';
import type { AskedContext, ClientMessage } from './messages.ts';

type Evaluate = Extract<ClientMessage, { readonly type: 'evaluate' }>;
type EvaluateBatch = Extract<ClientMessage, { readonly type: 'evaluate_batch' }>;

/** What stands around the rows of a reply. */
interface Form {
  readonly open: string;
  readonly before: string;
  readonly after: string;
}

const ONE: Form = { open: '{"type":"result","id":', before: '', after: '}' };
const MANY: Form = { open: '{"type":"results","id":', before: '[', after: ']}' };

export interface Evaluations {
  evaluate(connection: Connection, message: Evaluate): void;
  evaluateBatch(connection: Connection, message: EvaluateBatch): void;
}

export function createEvaluations(deps: {
  readonly findAsked: FindAsked;
  readonly plans: Plans;
  readonly batches: Pick<Batches, 'json'>;
  readonly turns: Pick<Turns, 'run' | 'isFullFor'>;
  readonly unknownFlags: Pick<UnknownFlagCounts, 'count'>;
}): Evaluations {
  const { findAsked, plans, batches, turns, unknownFlags } = deps;

  function begin(
    connection: Connection,
    message: Evaluate | EvaluateBatch,
    contexts: readonly AskedContext[],
    form: Form,
  ): void {
    const settle = connection.begin();
    if (settle === undefined) return;
    const asked = findAsked(connection, message);
    if (asked instanceof Promise) {
      // Never rejects.
      void asked.then((found) => answer(connection, message, contexts, form, found, settle));
    } else answer(connection, message, contexts, form, asked, settle);
  }

  function answer(
    connection: Connection,
    message: Evaluate | EvaluateBatch,
    contexts: readonly AskedContext[],
    form: Form,
    asked: Asked | Refusal,
    settle: () => void,
  ): void {
    const { id, flagIds } = message;
    if (isRefusal(asked)) {
      connection.sendError(id, asked.code, asked.detail, retryMsOf(asked));
      return settle();
    }
    const { snapshot, environment, key } = asked;
    const plan = plans.find(environment, key, flagIds).distinct;
    const flagCount = plan.flagIds.length;
    if (flagCount * contexts.length > limits.batchEvaluationsMax) {
      connection.sendError(id, 'INVALID_REQUEST', tooMany(contexts.length, flagCount));
      return settle();
    }
    if (turns.isFullFor(flagCount * contexts.length)) {
      connection.sendError(id, 'OVERLOADED', errors.OVERLOADED.title, RETRY_MS);
      return settle();
    }
    for (let i = 0; i < flagCount; i++) {
      if (plan.flags[i] !== undefined) continue;
      const flagId = plan.flagIds[i] as string;
      // The key may only not see it.
      if (!environment.flags.has(flagId)) unknownFlags.count(environment.environment, flagId, contexts.length);
    }
    const job = batches.json({
      plan,
      contexts,
      form: 'batch',
      head: `${form.open}${id},"revision":${snapshot.revision},"results":${form.before}`,
      tail: form.after,
      done(reply) {
        connection.sendText(reply);
        settle();
      },
      replyBytesMax: limits.socketUnsentBytesMax,
      tooLarge() {
        connection.sendError(id, 'INVALID_REQUEST', TOO_LARGE);
        settle();
      },
      tooMuchWork() {
        connection.sendError(id, 'INVALID_REQUEST', TOO_MUCH_WORK);
        settle();
      },
      abandoned: () => !connection.isOpen,
    });
    turns.run(connection, job, () => {
      connection.sendError(id, 'INTERNAL', FAILED);
      settle();
    });
  }

  return {
    evaluate(connection, message) {
      begin(connection, message, [message.context], ONE);
    },
    evaluateBatch(connection, message) {
      begin(connection, message, message.contexts, MANY);
    },
  };
}

const FAILED = 'This failed for a reason that is in the log.';
const TOO_LARGE = `The reply would be over ${limits.socketUnsentBytesMax} bytes; ask for fewer flags or contexts at once.`;
const TOO_MUCH_WORK = `This makes more work than ${limits.requestConditionsMax} simple conditions; split the batch, or send shorter texts and arrays.`;

function tooMany(contextCount: number, flagCount: number): string {
  return `contexts: ${contextCount} contexts of ${flagCount} flags are over ${limits.batchEvaluationsMax} evaluations; split the batch`;
}
