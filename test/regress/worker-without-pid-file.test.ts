// On a full disk the pid file of a worker that was just started could not be written; the primary took it for not started,
// and started another, and another, until the machine had no memory left.
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import { createSupervisor } from '../../src/primary/supervisor.ts';
import { systemClock } from '../../src/run/clock.ts';
import { openRunDir } from '../../src/run/run-dir.ts';
import { identityOf, startSleeper, until } from '../unit/run/fixtures/support.ts';

test('a worker whose pid file cannot be written serves, and has one as soon as it can be', async (t) => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'burgee-test-')));
  const runDir = openRunDir(folder);
  // Where the file is prepared: as good as a full disk.
  const inTheWay = join(runDir.path, `worker-1.pid.${process.pid}.tmp`);
  mkdirSync(inTheWay);
  const pids: number[] = [];
  const lines: string[] = [];
  const log = (_fields: object, message: string): void => void lines.push(message);
  const supervisor = createSupervisor({
    slots: 1,
    runDir,
    clock: systemClock,
    log: { info: log, warn: log },
    drainMs: 5000,
    build: 'test',
    generation: 'now',
    isBehind: () => false,
    onDead: () => {},
    onUnusable: () => {},
    sendDrain: () => {},
    timing: { tickMs: 20, silentMs: 60_000, rejoinMs: 60_000, firstJoinMs: 60_000 },
    fork() {
      const { pid } = identityOf(startSleeper(t));
      pids.push(pid);
      return { pid, kill: () => {}, onExit: () => {} };
    },
  });
  // The supervisor's own timers do not keep a process alive.
  const alive = setInterval(() => {}, 1000);
  t.teardown(() => {
    clearInterval(alive);
    supervisor.close();
    rmSync(folder, { recursive: true, force: true });
  });
  supervisor.start();
  t.equal(runDir.readPid('worker-1'), undefined);
  t.same(lines, ['a pid file cannot be written yet']);
  rmSync(inTheWay, { recursive: true });
  await until(() => runDir.readPid('worker-1') !== undefined);
  t.same([runDir.readPid('worker-1')?.pid], pids, 'no other was started');
  t.same(lines, ['a pid file cannot be written yet'], 'it is said once');
});
