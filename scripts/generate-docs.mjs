// Writes what is made from the sources: docs/limits.md from src/limits.ts, .env.example from src/config.ts, and the tables
// of docs/operations.md from src/config.ts and src/observe/metrics.ts. Run it after `npm run build`; the tests fail while
// one of them is out of date.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const { limitsMarkdown } = await import(new URL('../dist/limits.js', import.meta.url).href);
const { envExample, variablesMarkdown } = await import(new URL('../dist/config.js', import.meta.url).href);
const { metricsMarkdown } = await import(new URL('../dist/observe/metrics.js', import.meta.url).href);

writeFileSync(join(root, 'docs/limits.md'), limitsMarkdown());
writeFileSync(join(root, '.env.example'), envExample());
const operations = join(root, 'docs/operations.md');
writeFileSync(
  operations,
  withTable(
    withTable(readFileSync(operations, 'utf8'), 'variables', variablesMarkdown()),
    'metrics',
    metricsMarkdown(),
  ),
);

/** Puts a table between its two marks, `<!-- NAME: ... -->` and `<!-- end of NAME -->`. */
function withTable(page, name, table) {
  const marks = new RegExp(`(<!-- ${name}: [^>]*-->\n)[^]*?(<!-- end of ${name} -->)`);
  if (!marks.test(page)) throw new Error(`docs/operations.md has no place for the table of ${name}`);
  return page.replace(marks, (_, begin, end) => `${begin}${table}\n${end}`);
}
