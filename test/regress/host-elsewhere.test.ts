// With a HOST that this machine does not have, every worker died on it and was started again, for ever.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'tap';

const MAIN = new URL('../../dist/main.js', import.meta.url).pathname;

test('an address of another machine is refused by name', async (t) => {
  // 192.0.2.0/24 is for documentation: nobody has it. Ended when it does not end itself, so that a failure leaves nothing.
  const child = spawn(process.execPath, [MAIN], {
    env: { PATH: process.env['PATH'], DATA_DIR: t.testdir(), HOST: '192.0.2.1', PORT: '18999', WORKERS: '1' },
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: 15_000,
  });
  let stderr = '';
  child.stderr.on('data', (chunk) => (stderr += chunk));
  await once(child, 'close');
  t.equal(child.exitCode, 2);
  t.match(stderr, /HOST \("192\.0\.2\.1"\) is not an address of this machine/);
});
