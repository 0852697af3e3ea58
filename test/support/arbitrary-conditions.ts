// Conditions and contexts drawn from the same small pools, so that a random condition holds for a random context about
// as often as not: pools hold what operators are famous for getting wrong.
import fc from 'fast-check';
import type { JsonObject, Operator } from '../../src/core/model.ts';

/** Those that take ignore_case. */
export const CASED_OPERATORS: readonly Operator[] = ['equals', 'in', 'contains', 'starts_with', 'ends_with', 'matches'];

export const USERS = ['u0', 'u1', 'u2', 'u3', 'u4', 'u5', 'U1', 'ünï', '__proto__', '7', '😀'] as const;

interface Family {
  /** Attributes that a context is likely to fill from `found`. */
  readonly attributes: readonly string[];
  readonly operators: readonly Operator[];
  /** What conditions compare with: valid for each of the operators. */
  readonly asked: readonly (string | number | boolean)[];
  /** What contexts hold. */
  readonly found: readonly (string | number | boolean)[];
}

const COUNTRIES = ['PL', 'pl', 'CZ', 'Pl', 'cz', 'DE'];
// Kelvin sign, long s, final sigma, dotted capital I, sharp s and its capital, Georgian, Deseret: cases that fold, and do not.
const WORDS = [
  'k',
  '\u212a',
  's',
  '\u017f',
  'ß',
  '\u1e9e',
  'ss',
  'Σ',
  'σ',
  'ς',
  'İ',
  'i',
  'ı',
  'ა',
  'Ა',
  '\u{10400}',
  '\u{10428}',
];
const PHRASES = [
  'Straße',
  'STRASSE',
  'STRAẞE',
  'ΣΊΣΥΦΟΣ',
  'σίσυφος',
  'a.b',
  'a+b',
  '😀x',
  'xk',
  '\u212axx',
  'e\u0301',
  'é',
  ' ',
];
const TIMES = [
  '2016-12-31T23:59:59Z',
  '2016-12-31T23:59:59.999999999999Z',
  '2016-12-31T23:59:60Z',
  '2016-12-31T23:59:60.5Z',
  '2016-12-31t15:59:60-08:00',
  '2017-01-01T05:29:60.25+05:30',
  '2017-01-01T00:00:00z',
  '2017-01-01T00:00:00.000Z',
  '2017-01-01T00:00:00.0000000001Z',
  '2017-01-01T05:30:00+05:30',
  '2016-12-31T18:00:00.000-06:00',
  '0000-01-01T00:00:00+23:59',
  '0099-03-01T00:00:00Z',
  '1969-12-31T23:59:59.5Z',
  '9999-12-31T23:59:59.999-23:59',
  '2024-02-29T12:00:00Z',
  '2024-02-29T12:00:00-00:00',
];
const VERSIONS = [
  '1.0.0-alpha',
  '1.0.0-alpha.1',
  '1.0.0-alpha.beta',
  '1.0.0-beta.2',
  '1.0.0-beta.11',
  '1.0.0-rc.1',
  '1.0.0',
  '1.0.0+build.5',
  '1.0.0-rc.1+exp.sha.5114f85',
  '1.2.10',
  '1.10.0',
  '99999999999999999999999.0.0',
  '99999999999999999999998.999.0',
  '1.0.0-99999999999999999999999',
  '1.0.0-99999999999999999999998',
  '1.0.0-0a',
  '1.0.0--',
  '1.0.0-A',
];
const NUMBERS = [
  -3,
  -1,
  0,
  1,
  17,
  18,
  18.5,
  0.1 + 0.2,
  0.3,
  2 ** 53 - 1,
  2 ** 53,
  -(2 ** 53),
  5e-324,
  1.7976931348623157e308,
];

