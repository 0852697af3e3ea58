// Evaluations by the ordered way: by POST, batches, and whatever the hot path hands over.
import type { EvaluationContext, HashUser, Outcome } from '../../core/compiled.ts';
import { type Allowance, evaluate } from '../../core/evaluate.ts';
import type { Issue, JsonObject } from '../../core/model.ts';
import { asFields, type Fields, own } from '../../core/reading.ts';
import { limits } from '../../limits.ts';
import type { Batches } from '../batch/batches.ts';
import type { Plan, Plans } from '../batch/plans.ts';
import type { Turns } from '../batch/turns.ts';
import { checkAttributes } from '../http/attributes.ts';
import type { Answer, Call, KeyedHandlers, Responder } from '../http/call.ts';
import type { HttpDeps } from '../http/deps.ts';
import { invalid, isRefusal, type Refusal, refuse, refuseIssues } from '../http/refusal.ts';
import { emptyReply, jsonReply, type Reply } from '../http/reply.ts';
import { overloaded } from '../http/shedding.ts';
import { checkUserId } from '../http/user-id.ts';
import type { ServingEnvironment } from '../serving.ts';
import { isSpent, startAllowance } from './allowance.ts';
import { createExplainer, type Explainer, isExplained } from './explainer.ts';
import { findEnvironment, findFlagToEvaluate } from './lookup.ts';
import { isoTime, jsonString, outcomeReply } from './outcome-reply.ts';

export function createEvaluationHandlers(deps: {
  readonly hash: HashUser;
  readonly unknownFlags: HttpDeps['unknownFlags'];
  readonly plans: Plans;
  readonly batches: Batches;
  readonly turns: Turns;
}): Pick<KeyedHandlers, 'evaluateFlag' | 'evaluateFlagWithBody' | 'evaluateBatch'> {
  const { hash, unknownFlags, plans, batches, turns } = deps;

  function respond(call: Call, context: EvaluationContext): Responder {
    return (snapshot) => {
      const environment = findEnvironment(snapshot, call.environment);
      if (isRefusal(environment)) return environment;
      const flag = findFlagToEvaluate(environment, call.parameters[0] ?? '', call.key, unknownFlags);
      if (isRefusal(flag)) return flag;
      const tell = (outcome: Outcome, tail: string): Reply =>
        jsonReply(200, outcomeReply(outcome, context.userId, Date.now(), snapshot.revision + tail));
      if (!isExplained(call)) return tell(evaluate(flag, context, environment, hash), '}');
      const { outcome, traceJson } = createExplainer(call.key, environment, hash, startAllowance())(flag, context);
      return tell(outcome, `,"trace":${traceJson}}`);
    };
  }

  function answerBatch(call: Call, { contexts }: Batch, plan: Plan, head: string): Promise<Answer> {
    return new Promise((resolve) => {
      const job = batches.json({
        plan,
        contexts,
        form: 'batch',
        head,
        tail: ']}',
        done: (reply, isOwn) => resolve(jsonReply(200, isOwn ? reply : Buffer.from(reply))),
        tooMuchWork: () => resolve(tooMuchWork()),
        replyBytesMax: limits.batchReplyBytesMax,
        tooLarge: () => resolve(tooLarge()),
        abandoned: () => {
          if (!call.hasGone()) return false;
          // Nobody reads it; it ends what waits for the answer.
          resolve(emptyReply(204));
          return true;
        },
      });
      turns.run(call, job, () => resolve(refuse('INTERNAL')));
    });
  }

  function explainBatch(call: Call, { contexts }: Batch, plan: Plan, head: string): Answer {
    const allowance = startAllowance();
    const explain = createExplainer(call.key, plan.environment, hash, allowance);
    const rows: string[] = [];
    let charCount = 0;
    for (const context of contexts) {
      rows.push(explainRow(plan, context, explain, allowance));
      if (isSpent(allowance)) return tooMuchWork();
      charCount += (rows[rows.length - 1] as string).length;
      if (charCount > limits.batchReplyBytesMax) return tooLarge();
    }
    return jsonReply(200, `${head}${rows.join(',')}]}`);
  }

  return {
    evaluateFlag: (call) => {
      const userId = call.query.values.get('user_id');
      const issue = requireUserId(userId, 'user_id');
      return issue === undefined
        ? respond(call, { userId: userId ?? '', attributes: call.query.attributes })
        : refuseIssues([issue]);
    },
    evaluateFlagWithBody: (call) => {
      const context = readContext(call.body, '', call.bodyBytes, ['user_id', 'environment', 'attributes']);
      return isRefusal(context) ? context : respond(call, context);
    },
    evaluateBatch: (call) => {
      const batch = readBatch(call.body, call.bodyBytes);
      if (isRefusal(batch)) return batch;
      return (snapshot) => {
        const environment = findEnvironment(snapshot, call.environment);
        if (isRefusal(environment)) return environment;
        const plan = plans.find(environment, call.key, batch.flagIds);
        const explained = isExplained(call);
        const countMax = explained ? limits.explainedEvaluationsMax : limits.batchEvaluationsMax;
        if (plan.flags.length * batch.contexts.length > countMax) {
          return invalid(
            'contexts',
            `${batch.contexts.length} contexts of ${plan.flags.length} flags are over ${countMax} ${explained ? 'explained ' : ''}evaluations; split the batch`,
          );
        }
        if (!explained && turns.isFullFor(plan.flags.length * batch.contexts.length)) return overloaded();
        countUnknown(environment, batch, unknownFlags);
        const head = `{"revision":${snapshot.revision},"evaluated_at":"${isoTime(Date.now())}","results":[`;
        return explained ? explainBatch(call, batch, plan, head) : answerBatch(call, batch, plan, head);
      };
    },
  };
}

