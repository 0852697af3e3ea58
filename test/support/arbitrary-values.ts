// For each operator, values to ask for and values to find that are close to each other: made at random around the places
// where formats begin to be valid and comparisons turn.
import fc from 'fast-check';
import type { Operator } from '../../src/core/model.ts';
import { naiveTime, naiveVersion } from './naive-formats.ts';

type Scalar = string | number | boolean;

export interface OperatorValues {
  /** Valid for the operator. */
  readonly asked: fc.Arbitrary<Scalar>;
  /** Perhaps valid. */
  readonly found: fc.Arbitrary<Scalar>;
}

// Few letters, so that texts often have parts in common: pairs and triples that fold into each other, two that do not,
// a surrogate pair, a combining mark and an underscore.
const LETTERS = [
  'a',
  'A',
  'k',
  'K',
  '\u212a',
  's',
  'ſ',
  'σ',
  'ς',
  'Σ',
  'ß',
  'ẞ',
  'İ',
  'i',
  'ı',
  'I',
  'é',
  'É',
  '\u{10400}',
  '\u{10428}',
  '\u0301',
  'Ა',
  'ა',
  '_',
];

const text = fc.array(fc.constantFrom(...LETTERS), { maxLength: 6 }).map((letters) => letters.join(''));
const someText = text.filter((letters) => letters !== '');
const shortText = fc
  .array(fc.constantFrom(...LETTERS), { minLength: 1, maxLength: 2 })
  .map((letters) => letters.join(''));

const digits = (least: number, most: number, width: number) =>
  fc.integer({ min: least, max: most }).map((number) => String(number).padStart(width, '0'));

/** Mostly valid; seconds, days and offsets go one too far now and then. */
const time = fc
  .tuple(
    fc.constantFrom('2016', '2017', '2000', '1900', '0000', '9999', '1970'),
    fc.constantFrom('01', '02', '06', '12', '00', '13'),
    fc.constantFrom('01', '28', '29', '30', '31', '32', '00'),
    fc.constantFrom('00', '23', '24', '15', '18'),
    fc.constantFrom('00', '59', '60', '29', '30'),
    fc.constantFrom('00', '59', '60', '61'),
    fc.constantFrom('', '', '.0', '.5', '.50', '.49999999999999999999', '.', '.000000000000000000001'),
    fc.constantFrom('Z', 'z', '+00:00', '-00:00', '+05:30', '-08:00', '+23:59', '+24:00', '-00:60', '', '+0530'),
    fc.constantFrom('T', 'T', 'T', 't', ' '),
  )
  .map(([year, month, day, hour, minute, second, fraction, zone, t]) => {
    return `${year}-${month}-${day}${t}${hour}:${minute}:${second}${fraction}${zone}`;
  });

const identifier = fc.constantFrom(
  '0',
  '1',
  '2',
  '10',
  '01',
  'a',
  'A',
  'b',
  'rc',
  '-',
  '0a',
  '-1',
  '99999999999999999999',
  '99999999999999999998',
  '',
  'é',
);
const version = fc
  .tuple(
    fc.array(fc.constantFrom('0', '1', '2', '10', '99999999999999999999', '01'), { minLength: 3, maxLength: 3 }),
    fc.array(identifier, { maxLength: 3 }),
    fc.array(identifier, { maxLength: 2 }),
  )
  .map(([numbers, prerelease, build]) => {
    const tail = (sign: string, parts: readonly string[]) => (parts.length === 0 ? '' : sign + parts.join('.'));
    return numbers.join('.') + tail('-', prerelease) + tail('+', build);
  });

const octet = fc.constantFrom('0', '10', '127', '128', '255', '256', '00', '1');
const ipv4 = fc.array(octet, { minLength: 4, maxLength: 4 }).map((octets) => octets.join('.'));
const goodIpv4 = fc
  .array(
    octet.filter((part) => part !== '256' && part !== '00'),
    { minLength: 4, maxLength: 4 },
  )
  .map((octets) => octets.join('.'));
