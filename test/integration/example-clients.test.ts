// The clients of examples/ do what their README says, each against the service as a user runs it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Test, test } from 'tap';
import { preparePython } from '../support/python.ts';
import { flagWith, startService } from '../support/service.ts';

const example = (name: string): string => fileURLToPath(new URL(`../../examples/${name}`, import.meta.url));
const prepared = preparePython(example('requirements.txt'));
// .ci/run counts a skipped test as a failure.
const skip = 'missing' in prepared ? `the PyPI package cannot be had: ${prepared.missing}` : false;

test('the client in JavaScript', (t) => check(t, process.execPath, 'node-client.mjs'));

test('the client in Python', { skip }, async (t) => {
  if ('python' in prepared) await check(t, prepared.python, 'python-client.py');
});

async function check(t: Test, program: string, name: string): Promise<void> {
  const service = await startService({ workers: 1 });
  t.teardown(() => service.stop());
  await flagWith(service, { flag_id: 'new-checkout', enabled: true, rollout_percentage: 25 });
  const json = { name: 'example', scopes: ['evaluate'], environments: ['prod'], rate_limit: 0 };
  const made = await service.api('/api/v1/keys', { method: 'POST', json });
  const contexts = Array.from({ length: 1000 }, (_, i) => ({ user_id: `user-${i}` }));
  const asked = await service.api('/api/v1/evaluate', { method: 'POST', json: { contexts, flags: ['new-checkout'] } });
  const on = asked.body.results.filter(
    (row: Record<string, { enabled: boolean }>) => row['new-checkout']!.enabled,
  ).length;

  const url = `ws://127.0.0.1:${service.port}/api/v1/ws`;
  const client = spawn(program, [example(name)], { env: { KEY: made.body.key, URL: url }, stdio: 'pipe' });
  const gone = once(client, 'exit');
  t.teardown(() => client.kill('SIGKILL'));
  let errors = '';
  client.stderr.on('data', (chunk) => (errors += chunk));
  const lines = createInterface({ input: client.stdout })[Symbol.asyncIterator]();
  const line = async (): Promise<string> => (await lines.next()).value ?? `it ended: ${errors}`;
  const parsed = (text: string, name: string): unknown => {
    t.ok(text.startsWith(`${name}: `), text);
    return JSON.parse(text.slice(text.indexOf(':') + 1));
  };

  const off = { enabled: false, variant: 'off', value: false, reason: 'SPLIT', version: 1 };
  t.strictSame(parsed(await line(), 'user-1'), off);
  t.strictSame(parsed(await line(), 'of 1000 users'), { on, off: 1000 - on });
  t.equal(await line(), 'subscribed: change the flag to see it, Ctrl-C ends');
  await service.api('/api/v1/flags/new-checkout', { method: 'PATCH', json: { rollout_percentage: 100 } });
  t.strictSame(parsed(await line(), 'changed'), {
    'new-checkout': { enabled: true, variant: 'on', value: true, reason: 'STATIC', version: 2 },
  });
  client.kill('SIGINT');
  await gone;
}
