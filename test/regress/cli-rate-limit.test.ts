// `keys create --rate-limit abc` made a key with the default limit: for an admin key, none at all.
import { test } from 'tap';
import { runToEnd } from '../support/service.ts';

test('a rate limit that is no number makes no key', async (t) => {
  const env = { DATA_DIR: t.testdir() };
  for (const wrong of ['abc', '1e3', '-1', '']) {
    const ended = await runToEnd(['keys', 'create', `--rate-limit=${wrong}`], env);
    t.match(ended, { code: 2, stdout: '', stderr: /--rate-limit must be a whole number/ }, wrong);
  }
});

test('help names the command, and is no error after it', async (t) => {
  t.match(await runToEnd(['--help'], {}), { code: 0, stdout: /burgee keys create[^]*DATA_DIR/ });
  t.match(await runToEnd(['keys', 'create', '--help'], {}), { code: 0, stdout: /--rate-limit N/, stderr: '' });
});