const group = fc.constantFrom('0', '1', 'ffff', 'FFFF', '0db8', '2001', '8000', '7fff');
const ipv6 = (last: fc.Arbitrary<string>) =>
  fc.oneof(
    fc.array(group, { minLength: 8, maxLength: 8 }).map((groups) => groups.join(':')),
    fc
      .tuple(fc.array(group, { maxLength: 4 }), fc.array(group, { maxLength: 3 }))
      .map(([head, tail]) => `${head.join(':')}::${tail.join(':')}`),
    fc
      .tuple(fc.constantFrom('::', '::ffff:', '::FFFF:', '0:0:0:0:0:ffff:', '::ffff:0:', '1::'), last)
      .map(([head, tail]) => head + tail),
  );
const network = fc.oneof(
  fc.tuple(goodIpv4, digits(0, 32, 1)).map(([address, prefix]) => `${address}/${prefix}`),
  fc
    .tuple(ipv6(goodIpv4), fc.oneof(digits(0, 128, 1), fc.constantFrom('0', '95', '96', '97', '128')))
    .map(([address, prefix]) => `${address}/${prefix}`),
);
const address = fc.oneof(
  { weight: 3, arbitrary: goodIpv4 },
  { weight: 1, arbitrary: ipv4 },
  { weight: 3, arbitrary: ipv6(goodIpv4) },
  { weight: 1, arbitrary: ipv6(ipv4) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '',
      ':',
      ':::',
      '1::2::3',
      '::1%lo',
      '[::1]',
      '1:2:3:4:5:6:7:8:9',
      '1:2:3:4:5:6:7::',
      '::12345',
      '1.2.3.4::',
      ' ::1',
    ),
  },
);

const number = fc.oneof(
  fc.constantFrom(
    0,
    -0,
    1,
    -1,
    2 ** 53,
    2 ** 53 - 1,
    0.1,
    0.2,
    0.3,
    0.1 + 0.2,
    5e-324,
    Number.MAX_VALUE,
    -Number.MAX_VALUE,
  ),
  fc.integer({ min: -3, max: 3 }),
);

/** Patterns that mean the same in RE2 and in JavaScript. */
const piece = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...LETTERS) },
  {
    weight: 2,
    arbitrary: fc.constantFrom('.', '[ak]', '[^aσ]', '[a-k]', '\\d', '(?:a|k|ß)', '(a|σs)', '\\.', '\\x41'),
  },
);
const pattern = fc
  .tuple(
    fc.constantFrom('', '', '^'),
    fc.array(fc.tuple(piece, fc.constantFrom('', '', '', '*', '+', '?', '{1,2}', '*?')), {
      minLength: 1,
      maxLength: 4,
    }),
    fc.constantFrom('', '', '$'),
  )
  .map(([start, pieces, end]) => start + pieces.map((parts) => parts.join('')).join('') + end);

const texts: OperatorValues = {
  asked: fc.oneof(text, fc.boolean()),
  found: fc.oneof({ weight: 5, arbitrary: text }, { weight: 1, arbitrary: fc.boolean() }),
};
const parts: OperatorValues = { asked: shortText, found: someText };
const numbers: OperatorValues = { asked: number, found: number };
const times: OperatorValues = { asked: time.filter((each) => naiveTime(each) !== undefined), found: time };
const versions: OperatorValues = { asked: version.filter((each) => naiveVersion(each) !== undefined), found: version };

export const OPERATOR_VALUES: Readonly<Record<Exclude<Operator, 'exists'>, OperatorValues>> = {
  equals: texts,
  in: texts,
  contains: parts,
  starts_with: parts,
  ends_with: parts,
  matches: { asked: pattern, found: text },
  eq: numbers,
  gt: numbers,
  gte: numbers,
  lt: numbers,
  lte: numbers,
  before: times,
  after: times,
  semver_eq: versions,
  semver_gt: versions,
  semver_gte: versions,
  semver_lt: versions,
  semver_lte: versions,
  in_cidr: { asked: network, found: address },
};
