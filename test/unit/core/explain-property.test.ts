// Explain against flags, segments and users that nobody thought of. Every change that it suggests is made by hand, to
// the raw context or through the real editor of documents, and must give what was said; so must no part of it.
import fc from 'fast-check';
import { test } from 'tap';
import { compileFlag } from '../../../src/core/compile.ts';
import { compileCondition } from '../../../src/core/compile-condition.ts';
import type { CompiledFlag, CompiledSegment, EvaluationContext, Outcome } from '../../../src/core/compiled.ts';
import { patchFlag } from '../../../src/core/edit.ts';
import { evaluate } from '../../../src/core/evaluate.ts';
import { explain, type Trace } from '../../../src/core/explain.ts';
import { explainLimits, startExplainBudget } from '../../../src/core/explain-work.ts';
import type { Flip } from '../../../src/core/flip-change.ts';
import type { ConditionNode, FlagDefinition, JsonObject } from '../../../src/core/model.ts';
import { hashUser } from '../../../src/kernel/murmur3.ts';
import { create, documentOf, unwrap } from './support.ts';

/** Everything that an answer depends on, as documents: what a person could change. */
interface World {
  readonly flags: ReadonlyMap<string, FlagDefinition>;
  readonly segments: ReadonlyMap<string, SegmentDocument>;
  readonly userId: string;
  readonly attributes: JsonObject | undefined;
}

interface SegmentDocument {
  readonly matchBy: string | undefined;
  readonly included: readonly string[];
  readonly excluded: readonly string[];
  readonly when: ConditionNode | undefined;
}

const names = ['country', 'age', 'plan', 'version', 'ip', 'since', 'roles', 'address.city', 'address', '__proto__'];
const words = ['PL', 'CZ', 'pro', 'free', 'admin', 'Łódź', ''];
const numbers = [17, 18, 18.5, 65, -1, 0, 9_007_199_254_740_993];
const dates = ['2026-01-01T00:00:00Z', '2026-06-30T23:59:60Z', '2030-01-31T12:00:00.5+02:00'];
const versions = ['1.0.0', '1.2.3', '2.0.0-rc.1', '0.0.0', '10.0.0+build'];
const networks = ['10.0.0.0/8', '192.0.2.0/24', '2001:db8::/32', '0.0.0.0/0'];
const addresses = ['10.1.2.3', '192.0.2.9', '203.0.113.7', '2001:db8::7', '::ffff:10.0.0.1'];
const patterns = ['^[A-Z]{2}$', 'pro|free', '(?i)^adm', '\\d+-\\w', '^v(\\d+)\\.[^x]*$', '[[:alpha:]]{3,}'];

const some = <T>(pool: readonly T[], maxLength = 3): fc.Arbitrary<T[]> =>
  fc.array(fc.constantFrom(...pool), { minLength: 1, maxLength });
const negatable = fc.option(fc.constant({ negate: true }), { nil: {} });

const comparison = fc
  .tuple(
    fc.constantFrom(...names, 'user_id'),
    fc.oneof(
      fc.record({ op: fc.constantFrom('equals', 'in'), values: some([...words, true, false]) }),
      fc.record({
        op: fc.constantFrom('contains', 'starts_with', 'ends_with'),
        values: some(words.slice(0, -1)),
        ignore_case: fc.boolean(),
      }),
      fc.record({ op: fc.constant('matches'), values: some(patterns, 2) }),
      fc.record({ op: fc.constantFrom('eq', 'gt', 'gte', 'lt', 'lte'), values: some(numbers) }),
      fc.record({ op: fc.constantFrom('before', 'after'), values: some(dates, 2) }),
      fc.record({
        op: fc.constantFrom('semver_eq', 'semver_gt', 'semver_gte', 'semver_lt', 'semver_lte'),
        values: some(versions, 2),
      }),
      fc.record({ op: fc.constant('in_cidr'), values: some(networks, 2) }),
      fc.constant({ op: 'exists' }),
    ),
    negatable,
  )
  .map(([attribute, operation, negate]) => ({ attribute, ...operation, ...negate }));

function condition(segments: readonly string[]): fc.Arbitrary<ConditionNode> {
  const leaf =
    segments.length === 0
      ? comparison
      : fc.oneof(
          { weight: 4, arbitrary: comparison },
          fc.tuple(fc.constantFrom(...segments), negatable).map(([segment, negate]) => ({ segment, ...negate })),
        );
  const group = (depth: number): fc.Arbitrary<unknown> => {
    if (depth === 0) return leaf;
    const members = fc.array(group(depth - 1), { minLength: 1, maxLength: 3 });
    return fc.oneof(
      { weight: 2, arbitrary: leaf },
      fc.tuple(members, negatable).map(([all, negate]) => ({ all, ...negate })),
      fc.tuple(members, negatable).map(([any, negate]) => ({ any, ...negate })),
    );
  };
  return group(2) as fc.Arbitrary<ConditionNode>;
}

