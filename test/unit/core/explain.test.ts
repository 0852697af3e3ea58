// Explain by example: one test for each thing that it says.
import { test } from 'tap';
import { compileCondition } from '../../../src/core/compile-condition.ts';
import type { CompiledFlag, CompiledSegment, EvaluationScope } from '../../../src/core/compiled.ts';
import { explain, type Trace } from '../../../src/core/explain.ts';
import { explainLimits, startExplainBudget } from '../../../src/core/explain-work.ts';
import type { ConditionNode, JsonObject } from '../../../src/core/model.ts';
import { hashUser } from '../../../src/kernel/murmur3.ts';
import { alone, compiled } from './support.ts';

// The bucket of user-123 for the salt new-checkout.
const BUCKET = 2532;

function trace(
  flag: CompiledFlag,
  attributes?: JsonObject,
  scope: EvaluationScope = alone,
  userId = 'user-123',
): Trace {
  const options = { budget: startExplainBudget({ stepsLeft: Number.POSITIVE_INFINITY }), isVisible: () => true };
  return explain(flag, { userId, attributes }, scope, hashUser, options).trace;
}

function checkout(body: object = {}): CompiledFlag {
  return compiled({ flag_id: 'new-checkout', enabled: true, rollout_percentage: 25, ...body });
}

function rule(ruleId: string, when: object, serve: object = { variant: 'on' }): object {
  return { rule_id: ruleId, when, serve };
}

function segment(
  segmentId: string,
  parts: { included?: string[]; excluded?: string[]; when?: object },
): CompiledSegment {
  const list = (ids: string[] = []): CompiledSegment['included'] =>
    ids.length === 0 ? undefined : { count: ids.length, has: (id) => ids.includes(id), ids: () => ids };
  return {
    segmentId,
    environment: 'prod',
    version: 1,
    revision: 1,
    json: '{}',
    quarantined: undefined,
    matchBy: undefined,
    matchPath: undefined,
    included: list(parts.included),
    excluded: list(parts.excluded),
    when: parts.when === undefined ? undefined : compileCondition(parts.when as ConditionNode),
  };
}

function scopeOf(flags: readonly CompiledFlag[], segments: readonly CompiledSegment[] = []): EvaluationScope {
  return {
    flags: new Map(flags.map((flag) => [flag.flagId, flag])),
    segments: new Map(segments.map((each) => [each.segmentId, each])),
  };
}

test('the bucket, and the percentage at which it is within', (t) => {
  const off = trace(checkout());
  t.match(off, { bucket: BUCKET, enters_at: 25.33, flips_complete: true });
  t.same(off.flips[0], { rollout_percentage: 25.33, gives: { variant: 'on', reason: 'SPLIT' } });
  const on = trace(checkout({ rollout_percentage: 50 }));
  t.match(on, { bucket: BUCKET, enters_at: 25.33 });
  t.same(on.flips[0], { rollout_percentage: 25.32, gives: { variant: 'off', reason: 'SPLIT' } });
  t.end();
});

test('0 % and 100 % are percentages too', (t) => {
  t.match(trace(checkout({ rollout_percentage: 0 })), { enters_at: 25.33, flips: [{ rollout_percentage: 25.33 }] });
  t.match(trace(checkout({ rollout_percentage: 100 })), { enters_at: 25.33, flips: [{ rollout_percentage: 25.32 }] });
  t.end();
});

test('where no percentage decides, there is no enters_at, but the bucket all the same', (t) => {
  t.match(trace(checkout({ enabled: false })), { bucket: BUCKET, enters_at: null });
  t.match(trace(checkout({ targets: [{ variant: 'on', user_ids: ['user-123'] }] })), {
    bucket: BUCKET,
    enters_at: null,
  });
  t.match(trace(checkout({ rules: [rule('all', { all: [] })] })), { bucket: BUCKET, enters_at: null });
  t.match(trace(checkout({ prerequisites: [{ flag_id: 'gone', variant: 'on' }] })), {
    bucket: BUCKET,
    enters_at: null,
  });
  t.match(trace(checkout({ bucket_by: 'company' })), { bucket: null, enters_at: null });
  t.match(trace(checkout({ rules: [rule('some', { all: [] }, { rollout_percentage: 50 })] })), { enters_at: 25.33 });
  t.end();
});

