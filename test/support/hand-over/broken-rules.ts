// Copies of the service in which one rule is broken on purpose: an experiment that finds nothing in them finds nothing.
import { cpSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

interface BrokenRule {
  readonly file: string;
  /** Found once in that file of dist. */
  readonly find: RegExp;
  readonly replace: string;
}

export const BROKEN_RULES = {
  'writes before orphans joined': {
    file: 'primary/commands.js',
    find: /await deps\.settled;/,
    replace: '',
  },
  'silent workers are not waited for': {
    file: 'primary/publisher.js',
    find: /reader\.ackedRevision < waiter\.revision\)\)/,
    replace: 'reader.ackedRevision < waiter.revision && deps.now() - reader.lastBeatMs < 300))',
  },
  'answers before workers serve': {
    file: 'primary/commands.js',
    find: /await deps\.publisher\.served\(outcome\.revision\);/,
    replace: '',
  },
  'workers follow any primary': {
    file: 'worker/primary-link.js',
    find: /if \(itsTerm >= term\)/,
    replace: 'if (true)',
  },
} as const satisfies Readonly<Record<string, BrokenRule>>;
export type BrokenRuleName = keyof typeof BROKEN_RULES;

/** Returns the main script of such a copy. Throws when the rule is not where it was. */
export function breakRule(name: BrokenRuleName): string {
  const { file, find, replace }: BrokenRule = BROKEN_RULES[name];
  const root = fileURLToPath(new URL('../../../', import.meta.url));
  const copy = mkdtempSync(join(tmpdir(), 'burgee-broken-'));
  cpSync(join(root, 'dist'), join(copy, 'dist'), { recursive: true });
  cpSync(join(root, 'package.json'), join(copy, 'package.json'));
  for (const folder of ['node_modules', 'native', 'migrations']) symlinkSync(join(root, folder), join(copy, folder));
  const path = join(copy, 'dist', file);
  const text = readFileSync(path, 'utf8');
  if (text.match(new RegExp(find, 'g'))?.length !== 1) throw new Error(`${file} does not hold this rule once: ${find}`);
  writeFileSync(path, text.replace(find, replace));
  return join(copy, 'dist', 'main.js');
}
