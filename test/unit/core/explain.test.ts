import { test } from 'tap';
import { explain } from '../../../src/core/explain.ts';
import { startExplainBudget } from '../../../src/core/explain-work.ts';
import { hashUser } from '../../../src/kernel/murmur3.ts';
import { alone, compiled } from './support.ts';

test('try', (t) => {
  const flag = compiled({
    flag_id: 'new-checkout',
    enabled: true,
    rollout_percentage: 25,
    rules: [
      {
        rule_id: 'adults',
        when: {
          all: [
            { attribute: 'country', op: 'in', values: ['PL', 'CZ'] },
            { attribute: 'plan', op: 'exists' },
          ],
        },
        serve: { variant: 'on' },
      },
    ],
  });
  console.log(
    JSON.stringify(
      explain(flag, { userId: 'user-123', attributes: { country: 'PL' } }, alone, hashUser, {
        budget: startExplainBudget(),
        isVisible: () => true,
      }),
      null,
      1,
    ),
  );
  t.end();
});
