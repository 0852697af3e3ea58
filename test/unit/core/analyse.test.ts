import { test } from 'tap';
import { analyse, type Surroundings } from '../../../src/core/analyse.ts';
import { documentLimits } from '../../../src/core/document-limits.ts';
import { patchFlag } from '../../../src/core/edit.ts';
import type { FlagDefinition } from '../../../src/core/model.ts';
import { create, unwrap } from './support.ts';

const nowhere: Surroundings = { segment: () => undefined, flag: () => undefined };

function withRules(whens: readonly object[], more: object = {}): FlagDefinition {
  const rules = whens.map((when, i) => ({ rule_id: `r${i}`, when, serve: { variant: 'on' } }));
  return create({ flag_id: 'f', enabled: true, rules, ...more });
}

/** `code path` of each warning. */
function told(flag: FlagDefinition, previous?: FlagDefinition, surroundings = nowhere): string[] {
  return analyse(flag, previous, surroundings).map(({ code, path }) => `${code} ${path}`);
}

function toldOf(...whens: readonly object[]): string[] {
  return told(withRules(whens));
}

const is = (attribute: string, op: string, ...values: readonly unknown[]): object => ({ attribute, op, values });
const not = (node: object): object => ({ ...node, negate: true });
const poland = is('country', 'in', 'PL');
const adult = is('age', 'gte', 18);

test('a rule is unreachable behind one that matches all that it matches', (t) => {
  const cases: [earlier: object, later: object][] = [
    [{ all: [] }, poland],
    [{ any: [{ attribute: 'x', op: 'exists' }, not({ attribute: 'x', op: 'exists' })] }, poland],
    [poland, poland],
    [is('country', 'in', 'CZ', 'PL'), is('country', 'equals', 'PL')],
    [{ ...is('country', 'in', 'pl'), ignore_case: true }, is('country', 'equals', 'PL')],
    [adult, is('age', 'gt', 18)],
    [adult, is('age', 'eq', 18, 21)],
    [is('at', 'after', '2030-01-01T00:00:00Z'), is('at', 'after', '2030-01-01T02:00:00+01:00')],
    [is('app', 'semver_gte', '1.0.0-rc.2'), is('app', 'semver_gt', '1.0.0-rc.10')],
    [is('mail', 'ends_with', '.com'), is('mail', 'ends_with', '@example.com')],
    [is('mail', 'contains', '@'), is('mail', 'equals', 'a@b')],
    [is('ip', 'in_cidr', '10.0.0.0/8', '11.0.0.0/8'), is('ip', 'in_cidr', '10.0.0.0/8')],
    [{ attribute: 'age', op: 'exists' }, adult],
    [poland, { all: [adult, poland] }],
    [{ any: [poland, adult] }, poland],
    [not({ all: [not(poland), not(adult)] }), adult],
    [not(is('country', 'in', 'PL')), not(is('country', 'in', 'PL', 'CZ'))],
    [{ segment: 'staff' }, { all: [{ segment: 'staff' }, adult] }],
    [not(is('user_id', 'equals', 'u1')), is('user_id', 'equals', 'u2')],
  ];
  for (const [earlier, later] of cases)
    t.same(toldOf(earlier, later), ['RULE_UNREACHABLE rules[1]'], JSON.stringify([earlier, later]));
  t.match(analyse(withRules([poland, adult, adult]), undefined, nowhere), [
    { path: 'rules[2]', message: /rule "r1" before it matches everyone whom it matches/ },
  ]);
  t.same(toldOf(poland, adult, { any: [poland, adult] }), ['RULE_UNREACHABLE rules[2]']);
  t.end();
});

