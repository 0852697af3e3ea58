// openfeature-provider-ofrep, as published on PyPI, against a running service.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'tap';
import { startOfrepService } from '../support/ofrep-service.ts';

const fixture = (name: string): string => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));
const requirements = fixture('ofrep-requirements.txt');

/** The interpreter of an environment with the pinned packages, kept from run to run; or why there is none. */
function preparePython(): { readonly python: string } | { readonly missing: string } {
  const version = spawnSync('python3', ['--version'], { encoding: 'utf8' });
  if (version.status !== 0) return { missing: 'there is no python3' };
  const name = createHash('sha256')
    .update(version.stdout)
    .update(readFileSync(requirements))
    .digest('hex')
    .slice(0, 16);
  const folder = fileURLToPath(new URL(`../../node_modules/.cache/burgee-python-${name}`, import.meta.url));
  const python = join(folder, 'bin', 'python');
  if (existsSync(join(folder, 'complete'))) return { python };
  rmSync(folder, { recursive: true, force: true });
  const steps: [command: string, ...args: string[]][] = [
    ['python3', '-m', 'venv', folder],
    [
      python,
      '-m',
      'pip',
      'install',
      '--quiet',
      '--no-input',
      '--disable-pip-version-check',
      '--requirement',
      requirements,
    ],
    [python, '-c', `open(${JSON.stringify(join(folder, 'complete.new'))}, 'w').close()`],
  ];
  for (const [command, ...args] of steps) {
    const done = spawnSync(command, args, { encoding: 'utf8' });
    if (done.status !== 0) return { missing: `${args.slice(0, 3).join(' ')}: ${(done.stderr || done.stdout).trim()}` };
  }
  renameSync(join(folder, 'complete.new'), join(folder, 'complete'));
  return { python };
}

const prepared = preparePython();
// .ci/run counts a skipped test as a failure.
const skip = 'missing' in prepared ? `the PyPI provider cannot be had: ${prepared.missing}` : false;

interface Answer {
  readonly what: string;
  readonly value: unknown;
  readonly python: string;
  readonly reason: string;
  readonly error: string | null;
  readonly message: string | null;
  readonly metadata: Readonly<Record<string, unknown>>;
}

test('the PyPI provider: every type, default, error code and header', { skip }, async (t) => {
  if ('missing' in prepared) return;
  const { service, key, newKey } = await startOfrepService();
  t.teardown(() => service.stop());
  const keys = [key, await newKey({ environments: ['dev'] }), await newKey({ rate_limit: 1 })];
  const run = spawnSync(prepared.python, [fixture('ofrep_client.py'), service.url, ...keys], { encoding: 'utf8' });
  t.equal(run.status, 0, run.stderr);
  const answers = new Map(
    run.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Answer)
      .map((answer) => [answer.what, answer]),
  );
  const is = (what: string, wanted: object): void => void t.match(answers.get(what), wanted, what);
  const types: [name: string, python: string, fallback: unknown, on: unknown, pl: unknown, off: unknown][] = [
    ['boolean', 'bool', true, true, false, false],
    ['string', 'str', 'mine', 'żółw "1"', 'tak', 'nothing'],
    ['integer', 'int', -1, 42, -7, 0],
    ['float', 'float', -1.5, 2, 0.25, 0],
    ['object', 'dict', { mine: 1 }, { nested: { list: [1, 'two', null] } }, { kraj: true }, {}],
  ];
  for (const [name, python, fallback, on, pl, off] of types) {
    is(`${name}: found`, { value: on, python, reason: 'STATIC', variant: 'on', error: null });
    is(`${name}: no context`, { value: on, python, reason: 'STATIC', error: null });
    is(`${name}: targeting match`, {
      value: pl,
      python,
      reason: 'TARGETING_MATCH',
      metadata: { reason: 'RULE_MATCH', rule_id: 'poland' },
    });
    is(`${name}: disabled`, { value: off, python, reason: 'DISABLED', error: null });
    is(`${name}: split`, { python, reason: 'SPLIT', error: null });
    is(`${name}: missing targeting key`, {
      value: fallback,
      reason: 'ERROR',
      error: 'TARGETING_KEY_MISSING',
      message: /needs context\.targetingKey/,
    });
    is(`${name}: unknown`, {
      value: fallback,
      reason: 'ERROR',
      error: 'FLAG_NOT_FOUND',
      message: /no flag "no-such-flag"/,
    });
    is(`${name}: another type`, { value: fallback, reason: 'ERROR', error: 'TYPE_MISMATCH' });
    is(`${name}: too large`, { value: fallback, reason: 'ERROR', error: 'INVALID_CONTEXT', message: /256 attributes/ });
  }
  is('bearer', { value: true, reason: 'STATIC' });
  is('slash', { value: true, reason: 'STATIC' });
  is('environment', { value: false, reason: 'STATIC' });
  is('no key', { value: true, reason: 'ERROR', error: 'GENERAL', message: /unauthorized/ });
  is('forbidden', { value: true, reason: 'ERROR', error: 'GENERAL', message: /forbidden/ });
  is('rate limited', { value: true, error: 'GENERAL', message: /Rate limited, retry after: \d+/ });
  is('paused', { value: true, error: 'GENERAL', message: /paused due to TooManyRequests/ });
  t.comment(`${answers.size} answers of the PyPI provider`);
});
