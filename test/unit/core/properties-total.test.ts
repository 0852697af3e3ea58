// Whatever comes in, an answer comes out, and it is one of those that the flag was compiled to.
import fc from 'fast-check';
import { test } from 'tap';
import { compileFlag } from '../../../src/core/compile.ts';
import type { CompiledFlag, CompiledServe, Outcome } from '../../../src/core/compiled.ts';
import { evaluate } from '../../../src/core/evaluate.ts';
import type { Json, JsonObject } from '../../../src/core/model.ts';
import { hashUser } from '../../../src/kernel/murmur3.ts';
import { arbitraryContext } from '../../support/arbitrary-conditions.ts';
import { arbitraryEnvironment, compileEnvironment } from '../../support/arbitrary-environments.ts';
import { documentOf } from './support.ts';

/** Names that conditions ask for, and those that every object inherits. */
const NAMES = [
  'country',
  'org',
  'age',
  'word',
  'ip',
  'version',
  'created',
  'user_id',
  '__proto__',
  'constructor',
  'a.b',
];

/** Any JSON, numbers beyond the double's range as JSON.parse gives them, and names from the prototype. */
const { json: arbitraryJson } = fc.letrec<{ json: Json; object: JsonObject }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    fc.constantFrom<Json>(null, true, false, '', 0, -0, 5e-324, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
    fc.double({ noNaN: true }),
    anyText(),
    fc.array(tie('json'), { maxLength: 4 }),
    tie('object'),
  ),
  object: fc
    .array(fc.tuple(fc.oneof(fc.constantFrom(...NAMES), anyText()), tie('json')), { maxLength: 8 })
    .map((entries) => Object.fromEntries(entries)),
}));

/** Any UTF-16, lone surrogates and U+0000 included. */
function anyText(): fc.Arbitrary<string> {
  return fc.oneof(
    fc.string({ unit: 'binary', maxLength: 12 }),
    fc.array(fc.integer({ min: 0xd7f0, max: 0xe010 }), { maxLength: 6 }).map((units) => String.fromCharCode(...units)),
  );
}

const anyAttributes = fc
  .array(fc.tuple(fc.oneof(fc.constantFrom(...NAMES), anyText()), arbitraryJson), { maxLength: 12 })
  .map((entries): JsonObject => Object.fromEntries(entries));

const anyContext = fc.record({ userId: anyText(), attributes: fc.option(anyAttributes, { nil: undefined }) });

/** Every answer that the flag has. */
function outcomesOf(flag: CompiledFlag): ReadonlySet<Outcome> {
  const served = ({ fixed, split }: CompiledServe) => (fixed === undefined ? (split?.outcomes ?? []) : [fixed]);
  return new Set([
    flag.disabled,
    flag.prerequisiteFailed,
    flag.bucketKeyMissing,
    flag.unsound,
    ...(flag.targets?.values() ?? []),
    ...(flag.rules ?? []).flatMap(served),
    ...served(flag),
  ]);
}

test('any user_id with any attributes gets one of the outcomes of the flag, the same each time', (t) => {
  let evaluations = 0;
  fc.assert(
    fc.property(
      arbitraryEnvironment,
      fc.array(anyContext, { minLength: 25, maxLength: 25 }),
      (environment, contexts) => {
        const scope = compileEnvironment(environment);
        for (const flag of scope.flags.values()) {
          const outcomes = outcomesOf(flag);
          for (const context of contexts) {
            const outcome = evaluate(flag, context, scope, hashUser);
            if (!outcomes.has(outcome)) throw new Error(`an answer of ${flag.flagId} that was not compiled`);
            if (evaluate(flag, context, scope, hashUser) !== outcome) throw new Error('another answer the second time');
            evaluations++;
          }
        }
      },
    ),
    { numRuns: 250, seed: 3 },
  );
  t.ok(evaluations >= 15_000, `${evaluations} evaluations`);
  t.end();
});

test('any text, and any document with a part of it broken, compiles to a flag that answers', (t) => {
  let quarantined = 0;
  let served = 0;
  const check = (json: string, scope: Parameters<typeof evaluate>[2], context: Parameters<typeof evaluate>[1]) => {
    const flag = compileFlag(json, { environment: 'prod', id: 'flag-0' });
    const outcome = evaluate(flag, context, scope, hashUser);
    if (!outcomesOf(flag).has(outcome)) throw new Error(json);
    if (flag.quarantined === undefined) served++;
    else {
      quarantined++;
      if (outcome.reason !== 'QUARANTINED') throw new Error(`${outcome.reason} of ${json}`);
    }
  };
  fc.assert(
    fc.property(
      arbitraryEnvironment,
      anyContext,
      fc.array(fc.tuple(fc.nat(), arbitraryJson), { minLength: 15, maxLength: 15 }),
      (environment, context, changes) => {
        const scope = compileEnvironment(environment);
        const [definition] = environment.flags.values();
        const json = definition === undefined ? '' : documentOf(definition);
        for (const [at, value] of changes) {
          check(JSON.stringify(value), scope, context);
          check(broken(json, at, value), scope, context);
          check(json.slice(0, at % json.length), scope, context);
        }
      },
    ),
    { numRuns: 150, seed: 4 },
  );
  t.ok(quarantined >= 5000, `${quarantined} quarantined`);
  t.ok(served >= 100, `${served} served all the same: not every change breaks a document`);
  t.end();
});

/** The document with one of its values, however deep, put in the place of another. */
function broken(json: string, at: number, value: Json): string {
  let count = 0;
  JSON.parse(json, () => {
    count++;
  });
  let left = at % count;
  return JSON.stringify(JSON.parse(json, (_, old: Json) => (left-- === 0 ? value : old)));
}

test('the order of attributes means nothing, however deep', (t) => {
  let evaluations = 0;
  fc.assert(
    fc.property(
      arbitraryEnvironment,
      fc.array(arbitraryContext, { minLength: 12, maxLength: 12 }),
      (environment, contexts) => {
        const scope = compileEnvironment(environment);
        for (const { user_id: userId, attributes } of contexts) {
          const turned = attributes === undefined ? undefined : (reversed(attributes) as JsonObject);
          for (const flag of scope.flags.values()) {
            const one = evaluate(flag, { userId, attributes }, scope, hashUser);
            if (evaluate(flag, { userId, attributes: turned }, scope, hashUser) !== one) throw new Error(flag.flagId);
            evaluations++;
          }
        }
      },
    ),
    { numRuns: 150, seed: 5 },
  );
  t.ok(evaluations >= 4000, `${evaluations} evaluations`);
  t.end();
});

/** The same JSON, the members of every object the other way round. */
function reversed(value: Json): Json {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([name, child]) => [name, reversed(child)]),
  );
}
