import fc from 'fast-check';
import { test } from 'tap';
import { caseVariantsOf, foldCodePoint, foldText } from '../../../src/core/case-folding.ts';
import { CASE_FOLDING_UNICODE_VERSION } from '../../../src/core/case-folding-table.ts';

const LAST = 0x10ffff;

function isSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdfff;
}

test('the table is the same as /iu, for all code points of its version of Unicode', (t) => {
  if (process.versions.unicode !== CASE_FOLDING_UNICODE_VERSION) {
    t.comment(`the engine has Unicode ${process.versions.unicode}, the table ${CASE_FOLDING_UNICODE_VERSION}`);
    t.end();
    return;
  }
  // All that folds to one is one class of /iu, and what it says of one is not in another's.
  const wrong: string[] = [];
  const targets = new Map<number, number[]>();
  for (let code = 0; code <= LAST; code++) {
    if (isSurrogate(code)) continue;
    const target = foldCodePoint(code);
    if (target !== code) targets.set(target, [...(targets.get(target) ?? [target]), code]);
  }
  const everything = Array.from({ length: LAST + 1 }, (_, code) =>
    isSurrogate(code) ? '' : String.fromCodePoint(code),
  );
  const text = everything.join('');
  for (const [target, sharers] of targets) {
    const found = text.match(new RegExp(`\\u{${target.toString(16)}}`, 'giu')) ?? [];
    const codes = found.map((char) => char.codePointAt(0) as number).sort((a, b) => a - b);
    if (codes.join() !== sharers.sort((a, b) => a - b).join()) wrong.push(`${target.toString(16)}: ${codes}`);
  }
  // One that folds to itself alone is like nobody else: /iu finds all that are like somebody with one class.
  const alone = everything.filter((char) => char !== '' && caseVariantsOf(char.codePointAt(0) as number).length === 1);
  const cased = [...targets.values()].flat().map((code) => `\\u{${code.toString(16)}}`);
  t.equal(new RegExp(`[${cased.join('')}]`, 'iu').exec(alone.join(''))?.[0], undefined);
  t.same(wrong, []);
  t.equal(targets.size, new Set(targets.keys()).size);
  t.ok(targets.size > 1400, `${targets.size} classes`);
  t.end();
});

test('folding changes no number of code units, and folds once', (t) => {
  const wrong: number[] = [];
  for (let code = 0; code <= LAST; code++) {
    const target = foldCodePoint(code);
    if (target > 0xffff !== code > 0xffff || foldCodePoint(target) !== target) wrong.push(code);
  }
  t.same(wrong, []);
  t.end();
});

test('a text is folded code point by code point, and stays itself when nothing changes', (t) => {
  const text = fc.string({ unit: fc.constantFrom('a', 'Z', 'É', 'ß', 'ẞ', 'ſ', 'K', '𐐀', '\ud801', '\udc00', '1') });
  fc.assert(
    fc.property(text, (value) => {
      const expected = Array.from(value, (char) => String.fromCodePoint(foldCodePoint(char.codePointAt(0) as number)));
      return foldText(value) === expected.join('');
    }),
  );
  t.equal(foldText('ß and ordinary letters'), 'ß and ordinary letters');
  t.end();
});

test('the variants of a letter are all that fold to the same', (t) => {
  t.same([...caseVariantsOf(0x4b)].sort(), [0x4b, 0x6b, 0x212a].sort());
  t.same([...caseVariantsOf(0x3c2)].sort(), [0x3a3, 0x3c2, 0x3c3]);
  t.same(caseVariantsOf(0x131), [0x131]);
  t.end();
});
