import fc from 'fast-check';
import { test } from 'tap';
import { parseDocument, renderDocument } from '../../../src/core/document.ts';
import { sameDefinition } from '../../../src/core/edit.ts';
import type { FlagDefinition, Json } from '../../../src/core/model.ts';
import { createFlag } from '../../../src/core/parse.ts';
import { create, documentOf, refusal, stored, unwrap } from './support.ts';

test('a document has the fields of the API in its order', (t) => {
  t.equal(
    documentOf(create({ flag_id: 'f', enabled: true, rollout_percentage: 25 })),
    '{"flag_id":"f","environment":"prod","description":"","tags":[],"owner":"","kind":"release","enabled":true,"type":"boolean",' +
      '"rollout_percentage":25,"bucket_by":"user_id","salt":null,"targets":[],"prerequisites":[],"rules":[],' +
      '"version":3,"revision":812,"created_at":"2025-01-01T00:00:00.000Z","updated_at":"2025-01-02T00:00:00.000Z","updated_by":"key_1"}',
  );
  t.equal(
    documentOf(create({ flag_id: 'f', type: 'string', variants: { red: '#f00', blue: '#00f' }, off_variant: 'red' })),
    '{"flag_id":"f","environment":"prod","description":"","tags":[],"owner":"","kind":"release","enabled":false,"type":"string",' +
      '"variants":{"red":"#f00","blue":"#00f"},"off_variant":"red","rollout":[{"variant":"red","percentage":100}],' +
      '"bucket_by":"user_id","salt":null,"targets":[],"prerequisites":[],"rules":[],"allocation":[[0,10000,"red"]],' +
      '"version":3,"revision":812,"created_at":"2025-01-01T00:00:00.000Z","updated_at":"2025-01-02T00:00:00.000Z","updated_by":"key_1"}',
  );
  t.end();
});

test('floats go out with a decimal point', (t) => {
  const flag = create({
    flag_id: 'f',
    type: 'number',
    variants: { a: 2, b: 2.5, c: 1e21, d: -1e-7, e: 1.5e300, f: 0 },
    off_variant: 'a',
  });
  t.match(documentOf(flag), '"format":"float","variants":{"a":2.0,"b":2.5,"c":1.0e21,"d":-1.0e-7,"e":1.5e300,"f":0.0}');
  t.match(
    documentOf(create({ flag_id: 'f', type: 'number', variants: { a: 2 }, off_variant: 'a' })),
    '"format":"integer","variants":{"a":2}',
  );
  t.end();
});

const name = fc.oneof(
  fc.constantFrom('a', '__proto__', 'constructor', '1', 'é'),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter((text) => !/\p{Cc}/u.test(text)),
);
const number = fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer());
const valueByType = {
  string: fc.string({ unit: 'grapheme' }),
  number,
  object: fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }), { noNullPrototype: true }),
};

const anyDefinition: fc.Arbitrary<FlagDefinition> = fc
  .constantFrom('string' as const, 'number' as const, 'object' as const)
  .chain((type) =>
    fc.tuple(
      fc.constant(type),
      fc.uniqueArray(fc.tuple(name, valueByType[type] as fc.Arbitrary<Json>), {
        minLength: 1,
        maxLength: 8,
        selector: ([key]) => key,
      }),
      fc.nat(10_000),
    ),
  )
  .map(([type, entries, edge]) => {
    const [first, last] = [entries[0]?.[0], entries.at(-1)?.[0]];
    const rollout =
      first === last
        ? [{ variant: first, percentage: 100 }]
        : [
            { variant: first, percentage: edge / 100 },
            { variant: last, percentage: (10_000 - edge) / 100 },
          ];
    return createFlag(
      {
        flag_id: 'f',
        type,
        ...(type === 'number' ? { format: 'float' } : {}),
        variants: Object.fromEntries(entries),
        off_variant: first,
        rollout,
      },
      'prod',
    );
  })
  .filter((result) => result.ok)
  .map((result) => unwrap(result));

test('what is rendered is parsed to the same, and rendered to the same bytes again', (t) => {
  fc.assert(
    fc.property(anyDefinition, (definition) => {
      const text = documentOf(definition);
      const document = unwrap(parseDocument(text));
      return (
        sameDefinition(document, definition) &&
        renderDocument(document) === text &&
        unwrap(parseDocument(text)).version === 3
      );
    }),
    { numRuns: 500 },
  );
  t.end();
});

test('each variant of a float flag is written as a JSON number with a decimal point, and reads back as it was', (t) => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      const text = documentOf(
        create({ flag_id: 'f', type: 'number', format: 'float', variants: { a: value }, off_variant: 'a' }),
      );
      const written = text.slice(text.indexOf('{"a":') + 5, text.indexOf('},"off_variant"'));
      return written.includes('.') && JSON.parse(written) === value;
    }),
  );
  t.end();
});

test('a stored document with rules is a valid one', (t) => {
  const definition: FlagDefinition = {
    ...create({ flag_id: 'f', type: 'string', variants: { a: 'A', b: 'B' }, off_variant: 'a' }),
    prerequisites: [{ flag_id: 'g', variant: 'on' }],
    rules: [
      {
        rule_id: 'r',
        description: '',
        when: { all: [{ attribute: 'country', op: 'in', values: ['PL'] }] },
        serve: {
          rollout: [
            { variant: 'a', percentage: 50 },
            { variant: 'b', percentage: 50 },
          ],
          allocation: [
            [0, 5000, 'b'],
            [5000, 10000, 'a'],
          ],
        },
      },
    ],
  };
  t.same(unwrap(parseDocument(documentOf(definition))), stored(definition), 'with the ranges that the rule had');
  t.end();
});

test('a stored document must be whole and consistent', (t) => {
  const good = JSON.parse(
    documentOf(create({ flag_id: 'f', type: 'string', variants: { a: 'A', b: 'B' }, off_variant: 'a' })),
  ) as Record<string, unknown>;
  const without = (field: string) => Object.fromEntries(Object.entries(good).filter(([key]) => key !== field));
  const bad = (fields: object) => refusal(parseDocument(JSON.stringify({ ...good, ...fields })));
  for (const field of Object.keys(good))
    t.not(refusal(parseDocument(JSON.stringify(without(field)))).length, 0, `without ${field}`);
  t.match(bad({ allocation: [[0, 9999, 'a']] }), [/allocation: must be ranges/]);
  t.match(
    bad({
      allocation: [
        [0, 5000, 'a'],
        [5000, 10000, 'b'],
      ],
    }),
    [/allocation: must give each variant/],
  );
  t.match(bad({ allocation: [[0, 10000]] }), [/allocation: must be an array of/]);
  t.match(bad({ version: 0 }), [/version: must be an integer from 1/]);
  t.match(bad({ revision: 1.5 }), [/revision: /]);
  t.match(bad({ created_at: 'yesterday' }), [/created_at: /]);
  t.match(bad({ updated_by: 5 }), [/updated_by: /]);
  t.match(bad({ from_the_future: 1 }), [/from_the_future: is not a known field/]);
  t.match(refusal(parseDocument('{')), [/is not JSON/]);
  t.match(refusal(parseDocument('[]')), [/must be a JSON object/]);
  t.match(refusal(parseDocument('['.repeat(100_000))), [/./]);
  t.end();
});

test('any text is a document or a list of what is wrong with it', (t) => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => !parseDocument(text).ok));
  t.end();
});
