import { test } from 'tap';
import { isAlive, signalProcess } from '../../src/run/process-identity.ts';
import { identityOf, startSleeper, until } from '../unit/run/fixtures/support.ts';
import { launch } from './fixtures/launcher-rig.ts';

test('starts the primary, beats, and ends with 0 after a clean drain', async (t) => {
  const rig = launch(t, 'good');
  await until(() => rig.readyCount() === 1);
  t.equal(rig.starts()[0]?.role, 'primary');
  await until(() => rig.read('beats') !== '');
  rig.launcher.signal('SIGTERM');
  t.equal(await rig.ended, 0);
  t.equal(rig.read('drains'), 'SIGTERM\n');
});

test('a primary that hangs is killed and started again', async (t) => {
  const rig = launch(t, 'hang good', { timing: { silentMs: 600 } });
  await until(() => rig.readyCount() === 2);
  t.match(rig.lines.join('\n'), /it was silent for/);
});

test("a primary that never says a word is killed, and so is the launcher's hope", async (t) => {
  const rig = launch(t, 'mute', { timing: { firstBeatMs: 600 } });
  t.equal(await rig.ended, 1);
  t.match(rig.lines.join('\n'), /before it was ever ready.*"signal":"SIGKILL".*silent for/);
});

test('a primary that ends before it was ever ready ends the launcher with its code', async (t) => {
  for (const [script, code] of [
    ['exit-2', 2],
    ['exit-3', 3],
    ['exit-7', 7],
    ['exit-0', 1],
    ['murder', 1],
  ] as const) {
    const rig = launch(t, script);
    t.equal(await rig.ended, code, script);
    t.equal(rig.starts().length, 1, script);
  }
});

test('a service that was ready once is started again when a start fails, but not after codes 2 and 3', async (t) => {
  const again = launch(t, 'crash exit-7 murder good');
  await until(() => again.readyCount() === 2);
  t.equal(again.starts().length, 4);
  for (const code of [2, 3]) {
    const rig = launch(t, `crash exit-${code}`);
    t.equal(await rig.ended, code);
  }
});

test('a crash loop backs off, doubling up to the limit', async (t) => {
  const rig = launch(t, 'crash crash crash crash good', { timing: { restartMsMin: 100, restartMsMax: 300 } });
  await until(() => rig.readyCount() === 5);
  const at = rig.starts().map(({ atMs }) => atMs);
  const gaps = at.slice(1).map((ms, index) => ms - (at[index] ?? 0));
  for (const [index, min] of [100, 200, 300, 300].entries())
    t.ok((gaps[index] ?? 0) >= min, `${gaps[index]} >= ${min}`);
});

test('a primary that lived long is started again at once', async (t) => {
  const rig = launch(t, 'good', { timing: { longLifeMs: 0, restartMsMin: 60_000, restartMsMax: 60_000 } });
  await until(() => rig.readyCount() === 1);
  process.kill(rig.starts()[0]?.pid ?? 0, 'SIGKILL');
  await until(() => rig.readyCount() === 2);
  t.match(rig.lines.join('\n'), /"signal":"SIGKILL"/);
});

test('the same signal within a second is the same; a second one later ends everything at once', async (t) => {
  const worker = startSleeper(t);
  const identity = identityOf(worker);
  const rig = launch(t, 'deaf', {
    timing: { sameSignalMs: 300 },
    before: (runDir) => runDir.writePid('worker-1', identity),
  });
  await until(() => rig.readyCount() === 1);
  const pid = rig.starts()[0]?.pid ?? 0;
  const startedMs = performance.now();
  rig.launcher.signal('SIGINT');
  rig.launcher.signal('SIGINT');
  await until(() => performance.now() - startedMs > 350);
  t.ok(process.kill(pid, 0), 'a doubled signal did not kill');
  t.ok(isAlive(identity));
  rig.launcher.signal('SIGTERM');
  t.equal(await rig.ended, 143);
  t.throws(() => process.kill(pid, 0));
  t.notOk(isAlive(identity));
  t.ok(performance.now() - startedMs < 3000);
});

test('a drain that does not end in time is ended, with exit code 1', async (t) => {
  const worker = startSleeper(t);
  const identity = identityOf(worker);
  worker.kill('SIGSTOP');
  const rig = launch(t, 'deaf', { shutdownTimeoutMs: 400, before: (runDir) => runDir.writePid('worker-1', identity) });
  await until(() => rig.readyCount() === 1);
  rig.launcher.signal('SIGTERM');
  t.equal(await rig.ended, 1);
  t.notOk(isAlive(identity));
});

test('without a primary the workers are told to drain by the signal itself', async (t) => {
  const worker = startSleeper(t);
  const identity = identityOf(worker);
  const rig = launch(t, 'crash', {
    timing: { restartMsMin: 60_000, restartMsMax: 60_000 },
    before: (runDir) => runDir.writePid('worker-1', identity),
  });
  await until(() => rig.lines.some((line) => line.startsWith('the primary ended; workers serve on')));
  t.ok(isAlive(identity));
  rig.launcher.signal('SIGTERM');
  t.equal(await rig.ended, 0);
  t.equal(await until(() => worker.signalCode ?? undefined), 'SIGTERM');
});

test('a start that failed takes its own workers with it, and none from before', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const older = identityOf(startSleeper(t));
  const rig = launch(t, 'worker-exit-7', { before: (runDir) => runDir.writePid('worker-2', older) });
  t.equal(await rig.ended, 7);
  const own = rig.runDir.readPid('worker-1');
  t.ok(own);
  t.notOk(own !== undefined && isAlive(own));
  t.ok(isAlive(older));
});

test('a start that failed leaves the workers of a primary that lives alone', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const other = identityOf(startSleeper(t));
  for (const word of ['worker-exit-3', 'worker-exit-7']) {
    const rig = launch(t, word, { before: (runDir) => runDir.writePid('primary', other) });
    t.equal(await rig.ended, Number(word.at(-1)));
    const worker = rig.runDir.readPid('worker-1');
    t.ok(worker !== undefined && isAlive(worker), word);
    if (worker !== undefined) signalProcess(worker, 'SIGKILL');
  }
});

test('workers outlive their primary while it is started again', { skip: process.platform !== 'linux' }, async (t) => {
  const rig = launch(t, 'worker-crash good');
  await until(() => rig.readyCount() === 2);
  const worker = rig.runDir.readPid('worker-1');
  t.ok(worker !== undefined && isAlive(worker));
  if (worker !== undefined) signalProcess(worker, 'SIGKILL');
});
