import fc from 'fast-check';
import { test } from 'tap';
import { exactNumber } from '../../../src/worker/http/exact-number.ts';
import { quoteInexact, scanJson } from '../../../src/worker/http/json-scan.ts';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : new TextDecoder().decode(bytes);

/** A decimal as the fraction it is, by integers alone. */
function fractionOf(text: string): readonly [numerator: bigint, denominator: bigint] {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]\+?(-?\d+))?$/.exec(text) ?? [];
  const digits = BigInt(`${sign}${whole}${fraction}`);
  const power = Number(exponent) - fraction.length;
  return power < 0 ? [digits, 10n ** BigInt(-power)] : [digits * 10n ** BigInt(power), 1n];
}

const digits = fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: 1, maxLength: 20 });
const decimal = fc
  .tuple(fc.constantFrom('', '-'), digits, fc.option(digits), fc.option(fc.integer({ min: -330, max: 330 })))
  .map(([sign, whole, fraction, exponent]) => {
    const mantissa = `${sign}${whole.replace(/^0+(?=\d)/, '')}${fraction === null ? '' : `.${fraction}`}`;
    return exponent === null ? mantissa : `${mantissa}e${exponent}`;
  });

test('a number is exact when its double, written as short as can be, is the same decimal', (t) => {
  let exact = 0;
  fc.assert(
    fc.property(decimal, (text) => {
      const value = exactNumber(text);
      if (value !== undefined) exact += 1;
      const shortest = String(Number(text));
      if (shortest.endsWith('Infinity')) return value === undefined;
      const [a, b] = fractionOf(text);
      const [c, d] = fractionOf(shortest);
      return (value !== undefined) === (a * d === c * b) && (value === undefined || Object.is(value, Number(text)));
    }),
    { numRuns: 5000 },
  );
  t.ok(exact > 500, `${exact} of 5000 were exact`);
  t.end();
});

test('what is no JSON number is none', (t) => {
  for (const text of ['', '-', '01', '1.', '.5', '+1', '1e', '0x1', 'NaN', 'Infinity', '1 ', '١']) {
    t.equal(exactNumber(text), undefined, text);
  }
  t.ok(Object.is(exactNumber('-0'), -0));
  t.end();
});

test('a text of zeros costs no more than it is long', (t) => {
  const zeros = '0'.repeat(500_000);
  const started = process.cpuUsage();
  t.equal(exactNumber(`1.${zeros}1`), undefined);
  t.equal(exactNumber(`1.${zeros}`), 1);
  const { user } = process.cpuUsage(started);
  t.ok(user < 1_000_000, `${user} µs; steps for each pair of zeros would be minutes`);
  t.end();
});

test('a body without long numbers is told from one with them by its bytes', (t) => {
  const hasLong = (text: string): boolean => scanJson(bytesOf(text), 8).hasLongNumber;
  for (const text of ['{"a":123456789012345}', '{"a":"9007199254740993 1e400"}', '["\\"1e400"]', '[1.5,-2,true,null]'])
    t.notOk(hasLong(text), text);
  for (const text of ['{"a":1234567890123456}', '[1e5]', '["\\\\",1E5]', '[-0.1000000000000000055]'])
    t.ok(hasLong(text), text);
  t.same(scanJson(bytesOf('[[[1]]]'), 3), { isTooDeep: false, hasLongNumber: false, attributeCount: 0 });
  t.same(scanJson(bytesOf('[[[1]]]'), 2), { isTooDeep: true, hasLongNumber: false, attributeCount: 0 });
  t.end();
});

test('only numbers among attributes are put in quotes', (t) => {
  const long = '9007199254740993';
  const cases: [string, string | undefined][] = [
    [`{"n":${long},"attributes":{"a":1}}`, undefined],
    [`{"attributes":{"a":9007199254740992,"b":1e3}}`, undefined],
    [`{"attributes":[${long}]}`, undefined],
    [`{"x":"attributes","y":{"a":${long}}}`, undefined],
    [`{"attributes":{"a":"\\"${long}"},"n":${long}}`, undefined],
    [`{"attributes" : {"a":[${long} , 1e400]}}`, `{"attributes" : {"a":["${long}" , "1e400"]}}`],
    [`{"attributes":{"attributes":{"a":1},"b":-${long}}}`, `{"attributes":{"attributes":{"a":1},"b":"-${long}"}}`],
    [
      `[{"attributes":{}},{"attributes":{"a":${long}},"n":1e400}]`,
      `[{"attributes":{}},{"attributes":{"a":"${long}"},"n":1e400}]`,
    ],
  ];
  for (const [body, quoted] of cases) t.equal(textOf(quoteInexact(bytesOf(body), 'attributes')), quoted, body);
  t.equal(
    textOf(
      quoteInexact(
        bytesOf(`{"context":{"targetingKey":${long},"id":${long},"o":{"targetingKey":${long}}}}`),
        'context',
      ),
    ),
    `{"context":{"targetingKey":${long},"id":"${long}","o":{"targetingKey":"${long}"}}}`,
  );
  t.end();
});