test('a rule that may be reached is not called unreachable', (t) => {
  const cases: [earlier: object, later: object][] = [
    [poland, adult],
    [is('country', 'equals', 'PL'), is('country', 'in', 'CZ', 'PL')],
    [is('country', 'equals', 'PL'), { ...is('country', 'equals', 'PL'), ignore_case: true }],
    [is('age', 'gt', 18), adult],
    [is('app', 'semver_gt', '1.0.0'), is('app', 'semver_gt', '1.0.0-rc.1')],
    [{ all: [poland, adult] }, poland],
    [poland, { any: [poland, adult] }],
    [not(poland), { attribute: 'age', op: 'exists' }],
    // Somebody who is in both countries.
    [not(is('country', 'equals', 'PL')), is('country', 'equals', 'CZ')],
    [{ segment: 'staff' }, not({ segment: 'staff' })],
  ];
  for (const [earlier, later] of cases) t.same(toldOf(earlier, later), [], JSON.stringify([earlier, later]));
  t.end();
});

test('targets come before rules', (t) => {
  const targets = [{ variant: 'off', user_ids: ['u1', 'u2'] }];
  t.same(told(withRules([is('user_id', 'in', 'u2', 'u1')], { targets })), ['RULE_UNREACHABLE rules[0]']);
  t.same(told(withRules([is('user_id', 'in', 'u2', 'u3')], { targets })), []);
  t.end();
});

test('a rule never matches whose conditions exclude each other', (t) => {
  const cases: object[] = [
    { all: [poland, not(poland)] },
    { all: [is('country', 'equals', 'PL'), adult, not(is('country', 'in', 'PL', 'CZ'))] },
    { all: [adult, not({ attribute: 'age', op: 'exists' })] },
    { all: [{ segment: 'staff' }, not({ segment: 'staff' })] },
    { all: [is('user_id', 'equals', 'u1'), is('user_id', 'equals', 'u2')] },
    { all: [poland, { any: [not(poland), { all: [adult, not(poland)] }] }] },
    not({ all: [] }),
    is('user_id', 'gt', 5),
  ];
  for (const when of cases) t.same(toldOf(when), ['RULE_NEVER_MATCHES rules[0]'], JSON.stringify(when));
  t.match(
    analyse(withRules([{ all: [poland, not(poland)] }]), undefined, nowhere)[0]?.message,
    /when\.all\[0\] and .*all\[1\] exclude/,
  );
  t.same(toldOf({ any: [adult, { all: [poland, not(poland)] }] }), ['CONDITION_NEVER_MATCHES rules[0]']);
  t.end();
});

test('two values of one attribute can be had by a list', (t) => {
  const cases: object[] = [
    { all: [is('country', 'equals', 'PL'), is('country', 'equals', 'CZ')] },
    { all: [is('age', 'gt', 10), is('age', 'lt', 5)] },
    { all: [is('age', 'gt', 10), is('age', 'lte', 10)] },
    { all: [is('age', 'gt', 10), is('age', 'equals', 'old')] },
    { all: [is('at', 'after', '2031-01-01T00:00:00Z'), is('at', 'before', '2030-01-01T00:00:00Z')] },
    { all: [is('app', 'semver_lt', '1.0.0'), is('app', 'semver_gte', '1.0.0')] },
    { all: [is('mail', 'starts_with', 'a'), is('mail', 'starts_with', 'b')] },
  ];
  for (const when of cases) t.same(toldOf(when), ['RULE_MATCHES_LISTS_ONLY rules[0]'], JSON.stringify(when));
  for (const when of [
    { all: [is('age', 'gt', 5), is('age', 'lt', 10)] },
    { all: [is('country', 'equals', 'PL'), { ...is('country', 'equals', 'pl'), ignore_case: true }] },
    { all: [is('mail', 'starts_with', 'a'), is('mail', 'starts_with', 'ab')] },
    { all: [is('app', 'semver_lt', '1.0.0'), is('app', 'semver_gte', '1.0.0-rc.1')] },
    { all: [is('at', 'after', '2030-01-01T00:00:00.0005Z'), is('at', 'before', '2030-01-01T00:00:00.0009Z')] },
  ])
    t.same(toldOf(when), [], JSON.stringify(when));
  t.end();
});

