// openfeature-provider-ofrep, as published on PyPI, against a running service.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'tap';
import { startOfrepService } from '../support/ofrep-service.ts';
import { preparePython } from '../support/python.ts';

const fixture = (name: string): string => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));
const prepared = preparePython(fixture('ofrep-requirements.txt'));
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
