// The algebra of conditions: negate turns an answer round, and De Morgan's laws hold between all and any.
import fc from 'fast-check';
import { test } from 'tap';
import { evaluate } from '../../../src/core/evaluate.ts';
import type { JsonObject } from '../../../src/core/model.ts';
import { hashUser } from '../../../src/kernel/murmur3.ts';
import { arbitraryCondition, arbitraryContext, type ContextDocument } from '../../support/arbitrary-conditions.ts';
import {
  type CompiledEnvironment,
  compileDefinition,
  compileEnvironment,
} from '../../support/arbitrary-environments.ts';
import { create } from './support.ts';

const SEGMENTS = compileEnvironment({
  flags: new Map(),
  segments: new Map([
    ['s0', { segment_id: 's0', match_by: 'user_id', included: ['u0', 'u1', 'u2'], excluded: [], when: null }],
    [
      's1',
      {
        segment_id: 's1',
        match_by: 'country',
        included: ['PL'],
        excluded: ['CZ'],
        when: { attribute: 'beta', op: 'equals', values: [true] },
      },
    ],
  ]),
});

const condition = arbitraryCondition(['s0', 's1']);

function holds(
  when: JsonObject,
  { user_id: userId, attributes }: ContextDocument,
  scope: CompiledEnvironment,
): boolean {
  const flag = compileDefinition(
    create({ flag_id: 'f', enabled: true, rules: [{ rule_id: 'r', when, serve: { variant: 'on' } }] }),
  );
  return evaluate(flag, { userId, attributes }, scope, hashUser).reason === 'RULE_MATCH';
}

function not(when: JsonObject): JsonObject {
  return { ...when, negate: when['negate'] !== true };
}

const RUNS = 2000;

test('negate turns the answer round, twice it changes nothing', (t) => {
  let held = 0;
  fc.assert(
    fc.property(condition, arbitraryContext, (when, context) => {
      const plain = holds(when, context, SEGMENTS);
      if (plain) held++;
      const inGroup = { all: [{ all: [when], negate: true }], negate: true };
      return holds(not(when), context, SEGMENTS) === !plain && holds(inGroup, context, SEGMENTS) === plain;
    }),
    { numRuns: RUNS, seed: 6 },
  );
  t.ok(held > RUNS * 0.2 && held < RUNS * 0.8, `${held} of ${RUNS} held`);
  t.end();
});

test("De Morgan's laws hold: not all is any not, not any is all not", (t) => {
  let mixed = 0;
  fc.assert(
    fc.property(fc.array(condition, { minLength: 1, maxLength: 4 }), arbitraryContext, (members, context) => {
      const all = holds({ all: members }, context, SEGMENTS);
      const any = holds({ any: members }, context, SEGMENTS);
      if (all !== any) mixed++;
      return (
        holds({ all: members, negate: true }, context, SEGMENTS) ===
          holds({ any: members.map(not) }, context, SEGMENTS) &&
        holds({ any: members, negate: true }, context, SEGMENTS) ===
          holds({ all: members.map(not) }, context, SEGMENTS) &&
        holds({ all: members, negate: true }, context, SEGMENTS) === !all &&
        holds({ any: members, negate: true }, context, SEGMENTS) === !any
      );
    }),
    { numRuns: RUNS, seed: 7 },
  );
  t.ok(mixed > RUNS * 0.2, `${mixed} of ${RUNS} times some members held and some did not`);
  t.end();
});

test('an empty all is true, and the order of members changes no answer', (t) => {
  const context = { user_id: 'u0' };
  t.ok(holds({ all: [] }, context, SEGMENTS));
  t.notOk(holds({ all: [], negate: true }, context, SEGMENTS));
  let cases = 0;
  fc.assert(
    fc.property(fc.array(condition, { minLength: 2, maxLength: 4 }), arbitraryContext, (members, other) => {
      cases++;
      return ['all', 'any'].every(
        (kind) =>
          holds({ [kind]: members }, other, SEGMENTS) === holds({ [kind]: members.toReversed() }, other, SEGMENTS),
      );
    }),
    { numRuns: RUNS / 4, seed: 8 },
  );
  t.equal(cases, RUNS / 4);
  t.end();
});
