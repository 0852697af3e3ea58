// The evaluator against a second implementation that shares nothing with it, over random environments and contexts.
import fc from 'fast-check';
import { test } from 'tap';
import { evaluate } from '../../../src/core/evaluate.ts';
import type { FlagDefinition, Reason } from '../../../src/core/model.ts';
import { hashUser } from '../../../src/kernel/murmur3.ts';
import { arbitraryContext, type ContextDocument } from '../../support/arbitrary-conditions.ts';
import {
  arbitraryEnvironment,
  type CompiledEnvironment,
  compileEnvironment,
} from '../../support/arbitrary-environments.ts';
import { type NaiveAnswer, naiveEvaluate } from '../../support/naive-evaluator.ts';

const ENVIRONMENTS = 600;
const CONTEXTS_EACH = 14;

/** Shares of answers below which the random documents would no longer test what they are for. */
const SHARES_LEAST: Readonly<Record<Reason, number>> = {
  DISABLED: 0.03,
  PREREQUISITE_FAILED: 0.1,
  TARGET_MATCH: 0.01,
  RULE_MATCH: 0.15,
  SPLIT: 0.05,
  STATIC: 0.02,
  BUCKET_KEY_MISSING: 0.01,
  QUARANTINED: 0.001,
};

test('evaluation equals the naive evaluator, and every reason comes up often enough to mean something', (t) => {
  const counts = new Map<Reason, number>();
  let pairs = 0;
  let splitRules = 0;
  fc.assert(
    fc.property(
      arbitraryEnvironment,
      fc.array(arbitraryContext, { minLength: CONTEXTS_EACH, maxLength: CONTEXTS_EACH }),
      (environment, contexts) => {
        const scope = compileEnvironment(environment);
        for (const context of contexts) {
          for (const flag of environment.flags.values()) {
            const expected = naiveEvaluate(flag, context, environment);
            const got = answerOf(scope, flag, context);
            if (!isSameAnswer(got, expected)) {
              throw new Error(JSON.stringify({ flag: flag.flag_id, context, expected, got }));
            }
            pairs++;
            counts.set(got.reason, (counts.get(got.reason) ?? 0) + 1);
            const rule = flag.rules.find(({ rule_id: id }) => id === got.rule_id);
            if (rule !== undefined && !('variant' in rule.serve)) splitRules++;
          }
        }
      },
    ),
    { numRuns: ENVIRONMENTS, seed: 20260105 },
  );
  t.ok(pairs >= 20_000, `${pairs} pairs`);
  t.ok(splitRules / pairs > 0.05, `${splitRules} of them by the split of a rule`);
  for (const [reason, least] of Object.entries(SHARES_LEAST)) {
    const share = (counts.get(reason as Reason) ?? 0) / pairs;
    t.ok(share >= least, `${(share * 100).toFixed(1)} % ${reason}`);
  }
  t.end();
});

function answerOf(scope: CompiledEnvironment, flag: FlagDefinition, context: ContextDocument): NaiveAnswer {
  const compiled = scope.flags.get(flag.flag_id);
  if (compiled === undefined) throw new Error(flag.flag_id);
  const asked = { userId: context.user_id, attributes: context.attributes };
  const { variant, value, enabled, reason, ruleId } = evaluate(compiled, asked, scope, hashUser);
  return { variant, value, enabled, reason, ...(ruleId === undefined ? {} : { rule_id: ruleId }) };
}

function isSameAnswer(a: NaiveAnswer, b: NaiveAnswer): boolean {
  return (
    a.variant === b.variant &&
    a.enabled === b.enabled &&
    a.reason === b.reason &&
    a.rule_id === b.rule_id &&
    JSON.stringify(a.value) === JSON.stringify(b.value)
  );
}
