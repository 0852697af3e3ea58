import { mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import { createLauncher, type Launcher, type LauncherTiming } from '../../src/launcher/launcher.ts';
import { systemClock } from '../../src/run/clock.ts';
import { isAlive, signalProcess } from '../../src/run/process-identity.ts';
import { openRunDir, type RunDir } from '../../src/run/run-dir.ts';
import { fixture, identityOf, startSleeper, until } from '../unit/run/fixtures/support.ts';

const FAKE_PRIMARY = fixture('fake-primary.mjs', import.meta.url);

interface Rig {
  readonly folder: string;
  readonly runDir: RunDir;
  readonly launcher: Launcher;
  readonly ended: Promise<number>;
  readonly lines: string[];
  readonly readyCount: () => number;
  /** Pid, time and role of each start. */
  readonly starts: () => readonly { readonly pid: number; readonly atMs: number; readonly role: string }[];
  readonly read: (name: string) => string;
}

interface Teardown {
  teardown(end: () => void | Promise<void>): unknown;
}

interface RigOptions {
  readonly main?: string;
  readonly shutdownTimeoutMs?: number;
  readonly timing?: Partial<LauncherTiming>;
  readonly before?: (runDir: RunDir) => void;
}

function launch(t: Teardown, script: string, options: RigOptions = {}): Rig {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'burgee-test-')));
  const runDir = openRunDir(folder);
  options.before?.(runDir);
  const lines: string[] = [];
  const log = (fields: object, message: string): void => void lines.push(`${message} ${JSON.stringify(fields)}`);
  let readyCount = 0;
  const launcher = createLauncher({
    main: options.main ?? FAKE_PRIMARY,
    execArgv: [],
    env: { ...process.env, NODE_OPTIONS: undefined, FAKE_FOLDER: folder, FAKE_SCRIPT: script },
    runDir,
    clock: systemClock,
    log: { info: log, warn: log, error: log },
    shutdownTimeoutMs: options.shutdownTimeoutMs ?? 5000,
    onReady: () => void (readyCount += 1),
    timing: { silentMs: 1500, shutdownMarginMs: 0, sameSignalMs: 1000, ...options.timing },
  });
  const ended = launcher.run();
  const read = (name: string): string => {
    try {
      return readFileSync(join(folder, name), 'utf8');
    } catch {
      return '';
    }
  };
  const starts = (): { pid: number; atMs: number; role: string }[] =>
    read('starts')
      .trim()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const [pid, atMs, role] = line.split(' ');
        return { pid: Number(pid), atMs: Number(atMs), role: String(role) };
      });
  const rig: Rig = { folder, runDir, launcher, ended, lines, readyCount: () => readyCount, starts, read };
  t.teardown(async () => {
    await end(rig);
    rmSync(folder, { recursive: true, force: true });
  });
  return rig;
}

/** The way out that works in every state: a drain, then, after the second in which it would be the same signal, force. */
async function end({ launcher, ended }: Rig): Promise<void> {
  let over = false;
  void ended.then(() => {
    over = true;
  });
  launcher.signal('SIGTERM');
  await until(() => over, 1100).catch(() => launcher.signal('SIGTERM'));
  await ended;
}

test('starts the primary, beats, and ends with 0 after a clean drain', async (t) => {
  const rig = launch(t, 'good');
  await until(() => rig.readyCount() === 1);
  t.equal(rig.starts()[0]?.role, 'primary');
  await until(() => rig.read('beats') !== '');
  rig.launcher.signal('SIGTERM');
  t.equal(await rig.ended, 0);
  t.equal(rig.read('drains'), 'SIGTERM\n');
});

test('SIGHUP is answered with a log line and changes nothing', async (t) => {
  const rig = launch(t, 'good');
  await until(() => rig.readyCount() === 1);
  rig.launcher.signal('SIGHUP');
  t.match(rig.lines.at(-1), /SIGHUP is ignored/);
  rig.launcher.signal('SIGINT');
  t.equal(await rig.ended, 0);
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

test('the main script is looked up again at each start', async (t) => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'burgee-test-')));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const [link, other] = [join(folder, 'current.mjs'), join(folder, 'other.mjs')];
  writeFileSync(
    other,
    `import ${JSON.stringify(FAKE_PRIMARY)};\nimport { appendFileSync } from 'node:fs';\nappendFileSync(process.env.FAKE_FOLDER + '/argv', process.argv[1]);\n`,
  );
  symlinkSync(FAKE_PRIMARY, link);
  const rig = launch(t, 'good', { main: link });
  await until(() => rig.readyCount() === 1);
  unlinkSync(link);
  symlinkSync(other, link);
  process.kill(rig.starts()[0]?.pid ?? 0, 'SIGKILL');
  await until(() => rig.readyCount() === 2);
  t.equal(rig.read('argv'), other);
  unlinkSync(link);
  process.kill(rig.starts()[1]?.pid ?? 0, 'SIGKILL');
  await until(() => rig.readyCount() === 3);
  t.match(rig.lines.join('\n'), /main script cannot be found/, 'the last one serves while the link is missing');
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

test('workers outlive their primary while it is started again', { skip: process.platform !== 'linux' }, async (t) => {
  const rig = launch(t, 'worker-crash good');
  await until(() => rig.readyCount() === 2);
  const worker = rig.runDir.readPid('worker-1');
  t.ok(worker !== undefined && isAlive(worker));
  if (worker !== undefined) signalProcess(worker, 'SIGKILL');
});