test('an empty segment is told where it is named, and one that is not known is not', (t) => {
  const flag = withRules([{ all: [{ segment: 'empty' }, not({ segment: 'full' }), { segment: 'unknown' }] }]);
  const segment: Surroundings['segment'] = (id) => (id === 'unknown' ? undefined : { empty: id === 'empty' });
  t.same(told(flag, undefined, { ...nowhere, segment }), ['SEGMENT_EMPTY rules[0].when.all[0].segment']);
  t.end();
});

test('the last rules repeat the rollout when nothing behind them gives anything else', (t) => {
  const rule = (ruleId: string, serve: object): object => ({ rule_id: ruleId, when: is(ruleId, 'equals', 'x'), serve });
  const flag = (rollout: number, ...serves: object[]): FlagDefinition =>
    create({ flag_id: 'f', rollout_percentage: rollout, rules: serves.map((serve, i) => rule(`r${i}`, serve)) });
  t.same(told(flag(50, { variant: 'on' }, { rollout_percentage: 50 })), ['RULE_REPEATS_ROLLOUT rules[1]']);
  t.same(told(flag(50, { rollout_percentage: 50 }, { variant: 'on' })), []);
  t.same(told(flag(100, { variant: 'on' })), ['RULE_REPEATS_ROLLOUT rules[0]']);
  t.same(told(flag(0, { variant: 'off' }, { rollout_percentage: 0 })).length, 2);
  const colours = { flag_id: 'c', type: 'string', variants: { red: 'r', blue: 'b' }, off_variant: 'red' };
  const halves = [
    { variant: 'red', percentage: 50 },
    { variant: 'blue', percentage: 50 },
  ];
  const split = (rollout: object[]): FlagDefinition =>
    create({ ...colours, rollout: halves, rules: [rule('r0', { rollout })] });
  t.same(told(split(halves)), ['RULE_REPEATS_ROLLOUT rules[0]']);
  t.same(told(split([...halves].reverse())), []);
  t.end();
});

test('a percentage that takes users away is told with the share that loses', (t) => {
  const boolean = create({
    flag_id: 'f',
    enabled: true,
    rollout_percentage: 50,
    rules: [{ rule_id: 'pl', when: poland, serve: { variant: 'on' } }],
  });
  const next = (patch: object): FlagDefinition => unwrap(patchFlag(boolean, patch));
  t.match(analyse(next({ rollout_percentage: 12.5 }), boolean, nowhere), [
    { code: 'ROLLOUT_SHRINKS', path: 'rollout_percentage', message: /37\.5 % lose "on"/ },
  ]);
  t.same(told(next({ rollout_percentage: 51 }), boolean), []);
  t.same(told(next({ rollout_percentage: 10, enabled: false }), boolean), []);
  const rules = [{ rule_id: 'pl', when: poland, serve: { rollout_percentage: 90 } }];
  t.match(analyse(next({ rules }), boolean, nowhere), [
    { code: 'ROLLOUT_SHRINKS', path: 'rules[0].serve', message: /rule "pl" .* 10 % lose "on"/ },
  ]);
  t.same(told(next({ salt: 's', rollout_percentage: 10 }), boolean), ['ROLLOUT_RESHUFFLES salt']);
  t.same(told(boolean, boolean), []);

  const variants = { red: 'r', blue: 'b', green: 'g' };
  const weights = (red: number, blue: number, green: number): object[] =>
    Object.entries({ red, blue, green }).map(([variant, percentage]) => ({ variant, percentage }));
  const split = create({
    flag_id: 's',
    enabled: true,
    type: 'string',
    variants,
    off_variant: 'red',
    rollout: weights(50, 40, 10),
  });
  const reweighted = (...shares: [number, number, number]): FlagDefinition =>
    unwrap(patchFlag(split, { rollout: weights(...shares) }));
  t.match(analyse(reweighted(40, 25.5, 34.5), split, nowhere), [
    { code: 'ROLLOUT_SHRINKS', path: 'rollout', message: /: of those who .*, 14\.5 % lose "blue"$/ },
  ]);
  t.same(told(reweighted(20, 60, 20), split), [], 'whoever leaves off_variant loses nothing');
  t.end();
});

