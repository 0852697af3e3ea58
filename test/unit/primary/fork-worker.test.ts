import cluster from 'node:cluster';
import { test } from 'tap';
import { createWorkerFork } from '../../../src/primary/fork-worker.ts';
import { identify } from '../../../src/run/process-identity.ts';
import { fixture, until } from '../run/fixtures/support.ts';

test("a worker is told its role and slot, is kept from the store's address, and outlives the channel to its primary", async (t) => {
  process.env['DATABASE_URL'] = 'postgres://secret';
  t.teardown(() => void delete process.env['DATABASE_URL']);
  const said = new Promise((resolve) => cluster.once('message', (_worker, message) => resolve(message)));
  const fork = createWorkerFork({
    main: fixture('cluster-worker.mjs', import.meta.url),
    execArgv: [],
    env: { EXTRA: 'x', NODE_OPTIONS: undefined },
  });
  const worker = fork(3);
  const exits: unknown[] = [];
  worker.onExit((...exit) => exits.push(exit));
  t.same(await said, { BURGEE_ROLE: 'worker', BURGEE_SLOT: '3', EXTRA: 'x', argv: [] });
  const channel = Object.values(cluster.workers ?? {})[0];
  const gone = new Promise((resolve) => channel?.once('disconnect', () => resolve(undefined)));
  channel?.process.disconnect();
  await gone;
  t.ok(identify(worker.pid), 'alive without its channel');
  worker.kill('SIGKILL');
  await until(() => exits.length > 0);
  t.same(exits, [[undefined, 'SIGKILL']]);
});