test('a rule is shown as a tree, with what was not looked at', (t) => {
  const when = {
    all: [
      { attribute: 'country', op: 'in', values: ['PL', 'CZ'], negate: true },
      { any: [{ attribute: 'plan', op: 'exists' }] },
    ],
  };
  t.same(trace(checkout({ rules: [rule('abroad', when)] }), { country: 'PL' }).steps, [
    { step: 'enabled', enabled: true },
    {
      step: 'rule',
      rule_id: 'abroad',
      matched: false,
      when: {
        all: [
          { attribute: 'country', op: 'in', values: ['PL', 'CZ'], actual: 'PL', negate: true, result: false },
          { any: [{ attribute: 'plan', op: 'exists', actual: null, result: null }], result: null },
        ],
        result: false,
      },
    },
    {
      step: 'rollout',
      bucket_by: 'user_id',
      bucket: BUCKET,
      ranges: [
        [0, 2500, 'on'],
        [2500, 10_000, 'off'],
      ],
      variant: 'off',
    },
  ]);
  t.end();
});

test('long values are cut, and counted', (t) => {
  const values = Array.from({ length: 10_000 }, (_, i) => `${'v'.repeat(200)}${i}`);
  const attributes = {
    a: 'x'.repeat(60_000),
    b: Array.from({ length: 1000 }, () => 'y'),
    c: { deep: { er: 1 } },
    d: [[1]],
  };
  const when = {
    all: ['a', 'b', 'c', 'd'].map((attribute) => ({ attribute, op: 'in', values: values.slice(0, 100), negate: true })),
  };
  const text = JSON.stringify(trace(checkout({ rules: [rule('long', when)] }), attributes).steps);
  t.ok(text.length < 6000, `${text.length} characters`);
  t.match(text, /"values_count":100/);
  t.match(text, /"actual":\["y","y","y","y","y","y","y","y"\],"actual_cut":true/);
  t.match(text, /"actual":\{\},"actual_cut":true/);
  t.match(text, /"actual":\[\[\]\]/);
  t.end();
});

test('a segment says why somebody is in it', (t) => {
  const inside = { attribute: 'team', op: 'equals', values: ['burgee'] };
  const staff = segment('staff', { included: ['ann'], excluded: ['bob'], when: inside });
  const flag = checkout({ rules: [rule('ours', { segment: 'staff' })] });
  const node = (userId: string, team?: string): unknown => {
    const { steps } = trace(flag, team === undefined ? {} : { team }, scopeOf([], [staff]), userId);
    const step = steps.find((each) => each.step === 'rule');
    return step?.when;
  };
  t.same(node('ann'), { segment: 'staff', membership: 'included', result: true });
  t.same(node('bob', 'burgee'), { segment: 'staff', membership: 'excluded', result: false });
  const asked = { attribute: 'team', op: 'equals', values: ['burgee'] };
  t.same(node('eve', 'burgee'), {
    segment: 'staff',
    membership: 'condition',
    when: { ...asked, actual: 'burgee', result: true },
    result: true,
  });
  t.same(node('eve'), {
    segment: 'staff',
    membership: 'none',
    when: { ...asked, actual: null, result: false },
    result: false,
  });
  t.end();
});