const FAMILIES: readonly Family[] = [
  {
    attributes: ['country', 'org.country', '__proto__', 'constructor'],
    operators: ['equals', 'in', 'contains', 'starts_with', 'ends_with'],
    asked: COUNTRIES,
    found: [...COUNTRIES, '', 'PLx', 'xPL'],
  },
  {
    attributes: ['word', 'org.word'],
    operators: ['equals', 'in', 'contains', 'starts_with', 'ends_with'],
    asked: [...WORDS, ...PHRASES],
    found: [...WORDS, ...PHRASES, '', 'x\ud83d', '\ude00'],
  },
  {
    attributes: ['beta', 'org.beta'],
    operators: ['equals', 'in'],
    asked: [true, false, 'true'],
    found: [true, false, 'true', 'false', 1],
  },
  {
    // Patterns that mean the same in RE2 and in JavaScript, with and without a mind for case.
    attributes: ['word', 'country', 'plan'],
    operators: ['matches'],
    asked: [
      '^p',
      'l$',
      '^[A-Z]{2}$',
      'a.b',
      'a\\.b',
      '(?:pl|cz)',
      'x+',
      '[^x]',
      '^\\d+$',
      'σ',
      'k',
      '^$',
      's.*e',
      'é|ß',
      '[a-k]',
    ],
    found: [...PHRASES, ...COUNTRIES, '42', '', 'pro', 'Pro', 'PRO'],
  },
  {
    attributes: ['age', 'org.size', '7'],
    operators: ['eq', 'gt', 'gte', 'lt', 'lte'],
    asked: NUMBERS,
    found: [...NUMBERS, -0],
  },
  {
    attributes: ['created', 'org.created'],
    operators: ['before', 'after'],
    asked: TIMES,
    found: [
      ...TIMES,
      '2023-02-29T00:00:00Z',
      '2024-01-01',
      '2024-01-01T24:00:00Z',
      '2016-12-31T22:59:60Z',
      '2016-12-30T23:59:60Z',
      '2024-01-01T00:00:00',
      'now',
      '',
    ],
  },
  {
    attributes: ['version', 'app.version'],
    operators: ['semver_eq', 'semver_gt', 'semver_gte', 'semver_lt', 'semver_lte'],
    asked: VERSIONS,
    found: [...VERSIONS, 'v1.0.0', '1.0', '01.0.0', '1.0.0-01', '1.0.0-', ''],
  },
  {
    attributes: ['ip', 'org.ip'],
    operators: ['in_cidr'],
    asked: [
      '10.0.0.0/8',
      '10.1.2.3/8',
      '192.0.2.7/32',
      '0.0.0.0/0',
      '::/0',
      '2001:db8::/32',
      '2001:DB8:0:1::/64',
      '::ffff:10.0.0.0/104',
      '::ffff:192.0.2.7/128',
      '::ffff:0:0/96',
      '::1/128',
    ],
    found: [
      '10.0.0.1',
      '10.255.255.255',
      '11.0.0.0',
      '192.0.2.7',
      '192.0.2.8',
      '::ffff:10.9.9.9',
      '::ffff:0a01:0203',
      '2001:db8::1',
      '2001:0db8:0000:0001:0000:0000:0000:0001',
      '2001:db9::',
      '::',
      '::1',
      '::10.0.0.1',
      '010.0.0.1',
      '10.0.0',
      '10.0.0.1/32',
      'fe80::1%eth0',
      '1::2::3',
      '256.0.0.1',
      '',
    ],
  },
  {
    attributes: ['user_id'],
    operators: ['equals', 'in', 'contains', 'starts_with', 'ends_with'],
    asked: [...USERS],
    found: [],
  },
  {
    attributes: [
      'country',
      'age',
      'word',
      'tags',
      'org',
      'org.country',
      'user_id',
      'toString',
      'org.constructor',
      'user_id.x',
    ],
    operators: ['exists'],
    asked: [],
    found: ['anything'],
  },
];

const negation = fc.oneof(
  { weight: 3, arbitrary: fc.constant({}) },
  { weight: 1, arbitrary: fc.constant({ negate: true }) },
);

function comparison(family: Family): fc.Arbitrary<JsonObject> {
  return fc
    .record({
      attribute: fc.constantFrom(...family.attributes),
      op: fc.constantFrom(...family.operators),
      values:
        family.asked.length === 0
          ? fc.constant([])
          : fc.uniqueArray(fc.constantFrom(...family.asked), { minLength: 1, maxLength: 4 }),
      ignoreCase: fc.boolean(),
      negation,
    })
    .map(({ attribute, op, values, ignoreCase, negation: negate }) => ({
      attribute,
      op,
      ...(op === 'exists' ? {} : { values }),
      ...(ignoreCase && CASED_OPERATORS.includes(op) ? { ignore_case: true } : {}),
      ...negate,
    }));
}

/**
 * A condition as a client sends it, groups at most three deep.
 * @param segments ids that it may name
 */
