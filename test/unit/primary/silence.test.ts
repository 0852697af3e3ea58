import { test } from 'tap';
import { createSilence } from '../../../src/primary/silence.ts';
import type { CpuReading } from '../../../src/run/cpu-wait.ts';

/** Silence that counts after 5 s, looked at each 100 ms, of a process that is as `at` says. */
function countedAfter5s(at: (ms: number) => CpuReading | undefined): number {
  let nowMs = 0;
  const silence = createSilence(() => at(nowMs));
  let counted = 0;
  for (nowMs = 0; nowMs <= 5000; nowMs += 100) counted = silence.counted(1, nowMs);
  return counted;
}

test('a process that hangs, sleeps or is stopped is silent; one that waits for a CPU is not', async (t) => {
  const hangs = countedAfter5s((ms) => ({ runnable: true, ranMs: ms, waitedMs: 0 }));
  t.equal(hangs, 5000, 'in a loop');
  t.equal(
    countedAfter5s(() => ({ runnable: false, ranMs: 7, waitedMs: 3 })),
    5000,
    'stopped',
  );
  t.ok(countedAfter5s(() => ({ runnable: true, ranMs: 7, waitedMs: 3 })) < 500, 'never let run');
  const half = countedAfter5s((ms) => ({ runnable: true, ranMs: ms / 2, waitedMs: ms / 2 }));
  t.ok(half > 2400 && half < 2800, `let run half of the time: ${half}`);
  t.equal(
    countedAfter5s(() => undefined),
    5000,
    'where the system does not tell',
  );
});

test('nobody is waited for beyond 10 s, and a sign of life begins anew', async (t) => {
  const silence = createSilence(() => ({ runnable: true, ranMs: 7, waitedMs: 3 }));
  for (let ms = 0; ms <= 10_000; ms += 100) t.ok(silence.counted(1, ms) <= 400);
  t.equal(silence.counted(1, 10_100), 10_100);
  silence.heard(1);
  t.equal(silence.counted(1, 400), 400);
});
