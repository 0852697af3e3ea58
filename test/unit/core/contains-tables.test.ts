import fc from 'fast-check';
import { test } from 'tap';
import { foldText } from '../../../src/core/case-folding.ts';
import { compileContains, planContains } from '../../../src/core/contains-tables.ts';
import { documentLimits } from '../../../src/core/document-limits.ts';
import { isFoundIn, TABLE_ENTRIES_MAX } from '../../../src/core/text-table.ts';

const letters = fc.constantFrom('a', 'A', 'b', 'k', 'K', '\u212a', 's', 'ſ', 'ж', '𐐀', '𐐨', '😀');

test('a text contains one of the values as if all were tried', (t) => {
  const value = fc.string({ unit: letters, minLength: 1, maxLength: 5 });
  const values = fc.array(value, { minLength: 1, maxLength: 10 });
  fc.assert(
    fc.property(values, fc.string({ unit: letters, maxLength: 20 }), fc.boolean(), (sought, text, ignoreCase) => {
      const fold = ignoreCase ? foldText : (each: string) => each;
      const expected = sought.some((each) => fold(text).includes(fold(each)));
      return compileContains(sought, ignoreCase).some((table) => isFoundIn(text, table)) === expected;
    }),
    { numRuns: 50_000 },
  );
  t.end();
});

test('half of a pair is another character than the pair', (t) => {
  const tables = compileContains(['😀'], false);
  const found = (text: string) => tables.some((table) => isFoundIn(text, table));
  t.ok(found('x😀'));
  t.ok(found('\ud83d\ud83d\ude00'));
  t.notOk(found('\ud83d'));
  t.notOk(found('\ude00\ud83d'));
  t.end();
});

test('values that do not fit into one table are cut into several, as the plan says', (t) => {
  const values = Array.from({ length: 2000 }, (_, i) => `value ${i} of many`);
  const tables = compileContains(values, true);
  t.equal(tables.length, planContains(values, true).length);
  t.ok(tables.length > 1, `${tables.length} tables`);
  for (const table of tables) t.ok(table.next.length <= TABLE_ENTRIES_MAX);
  for (const value of values) {
    if (!tables.some((table) => isFoundIn(`<${value.toUpperCase()}>`, table))) t.fail(value);
  }
  t.notOk(tables.some((table) => isFoundIn('value of many', table)));
  t.end();
});

test('the longest value fits, with every character another one', (t) => {
  const longest = Array.from({ length: documentLimits.containsCharsMax }, (_, i) =>
    String.fromCodePoint(0x4e00 + i),
  ).join('');
  const [table, ...more] = compileContains([longest], true);
  t.equal(more.length, 0);
  t.ok(table !== undefined && isFoundIn(`x${longest}x`, table));
  t.notOk(table !== undefined && isFoundIn(longest.slice(1), table));
  t.end();
});

test('a table for more characters than there are classes is cut too', (t) => {
  const values = Array.from({ length: 600 }, (_, i) => String.fromCodePoint(0x4e00 + i));
  const tables = compileContains(values, false);
  t.equal(tables.length, 3);
  t.ok(values.every((value) => tables.some((table) => isFoundIn(`a${value}`, table))));
  t.notOk(tables.some((table) => isFoundIn('一'.replace('一', '\u4dff'), table)));
  t.end();
});
