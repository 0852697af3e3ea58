// While the disk was full a worker that had been started could not be put on file: its place counted as free, and one
// more was started for it again and again.
import { test } from 'tap';
import { createSupervisor } from '../../src/primary/supervisor.ts';
import { SUPERVISOR_TIMING } from '../../src/primary/supervisor-timing.ts';
import { startSleeper } from '../unit/run/fixtures/support.ts';

test('a worker that cannot be put on file keeps its place, and is put on file later', (t) => {
  let nowMs = 0;
  let tick = (): void => {};
  let isFull = true;
  const forked: number[] = [];
  const onFile: string[] = [];
  const warned: string[] = [];
  const supervisor = createSupervisor({
    slots: 1,
    runDir: {
      workers: () => [],
      writePid(name) {
        if (isFull) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
        onFile.push(name);
      },
      removePid: () => {},
    },
    log: { info: () => {}, warn: (_fields, message) => void warned.push(message) },
    clock: {
      nowMs: () => nowMs,
      after: () => () => {},
      every(_periodMs, run) {
        tick = run;
        return () => {};
      },
    },
    fork(slot) {
      forked.push(slot);
      return { pid: startSleeper(t).pid as number, kill: () => {}, onExit: () => {} };
    },
    build: 'test',
    generation: 'now',
    isBehind: () => false,
    sendDrain: () => {},
    onDead: () => {},
    onUnusable: () => {},
    drainMs: 5000,
  });
  t.teardown(() => supervisor.close());
  const look = (): void => {
    nowMs += SUPERVISOR_TIMING.tickMs;
    tick();
  };
  supervisor.start();
  for (let i = 0; i < 50; i++) look();
  t.same(forked, [1]);
  t.same(warned, ['a pid file cannot be written yet'], 'told once');
  isFull = false;
  for (let i = 0; i < 2; i++) look();
  t.same(onFile, ['worker-1']);
  t.end();
});
