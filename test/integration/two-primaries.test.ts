import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import { openRunDir } from '../../src/run/run-dir.ts';
import { startPrimary } from '../support/primary.ts';
import { ADMIN_KEY, alive, freePort, signalQuietly } from '../support/service.ts';

test('a primary whose DATA_DIR was taken while it was frozen ends itself and publishes nothing', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'burgee-'));
  const runDir = openRunDir(dataDir);
  const first = startPrimary({ dataDir, port: await freePort(), generation: 'a', workers: 1 });
  await first.ready;
  const [before] = runDir.workers();
  first.child.kill('SIGSTOP');
  // Somebody removes what proves the owner alive.
  for (const name of ['primary.lock', 'lock.sock']) rmSync(join(runDir.path, name));
  const port = await freePort();
  const second = startPrimary({ dataDir, port, generation: 'a', workers: 1 });
  t.teardown(async () => {
    for (const pid of [first.pid, second.pid, ...runDir.workers().map(({ identity }) => identity.pid)])
      signalQuietly(pid, 'SIGKILL');
    await Promise.all([first.ended, second.ended]);
    await rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
  });
  await second.ready;
  const worker = runDir.workers()[0]?.identity.pid ?? 0;
  t.notOk(alive(before?.identity.pid ?? 0), 'its worker did not join the second one, and is dead');
  first.child.kill('SIGCONT');
  t.equal(await first.ended, 1);
  t.match(first.output(), /another process took DATA_DIR/);
  t.notMatch(second.output(), /stale_term/);
  const health = await fetch(`http://127.0.0.1:${port}/healthz`, { headers: { 'x-api-key': ADMIN_KEY } });
  t.match(await health.json(), { term: 2, primary_connected: true, pid: worker });
});
