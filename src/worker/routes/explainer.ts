// explain=true on the evaluation routes: the same answers, with a trace. What a key may not see, it is not told of.
import type { CompiledFlag, EvaluationContext, EvaluationScope, HashUser, Outcome } from '../../core/compiled.ts';
import type { Allowance } from '../../core/evaluate.ts';
import { explain } from '../../core/explain.ts';
import { startExplainBudget } from '../../core/explain-work.ts';
import type { Call } from '../http/call.ts';
import type { ServingKey } from '../serving.ts';
import { isVisible } from './lookup.ts';

export type Explainer = (
  flag: CompiledFlag,
  context: EvaluationContext,
) => { readonly outcome: Outcome; readonly traceJson: string };

export function isExplained(call: Call): boolean {
  return call.query.values.get('explain') === 'true';
}

/** For one request: all its explanations share one budget, and the allowance of its evaluations. */
export function createExplainer(
  key: ServingKey,
  scope: EvaluationScope,
  hash: HashUser,
  allowance: Allowance,
): Explainer {
  const options = { budget: startExplainBudget(allowance), isVisible: (flag: CompiledFlag) => isVisible(key, flag) };
  return (flag, context) => {
    const { outcome, trace } = explain(flag, context, scope, hash, options);
    return { outcome, traceJson: JSON.stringify(trace) };
  };
}
