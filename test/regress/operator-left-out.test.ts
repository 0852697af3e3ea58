// A condition without `op` was refused as "must be one of ..., not a undefined", and one of another product's form
// (`not_in`, `{"not": ...}`) without a word about how the same is said here.
import { test } from 'tap';
import { createFlag } from '../../src/core/parse.ts';
import { refusal } from '../unit/core/support.ts';

function refused(when: unknown): string {
  const rules = [{ rule_id: 'r', when, serve: { variant: 'on' } }];
  return refusal(createFlag({ flag_id: 'f', enabled: true, rules }, 'prod')).join('\n');
}

test('a condition without an operator is told that one is required', (t) => {
  const text = refused({ attribute: 'a', values: ['x'] });
  t.match(text, /rules\[0\]\.when\.op: is required: one of equals, in, .*, exists$/m);
  t.notMatch(text, /undefined/);
  t.end();
});

test('negated forms lead to negate, and other wrong operators do not', (t) => {
  for (const op of ['not_in', '!=', 'neq', 'notEquals', 'NOT', 'ne']) {
    t.match(refused({ attribute: 'a', op, values: ['x'] }), /"negate": true$/m, op);
  }
  for (const op of ['==', 'nexists', 'IN', 'in_segment']) {
    t.match(refused({ attribute: 'a', op, values: ['x'] }), new RegExp(`must be one of equals.*, not "${op}"$`, 'm'));
  }
  t.match(refused({ not: { segment: 's' } }), /exactly one of .*, not "not"; .* "negate": true$/m);
  t.end();
});

test('a node without its kind names what stands there instead', (t) => {
  t.match(
    refused({ and: [] }),
    /rules\[0\]\.when: must have exactly one of attribute, all, any and segment, not "and"$/m,
  );
  t.match(refused({ op: 'in', values: ['x'] }), /exactly one of attribute, all, any and segment$/m);
  t.match(refused({}), /exactly one of attribute, all, any and segment$/m);
  t.end();
});

test('a text for eq leads to equals, as a number for equals leads to eq', (t) => {
  t.match(refused({ attribute: 'a', op: 'eq', values: ['x'] }), /not a string; texts are compared with equals$/m);
  t.match(refused({ attribute: 'a', op: 'gte', values: ['18'] }), /must be a finite number for gte, not a string$/m);
  t.end();
});

test('a variant that is none is told which there are, unless they are many', (t) => {
  const string = (count: number) => {
    const variants = Object.fromEntries(Array.from({ length: count }, (_, i) => [`v${i}`, 'x']));
    return refusal(createFlag({ flag_id: 'f', type: 'string', variants, off_variant: 'red' }, 'prod')).join('\n');
  };
  t.match(string(2), /off_variant: "red" is not a variant of this flag; it has v0, v1$/m);
  t.match(string(11), /off_variant: "red" is not a variant of this flag$/m);
  t.end();
});
