// What is kept of lists of flags, and for whom.
import { test } from 'tap';
import { limits } from '../../../../src/limits.ts';
import { createPlans } from '../../../../src/worker/batch/plans.ts';
import { makeFlag, makeKey } from '../../../support/serving.ts';
import { EVERY_KEY, environmentOf } from './support.ts';

const WEB = makeFlag({ flag_id: 'web', enabled: true, rollout_percentage: 50, tags: ['web', 'shop'] });
const PLAIN = makeFlag({ flag_id: 'plain', enabled: true, rollout_percentage: 50 });
const ENVIRONMENT = environmentOf([PLAIN, WEB]);
// Its texts fill the budget with some hundred lists.
const LARGE_VALUES = Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`v${i}`, `${i}`.repeat(60_000)]));
const LARGE = makeFlag({
  flag_id: 'large',
  enabled: true,
  type: 'string',
  variants: LARGE_VALUES,
  off_variant: 'v0',
  rollout: Object.keys(LARGE_VALUES).map((variant) => ({ variant, percentage: 12.5 })),
});

test('all flags, in order of flag_id, are one plan for every key without tags', (t) => {
  const plans = createPlans();
  const plan = plans.find(ENVIRONMENT, EVERY_KEY, undefined);
  t.same(plan.flagIds, ['plain', 'web']);
  t.equal(plans.find(ENVIRONMENT, makeKey({ raw: 'other', scope: 'admin' }), undefined), plan);
  t.not(plans.find(environmentOf([PLAIN, WEB]), EVERY_KEY, undefined), plan, 'another snapshot, another plan');
  t.end();
});

test('keys with the same tags share a plan, others do not see through it', (t) => {
  const plans = createPlans();
  const first = makeKey({ raw: 'one', scope: 'evaluate', tags: ['shop', 'web'] });
  const second = makeKey({ raw: 'two', scope: 'evaluate', tags: ['web', 'shop'] });
  const third = makeKey({ raw: 'three', scope: 'evaluate', tags: ['mobile'] });
  const blind = makeKey({ raw: 'four', scope: 'evaluate', tags: [] });
  const plan = plans.find(ENVIRONMENT, first, undefined);
  t.same(plan.flagIds, ['web']);
  t.equal(plans.find(ENVIRONMENT, second, undefined), plan);
  t.same(plans.find(ENVIRONMENT, third, undefined).flagIds, []);
  t.same(plans.find(ENVIRONMENT, blind, undefined).flagIds, []);
  const asked = ['web', 'plain'];
  t.same(
    [first, third, EVERY_KEY].map((key) => plans.find(ENVIRONMENT, key, asked).flags.map((flag) => flag?.flagId)),
    [
      ['web', undefined],
      [undefined, undefined],
      ['web', 'plain'],
    ],
  );
  t.end();
});

test('a list is found again by what it holds, and by nothing else', (t) => {
  const plans = createPlans();
  const find = (...ids: string[]) => plans.find(ENVIRONMENT, EVERY_KEY, ids);
  const plan = find('web', 'plain');
  t.equal(find('web', 'plain'), plan);
  for (const other of [['plain', 'web'], ['web'], ['web', 'plain', 'plain'], [], ['web', 'plain', '']]) {
    t.not(find(...other), plan);
    t.same(find(...other).flagIds, other);
  }
  // They agree in all that the hash reads of a longer list: every other unit of an id of five.
  const more = Array.from({ length: 9 }, (_, i) => `more-${i}`);
  const twins = [
    ['a1xxb', ...more],
    ['a2xxb', ...more],
  ];
  for (let round = 0; round < 3; round += 1) {
    for (const ids of twins) t.same(find(...ids).flagIds, ids);
  }
  t.same(find('a\u0000b', 'c').flagIds, ['a\u0000b', 'c']);
  t.same(find('a', 'b\u0000c').flagIds, ['a', 'b\u0000c']);
  t.end();
});

test('a client that sends another list each time does not fill memory, nor drive out what is asked for again', (t) => {
  const plans = createPlans();
  const usual = ['plain', 'web'];
  const plan = plans.find(ENVIRONMENT, EVERY_KEY, usual);
  const early = plans.find(ENVIRONMENT, EVERY_KEY, ['early']);
  for (let i = 0; i < limits.plansMax * 4; i += 1) {
    plans.find(ENVIRONMENT, EVERY_KEY, [`list-${i}`, `${i * 7}`]);
    t.equal(plans.find(ENVIRONMENT, EVERY_KEY, usual), plan);
  }
  t.not(plans.find(ENVIRONMENT, EVERY_KEY, ['early']), early, 'it was let go');
  const long = Array.from({ length: 10_000 }, (_, i) => `long-${i}`);
  const kept = plans.find(ENVIRONMENT, EVERY_KEY, long);
  t.equal(plans.find(ENVIRONMENT, EVERY_KEY, long), kept);
  for (let i = 0; i < limits.planColumnsMax / 10_000; i += 1) plans.find(ENVIRONMENT, EVERY_KEY, [...long, `${i}`]);
  for (let i = 0; i < limits.planColumnsMax / 10_000; i += 1) plans.find(ENVIRONMENT, EVERY_KEY, [...long, `x${i}`]);
  t.not(plans.find(ENVIRONMENT, EVERY_KEY, long), kept, 'too many columns in all');
  const huge = ['x'.repeat(1000)];
  t.not(plans.find(ENVIRONMENT, EVERY_KEY, huge), plans.find(ENVIRONMENT, EVERY_KEY, huge), 'no flag has such an id');
  t.end();
});

test('texts are made while the budget of the environment lasts, and a list that goes gives back its own', (t) => {
  const environment = environmentOf([LARGE]);
  const plans = createPlans();
  const make = (i: number) => plans.find(environment, EVERY_KEY, ['large', `none-${i}`]).panels[0]?.fragments('batch');
  const eachBytes = make(0)?.image.length as number;
  const fitting = Math.floor(limits.planFragmentsBytesMax / eachBytes);
  t.ok(fitting < limits.plansMax, `${fitting} lists`);
  for (let i = 1; i < fitting; i += 1) t.ok(make(i) !== undefined);
  t.equal(make(fitting), undefined);
  for (let i = 0; i < limits.plansMax; i += 1) plans.find(environment, EVERY_KEY, [`other-${i}`]);
  t.ok(make(-1) !== undefined);
  t.end();
});

test('a list that is not kept takes nothing of the budget, whatever is made of it afterwards', (t) => {
  const environment = environmentOf([LARGE]);
  const plans = createPlans();
  const tooLong = 'x'.repeat(1000);
  const find = (...ids: string[]) => plans.find(environment, EVERY_KEY, ids);
  const eachBytes = find('large').panels[0]?.fragments('batch')?.image.length as number;
  for (let i = 0; i < 2 * (limits.planFragmentsBytesMax / eachBytes); i += 1) {
    // It is told by strings.
    t.equal(find('large', 'large', tooLong).panels[0]?.fragments('batch'), undefined);
    t.equal(find('large', 'large', tooLong).distinct.panels[0]?.fragments('batch'), undefined);
  }
  t.ok(find('large', 'kept').panels[0]?.fragments('batch') !== undefined);
  t.end();
});
