// Each warning is true: over random rules and random contexts, by an evaluator of conditions that shares no line with the
// service's, no rule that is called unreachable is ever reached.
import fc from 'fast-check';
import { test } from 'tap';
import { analyse, type Surroundings } from '../../../src/core/analyse.ts';
import { areDisjoint, type Comparison, isWithin } from '../../../src/core/analyse-values.ts';
import type { ConditionNode, FlagDefinition } from '../../../src/core/model.ts';
import { create } from './support.ts';

const RUNS = 4000;
const CONTEXTS = 60;

type Scalar = string | number | boolean | null;
interface Context {
  readonly userId: string;
  readonly attributes: { readonly [name: string]: Scalar | readonly Scalar[] };
}

const nowhere: Surroundings = { segment: () => undefined, flag: () => undefined };
const attributes = ['a', 'b', 'user_id'];
const texts = ['x', 'X', 'xy', 'yx', 'y', 'K', '\u212a', 'ß', 'ẞ', 'u1', 'u2'];
const numbers = [0, 1, 2, 3, 5.5];
const times = ['2030-01-01T00:00:00Z', '2030-01-01T01:00:00+01:00', '2030-01-02T00:00:00.5Z', '2031-01-01T00:00:00z'];
const versions = ['1.0.0-rc.1', '1.0.0-rc.9', '1.0.0-rc.10', '1.0.0', '1.0.0+build', '1.2.0', '10.0.0'];
const networks = ['10.0.0.0/8', '10.1.0.0/16'];

const OPERATORS: readonly (readonly [ops: readonly string[], values: readonly (string | number | boolean)[]])[] = [
  [
    ['equals', 'in'],
    [...texts, true, false],
  ],
  [['contains', 'starts_with', 'ends_with'], texts],
  [['matches'], ['x', '^y']],
  [['eq', 'gt', 'gte', 'lt', 'lte'], numbers],
  [['before', 'after'], times],
  [['semver_eq', 'semver_gt', 'semver_gte', 'semver_lt', 'semver_lte'], versions],
  [['in_cidr'], networks],
];
const CASED = new Set(['equals', 'in', 'contains', 'starts_with', 'ends_with', 'matches']);

const leaf = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.constantFrom(...OPERATORS).chain(([ops, values]) =>
      fc
        .record({
          attribute: fc.constantFrom(...attributes),
          op: fc.constantFrom(...ops),
          values: fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 }),
          ignore_case: fc.boolean(),
          negate: fc.boolean(),
        })
        .map(({ ignore_case: ignoreCase, ...rest }) =>
          ignoreCase && CASED.has(rest.op) ? { ...rest, ignore_case: true } : rest,
        ),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      attribute: fc.constantFrom(...attributes),
      op: fc.constant('exists'),
      negate: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ segment: fc.constantFrom('s1', 's2'), negate: fc.boolean() }) },
);
const { condition } = fc.letrec<{ condition: unknown }>((tie) => ({
  condition: fc.oneof(
    { maxDepth: 2, withCrossShrink: true },
    { weight: 3, arbitrary: leaf },
    { weight: 1, arbitrary: fc.record({ all: fc.array(tie('condition'), { maxLength: 3 }), negate: fc.boolean() }) },
    {
      weight: 1,
      arbitrary: fc.record({ any: fc.array(tie('condition'), { minLength: 1, maxLength: 3 }), negate: fc.boolean() }),
    },
  ),
}));
const flag = fc
  .record({ whens: fc.array(condition, { minLength: 1, maxLength: 5 }), targeted: fc.subarray(['u1', 'u2', 'x']) })
  .map(({ whens, targeted }) =>
    create({
      flag_id: 'f',
      enabled: true,
      rollout_percentage: 50,
      targets: targeted.length === 0 ? [] : [{ variant: 'on', user_ids: targeted }],
      rules: whens.map((when, i) => ({ rule_id: `r${i}`, when, serve: { variant: 'on' } })),
    }),
  );

const single = fc.constantFrom<Scalar>(
  ...texts,
  ...numbers,
  0.5,
  7,
  true,
  false,
  null,
  ...times,
  ...versions,
  '10.1.2.3',
);
const value = fc.oneof({ weight: 3, arbitrary: single }, { weight: 1, arbitrary: fc.array(single, { maxLength: 3 }) });
const context: fc.Arbitrary<Context> = fc.record({
  userId: fc.constantFrom('u1', 'u2', 'x', 'xy', 'K', '10.1.2.3', '1.0.0', 'z'),
  attributes: fc.record({ a: value, b: value }, { requiredKeys: [] }),
});

function holds(node: ConditionNode, asked: Context): boolean {
  return test1(node, asked) !== (node.negate === true);
}