export function arbitraryCondition(segments: readonly string[]): fc.Arbitrary<JsonObject> {
  const leaf = fc.oneof(...FAMILIES.map(comparison));
  const member =
    segments.length === 0
      ? leaf
      : fc.oneof(
          { weight: 4, arbitrary: leaf },
          {
            weight: 1,
            arbitrary: fc
              .tuple(fc.constantFrom(...segments), negation)
              .map(([segment, negate]) => ({ segment, ...negate })),
          },
        );
  const group = (inner: fc.Arbitrary<JsonObject>): fc.Arbitrary<JsonObject> =>
    fc.oneof(
      { weight: 5, arbitrary: inner },
      {
        weight: 1,
        arbitrary: fc.tuple(fc.array(inner, { maxLength: 3 }), negation).map(([all, negate]) => ({ all, ...negate })),
      },
      {
        weight: 2,
        arbitrary: fc
          .tuple(fc.array(inner, { minLength: 1, maxLength: 3 }), negation)
          .map(([any, negate]) => ({ any, ...negate })),
      },
    );
  return group(group(group(member)));
}

/** Every attribute that a condition, a segment or a bucket may ask for. */
const ATTRIBUTES = [...new Set(FAMILIES.flatMap(({ attributes }) => attributes))].filter(
  (name) => !name.startsWith('user_id') && name !== 'org',
);

function attributeValue(name: string): fc.Arbitrary<unknown> {
  const pools = FAMILIES.filter((family) => family.attributes.includes(name)).flatMap(({ found }) => found);
  const scalar = fc.constantFrom(...pools, ...(name === 'country' ? ['acme', 'umbrella'] : []));
  const other = fc.constantFrom<unknown>(null, true, 18, 'PL', {}, [], [null], [['PL']], { a: 1 });
  return fc.oneof(
    { weight: 12, arbitrary: scalar },
    {
      weight: 3,
      arbitrary: fc.array(fc.oneof({ weight: 6, arbitrary: scalar }, { weight: 1, arbitrary: other }), {
        maxLength: 3,
      }),
    },
    { weight: 1, arbitrary: other },
  );
}

export interface ContextDocument {
  readonly user_id: string;
  readonly attributes?: JsonObject | undefined;
}

/** A context that answers to the conditions above: most attributes are there, dotted ones as a name or as a path. */
export const arbitraryContext: fc.Arbitrary<ContextDocument> = fc
  .record({
    user: fc.oneof(
      { weight: 20, arbitrary: fc.constantFrom(...USERS) },
      { weight: 4, arbitrary: fc.string({ unit: 'binary' }) },
      { weight: 1, arbitrary: fc.constant('') },
    ),
    hasAttributes: fc.integer({ min: 0, max: 19 }).map((n) => n > 0),
    asName: fc.integer({ min: 0, max: 4 }).map((n) => n === 0),
    values: fc.record(
      Object.fromEntries(
        [...ATTRIBUTES, 'company', 'org.id'].map((name) => [
          name,
          fc.option(name === 'company' || name === 'org.id' ? companyValue() : attributeValue(name), {
            nil: undefined,
            freq: 5,
          }),
        ]),
      ),
    ),
    foreign: fc.constantFrom<JsonObject>(
      {},
      {},
      {},
      { user_id: 'u1' },
      { user_id: { x: 'y' } },
      { 'user_id.x': 1 },
      { org: 'text' },
    ),
  })
  .map(({ user, hasAttributes, asName, values, foreign }) => ({
    user_id: user,
    attributes: hasAttributes ? nest({ ...values }, asName, foreign) : undefined,
  }));

function companyValue(): fc.Arbitrary<unknown> {
  return fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom<unknown>('acme', 'umbrella', '', 42, -0, 2 ** 53 - 1) },
    { weight: 1, arbitrary: fc.constantFrom<unknown>(true, 1.5, 2 ** 53, null, ['acme'], {}) },
  );
}

/** JSON that a client could send: Object.fromEntries makes own properties of names like __proto__ too. */
function nest(values: Readonly<Record<string, unknown>>, asName: boolean, foreign: JsonObject): JsonObject {
  const top = new Map<string, unknown>();
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) continue;
    const [first = '', second] = name.split('.');
    if (asName || second === undefined) top.set(name, value);
    else top.set(first, Object.fromEntries([...Object.entries((top.get(first) ?? {}) as object), [second, value]]));
  }
  return Object.fromEntries([...top, ...Object.entries(foreign)]) as JsonObject;
}
