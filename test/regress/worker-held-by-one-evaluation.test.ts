// An evaluation ended after so many conditions, whatever each of them took: a flag of two thousand versions and a context
// with an array of eight thousand held a worker for over two seconds, until it was killed as hung. Now it ends after so
// much work, and all evaluations of a request together do.
import { test } from 'tap';
import type { CompiledFlag } from '../../src/core/compiled.ts';
import { documentLimits } from '../../src/core/document-limits.ts';
import { EVALUATION_STEPS_MAX, evaluate } from '../../src/core/evaluate.ts';
import type { Json } from '../../src/core/model.ts';
import { hashUser } from '../../src/kernel/murmur3.ts';
import { alone, compiled } from '../unit/core/support.ts';

/** A single comparison that is the last one is finished, and may take this many times an evaluation's steps. */
const OVERSHOOT = 1.5;

const COUNT = documentLimits.conditionsMax - 1;

function flagOf(leaf: (i: number) => object, count = COUNT): CompiledFlag {
  const any = Array.from({ length: count }, (_, i) => leaf(i));
  return compiled({ flag_id: 'f', enabled: true, rules: [{ rule_id: 'r', when: { any }, serve: { variant: 'on' } }] });
}

function ask(flag: CompiledFlag, a: Json): { readonly reason: string; readonly steps: number } {
  const allowance = { stepsLeft: Number.MAX_SAFE_INTEGER };
  const { reason } = evaluate(flag, { userId: 'u', attributes: { a } }, alone, hashUser, undefined, allowance);
  return { reason, steps: Number.MAX_SAFE_INTEGER - allowance.stepsLeft };
}

const attribute = 'a';
const versions = flagOf((i) => ({ attribute, op: 'semver_gt', values: [`999.0.${i}`] }));

test('the largest flags end after a bounded work, whatever they are asked', (t) => {
  const cases: readonly [string, CompiledFlag, Json][] = [
    ['versions', versions, Array<string>(8000).fill('1.0.0')],
    ['a long version', versions, `1.0.0-${'a.'.repeat(32_000)}a`],
    ['numbers', flagOf((i) => ({ attribute, op: 'gt', values: [1e9 + i] })), Array<number>(32_000).fill(1)],
    [
      'folded texts',
      flagOf((i) => ({ attribute, op: 'in', ignore_case: true, values: [`Ä${i}`] })),
      Array<string>(8000).fill('b'),
    ],
    [
      'times',
      flagOf((i) => ({ attribute, op: 'after', values: [`2999-01-01T00:00:00.${i}Z`] })),
      `2000-01-01T00:00:00.${'1'.repeat(65_000)}Z`,
    ],
    [
      'networks',
      flagOf((i) => ({ attribute, op: 'in_cidr', values: [`10.0.${i & 255}.0/24`] })),
      Array<string>(6000).fill('192.0.2.1'),
    ],
    [
      'long beginnings',
      flagOf((i) => ({ attribute, op: 'starts_with', ignore_case: true, values: [`${'ä'.repeat(4000)}${i}`] }), 120),
      Array<string>(15).fill('Ä'.repeat(2000)),
    ],
    [
      'patterns',
      flagOf((i) => ({ attribute, op: 'matches', values: [`(a|b)*c${i}`] }), documentLimits.searchPassesMax),
      Array<string>(21_000).fill(''),
    ],
  ];
  for (const [name, flag, value] of cases) {
    const { reason, steps } = ask(flag, value);
    t.equal(reason, 'QUARANTINED', name);
    t.ok(steps <= EVALUATION_STEPS_MAX * OVERSHOOT, `${name}: ${steps} steps`);
  }
  t.end();
});

test('the longest text is still searched by all the patterns that a flag may have', (t) => {
  const flag = flagOf((i) => ({ attribute, op: 'matches', values: [`(a|b)*c${i}`] }), documentLimits.searchPassesMax);
  t.match(ask(flag, 'ab'.repeat(32_000)), { reason: 'STATIC' });
  t.end();
});

test('all conditions of a flag are asked for a context of usual size', (t) => {
  t.match(ask(versions, '1.2.3'), { reason: 'STATIC' });
  t.match(ask(versions, Array<string>(4).fill('1.2.3-beta.1')), { reason: 'STATIC' });
  t.match(ask(versions, '999.1.0'), { reason: 'RULE_MATCH' });
  t.end();
});

test('a request that has spent its allowance gets no further', (t) => {
  const allowance = { stepsLeft: 1000 };
  const context = { userId: 'u', attributes: { a: '1.2.3' } };
  t.equal(evaluate(versions, context, alone, hashUser, undefined, allowance).reason, 'QUARANTINED');
  t.ok(allowance.stepsLeft <= 0 && allowance.stepsLeft > -100, `${allowance.stepsLeft} left`);
  t.end();
});
