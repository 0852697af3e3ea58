// The limits: readable by name, frozen, and documented as they are.
import { readFileSync } from 'node:fs';
import { test } from 'tap';
import { documentLimits } from '../../src/core/document-limits.ts';
import { limits, limitsMarkdown } from '../../src/limits.ts';

test('reads a limit by its name', (t) => {
  t.equal(limits.bodyBytesMax, 1_048_576);
  t.ok(Object.isFrozen(limits));
  t.ok(Object.values(limits).every((value) => Number.isSafeInteger(value) && value > 0));
  t.end();
});

test('takes over the limits of flag documents', (t) => {
  t.match(limits, documentLimits);
  t.end();
});

test('docs/limits.md is what the table says', (t) => {
  t.equal(
    readFileSync('docs/limits.md', 'utf8'),
    limitsMarkdown(),
    'run npm run build && node scripts/generate-docs.mjs',
  );
  t.end();
});
