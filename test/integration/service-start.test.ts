// What starting shows and keeps: keys, flags after a crash, wrong settings. Needs dist (npm test builds it first).
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { flagWith, runToEnd, startService } from '../support/service.ts';

test('flags, versions, archived flags and keys are there again after every process was killed at once', async (t) => {
  const dataDir = t.testdir();
  let service = await startService({ workers: 1, dataDir });
  await flagWith(service, { flag_id: 'kept', enabled: true, rollout_percentage: 12.34, description: 'żółć 🚩' });
  await flagWith(service, { flag_id: 'gone', enabled: true });
  t.equal((await service.api('/api/v1/flags/gone', { method: 'DELETE' })).status, 200);
  const { body: key } = await service.api('/api/v1/keys', { method: 'POST', json: { name: 'app' } });
  const { body: before } = await service.api('/api/v1/flags/kept');
  await service.killAll();
  service = await startService({ workers: 1, dataDir });
  t.teardown(() => service.stop());
  t.same((await service.api('/api/v1/flags/kept')).body, before);
  t.equal((await service.api('/api/v1/flags/gone')).status, 404);
  const restored = await service.api('/api/v1/flags/gone/restore', { method: 'POST' });
  t.match(restored, { status: 200, body: { version: 3 } });
  const asked = await fetch(`${service.url}/api/v1/flags/kept/evaluate?user_id=u`, {
    headers: { authorization: `Bearer ${key.key}` },
  });
  t.equal(asked.status, 200);
});

test('a first start without a key given makes one, keeps it in a file for its owner only, and prints curl lines that work', async (t) => {
  const dataDir = t.testdir();
  const service = await startService({ workers: 1, dataDir, env: { BOOTSTRAP_ADMIN_KEY: '' } });
  t.teardown(() => service.stop());
  const file = join(dataDir, 'admin-key');
  t.ok(existsSync(file));
  t.equal(statSync(file).mode & 0o777, 0o600);
  const key = readFileSync(file, 'utf8').trim();
  t.notMatch(service.output(), key, 'it is not printed where it would be collected');
  const lines = service
    .output()
    .split('\n')
    .filter((line) => line.trimStart().startsWith('curl '));
  t.equal(lines.length, 2);
  const replies: string[] = [];
  for (const line of lines) {
    const shell = spawn('sh', ['-c', line], { cwd: process.cwd() });
    let reply = '';
    shell.stdout.on('data', (chunk) => (reply += chunk));
    await once(shell, 'close');
    replies.push(reply);
  }
  t.match(JSON.parse(replies[0] as string), { flag_id: 'hello', rollout_percentage: 25, version: 1 });
  t.match(JSON.parse(replies[1] as string), { flag_id: 'hello', user_id: 'user-1', reason: 'SPLIT' });
});

test('the command makes a key without a running service, from a hash that never was a key here', async (t) => {
  const dataDir = t.testdir();
  const made = await runToEnd(['keys', 'create', '--name', 'by hash', '--scopes', 'read', '--hash', 'a'.repeat(64)], {
    DATA_DIR: dataDir,
  });
  t.equal(made.code, 0, made.stderr);
  t.equal(JSON.parse(made.stdout).key ?? undefined, undefined, 'there is no key to show');
  const list = await runToEnd(['keys', 'list'], { DATA_DIR: dataDir });
  t.match(JSON.parse(list.stdout).items, [{ name: 'by hash' }]);
});

test('a wrong variable is refused by name with exit code 2, before anything is touched', async (t) => {
  const dataDir = join(t.testdir(), 'never-made');
  for (const [name, value] of [
    ['PORT', 'eighty'],
    ['WORKERS', '0'],
    ['ACCESS_LOG', 'loud'],
    ['DATABASE_URL', 'mysql://x'],
    ['BURGEE_WORKER', '1'],
  ] as const) {
    const ended = await runToEnd([], { DATA_DIR: dataDir, [name]: value });
    t.match(ended, { code: 2, stderr: new RegExp(name) }, name);
  }
  t.notOk(existsSync(dataDir));
});

test('--version and --help answer without starting anything', async (t) => {
  t.match(await runToEnd(['--version'], {}), { code: 0, stdout: /^\d+\.\d+\.\d+\n$/ });
  t.match(await runToEnd(['--help'], {}), { code: 0, stdout: /DATA_DIR/ });
  t.match(await runToEnd(['--serve'], {}), { code: 2, stderr: /unknown argument --serve/ });
});
