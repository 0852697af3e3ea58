// Each operator against the naive evaluator, with values that are made around the places where comparisons turn.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { test } from 'tap';
import { evaluate } from '../../../src/core/evaluate.ts';
import type { Json, JsonObject, Operator } from '../../../src/core/model.ts';
import { hashUser } from '../../../src/kernel/murmur3.ts';
import { CASED_OPERATORS } from '../../support/arbitrary-conditions.ts';
import { compileDefinition } from '../../support/arbitrary-environments.ts';
import { OPERATOR_VALUES } from '../../support/arbitrary-values.ts';
import { naiveEvaluate } from '../../support/naive-evaluator.ts';
import { alone, create } from './support.ts';

const CONDITIONS_EACH = 300;
const FOUND_EACH = 12;

interface ConditionVector {
  readonly operator: string;
  readonly when: JsonObject;
  readonly context: { readonly user_id: string; readonly attributes: JsonObject };
  readonly matches: boolean;
}

/** Whether the condition holds for each value, by both; throws where they differ. */
function compareBoth(condition: Json, found: readonly Json[]): readonly boolean[] {
  const definition = create({
    flag_id: 'f',
    enabled: true,
    rules: [{ rule_id: 'r', when: condition, serve: { variant: 'on' } }],
  });
  const flag = compileDefinition(definition);
  const environment = { flags: new Map(), segments: new Map() };
  return found.map((value) => {
    const attributes = { x: value };
    const got = evaluate(flag, { userId: 'u', attributes }, alone, hashUser).reason;
    const { reason } = naiveEvaluate(definition, { user_id: 'u', attributes }, environment);
    if (got !== reason) throw new Error(`${JSON.stringify({ condition, value })}: ${got}, naive ${reason}`);
    return got === 'RULE_MATCH';
  });
}

for (const [op, { asked, found }] of Object.entries(OPERATOR_VALUES)) {
  test(`${op} is what the naive evaluator says`, (t) => {
    let pairs = 0;
    let held = 0;
    const anything = fc.oneof(
      { weight: 20, arbitrary: found },
      { weight: 3, arbitrary: fc.array(found, { maxLength: 3 }) },
      { weight: 1, arbitrary: fc.constantFrom<Json>(null, true, 0, '', {}, [[]], [null]) },
    );
    fc.assert(
      fc.property(
        fc.array(asked, { minLength: 1, maxLength: 3 }),
        fc.boolean(),
        fc.array(anything, { minLength: FOUND_EACH, maxLength: FOUND_EACH }),
        (values, isCaseIgnored, candidates) => {
          const ignoreCase = isCaseIgnored && CASED_OPERATORS.includes(op as Operator) ? { ignore_case: true } : {};
          // What was asked for is found too, which chance alone seldom brings about.
          const answers = compareBoth({ attribute: 'x', op, values, ...ignoreCase }, [...candidates, ...values]);
          pairs += answers.length;
          held += answers.filter((answer) => answer).length;
        },
      ),
      { numRuns: CONDITIONS_EACH, seed: 10 },
    );
    t.ok(pairs >= CONDITIONS_EACH * FOUND_EACH, `${pairs} pairs`);
    t.ok(held > pairs * 0.02 && held < pairs * 0.98, `${held} of them held`);
    t.end();
  });
}

test('every letter with another case folds as Unicode has it', (t) => {
  let pairs = 0;
  for (let point = 0; point <= 0x1ffff; point++) {
    if (point >= 0xd800 && point < 0xe000) continue;
    const letter = String.fromCodePoint(point);
    const others = [letter.toLowerCase(), letter.toUpperCase(), letter.toUpperCase().toLowerCase()];
    const candidates = [...new Set(others)].filter((other) => other !== letter);
    // U+0000 is refused in a condition, and is no letter.
    if (candidates.length === 0) continue;
    compareBoth({ attribute: 'x', op: 'equals', values: [letter], ignore_case: true }, candidates);
    pairs += candidates.length;
  }
  t.ok(pairs > 2500, `${pairs} pairs`);
  t.end();
});

test('the naive evaluator gives the condition vectors too', (t) => {
  const cases = JSON.parse(
    readFileSync(new URL('../../vectors/conditions.json', import.meta.url), 'utf8'),
  ) as readonly ConditionVector[];
  // Patterns there are in RE2 syntax, of which JavaScript knows only a part.
  const compared = cases.filter(({ operator }) => operator !== 'matches');
  const wrong = compared.filter(({ when, context, matches }) => {
    const rules = [{ rule_id: 'r', when, serve: { variant: 'on' } }];
    const definition = create({ flag_id: 'f', enabled: true, rules });
    const { reason } = naiveEvaluate(definition, context, { flags: new Map(), segments: new Map() });
    return (reason === 'RULE_MATCH') !== matches;
  });
  t.same(wrong, []);
  t.ok(compared.length >= 400, `${compared.length} vectors`);
  t.end();
});
