import { test } from 'tap';
import { documentLimits } from '../../../src/core/document-limits.ts';
import { createFlag, readDefinition } from '../../../src/core/parse.ts';
import { readCondition } from '../../../src/core/parse-condition.ts';
import { startReading } from '../../../src/core/reading.ts';
import { refusal } from './support.ts';

function read(when: unknown) {
  const reading = startReading('input', undefined, false);
  const condition = readCondition(reading, when, 'when', 0);
  return { condition, issues: reading.issues.map(({ path, message }) => `${path}: ${message}`) };
}

function group(levels: number): unknown {
  return levels === 0 ? { segment: 's' } : { all: [group(levels - 1)] };
}

function compare(op: string, ...values: readonly unknown[]): object {
  return { attribute: 'a', op, values };
}

test('every operator takes its own values and keeps them', (t) => {
  const good: readonly object[] = [
    compare('equals', 'x', true, ''),
    compare('in', 'PL', 'CZ', false),
    compare('contains', 'x'),
    compare('starts_with', 'x'),
    compare('ends_with', 'x'),
    compare('matches', '^a.*$', '(?i)b'),
    compare('eq', 1, -0.5),
    compare('gt', 1),
    compare('gte', 1),
    compare('lt', 1),
    compare('lte', 1e300),
    compare('before', '2030-01-31T12:00:00Z'),
    compare('after', '2030-01-31T12:00:00.5+01:00'),
    compare('semver_eq', '1.2.3'),
    compare('semver_gt', '1.2.3-rc.1'),
    compare('semver_gte', '1.2.3+b'),
    compare('semver_lt', '0.0.0'),
    compare('semver_lte', '10.0.0'),
    compare('in_cidr', '10.0.0.0/8', '2001:db8::/32'),
    { attribute: 'a', op: 'exists' },
    { attribute: 'a.b', op: 'exists', negate: true },
    { segment: 'staff' },
    { segment: 'staff', negate: true },
    { all: [] },
    { any: [{ all: [], negate: true }], negate: true },
    { ...compare('equals', 'x'), ignore_case: true, negate: true },
  ];
  for (const when of good) t.same(read(when), { condition: when, issues: [] }, JSON.stringify(when));
  t.same(
    read({ ...compare('equals', 'x'), ignore_case: false, negate: false }).condition,
    compare('equals', 'x'),
    'false is the same as not there',
  );
  t.end();
});

test('each operator refuses the values of the others', (t) => {
  const cases: readonly (readonly [object, RegExp])[] = [
    [compare('equals', 5), /values\[0\]: must be a string, true or false for equals; numbers are compared with eq/],
    [compare('in', null), /values\[0\]: must be a string, true or false, not null/],
    [compare('contains', ''), /values\[0\]: must not be empty: every text contains it/],
    [compare('starts_with', 5), /values\[0\]: must be a string/],
    [compare('matches', '(?=x)'), /values\[0\]: must not look ahead/],
    [compare('matches', 'a', '('), /values\[1\]: has a \( without its \), in "\("/],
    [compare('matches', '(a)\\1'), /values\[0\]: has an escape that RE2 syntax does not know .*: "\\\\1", in /],
    [compare('matches', 'a{1000}'.repeat(100)), /values\[0\]: is too large: .* in "(?:a\{1000\}){9}a…"/],
    [compare('matches', '[ab]*a[ab]{20}c'), /values\[0\]: is too complex to be searched in one pass/],
    [compare('contains', 'x'.repeat(251)), /values\[0\]: must have at most 250 characters/],
    [compare('matches', ''), /must not be empty/],
    [compare('matches', 'x'.repeat(1025)), /at most 1024 characters/],
    [compare('eq', '1'), /values\[0\]: must be a finite number for eq, not a string/],
    [compare('gt', Infinity), /must be a finite number/],
    [compare('before', '2030-02-30T00:00:00Z'), /must be an RFC 3339 time for before/],
    [compare('after', 5), /must be an RFC 3339 time/],
    [compare('semver_eq', '1.2'), /must be a SemVer 2.0 version/],
    [compare('in_cidr', '10.0.0.1'), /must be a network for in_cidr/],
    [compare('equals', '\ud800'), /well-formed/],
    [compare('equals'), /values: must not be empty/],
    [{ attribute: 'a', op: 'equals' }, /values: is required/],
    [{ attribute: 'a', op: 'equals', values: 'x' }, /values: must be an array/],
    [{ attribute: 'a', op: 'exists', values: [] }, /values: must not be sent/],
    [{ attribute: 'a', op: 'EQUALS', values: ['x'] }, /op: must be one of/],
    [{ attribute: 'a', values: ['x'] }, /op: is required: one of equals, in, /],
    [{ attribute: '', op: 'exists' }, /attribute: must not be empty/],
    [{ attribute: 'a', op: 'gt', values: [1], ignore_case: true }, /ignore_case: is for equals, in, contains/],
    [{ attribute: 'a', op: 'exists', negate: 'yes' }, /negate: must be true or false/],
    [{}, /when: must have exactly one of attribute, all, any and segment/],
    [{ all: [], any: [] }, /exactly one of attribute, all, any and segment, not all and any/],
    [{ any: [] }, /any: must not be empty/],
    [{ any: [{ any: [] }] }, /any\[0\]\.any: must not be empty/],
    [{ all: {} }, /all: must be an array/],
    [{ segment: '' }, /segment: must be the id of a segment/],
    [{ segment: { toString: null } }, /segment: must be the id/],
  ];
  for (const [when, expected] of cases) {
    const { issues } = read(when);
    t.match(issues, [expected], JSON.stringify(when).slice(0, 80));
    t.equal(issues.length, 1, issues.join('\n'));
  }
  t.match(read(undefined).issues, [/when: is required: a rule without it would mean everyone/]);
  t.match(read(null).issues, [/when: must be an object, not null/]);
  t.end();
});