test('a target or a prerequisite that does nothing is told', (t) => {
  const targets = [
    { variant: 'on', user_ids: ['u1'] },
    { variant: 'off', user_ids: [] },
  ];
  t.same(told(create({ flag_id: 'f', rollout_percentage: 100, targets })), [
    'TARGET_REPEATS_ROLLOUT targets[0]',
    'TARGET_EMPTY targets[1]',
  ]);
  t.same(told(create({ flag_id: 'f', rollout_percentage: 50, targets })), ['TARGET_EMPTY targets[1]']);
  const flags = new Map([
    ['off', create({ flag_id: 'off', rollout_percentage: 100 })],
    ['half', create({ flag_id: 'half', enabled: true, rollout_percentage: 50 })],
    ['all', create({ flag_id: 'all', enabled: true, rollout_percentage: 100 })],
    ['ruled', withRules([poland], { flag_id: 'ruled' })],
  ]);
  const prerequisites = [
    { flag_id: 'off', variant: 'on' },
    { flag_id: 'half', variant: 'off' },
    { flag_id: 'all', variant: 'off' },
    { flag_id: 'ruled', variant: 'on' },
    { flag_id: 'unknown', variant: 'on' },
  ];
  const flag = create({ flag_id: 'f', enabled: true, rollout_percentage: 50, prerequisites });
  t.same(told(flag, undefined, { ...nowhere, flag: (id) => flags.get(id) }), [
    'PREREQUISITE_NEVER_MET prerequisites[0]',
    'PREREQUISITE_NEVER_MET prerequisites[2]',
  ]);
  t.end();
});

test('the largest documents are judged in milliseconds, and tell no more than anybody reads', (t) => {
  const values = (count: number, from: number): string[] => Array.from({ length: count }, (_, i) => `v${from + i}`);
  const documents: Record<string, object[]> = {
    'the same 256 times': new Array(256).fill(poland),
    '256 rules of 8 conditions': Array.from({ length: 256 }, (_, i) => ({
      all: Array.from({ length: 7 }, (_, j) => is(`a${j}`, 'gt', (i * 7 + j * 13) % 97)),
    })),
    'one attribute': Array.from({ length: 256 }, (_, i) => ({
      any: Array.from({ length: 7 }, (_, j) => is('a', 'in', `v${i * 7 + j}`)),
    })),
    'long lists': Array.from({ length: 12 }, (_, i) => is('user_id', 'in', ...values(9000, i * 4000))),
    'one long all': [{ all: Array.from({ length: 2000 }, (_, i) => is('a', 'gt', i)) }],
    versions: Array.from({ length: 8 }, (_, i) => is('a', 'semver_eq', ...values(7000, i).map((v) => `1.0.0-${v}`))),
    nested: Array.from({ length: 120 }, (_, i) => deep(14, is('a', 'eq', i))),
  };
  for (const [name, whens] of Object.entries(documents)) {
    const flag = withRules(whens, { targets: [{ variant: 'on', user_ids: values(10_000, 0) }] });
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 5; i++) {
      const started = process.cpuUsage();
      t.ok(analyse(flag, flag, nowhere).length <= documentLimits.issuesMax);
      const { user, system } = process.cpuUsage(started);
      best = Math.min(best, (user + system) / 1000);
    }
    t.comment(`${name}: ${best.toFixed(1)} ms`);
    t.ok(best < 30, `${name} took ${best.toFixed(1)} ms`);
  }
  t.end();
});

function deep(levels: number, leaf: object): object {
  return levels === 0 ? leaf : { [levels % 2 === 0 ? 'all' : 'any']: [deep(levels - 1, leaf)] };
}
