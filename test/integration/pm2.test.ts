// The service under a real PM2: its first start, and what dies afterwards. One story, each step goes on from the one before.
// How it is stopped: pm2-stop.test.ts.
import { test } from 'tap';
import { startLoad } from '../support/load.ts';
import { createPm2Service, isReplaced, preparePm2, readyCount, until } from '../support/pm2.ts';
import { ADMIN_KEY, alive, MAIN, signalQuietly } from '../support/service.ts';

const WORKERS = 2;
const PATH = '/api/v1/flags/steady/evaluate?user_id=user-1';
const prepared = preparePm2();
const missing = 'missing' in prepared ? prepared.missing : undefined;
// On CI a skipped test is a failed one.
const skip = missing !== undefined && process.env['CI'] !== 'true' ? missing : false;

test('under PM2', { skip }, async (t) => {
  if ('missing' in prepared) throw new Error(prepared.missing);
  const service = await createPm2Service(prepared.program, WORKERS);
  t.teardown(() => service.close());
  const answers = async (): Promise<number> => (await fetch(`${service.url}/readyz`)).status;

  await t.test('is online only when every worker holds a snapshot, from whatever folder it is started', async (t) => {
    const { code, output } = await service.start();
    // Without wait_ready PM2 says "online" while the primary still loads its code, and nobody answers.
    t.equal(await answers(), 200);
    t.equal(code, 0, output);
    t.match(await service.seen(), { status: 'online', restarts: 0, pid: service.pid('launcher') });
    t.equal(service.workerPids().length, WORKERS);
    // Not through the file of PM2 that the launcher was started with.
    for (const pid of [service.pid('primary'), ...service.workerPids()]) t.ok(service.argv(pid).includes(MAIN));
    await service.makeFlag('steady');
  });

  await t.test('a SIGKILLed launcher is started again and adopts the workers', async (t) => {
    const [launcher, workers, readies] = [service.pid('launcher'), service.workerPids(), readyCount(service)];
    signalQuietly(launcher, 'SIGKILL');
    await until(() => isReplaced(service, 'launcher', launcher, readies));
    await until(async () => (await service.seen())?.status === 'online');
    t.match(await service.seen(), { pid: service.pid('launcher'), restarts: 1 });
    t.same(service.workerPids(), workers);
    t.equal(await answers(), 200);
  });

  await t.test('a SIGKILLed primary is none of PM2s business', async (t) => {
    const [primary, workers, readies] = [service.pid('primary'), service.workerPids(), readyCount(service)];
    const before = await service.seen();
    signalQuietly(primary, 'SIGKILL');
    await until(() => isReplaced(service, 'primary', primary, readies));
    t.same(await service.seen(), before);
    t.same(service.workerPids(), workers);
  });

  await t.test('nor is a SIGKILLed worker', async (t) => {
    const before = await service.seen();
    const [first] = service.workerPids() as [number];
    signalQuietly(first, 'SIGKILL');
    await until(() => service.workerPids().filter(alive).length === WORKERS && !service.workerPids().includes(first));
    t.same(await service.seen(), before);
    t.equal(await answers(), 200);
  });

  await t.test('pm2 sendSignal SIGHUP replaces primary and workers, and PM2 sees no restart', async (t) => {
    const [primary, workers, readies] = [service.pid('primary'), service.workerPids(), readyCount(service)];
    const before = await service.seen();
    const load = startLoad({ port: service.port, connections: 4, path: PATH, key: ADMIN_KEY, thinkMs: 20 });
    t.equal((await service.pm2('sendSignal', 'SIGHUP', 'burgee')).code, 0);
    await until(() => isReplaced(service, 'primary', primary, readies) && !workers.some(alive));
    await load.answered(40);
    t.match(await load.stop(), { failed: 0, reasons: [] });
    t.same(await service.seen(), before);
    t.equal(service.workerPids().filter(alive).length, WORKERS);
  });

  await t.test(
    'when PM2 itself dies the service runs on, and is taken over by ending its launcher alone',
    async (t) => {
      const [launcher, readies] = [service.pid('launcher'), readyCount(service)];
      signalQuietly(service.daemonPid(), 'SIGKILL');
      await until(() => !alive(service.daemonPid()));
      t.equal(await answers(), 200);
      t.ok(alive(launcher));
      await service.pm2('ping');
      await service.start();
      t.not((await service.seen())?.status, 'online', 'a second one is refused');
      t.equal(service.pid('launcher'), launcher);

      signalQuietly(launcher, 'SIGKILL');
      await until(() => !alive(launcher));
      await service.start();
      t.match(await service.seen(), { status: 'online', pid: service.pid('launcher') });
      t.ok(readyCount(service) > readies);
      t.equal(await answers(), 200);
    },
  );
});
