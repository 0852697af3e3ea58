import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import { openRunDir } from '../../src/run/run-dir.ts';
import { type Primary, startPrimary } from '../support/primary.ts';
import { ADMIN_KEY, alive, freePort, signalQuietly } from '../support/service.ts';
import { until } from '../unit/run/fixtures/support.ts';

test('a primary that leaves hands its workers to the next, which replaces them one for one', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'burgee-'));
  const port = await freePort();
  const metricsPort = await freePort();
  const runDir = openRunDir(dataDir);
  const primaries: Primary[] = [];
  const start = (generation: string, workers = 2): Primary => {
    const env = { METRICS_PORT: String(metricsPort) };
    const primary = startPrimary({ dataDir, port, generation, workers, env });
    primaries.push(primary);
    return primary;
  };
  const workers = (): number[] => runDir.workers().map(({ identity }) => identity.pid);
  t.teardown(async () => {
    for (const pid of [...primaries.map(({ pid }) => pid), ...workers()]) signalQuietly(pid, 'SIGKILL');
    await Promise.all(primaries.map(({ ended }) => ended));
    await rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
  });
  // biome-ignore lint/suspicious/noExplicitAny: /healthz as it is
  const health = async (): Promise<any> =>
    fetch(`http://127.0.0.1:${metricsPort}/healthz`).then(
      (reply) => reply.json(),
      () => undefined,
    );
  async function healthy(holds: (body: { workers: { serving: number; old: number } }) => boolean): Promise<void> {
    for (;;) {
      const body = await health();
      if (body !== undefined && holds(body)) return;
    }
  }
  async function write(flagId: string): Promise<number> {
    const reply = await fetch(`http://127.0.0.1:${port}/api/v1/flags`, {
      method: 'POST',
      headers: { 'x-api-key': ADMIN_KEY, 'content-type': 'application/json' },
      body: JSON.stringify({ flag_id: flagId }),
    });
    await reply.arrayBuffer();
    return reply.status;
  }

  const first = start('a-0');
  await first.ready;
  t.equal(await write('one'), 201);
  const before = workers();
  t.equal(before.length, 2);

  let failed = 0;
  let answered = 0;
  let isLoading = true;
  const load = (async () => {
    while (isLoading) {
      const reply = await fetch(`http://127.0.0.1:${port}/api/v1/flags/one/evaluate?user_id=u`, {
        headers: { 'x-api-key': ADMIN_KEY },
      }).catch(() => undefined);
      await reply?.arrayBuffer();
      if (reply?.status === 200 || reply?.status === 429) answered++;
      else failed++;
    }
  })();

  await t.test('it ends at once, its workers live, and a write is refused for now', async (t) => {
    first.tell({ type: 'leave', reason: 'SIGHUP' });
    first.tell({ type: 'leave', reason: 'again' });
    t.equal(await first.ended, 0);
    t.ok(before.every(alive));
    t.equal(await write('two'), 503);
  });

  await t.test('one of another generation replaces each of them', async (t) => {
    const second = start('a-1');
    await second.ready;
    await until(() => before.every((pid) => !alive(pid)), 30_000);
    await healthy(({ workers: { serving, old } }) => serving === 2 && old === 0);
    await until(() => workers().length === 2);
    t.equal(await write('three'), 201);
    t.match(await health(), { workers: { wanted: 2, serving: 2, old: 0, replaced: 2 } });
    second.tell({ type: 'leave', reason: 'SIGHUP' });
    t.equal(await second.ended, 0);
  });

  await t.test('one that wants fewer drains the others, and a stop while it replaces ends them all', async (t) => {
    const third = start('a-2', 1);
    await third.ready;
    await until(() => workers().length === 1, 30_000);
    isLoading = false;
    await load;
    t.equal(failed, 0, `of ${answered} requests`);
    third.tell({ type: 'drain', reason: 'SIGTERM' });
    t.equal(await third.ended, 0);
    t.same(workers(), []);
  });
});