/** Counts what is asked for by name and does not exist. */
export function countUnknown(
  environment: ServingEnvironment,
  batch: Batch,
  unknownFlags: HttpDeps['unknownFlags'],
): void {
  for (const flagId of batch.flagIds ?? []) {
    if (!environment.flags.has(flagId)) unknownFlags.count(environment.environment, flagId, batch.contexts.length);
  }
}

export function tooMuchWork(): Refusal {
  return invalid(
    'contexts',
    `make more work than ${limits.requestConditionsMax} simple conditions; split the batch, or send shorter texts and arrays`,
  );
}

export function tooLarge(): Refusal {
  return invalid(
    'contexts',
    `make a reply of more than ${limits.batchReplyBytesMax} bytes; split the batch, or name fewer flags`,
  );
}

/** Half of a row when the allowance was spent: then it is not for anybody. */
function explainRow(plan: Plan, context: EvaluationContext, explain: Explainer, allowance: Allowance): string {
  const members = plan.flags.map((flag, column) => {
    const name = `${jsonString(plan.flagIds[column] as string)}:`;
    if (flag === undefined || isSpent(allowance)) return `${name}{"error":"FLAG_NOT_FOUND"}`;
    const { outcome, traceJson } = explain(flag, context);
    return `${name}${outcome.batchJson.slice(0, -1)},"trace":${traceJson}}`;
  });
  return `{${members.join(',')}}`;
}

export interface Batch {
  readonly contexts: readonly EvaluationContext[];
  /** Each once; undefined: all. */
  readonly flagIds: readonly string[] | undefined;
}

/** `value`: of the whole body. `bodyBytes`: its size. */
export function readBatch(value: unknown, bodyBytes: number): Batch | Refusal {
  const body = asFields(value);
  if (body === undefined) return invalid('', 'must be an object');
  const unknown = unknownField(body, ['environment', 'contexts', 'flags'], '');
  if (unknown !== undefined) return refuseIssues([unknown]);
  const contexts = own(body, 'contexts');
  const flags = own(body, 'flags');
  if (!Array.isArray(contexts))
    return invalid('contexts', contexts === undefined ? 'is required: an array' : 'must be an array');
  if (contexts.length > limits.batchContextsMax)
    return invalid('contexts', `must be at most ${limits.batchContextsMax}`);
  if (flags !== undefined && !isStrings(flags)) return invalid('flags', 'must be an array of strings');
  if (flags !== undefined && flags.length > limits.batchFlagsMax)
    return invalid('flags', `must be at most ${limits.batchFlagsMax}`);
  const read: EvaluationContext[] = [];
  const issues: Issue[] = [];
  for (const [i, raw] of contexts.entries()) {
    const context = readContext(raw, `contexts[${i}]`, bodyBytes, ['user_id', 'attributes']);
    if (isRefusal(context)) issues.push(...context.issues);
    else read.push(context);
    if (issues.length >= limits.issuesMax) break;
  }
  return issues.length > 0
    ? refuseIssues(issues)
    : { contexts: read, flagIds: flags === undefined ? undefined : [...new Set(flags)] };
}

function readContext(
  raw: unknown,
  path: string,
  bodyBytes: number,
  known: readonly string[],
): EvaluationContext | Refusal {
  const fields = asFields(raw);
  if (fields === undefined) return invalid(path, 'must be an object');
  const userId = own(fields, 'user_id');
  const attributes = own(fields, 'attributes');
  const prefix = path === '' ? '' : `${path}.`;
  const issue =
    unknownField(fields, known, prefix) ??
    requireUserId(userId, `${prefix}user_id`) ??
    checkAttributes(attributes, `${prefix}attributes`, bodyBytes);
  return issue === undefined
    ? { userId: userId as string, attributes: attributes as JsonObject | undefined }
    : refuseIssues([issue]);
}

function unknownField(fields: Fields, known: readonly string[], prefix: string): Issue | undefined {
  for (const name of Object.keys(fields)) {
    if (!known.includes(name))
      return { path: `${prefix}${name.slice(0, 64)}`, message: `is not known here; ${whereElse(name, known)}` };
  }
  return undefined;
}

/** Asked of a context or a body, and known in the query alone. */
const IN_QUERY: readonly string[] = ['explain', 'min_revision'];

function whereElse(name: string, known: readonly string[]): string {
  return IN_QUERY.includes(name) ? `send it in the query: ?${name}=` : `there are ${known.join(', ')}`;
}

function requireUserId(userId: unknown, path: string): Issue | undefined {
  if (userId === undefined) return { path, message: 'is required: a string' };
  if (userId === '') return { path, message: 'must not be empty' };
  return checkUserId(userId, path);
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((entry) => typeof entry === 'string');
}
