// With a HOST that this machine does not have, every worker died on it and was started again, for ever.
import { test } from 'tap';
import { runToEnd } from '../support/service.ts';

test('an address of another machine is refused by name', async (t) => {
  // 192.0.2.0/24 is for documentation: nobody has it.
  const ended = await runToEnd([], { DATA_DIR: t.testdir(), HOST: '192.0.2.1' });
  t.match(ended, { code: 2, stderr: /HOST \("192\.0\.2\.1"\) is not an address of this machine/ });
});
