// Each number with an exponent, or of many digits, was made a string to see whether a double has it: a message of 160,000
// times 1e400 took 170 to 340 ms of a worker. Digits and power tell it of nearly all, by the same rule.
import fc from 'fast-check';
import { test } from 'tap';
import { exactNumber } from '../../src/worker/http/exact-number.ts';
import { isPlainlyExact } from '../../src/worker/http/json-scan.ts';

const told = (text: string): boolean | undefined => isPlainlyExact(Buffer.from(` ${text},`), 1, 1 + text.length);

test('what is told of a number without a string is what its string tells', (t) => {
  const digits = (max: number) =>
    fc
      .array(fc.constantFrom('0', '0', '0', '1', '5', '9'), { minLength: 1, maxLength: max })
      .map((each) => each.join(''));
  const whole = fc.oneof(
    fc.constant('0'),
    fc.tuple(fc.constantFrom('1', '9'), digits(25)).map((both) => both.join('')),
  );
  const fraction = fc.oneof(
    fc.constant(''),
    digits(25).map((all) => `.${all}`),
  );
  const power = fc.oneof(fc.integer({ min: -400, max: 400 }), fc.integer({ min: -25, max: 25 }));
  const exponent = fc.oneof(
    fc.constant(''),
    fc.tuple(fc.constantFrom('e', 'E'), power).map(([e, n]) => `${e}${n}`),
    power.map((n) => (n < 0 ? `e${n}` : `e+0${n}`)),
  );
  const number = fc.tuple(fc.constantFrom('', '-'), whole, fraction, exponent).map((parts) => parts.join(''));
  fc.assert(
    fc.property(number, (text) => {
      const answer = told(text);
      return answer === undefined || answer === (exactNumber(text) !== undefined);
    }),
    { numRuns: 20_000 },
  );
  t.end();
});

test('what a hostile message would be full of needs no string', (t) => {
  const cases: readonly [string, boolean | undefined][] = [
    ['1e400', false],
    ['1e-400', false],
    ['1e5', true],
    ['0e99999999999', true],
    ['-0.0e5', true],
    ['1e999999999999', false],
    [`1.${'0'.repeat(30)}1`, false],
    ['123456789012345678', false],
    [`1${'0'.repeat(1000)}`, false],
    [`0.${'0'.repeat(1000)}1`, false],
    [`1${'0'.repeat(300)}e-300`, true],
    [`0.${'0'.repeat(300)}1e301`, true],
    ['9007199254740993', undefined],
  ];
  for (const [text, answer] of cases) t.equal(told(text), answer, text.slice(0, 30));
  t.end();
});