test('what a segment would have to hold', (t) => {
  const staff = segment('staff', {
    included: ['ann'],
    excluded: ['bob', 'ann-2'],
    when: { attribute: 'team', op: 'exists' },
  });
  const flag = checkout({ rollout_percentage: 0, rules: [rule('ours', { segment: 'staff' })] });
  const gives = { variant: 'on', reason: 'RULE_MATCH', rule_id: 'ours' };
  const edit = (list: string, action: string, id: string): object => ({
    segment: { segment_id: 'staff', list, action, id },
  });
  const scope = scopeOf([], [staff]);
  t.same(trace(flag, {}, scope, 'eve').flips.slice(1, 3), [
    { attributes: { set: { team: true }, remove: [] }, gives },
    { ...edit('included', 'add', 'eve'), gives },
  ]);
  t.match(trace(flag, { team: 1 }, scope, 'bob').flips[1], { ...edit('excluded', 'remove', 'bob'), gives });
  const off = { variant: 'off', reason: 'STATIC' };
  const flips = trace(flag, {}, scope, 'ann').flips;
  t.same(flips.slice(0, 2), [
    { ...edit('included', 'remove', 'ann'), gives: off },
    { ...edit('excluded', 'add', 'ann'), gives: off },
  ]);
  t.end();
});

test('a disabled flag is enabled first, and with what else it takes', (t) => {
  t.same(trace(checkout({ enabled: false, rollout_percentage: 50 })).flips, [
    { enabled: true, gives: { variant: 'on', reason: 'SPLIT' } },
  ]);
  t.same(trace(checkout({ enabled: false, rollout_percentage: 0 })).flips, [
    { enabled: true, rollout_percentage: 25.33, gives: { variant: 'on', reason: 'SPLIT' } },
  ]);
  t.end();
});

test('what a rule in the way hides is found behind it', (t) => {
  const flag = checkout({
    rollout_percentage: 0,
    rules: [
      rule('blocked', { attribute: 'country', op: 'in', values: ['RU'] }, { variant: 'off' }),
      rule('pro', { attribute: 'plan', op: 'in', values: ['pro'] }),
    ],
  });
  t.same(trace(flag, { country: 'RU' }).flips[0], {
    rollout_percentage: 25.33,
    attributes: { set: {}, remove: ['country'] },
    gives: { variant: 'on', reason: 'SPLIT' },
  });
  t.same(trace(flag, { country: 'RU', plan: 'pro' }).flips[0], {
    attributes: { set: {}, remove: ['country'] },
    gives: { variant: 'on', reason: 'RULE_MATCH', rule_id: 'pro' },
  });
  t.end();
});

test('a percentage of the rule that matched is that rule s', (t) => {
  const flag = checkout({ rules: [rule('half', { attribute: 'beta', op: 'exists' }, { rollout_percentage: 10 })] });
  t.match(trace(flag, { beta: true }), {
    enters_at: 25.33,
    steps: [
      {},
      {},
      {
        step: 'rollout',
        rule_id: 'half',
        ranges: [
          [0, 1000, 'on'],
          [1000, 10_000, 'off'],
        ],
      },
    ],
    flips: [{ rollout_percentage: 25.33, rule_id: 'half', gives: { rule_id: 'half', variant: 'on' } }],
  });
  t.end();
});

test('what a prerequisite needs is found in the prerequisite', (t) => {
  const payments = compiled({
    flag_id: 'payments',
    enabled: true,
    rules: [rule('paying', { attribute: 'plan', op: 'in', values: ['pro'] })],
  });
  const flag = checkout({ rollout_percentage: 100, prerequisites: [{ flag_id: 'payments', variant: 'on' }] });
  const found = trace(flag, {}, scopeOf([payments]));
  t.match(found.steps[1], { step: 'prerequisite', flag_id: 'payments', served: { variant: 'off' }, met: false });
  t.match(found.flips, [
    { flag_id: 'payments', rollout_percentage: Number, gives: { variant: 'on', reason: 'STATIC' } },
    { attributes: { set: { plan: 'pro' } }, gives: { variant: 'on', reason: 'STATIC' } },
  ]);
  const options = { budget: startExplainBudget({ stepsLeft: Number.POSITIVE_INFINITY }), isVisible: () => false };
  const hidden = explain(flag, { userId: 'user-123', attributes: {} }, scopeOf([payments]), hashUser, options).trace;
  t.match(hidden, { steps: [{}, { served: null, met: false }], flips: [] }, 'unless it may not be seen');
  t.end();
});

