import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'tap';
import { ADMIN_KEY, runToEnd } from '../support/service.ts';

const env = { HOST: '127.0.0.1', WORKERS: '2', BOOTSTRAP_ADMIN_KEY: ADMIN_KEY };

test('a port that another program has ends the start with exit code 2 and one sentence', async (t) => {
  const other = createServer().listen(0, '127.0.0.1');
  t.teardown(() => other.close());
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const ended = await runToEnd([], { ...env, DATA_DIR: t.testdir(), PORT: String(port) });
  t.equal(ended.code, 2);
  t.equal(ended.stderr.split(`PORT ${port}: another program has it`).length, 2, ended.stderr);
});

test('a METRICS_PORT that another program has is refused by name', async (t) => {
  const other = createServer().listen(0, '127.0.0.1');
  t.teardown(() => other.close());
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const ended = await runToEnd([], { ...env, DATA_DIR: t.testdir(), METRICS_PORT: String(port) });
  t.match(ended, { code: 2, stderr: new RegExp(`METRICS_PORT ${port}`) });
});
