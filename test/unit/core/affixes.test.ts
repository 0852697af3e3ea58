import fc from 'fast-check';
import { test } from 'tap';
import { compileAffixes, endsWithAny, startsWithAny } from '../../../src/core/affixes.ts';
import { foldText } from '../../../src/core/case-folding.ts';

// Few letters, so that values begin and end alike; some that fold, and pairs whose halves differ.
const unit = fc.constantFrom('a', 'A', 'b', 'k', '\u212a', 'ſ', '𐐀', '𐐨', '😀', '\ud83d', '\ude00');
const aText = fc.string({ unit, maxLength: 8 });
// Conditions hold well-formed texts only.
const aValue = fc.string({
  unit: fc.constantFrom('a', 'A', 'b', 'k', 's', '𐐀', '𐐨', '😀'),
  minLength: 1,
  maxLength: 4,
});

test('a text starts or ends with one of the values as if all were tried', (t) => {
  fc.assert(
    fc.property(fc.array(aValue, { minLength: 1, maxLength: 12 }), aText, fc.boolean(), (values, text, ignoreCase) => {
      const fold = ignoreCase ? foldText : (value: string) => value;
      const starts = values.some((value) => fold(text).startsWith(fold(value)));
      const ends = values.some((value) => fold(text).endsWith(fold(value)));
      return (
        startsWithAny(text, compileAffixes(values, 'start', ignoreCase), ignoreCase) === starts &&
        endsWithAny(text, compileAffixes(values, 'end', ignoreCase), ignoreCase) === ends
      );
    }),
    { numRuns: 50_000 },
  );
  t.end();
});

test('values that begin or end with another of them are left out', (t) => {
  t.same(compileAffixes(['ab', 'a', 'abc', 'b', 'A'], 'start', true), ['a', 'b']);
  t.same(compileAffixes(['ba', 'a', 'cba', 'b'], 'end', false), ['a', 'b']);
  t.end();
});