test('a missing bucket attribute is named, with a value that would do', (t) => {
  const flag = checkout({ bucket_by: 'company', rollout_percentage: 50 });
  const { flips, steps } = trace(flag);
  t.match(steps.at(-1), { step: 'rollout', bucket_by: 'company', bucket: null });
  t.match(flips, [
    { rollout_percentage: 100, gives: { variant: 'on', reason: 'STATIC' } },
    { attributes: { set: { company: String } }, gives: { variant: 'on', reason: 'SPLIT' } },
  ]);
  t.end();
});

test('who asks is never suggested to be another', (t) => {
  const flag = checkout({
    rollout_percentage: 0,
    rules: [rule('me', { attribute: 'user_id', op: 'in', values: ['me'] })],
  });
  t.notMatch(JSON.stringify(trace(flag).flips), /user_id|"me"/);
  t.end();
});

test('a flag that cannot be evaluated says why, and offers nothing', (t) => {
  const flag = checkout({ rules: [rule('ours', { segment: 'gone' })] });
  const { steps, flips } = trace(flag);
  t.match(steps.at(-1), { step: 'quarantined', detail: /missing, broken/ });
  t.match(steps[1], { when: { segment: 'gone', membership: 'unknown' } });
  t.same(flips, []);
  t.end();
});

test('the largest flag is explained within bounds, and what is cut short says so', (t) => {
  const rules = Array.from({ length: 256 }, (_, i) =>
    rule(`r${i}`, {
      all: Array.from({ length: 7 }, (_each, j) => ({
        attribute: `a${j}`,
        op: 'in',
        values: [`v${i}`, 'x'],
        negate: j === 6,
      })),
    }),
  );
  const flag = checkout({ rules });
  const attributes = Object.fromEntries(Array.from({ length: 7 }, (_, j) => [`a${j}`, 'x']));
  const budget = startExplainBudget({ stepsLeft: Number.POSITIVE_INFINITY });
  const options = { budget, isVisible: () => true };
  const context = { userId: 'user-123', attributes };
  const { steps, flips } = explain(flag, context, alone, hashUser, options).trace;
  const nodes = (JSON.stringify(steps).match(/"result":/g) ?? []).length;
  t.ok(nodes <= explainLimits.traceConditionsMax, `${nodes} conditions shown`);
  t.equal(steps.length, 258, 'every rule is named');
  t.match(flips, [{ rollout_percentage: 25.33 }, { attributes: { remove: ['a6'] } }]);
  // One evaluation is not stopped half-way.
  const overMax = 2 * 2048;
  while (budget.workLeft > 0 && explain(flag, context, alone, hashUser, options).trace.flips_complete);
  t.equal(explain(flag, context, alone, hashUser, options).trace.flips_complete, false, 'a batch shares one budget');
  t.ok(budget.workLeft >= -overMax, `${budget.workLeft} units left`);
  t.end();
});

test('of a large group the first members are shown, and the others counted', (t) => {
  const any = Array.from({ length: 2000 }, (_, i) => ({ attribute: `a${i}`, op: 'exists' }));
  const step = trace(checkout({ rules: [rule('many', { any })] }), {}).steps[1];
  t.match(step, { when: { omitted: Number, result: false } });
  const when = step?.step === 'rule' ? step.when : undefined;
  const shown = when !== undefined && 'any' in when ? when.any.length : 0;
  t.equal(when !== undefined && 'any' in when ? when.omitted : 0, 2000 - shown);
  t.ok(shown > 900 && shown <= explainLimits.traceConditionsMax);
  t.end();
});
