import fc from 'fast-check';
import { RE2JS } from 're2js';
import { test } from 'tap';
import { documentLimits } from '../../../src/core/document-limits.ts';
import { compileSteps } from '../../../src/core/pattern-cost.ts';
import { compilePattern } from '../../../src/core/patterns.ts';
import { isFoundIn } from '../../../src/core/text-table.ts';

const STEPS_PER_INSTRUCTION = 100;

function compile(pattern: string, ignoreCase = false, stepsMax: number = documentLimits.patternStepsMax) {
  return compilePattern({ pattern, ignoreCase, stepsMax });
}

const atoms = [
  'a',
  'b',
  'k',
  'ab',
  '.',
  '[ab]',
  '[^a]',
  '\\w',
  '\\d',
  '\\s',
  '\\pL',
  '(?i:k)',
  '(?i:ſ)',
  'ж',
  '😀',
  '\\n',
];
const places = ['\\b', '\\B', '^', '$', '(?m:^)', '(?m:$)', '\\A', '\\z', ''];
const others = ['[a-c😀]', '\\x{1F600}', '(?s:.)', '[[:alpha:]]', '[^\\pL]', '\\Qa.\\E', '\\101'];
const { pattern: aPattern } = fc.letrec<{ pattern: string }>((tie) => ({
  pattern: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constantFrom(...atoms, ...places, ...others),
    fc.array(tie('pattern'), { minLength: 1, maxLength: 4 }).map((parts) => parts.join('')),
    fc.tuple(tie('pattern'), tie('pattern')).map(([a, b]) => `(?:${a}|${b})`),
    fc
      .tuple(tie('pattern'), fc.constantFrom('*', '+', '?', '*?', '{2}', '{1,3}', '{2,}', '{0,2}'))
      .map(([part, count]) => `(${part})${count}`),
  ),
}));
const aText = fc.string({
  unit: fc.constantFrom(
    'a',
    'b',
    'c',
    'K',
    'k',
    '\u212a',
    'ſ',
    'S',
    'ж',
    'Ж',
    '😀',
    '\n',
    ' ',
    '_',
    '1',
    '\ud83d',
    '\ude00',
  ),
  maxLength: 10,
});

test('a table finds what re2js finds', (t) => {
  let compared = 0;
  fc.assert(
    fc.property(
      aPattern,
      fc.boolean(),
      fc.array(aText, { minLength: 5, maxLength: 5 }),
      (pattern, ignoreCase, texts) => {
        const result = compile(pattern, ignoreCase);
        if (!result.ok) return result.problem.includes('too complex') || result.problem.includes('too large');
        const reference = RE2JS.compile(pattern, ignoreCase ? RE2JS.CASE_INSENSITIVE : 0);
        compared += texts.length;
        return texts.every((text) => isFoundIn(text, result.table) === reference.test(text));
      },
    ),
    { numRuns: 20_000 },
  );
  t.ok(compared > 90_000, `${compared} searches`);
  t.end();
});

test('what a pattern costs is known before it is compiled', (t) => {
  fc.assert(
    fc.property(aPattern, (pattern) => {
      return compileSteps(pattern) >= RE2JS.compile(pattern).programSize() * STEPS_PER_INSTRUCTION;
    }),
    { numRuns: 10_000 },
  );
  for (const pattern of [
    'a{01}',
    'a{,3}',
    'x{2}y{3,}',
    '((a{2}){3}b?){4}',
    '[]a-z]{9}',
    '\\pL{30}',
    '(?P<n>a{7})|b{1,3}',
    '\\x{41}{5}',
    '[[:alpha:]\\]]{4}',
  ]) {
    t.ok(compileSteps(pattern) >= RE2JS.compile(pattern).programSize() * STEPS_PER_INSTRUCTION, pattern);
    t.ok(compileSteps(pattern) < 100_000, pattern);
  }
  t.end();
});

test('a pattern is refused when it, or its table, would be too much work', (t) => {
  t.match(compile('(a{100}){100}'), { ok: false });
  t.match(compile('a{500}'.repeat(20)), { ok: false, problem: /is too large/, steps: 0 });
  t.match(compile('(a|b)*a(a|b){20}'), { ok: false, problem: /is too complex to be searched in one pass/ });
  t.match(compile('^.{1,200}$', false, 1000), { ok: false, problem: /is too large/ });
  const many = Array.from({ length: 300 }, (_, i) => String.fromCodePoint(0x4e00 + 2 * i));
  t.match(compile(many.join('')), { ok: false, problem: /tells too many characters apart/ });
  const wide = many.slice(0, 250).join('');
  t.match(compile(`(?s)^${wide}.{0,20}x`, false, 10_000_000), { ok: false, problem: /is too complex/ });
  t.end();
});

test('what is too complex for what is left of the work is compiled again where there is more', (t) => {
  t.match(compile('^[a-z]{1,40}x$', false, 5000), { ok: false });
  const first = compile('^[a-z]{1,40}x$');
  t.ok(first.ok);
  t.equal(compile('^[a-z]{1,40}x$'), first, 'and remembered');
  t.match(compile('^[a-z]{1,40}x$', false, 5000), { ok: false }, 'but not where there is less');
  for (let i = 0; i < 100; i++) compile(`x${i}`);
  t.not(compile('^[a-z]{1,40}x$'), first, 'and not for ever');
  t.end();
});

test('a pattern that matches the empty text is found in every text', (t) => {
  for (const pattern of ['a*', '', '(?:)|x', '$', '\\z']) {
    const result = compile(pattern);
    t.ok(result.ok && isFoundIn('', result.table) && isFoundIn('xyz', result.table), pattern);
  }
  t.end();
});

test('a search stops where nothing can be found any more, and where it is found', (t) => {
  const anchored = compile('^abc');
  t.ok(anchored.ok && !isFoundIn('x'.repeat(1_000_000), anchored.table));
  t.ok(anchored.ok && isFoundIn(`abc${'x'.repeat(1_000_000)}`, anchored.table));
  t.end();
});