const percentage = fc.oneof(
  fc.constantFrom(0, 100, 50),
  fc.integer({ min: 0, max: 10_000 }).map((edge) => edge / 100),
);
const users = Array.from({ length: 12 }, (_, i) => `user-${i}`);

function flag(flagId: string, needed: readonly string[]): fc.Arbitrary<FlagDefinition> {
  const shared = fc.record({
    enabled: fc.oneof({ weight: 12, arbitrary: fc.constant(true) }, fc.constant(false)),
    bucket_by: fc.constantFrom('user_id', 'user_id', 'country', 'address.city'),
    targets: fc.option(
      fc.tuple(fc.integer({ min: 0, max: 1 }), some(users, 2)).map(([variant, ids]) => ({ variant, ids })),
      { nil: undefined, freq: 3 },
    ),
    prerequisites: fc.oneof({ weight: 2, arbitrary: fc.constant<string[]>([]) }, fc.subarray([...needed])),
    wanted: fc.integer({ min: 0, max: 1 }),
    rules: fc.array(
      fc.record({
        when: condition(['staff', 'beta']),
        by: fc.constantFrom('variant', 'percentage'),
        variant: fc.integer({ min: 0, max: 1 }),
        percentage,
      }),
      { maxLength: 4 },
    ),
    percentage,
  });
  return fc.tuple(shared, fc.boolean()).map(([body, isBoolean]) => {
    const variants = isBoolean ? ['off', 'on'] : ['red', 'blue'];
    const split = (percent: number): object =>
      isBoolean
        ? { rollout_percentage: percent }
        : {
            rollout: [
              { variant: 'red', percentage: percent },
              { variant: 'blue', percentage: (10_000 - Math.round(percent * 100)) / 100 },
            ],
          };
    return create({
      flag_id: flagId,
      enabled: body.enabled,
      ...(isBoolean ? {} : { type: 'string', variants: { red: 'r', blue: 'b' }, off_variant: 'red' }),
      bucket_by: body.bucket_by,
      ...split(body.percentage),
      targets:
        body.targets === undefined
          ? []
          : [{ variant: variants[body.targets.variant], user_ids: [...new Set(body.targets.ids)] }],
      // Whether a prerequisite is a boolean flag is not known here: half of these can never be met.
      prerequisites: body.prerequisites.map((id) => ({ flag_id: id, variant: ['on', 'blue'][body.wanted] })),
      rules: body.rules.map((rule, i) => ({
        rule_id: `rule-${i}`,
        when: rule.when,
        serve: rule.by === 'variant' ? { variant: variants[rule.variant] } : split(rule.percentage),
      })),
    });
  });
}

function segment(known: readonly string[]): fc.Arbitrary<SegmentDocument> {
  return fc.record({
    matchBy: fc.constantFrom(undefined, undefined, 'country', 'roles'),
    included: fc.subarray([...users, 'PL', 'admin'], { maxLength: 4 }),
    excluded: fc.subarray([...users, 'PL', 'admin'], { maxLength: 2 }),
    when: fc.option(condition(known), { nil: undefined }),
  });
}

const value = fc.oneof(fc.constantFrom(...words, ...numbers, ...dates, ...versions, ...addresses, true, false, null));
const attributes = fc.option(
  fc
    .tuple(
      fc.array(fc.tuple(fc.constantFrom(...names), fc.oneof(value, fc.array(value, { maxLength: 3 }))), {
        maxLength: 6,
      }),
      fc.option(fc.record({ city: value }), { nil: undefined }),
    )
    .map(([entries, address]) =>
      Object.fromEntries([...entries, ...(address === undefined ? [] : [['address', address] as const])]),
    ),
  { nil: undefined, freq: 8 },
);

const world: fc.Arbitrary<World> = fc
  .record({
    root: flag('root', ['base', 'other']),
    base: flag('base', ['deep']),
    other: flag('other', []),
    deep: flag('deep', []),
    staff: segment([]),
    beta: segment(['staff']),
    userId: fc.constantFrom(...users),
    attributes,
  })
  .map(({ root, base, other, deep, staff, beta, ...rest }) => ({
    flags: new Map([root, base, other, deep].map((definition) => [definition.flag_id, definition])),
    segments: new Map([
      ['staff', staff],
      ['beta', beta],
    ]),
    ...(rest as Pick<World, 'userId' | 'attributes'>),
  }));

