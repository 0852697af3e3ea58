// The tables of docs/operations.md are those of the code, and none of its metrics is missing there.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { variablesMarkdown } from '../../src/config.ts';
import { metricsMarkdown } from '../../src/observe/metrics.ts';

const page = readFileSync('docs/operations.md', 'utf8');

test('docs/operations.md has the tables that the code makes', (t) => {
  t.equal(tableOf('variables'), variablesMarkdown(), 'run npm run docs');
  t.equal(tableOf('metrics'), metricsMarkdown(), 'run npm run docs');
  t.end();
});

test('every metric that is counted or set is in the table, and every one of the table is', (t) => {
  const told = [...tableOf('metrics').matchAll(/^\| `(burgee_\w+)` \|/gm)].map(([, name]) => `${name}`);
  const used = namesInSources();
  t.ok(told.length > 30, `${told.length} metrics`);
  for (const name of used)
    t.ok(
      told.some((each) => name.test(each)),
      `${name} has a line in the table`,
    );
  for (const name of told)
    t.ok(
      used.some((each) => each.test(name)),
      `${name} is counted or set somewhere`,
    );
  t.end();
});

function tableOf(name: string): string {
  return new RegExp(`<!-- ${name}: [^>]*-->\n([^]*?)\n<!-- end of ${name} -->`).exec(page)?.[1] ?? '';
}

/** Names of metrics as the sources have them; what is put into a name stands for anything. */
function namesInSources(): RegExp[] {
  const found = new Set<string>();
  for (const entry of readdirSync('src', { recursive: true, encoding: 'utf8' })) {
    if (!entry.endsWith('.ts')) continue;
    // The table's own texts prove nothing, and neither do beginnings.
    const text = readFileSync(join('src', entry), 'utf8').replace(/^const HELP[^]*?^};/m, '');
    for (const [, name] of text.matchAll(/[`'](burgee_(?:\w|\$\{\w+\})*[a-z])[`']/g)) found.add(`${name}`);
  }
  return [...found].map((name) => new RegExp(`^${name.replaceAll(/\$\{\w+\}/g, '\\w+')}$`));
}
