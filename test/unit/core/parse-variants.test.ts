import { test } from 'tap';
import { createFlag } from '../../../src/core/parse.ts';
import { create, refusal } from './support.ts';

function refused(raw: unknown): readonly string[] {
  return refusal(createFlag(raw, 'prod'));
}

function parsed(json: string): object {
  return JSON.parse(json) as object;
}

test('numbers are finite, and those of an integer flag exact', (t) => {
  const number = (variants: object, format?: string) => ({
    flag_id: 'f',
    type: 'number',
    variants,
    off_variant: 'a',
    ...(format === undefined ? {} : { format }),
  });
  t.equal(create(number({ a: 1, b: -2 })).format, 'integer');
  t.equal(create(number({ a: 1, b: 0.5 })).format, 'float');
  t.equal(create(number({ a: 1 }, 'float')).format, 'float');
  t.equal(create(number({ a: 1e21, b: 0.5 })).variants?.['a'], 1e21);
  t.ok(Object.is(create(number({ a: -0 })).variants?.['a'], 0));
  t.match(refused(number({ a: 1.5 }, 'integer')), [/variants\.a: must be an integer/]);
  t.match(refused(number({ a: 2 ** 53 })), [/variants\.a: must not be an integer beyond/]);
  t.match(refused(number({ a: Infinity })), [/variants\.a: must be a finite number/]);
  t.match(refused(number({ a: '1' })), [/variants\.a: must be a finite number, not a string/]);
  t.match(refused(number({ a: 1 }, 'double')), [/format: must be one of integer, float/]);
  t.end();
});

test('an object value is a JSON object that comes back as it was sent', (t) => {
  const object = (a: unknown) => ({ flag_id: 'f', type: 'object', variants: { a }, off_variant: 'a' });
  t.same(create(object({ x: [1, { y: null }] })).variants, { a: { x: [1, { y: null }] } });
  for (const [value, expected] of [
    [[], /must be a JSON object, not an array/],
    [null, /not null/],
    ['x', /not a string/],
    [{ x: Infinity }, /finite numbers only/],
    [{ id: 2 ** 60 }, /integers beyond/],
    [{ x: '\ud800' }, /well-formed/],
    [{ '\u0000': 1 }, /U\+0000/],
    [{ x: 'y'.repeat(65_536) }, /at most 65536 bytes/],
    [parsed(`${'{"a":'.repeat(33)}1${'}'.repeat(33)}`), /deeper than 32/],
  ] as const) {
    t.match(refused(object(value)), [expected]);
  }
  t.end();
});