function compileWorld({ flags, segments, userId, attributes: raw }: World): {
  readonly flag: CompiledFlag;
  readonly context: EvaluationContext;
  readonly scope: { readonly flags: Map<string, CompiledFlag>; readonly segments: Map<string, CompiledSegment> };
} {
  const compiled = new Map(
    [...flags].map(([id, definition]) => [id, compileFlag(documentOf(definition), { environment: 'prod', id })]),
  );
  const scope = {
    flags: compiled,
    segments: new Map([...segments].map(([id, body]) => [id, compileSegment(id, body)])),
  };
  return { flag: compiled.get('root') as CompiledFlag, context: { userId, attributes: raw }, scope };
}

function compileSegment(segmentId: string, body: SegmentDocument): CompiledSegment {
  const list = (ids: readonly string[]): CompiledSegment['included'] => {
    const set = new Set(ids);
    return ids.length === 0 ? undefined : { count: set.size, has: (id) => set.has(id), ids: () => set };
  };
  return {
    segmentId,
    environment: 'prod',
    version: 1,
    revision: 1,
    json: '{}',
    quarantined: undefined,
    matchBy: body.matchBy,
    matchPath: undefined,
    included: list(body.included),
    excluded: list(body.excluded),
    when: body.when === undefined ? undefined : compileCondition(body.when),
  };
}

function answer(state: World): Outcome {
  const { flag: root, context, scope } = compileWorld(state);
  return evaluate(root, context, scope, hashUser);
}

/** As docs/explain.md says to read `attributes`. */
function setByHand(before: JsonObject, name: string, after: unknown): JsonObject {
  const copy = new Map<string, unknown>(Object.entries(before));
  const isThing = (thing: unknown): thing is JsonObject =>
    typeof thing === 'object' && thing !== null && !Array.isArray(thing);
  const dot = name.indexOf('.');
  const head = dot < 0 ? name : name.slice(0, dot);
  if (dot < 0 || Object.hasOwn(before, name)) copy.set(name, after);
  else if (copy.get(head) === undefined || copy.get(head) === null)
    copy.set(head, setByHand({}, name.slice(dot + 1), after));
  else if (isThing(copy.get(head))) copy.set(head, setByHand(copy.get(head) as JsonObject, name.slice(dot + 1), after));
  else copy.set(name, after);
  return Object.fromEntries(copy) as JsonObject;
}

function removeByHand(before: JsonObject, name: string): JsonObject {
  const copy = new Map<string, unknown>(Object.entries(before));
  copy.delete(name);
  const dot = name.indexOf('.');
  const inner = dot < 0 ? undefined : copy.get(name.slice(0, dot));
  if (typeof inner === 'object' && inner !== null && !Array.isArray(inner))
    copy.set(name.slice(0, dot), removeByHand(inner as JsonObject, name.slice(dot + 1)));
  return Object.fromEntries(copy) as JsonObject;
}

function editFlag(state: World, flagId: string, patch: (definition: FlagDefinition) => object): World {
  const definition = state.flags.get(flagId) as FlagDefinition;
  const edited = unwrap(patchFlag(definition, patch(definition)));
  return { ...state, flags: new Map([...state.flags, [flagId, edited]]) };
}

function setPercentage(state: World, flagId: string, ruleId: string | undefined, percent: number): World {
  return editFlag(state, flagId, ({ rules }) =>
    ruleId === undefined
      ? { rollout_percentage: percent }
      : {
          rules: rules.map((rule) =>
            rule.rule_id === ruleId ? { ...rule, serve: { rollout_percentage: percent } } : rule,
          ),
        },
  );
}

/** Makes the changes of a flip, as an operator or a client would. */
function applyByHand(before: World, flip: Omit<Flip, 'gives'>): World {
  let state = before;
  const flagId = flip.flag_id ?? 'root';
  const { enabled, rollout_percentage: percent, segment: list } = flip;
  if (enabled !== undefined) state = editFlag(state, flagId, () => ({ enabled }));
  if (percent !== undefined) state = setPercentage(state, flagId, flip.rule_id, percent);
  if (flip.target !== undefined) {
    state = editFlag(state, flagId, ({ targets }) => ({
      targets: targets.map((target) => ({
        ...target,
        user_ids: target.user_ids.filter((id) => id !== before.userId || target.variant !== flip.target?.variant),
      })),
    }));
  }
  if (list !== undefined) {
    const body = state.segments.get(list.segment_id) as SegmentDocument;
    const ids = body[list.list];
    const edited = {
      ...body,
      [list.list]: list.action === 'add' ? [...ids, list.id] : ids.filter((id) => id !== list.id),
    };
    state = { ...state, segments: new Map([...state.segments, [list.segment_id, edited]]) };
  }
  let context = state.attributes ?? {};
  for (const [name, wanted] of Object.entries(flip.attributes?.set ?? {})) context = setByHand(context, name, wanted);
  for (const name of flip.attributes?.remove ?? []) context = removeByHand(context, name);
  return { ...state, attributes: context };
}

