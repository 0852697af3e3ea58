import { RE2JS } from 're2js';
import { test } from 'tap';
import { sampleOf } from '../../../src/core/flip-pattern.ts';

const UNDERSTOOD = [
  'pro',
  '^pro$',
  '^[A-Z]{2}$',
  'pro|free',
  '(?:a|b)c',
  '(?i)^adm',
  '(?i:adm)x',
  '(?P<year>\\d{4})-\\d{2}',
  '(?<name>x+)y',
  '\\d+-\\w',
  '^v(\\d+)\\.[^x]*$',
  '[[:alpha:]]{3,}',
  '[[:digit:]_-]+@[a-z0-9.]+\\.[a-z]{2,4}',
  '[^a]',
  '[^\\w ]',
  '[]x]',
  '[a\\]]b',
  '[\\d]',
  '\\Q.*\\E',
  '\\x41\\x{1F600}',
  '\\.\\*\\\\',
  '\\bword\\b',
  '\\Aall\\z',
  '\\D\\W\\S\\s',
  'a{0}b',
  'a{2,3}?b*c+d?',
  '.+@example\\.com$',
  'żółw|😀',
  '\\t\\n',
  '()x',
  '^$|x',
];

test('a text for a simple pattern matches it', (t) => {
  for (const pattern of UNDERSTOOD) {
    const text = sampleOf(pattern);
    t.ok(text !== undefined && RE2JS.compile(pattern).matcher(text).find(), `${pattern}: ${JSON.stringify(text)}`);
  }
  t.end();
});

test('what is not understood, or would be long, has no text', (t) => {
  for (const pattern of ['\\pL', 'a{1000}', '(a{100}){100}', '(', ')', '[', '[a', '\\', 'x{257}', '[^\\d\\D]'])
    t.equal(sampleOf(pattern), undefined, pattern);
  t.end();
});

test('a pattern of any kind is read to an end', (t) => {
  for (const pattern of [
    '('.repeat(1000),
    '[['.repeat(500),
    '|'.repeat(1000),
    '\\'.repeat(999),
    'a{9999}{9999}',
    '\uD800',
  ])
    t.doesNotThrow(() => sampleOf(pattern));
  t.end();
});