function test1(node: ConditionNode, asked: Context): boolean {
  if ('all' in node) return node.all.every((member) => holds(member, asked));
  if ('any' in node) return node.any.some((member) => holds(member, asked));
  // Any split of users will do for a segment.
  if ('segment' in node) return node.segment === 's1' ? asked.userId.startsWith('u') : asked.userId.length === 1;
  const found = node.attribute === 'user_id' ? asked.userId : asked.attributes[node.attribute];
  const elements = Array.isArray(found) ? (found as readonly Scalar[]) : [found as Scalar | undefined];
  return elements.some((element) => element !== undefined && element !== null && matchesOne(node, element));
}

function matchesOne(node: Extract<ConditionNode, { attribute: string }>, element: string | number | boolean): boolean {
  if (node.op === 'exists') return true;
  const fold = (text: string): string => (node.ignore_case ? [...text].map(foldOne).join('') : text);
  return (node.values ?? []).some((wanted) => {
    if (node.op === 'equals' || node.op === 'in')
      return typeof element === 'string' && typeof wanted === 'string'
        ? fold(element) === fold(wanted)
        : element === wanted;
    if (typeof element !== typeof wanted) return false;
    if (typeof element === 'number') return inOrder(node.op, element - (wanted as number));
    const [text, part] = [fold(String(element)), fold(String(wanted))];
    if (node.op === 'contains') return text.includes(part);
    if (node.op === 'starts_with') return text.startsWith(part);
    if (node.op === 'ends_with') return text.endsWith(part);
    if (node.op === 'matches') return part === 'x' ? text.includes('x') : text.startsWith('y');
    if (node.op === 'in_cidr') return text === '10.1.2.3';
    if (node.op === 'before' || node.op === 'after') {
      if (!times.includes(text)) return false;
      const order = Date.parse(text) - Date.parse(part);
      return node.op === 'before' ? order < 0 : order > 0;
    }
    if (!versions.includes(text)) return false;
    return inOrder(node.op.slice('semver_'.length), rank(text) - rank(part));
  });
}

/** Simple case folding of what is in `texts`. */
function foldOne(char: string): string {
  return { '\u212a': 'k', ẞ: 'ß' }[char] ?? (/[A-Z]/.test(char) ? char.toLowerCase() : char);
}

/** Precedence by place in the list, where a build does not count. */
function rank(version: string): number {
  return versions.indexOf(version.split('+')[0] as string);
}

function inOrder(op: string, order: number): boolean {
  return { eq: order === 0, gt: order > 0, gte: order >= 0, lt: order < 0, lte: order <= 0 }[op] ?? false;
}

function ruleThatMatches(definition: FlagDefinition, asked: Context): number {
  if (definition.targets.some(({ user_ids: ids }) => ids.includes(asked.userId))) return -1;
  return definition.rules.findIndex((rule) => holds(rule.when, asked));
}

test(`${RUNS} random flags, ${CONTEXTS} contexts each: no warning is wrong`, (t) => {
  const told = new Map<string, number>();
  fc.assert(
    fc.property(flag, fc.array(context, { minLength: CONTEXTS, maxLength: CONTEXTS }), (definition, contexts) => {
      for (const { code, path } of analyse(definition, undefined, nowhere)) {
        told.set(code, (told.get(code) ?? 0) + 1);
        const index = Number(/^rules\[(\d+)\]$/.exec(path)?.[1]);
        const rule = definition.rules[index];
        for (const asked of contexts) {
          const withoutLists = Object.values(asked.attributes).every((given) => !Array.isArray(given));
          if (code === 'RULE_UNREACHABLE' && ruleThatMatches(definition, asked) === index) return false;
          if (code === 'RULE_NEVER_MATCHES' && rule !== undefined && holds(rule.when, asked)) return false;
          if (code === 'RULE_MATCHES_LISTS_ONLY' && withoutLists && rule !== undefined && holds(rule.when, asked))
            return false;
        }
      }
      return true;
    }),
    { numRuns: RUNS },
  );
  for (const code of ['RULE_UNREACHABLE', 'RULE_NEVER_MATCHES', 'RULE_MATCHES_LISTS_ONLY'])
    t.ok((told.get(code) ?? 0) > 5, `${code} was told ${told.get(code)} times`);
  t.end();
});

test('20,000 pairs of comparisons: one within another, or nothing in common, holds for every value there is', (t) => {
  const elements = [...texts, ...numbers, 0.5, 2.5, 7, true, false, ...times, ...versions, '1.1.0', '10.1.2.3', ''];
  const comparison = leaf.filter((node) => 'attribute' in node).map((node) => node as unknown as Comparison);
  const found = { within: 0, disjoint: 0 };
  fc.assert(
    fc.property(comparison, comparison, (a, b) => {
      const work = { left: 1_000_000, made: new Map() };
      const [within, disjoint] = [isWithin(a, b, work), areDisjoint(a, b, work)];
      if (within) found.within += 1;
      if (disjoint) found.disjoint += 1;
      return elements.every((element) => {
        const [inA, inB] = [matchesOne(a, element), matchesOne(b, element)];
        return !(within && inA && !inB) && !(disjoint && inA && inB);
      });
    }),
    { numRuns: 20_000 },
  );
  t.ok(found.within > 500 && found.disjoint > 1000, JSON.stringify(found));
  t.end();
});
