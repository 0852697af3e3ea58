import fc from 'fast-check';
import { test } from 'tap';
import { edgeToPercentage, percentageToEdge } from '../../../src/core/percentage.ts';

test('every percentage with at most two decimals is its own edge, and back', (t) => {
  let wrong = 0;
  for (let edge = 0; edge <= 10_000; edge++) {
    const text = `${Math.floor(edge / 100)}.${String(edge % 100).padStart(2, '0')}`;
    if (percentageToEdge(Number(text)) !== edge || edgeToPercentage(edge) !== Number(text)) wrong++;
  }
  t.equal(wrong, 0);
  t.equal(percentageToEdge(0.07), 7, 'where 0.07 * 100 is 7.000000000000001');
  t.equal(percentageToEdge(0.1 + 0.2), 30, 'arithmetic of clients errs too');
  t.ok(Object.is(percentageToEdge(-0), 0));
  t.end();
});

test('what is no percentage has no edge', (t) => {
  for (const value of [
    -0.01,
    100.01,
    0.001,
    33.333,
    99.999,
    1e-5,
    101,
    Number.NaN,
    Infinity,
    -Infinity,
    '25',
    null,
    undefined,
    true,
    [25],
    {},
  ]) {
    t.equal(percentageToEdge(value), undefined, String(value));
  }
  t.end();
});

test('a third decimal is always refused', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 99_999 }),
      (thousandths) => (percentageToEdge(thousandths / 1000) !== undefined) === (thousandths % 10 === 0),
    ),
    { numRuns: 2000 },
  );
  t.end();
});
