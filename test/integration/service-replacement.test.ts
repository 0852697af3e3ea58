// SIGHUP to the whole service: another build, the same one again, builds that are broken, all under load. Needs dist (npm
// test builds it first).
import { setTimeout as pause } from 'node:timers/promises';
import { test } from 'tap';
import { startLoad } from '../support/load.ts';
import { createReleases } from '../support/releases.ts';
import { ADMIN_KEY, alive, flagWith, type Service, startService } from '../support/service.ts';

const PATH = '/api/v1/flags/steady/evaluate?user_id=u';

test('a running service is replaced without a failed request', async (t) => {
  const releases = createReleases(t.testdir());
  releases.make('one');
  releases.use('one');
  const service = await startService({ workers: 2, main: releases.main });
  t.teardown(() => service.stop());
  await flagWith(service, { flag_id: 'steady', enabled: true });
  const load = startLoad({ port: service.port, connections: 8, path: PATH, key: ADMIN_KEY, thinkMs: 2 });
  t.teardown(() => load.stop());
  t.same(await builds(service), ['one']);

  await t.test('by another build behind the link', async (t) => {
    releases.make('two');
    releases.use('two');
    const old = service.workerPids();
    service.launcher.kill('SIGHUP');
    await replaced(service, old);
    t.same(await builds(service), ['two']);
    await writes(service);
    await load.answered(100);
    t.equal(load.record.failed, 0, load.record.reasons.join('; '));
  });

  await t.test('by itself, twice for two signals', async (t) => {
    const old = service.workerPids();
    const primary = service.primaryPid();
    service.launcher.kill('SIGHUP');
    await until(() => service.primaryPid() !== primary);
    service.launcher.kill('SIGHUP');
    await replaced(service, old);
    await until(() => service.output().split('handing over to the next primary').length === 4);
    await writes(service);
    t.equal(load.record.failed, 0, load.record.reasons.join('; '));
  });

  await t.test('by nothing, when the build cannot be loaded', async (t) => {
    releases.make('three');
    releases.edit('three', 'worker/main.js', 'export async function', 'export async funktion');
    releases.use('three');
    const before = [service.primaryPid(), ...service.workerPids()];
    service.launcher.kill('SIGHUP');
    await until(() => /fails its check; nothing changes/.test(service.output()));
    t.match(service.output(), /the worker cannot be loaded: SyntaxError/);
    t.same([service.primaryPid(), ...service.workerPids()], before);
    t.equal(load.record.failed, 0, load.record.reasons.join('; '));
  });

  await t.test('by the build before it, with its workers, when the primary dies at its start', async (t) => {
    await until(() => service.workerPids().length === 2);
    releases.make('four');
    releases.edit(
      'four',
      'primary/main.js',
      'async function startNode(',
      'async function startNode() { throw new Error("four is broken"); }\nasync function unused(',
    );
    releases.use('four');
    const [primary, workers] = [service.primaryPid(), service.workerPids().sort()];
    service.launcher.kill('SIGHUP');
    await until(() => /going back to the one before it/.test(service.output()));
    await until(() => service.primaryPid() !== primary && alive(service.primaryPid()));
    await writes(service);
    t.same(service.workerPids().sort(), workers);
    t.same(await builds(service), ['two']);
    t.equal(load.record.failed, 0, load.record.reasons.join('; '));
  });

  const record = await load.stop();
  t.equal(record.failed, 0, `of ${record.requests} requests: ${record.reasons.join('; ')}`);
  t.equal(await service.stop(), 0);
});

/** The builds that answer, each once. */
async function builds(service: Service): Promise<string[]> {
  const found = new Set<string>();
  for (let i = 0; i < 16; i++) {
    const reply = await fetch(`${service.url}/version`, { headers: { connection: 'close' } });
    found.add(((await reply.json()) as { build: string }).build);
  }
  return [...found];
}

async function replaced(service: Service, old: readonly number[]): Promise<void> {
  await until(() => !old.some(alive) && service.workerPids().filter(alive).length === 2, 60_000);
}

/** Until a write is taken: the next primary has to open the store first. */
async function writes(service: Service): Promise<void> {
  let status = 0;
  while (status !== 200) {
    const reply = await service.api('/api/v1/flags/steady', { method: 'PATCH', json: { description: 'written' } });
    status = reply.status;
    if (status !== 200 && status !== 503) throw new Error(`${status} ${JSON.stringify(reply.body)}`);
  }
}

async function until(holds: () => boolean, limitMs = 30_000): Promise<void> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    try {
      if (holds()) return;
    } catch {
      // A file that is being replaced.
    }
    if (performance.now() > deadline) throw new Error(`still not so after ${limitMs} ms: ${holds.toString()}`);
    await pause(10);
  }
}
