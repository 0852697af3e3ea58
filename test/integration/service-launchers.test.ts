// Launchers that die, start together or are stopped, on the whole service under load. Needs dist (npm test builds it first).
import { once } from 'node:events';
import { test } from 'tap';
import { startLoad } from '../support/load.ts';
import {
  ADMIN_KEY,
  alive,
  flagWith,
  freePort,
  type Service,
  type ServiceOptions,
  startService,
} from '../support/service.ts';
import { until } from '../unit/run/fixtures/support.ts';

test('a service outlives its launchers', { skip: process.platform !== 'linux' }, async (t) => {
  const options: ServiceOptions = { workers: 2, dataDir: t.testdir(), port: await freePort() };
  let service = await startService(options);
  t.teardown(() => service.stop());
  await flagWith(service, { flag_id: 'steady', enabled: true });
  const path = '/api/v1/flags/steady/evaluate?user_id=u';
  const load = startLoad({ port: service.port, connections: 8, path, key: ADMIN_KEY, thinkMs: 2 });
  t.teardown(() => load.stop());

  await t.test('one that is killed: the next one has the same workers', async (t) => {
    const workers = service.workerPids().sort();
    await load.answered(50);
    await killLauncher(service);
    await load.answered(50);
    service = await startService(options);
    t.same(service.workerPids().sort(), workers);
    t.equal(await write(service), 200);
    t.equal(load.record.failed, 0, load.record.reasons.join('; '));
  });

  await t.test(
    'one that is killed while its primary is stopped: of two that start with other settings one goes on',
    async (t) => {
      const workers = service.workerPids();
      const primary = service.primaryPid();
      process.kill(primary, 'SIGSTOP');
      await killLauncher(service);
      const other = { ...options, env: { ACCESS_LOG: 'errors' } };
      const started = await Promise.allSettled([startService(other), startService(other)]);
      const [winner, ...more] = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
      if (winner === undefined)
        throw new Error(String(started.map((each) => each.status === 'rejected' && each.reason)));
      service = winner;
      t.equal(more.length, 0);
      t.match(String(started.find((each) => each.status === 'rejected')?.reason), /ended with 3/);
      t.notOk(alive(primary));
      await until(() => !workers.some(alive), 60_000);
      t.equal(await write(service), 200);
      t.equal(load.record.failed, 0, load.record.reasons.join('; '));
    },
  );

  const record = await load.stop();
  t.equal(record.failed, 0, `of ${record.requests} requests: ${record.reasons.join('; ')}`);
  t.equal(await service.stop(), 0);
});

async function killLauncher({ launcher }: Service): Promise<void> {
  launcher.kill('SIGKILL');
  await once(launcher, 'exit');
}

async function write(service: Service): Promise<number> {
  const change = { method: 'PATCH', json: { description: 'written' }, headers: { connection: 'close' } };
  return (await service.api('/api/v1/flags/steady', change)).status;
}