/** The flip cut into what could be done alone. */
function singleChanges({ attributes: changed, gives: _, ...rest }: Flip): readonly Omit<Flip, 'gives'>[] {
  const { flag_id: flagId, rollout_percentage: percent, rule_id: ruleId, enabled, target, segment: list } = rest;
  const at = flagId === undefined ? {} : { flag_id: flagId };
  return [
    ...(percent === undefined ? [] : [{ ...at, rollout_percentage: percent, ...(ruleId && { rule_id: ruleId }) }]),
    ...(enabled === undefined ? [] : [{ ...at, enabled }]),
    ...(target === undefined ? [] : [{ ...at, target }]),
    ...(list === undefined ? [] : [{ segment: list }]),
    ...Object.entries(changed?.set ?? {}).map(([name, wanted]) => ({
      attributes: { set: Object.fromEntries([[name, wanted]]), remove: [] },
    })),
    ...(changed?.remove ?? []).map((name) => ({ attributes: { set: {}, remove: [name] } })),
  ];
}

function properParts<T>(whole: readonly T[]): readonly T[][] {
  const parts: T[][] = [];
  for (let mask = 1; mask < 2 ** whole.length - 1; mask++) parts.push(whole.filter((_, i) => (mask & (1 << i)) !== 0));
  return parts;
}

function explained(state: World): { readonly outcome: Outcome; readonly trace: Trace } {
  const { flag: root, context, scope } = compileWorld(state);
  return explain(root, context, scope, hashUser, {
    budget: startExplainBudget({ stepsLeft: Number.POSITIVE_INFINITY }),
    isVisible: () => true,
  });
}

const RUNS = 1200;

test('every change that is suggested flips the answer to what was said, and no part of it does', (t) => {
  const counts = new Map<string, number>();
  let flips = 0;
  let parts = 0;
  let failed = 0;
  fc.assert(
    fc.property(world, (state) => {
      const { outcome, trace } = explained(state);
      if (answer(state).batchJson !== outcome.batchJson) throw new Error('explained is not evaluated');
      if (trace.flips.length > explainLimits.flipsMax) throw new Error('too many');
      for (const flip of trace.flips) {
        flips++;
        const after = answer(applyByHand(state, flip));
        const { gives } = flip;
        const isAsSaid =
          after.variant === gives.variant && after.reason === gives.reason && after.ruleId === gives.rule_id;
        const singles = singleChanges(flip);
        const kind = singles.map((single) => Object.keys(single).filter((key) => key !== 'flag_id')[0]).join('+');
        counts.set(kind, (counts.get(kind) ?? 0) + 1);
        const flippingPart = properParts(singles).find((part) => {
          parts++;
          return answer(part.reduce(applyByHand, state)).variant !== outcome.variant;
        });
        if (after.variant === outcome.variant || !isAsSaid || flippingPart !== undefined) {
          failed++;
          throw new Error(
            `${JSON.stringify(flip)} gives ${after.batchJson}; before ${outcome.batchJson}; part ${JSON.stringify(flippingPart)}`,
          );
        }
      }
    }),
    { numRuns: RUNS },
  );
  t.comment(
    `${RUNS} explained results: ${flips} changes applied, ${failed} failed; ${parts} parts of them, none flips`,
  );
  t.comment(JSON.stringify(Object.fromEntries([...counts].sort((a, b) => b[1] - a[1]))));
  t.ok(flips > RUNS, `${flips} changes applied`);
  t.equal(failed, 0);
  t.end();
});

test('a user enters at enters_at, and not 0.01 before', (t) => {
  let checked = 0;
  fc.assert(
    fc.property(world, (state) => {
      const { trace } = explained(state);
      const root = state.flags.get('root') as FlagDefinition;
      const step = trace.steps.find((each) => each.step === 'rollout');
      if (trace.enters_at === null || step === undefined || root.type !== 'boolean') return;
      checked++;
      const at = (percent: number): string => answer(setPercentage(state, 'root', step.rule_id, percent)).variant;
      const before = (Math.round(trace.enters_at * 100) - 1) / 100;
      if (at(trace.enters_at) !== 'on' || at(before) !== 'off') throw new Error(`${trace.enters_at}`);
    }),
    { numRuns: RUNS },
  );
  t.comment(`${checked} of ${RUNS} results were decided by a boolean percentage`);
  t.ok(checked > 100);
  t.end();
});
