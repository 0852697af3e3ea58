// OpenFeature Remote Evaluation Protocol: one flag.
import type { HashUser } from '../../core/compiled.ts';
import { evaluate } from '../../core/evaluate.ts';
import type { KeyedHandlers } from '../http/call.ts';
import type { HttpDeps } from '../http/deps.ts';
import { withOfrepCode } from '../http/ofrep-failure.ts';
import { isRefusal, refuse } from '../http/refusal.ts';
import { jsonReply } from '../http/reply.ts';
import { findEnvironment, findFlagToEvaluate } from './lookup.ts';
import { readOfrepContext } from './ofrep-context.ts';
import { successJson, unanswered, unansweredDetails } from './ofrep-reply.ts';

export function createOfrepHandlers(
  hash: HashUser,
  unknownFlags: HttpDeps['unknownFlags'],
): Pick<KeyedHandlers, 'ofrepEvaluateFlag'> {
  return {
    ofrepEvaluateFlag: (call) => {
      const context = readOfrepContext(call.body, call.bodyBytes);
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
  };
}
