import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { openRunDir } from '../../src/run/run-dir.ts';
import { type Primary, startPrimary } from '../support/primary.ts';
import { alive, freePort, signalQuietly } from '../support/service.ts';

const NO_NAMESPACE = canUnshare() ? false : 'needs root, unshare and ip';

test('while the owner of DATA_DIR is frozen and its lock file removed, nobody else opens the store', async (t) => {
  const { dataDir, runDir, first, start } = await frozenOwner(t);
  const second = start({ port: await freePort() });
  t.equal(await second.ended, 3);
  t.match(second.output(), new RegExp(`DATA_DIR ${dataDir} is still used by .*though its lock file was removed`));
  first.child.kill('SIGCONT');
  t.equal(await first.ended, 1, 'it has no proof any more that it is the owner');
  const third = start({ port: first.port });
  await third.ready;
  t.equal(readTerm(runDir.path), 2, 'the next one goes on where it was');
});

test('a primary whose DATA_DIR was taken from elsewhere while it was frozen ends itself and publishes nothing', {
  skip: NO_NAMESPACE,
}, async (t) => {
  const { runDir, first, start } = await frozenOwner(t);
  const [before] = runDir.workers();
  const second = start({ port: await freePort(), isApart: true });
  await second.ready;
  const worker = runDir.workers()[0]?.identity.pid ?? 0;
  t.notOk(alive(before?.identity.pid ?? 0), 'its worker did not join the second one, and is dead');
  first.child.kill('SIGCONT');
  t.equal(await first.ended, 1);
  t.match(first.output(), /another process took DATA_DIR/);
  t.notMatch(second.output(), /stale_term/);
  t.equal(readTerm(runDir.path), 2);
  t.ok(alive(worker), 'its own worker stays with it');
});

/** Two primaries can only be started by hand: a launcher refuses where another one lives. */
async function frozenOwner(t: Test) {
  const dataDir = await mkdtemp(join(tmpdir(), 'burgee-'));
  const runDir = openRunDir(dataDir);
  const started: Primary[] = [];
  const start = (options: { readonly port: number; readonly isApart?: boolean }): Primary => {
    const primary = startPrimary({ dataDir, generation: 'a', workers: 1, ...options });
    started.push(primary);
    return primary;
  };
  t.teardown(async () => {
    for (const pid of [...started.map(({ pid }) => pid), ...runDir.workers().map(({ identity }) => identity.pid)])
      signalQuietly(pid, 'SIGKILL');
    await Promise.all(started.map(({ ended }) => ended));
    await rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
  });
  const port = await freePort();
  const first = start({ port });
  await first.ready;
  first.child.kill('SIGSTOP');
  // Somebody removes what proves the owner alive.
  for (const name of ['primary.lock', 'lock.sock']) rmSync(join(runDir.path, name));
  return { dataDir: runDir.dataDir, runDir, first: { ...first, port }, start };
}

function readTerm(path: string): number {
  return Number.parseInt(readFileSync(join(path, 'term'), 'utf8'), 10);
}

function canUnshare(): boolean {
  return spawnSync('unshare', ['--net', 'sh', '-c', 'ip link set lo up']).status === 0;
}