test('depth, number and values of conditions are bounded', (t) => {
  t.same(read(group(documentLimits.conditionDepthMax)).issues, []);
  t.match(read(group(documentLimits.conditionDepthMax + 1)).issues, [/is nested deeper than 16 groups/]);
  t.same(read({ all: Array.from({ length: documentLimits.conditionsMax - 1 }, () => ({ segment: 's' })) }).issues, []);
  t.match(read({ all: Array.from({ length: documentLimits.conditionsMax }, () => ({ segment: 's' })) }).issues, [
    /all\[2047\]: is one more than the 2048/,
  ]);
  t.match(read(compare('in', ...Array.from({ length: 10_001 }, () => 'x'))).issues, [
    /values: must have at most 10000/,
  ]);
  t.end();
});

test('a rule has an id of its own, a condition, and serves one thing that its flag can serve', (t) => {
  const rule = (fields: object) => ({ rule_id: 'r', when: { segment: 's' }, serve: { variant: 'on' }, ...fields });
  const rules = (...list: readonly object[]) => refusal(createFlag({ flag_id: 'f', rules: list }, 'prod'));
  t.match(rules(rule({ rule_id: 'a b' })), [/rules\[0\]\.rule_id: must be an id/]);
  t.match(rules(rule({}), rule({})), [/rules\[1\]\.rule_id: "r" is another rule's already/]);
  t.match(rules(rule({ when: undefined })), [/rules\[0\]\.when: is required/]);
  t.match(rules(rule({ description: 5 })), [/rules\[0\]\.description: must be a string/]);
  t.match(rules(rule({ serve: {} })), [/rules\[0\]\.serve: must have exactly one of variant and rollout_percentage/]);
  t.match(rules(rule({ serve: { variant: 'on', rollout_percentage: 5 } })), [
    /rules\[0\]\.serve: must have exactly one/,
  ]);
  t.match(rules(rule({ serve: { rollout_percentage: 0.001 } })), [
    /rules\[0\]\.serve\.rollout_percentage: must be a number/,
  ]);
  t.match(rules(rule({ serve: { rollout: [{ variant: 'on', percentage: 100 }] } })), [
    /rules\[0\]\.serve\.rollout: is not for boolean flags/,
  ]);
  t.match(rules(rule({ serve: undefined })), [/rules\[0\]\.serve: is required/]);
  const text = { flag_id: 'f', type: 'string', variants: { a: 'A', b: 'B' }, off_variant: 'a' };
  const textRule = (serve: object) => refusal(createFlag({ ...text, rules: [rule({ serve })] }, 'prod'));
  t.match(textRule({ rollout_percentage: 5 }), [/rules\[0\]\.serve\.rollout_percentage: is for boolean flags/]);
  t.match(textRule({ rollout: [{ variant: 'a', percentage: 99 }] }), [
    /rules\[0\]\.serve\.rollout: percentages must add up to exactly 100, not 99/,
  ]);
  t.match(textRule({ rollout: [{ variant: 'c', percentage: 100 }] }), [
    /rules\[0\]\.serve\.rollout\[0\]\.variant: "c" is not a variant/,
  ]);
  t.end();
});

test("a rule's split keeps its own ranges, found by the id of the rule", (t) => {
  const body = (blue: number, ...order: readonly string[]) => ({
    flag_id: 'f',
    type: 'string',
    variants: { red: 'r', blue: 'b' },
    off_variant: 'red',
    rules: order.map((id) => ({
      rule_id: id,
      when: { segment: 's' },
      serve: {
        rollout: [
          { variant: 'red', percentage: 100 - blue },
          { variant: 'blue', percentage: blue },
        ],
      },
    })),
  });
  const at = { flagId: 'f', environment: 'prod' };
  const first = readDefinition(startReading('input', undefined, false), body(30, 'one', 'two'), at);
  const serves = (definition: typeof first) =>
    definition.rules.map(({ rule_id: id, serve }) => [id, 'allocation' in serve && serve.allocation]);
  const fresh = [
    [0, 7000, 'red'],
    [7000, 10000, 'blue'],
  ];
  t.same(serves(first), [
    ['one', fresh],
    ['two', fresh],
  ]);
  const second = readDefinition(startReading('input', first, false), body(10, 'two', 'three'), at);
  t.same(serves(second), [
    [
      'two',
      [
        [0, 7000, 'red'],
        [7000, 8000, 'blue'],
        [8000, 10000, 'red'],
      ],
    ],
    [
      'three',
      [
        [0, 9000, 'red'],
        [9000, 10000, 'blue'],
      ],
    ],
  ]);
  const afresh = readDefinition(startReading('input', second, true), body(10, 'two'), at);
  t.same(serves(afresh), [
    [
      'two',
      [
        [0, 9000, 'red'],
        [9000, 10000, 'blue'],
      ],
    ],
  ]);
  t.end();
});
