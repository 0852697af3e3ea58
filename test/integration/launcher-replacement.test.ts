// SIGHUP: the launcher hands the service over to the build that its path leads to now.
import { once } from 'node:events';
import { mkdtempSync, realpathSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import type { CheckOutcome } from '../../src/launcher/check-build.ts';
import type { Build } from '../../src/launcher/launcher.ts';
import { identityOf, startSleeper, until } from '../unit/run/fixtures/support.ts';
import { FAKE_PRIMARY, launch } from './fixtures/launcher-rig.ts';

interface Teardown {
  teardown(end: () => void | Promise<void>): unknown;
}

/** `current.mjs` leads to release `a`; `use` moves it. */
function releases(
  t: Teardown,
  names: readonly string[],
): { link: string; path(name: string): string; use(name: string): void } {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'burgee-test-')));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const path = (name: string): string => join(folder, `${name}.mjs`);
  const use = (name: string): void => {
    symlinkSync(path(name), join(folder, 'next'));
    renameSync(join(folder, 'next'), join(folder, 'current.mjs'));
  };
  for (const name of names) writeFileSync(path(name), `import ${JSON.stringify(FAKE_PRIMARY)};\n`);
  use(names[0] as string);
  return { link: join(folder, 'current.mjs'), path, use };
}

test('SIGHUP checks the build behind the link, lets the primary leave, and starts that build at once', async (t) => {
  const { link, path, use } = releases(t, ['a', 'b']);
  const checked: Build[] = [];
  const rig = launch(t, 'good', {
    main: link,
    timing: { restartMsMin: 60_000, restartMsMax: 60_000 },
    check: async (build) => {
      checked.push(build);
      return { ok: true, said: '' };
    },
  });
  await until(() => rig.readyCount() === 1);
  use('b');
  rig.launcher.signal('SIGHUP');
  await until(() => rig.readyCount() === 2);
  t.same(checked, [{ main: path('b'), generation: 'c0ffee-1' }]);
  t.match(rig.starts(), [
    { main: path('a'), generation: 'c0ffee-0' },
    { main: path('b'), generation: 'c0ffee-1' },
  ]);
  t.equal(rig.read('leaves'), 'SIGHUP\n');
  t.equal(rig.read('drains'), '');
  rig.launcher.signal('SIGTERM');
  t.equal(await rig.ended, 0, 'SIGHUP was no first signal of two');
});

test('a build that fails its check changes nothing, and another SIGHUP is heard', async (t) => {
  const outcomes: CheckOutcome[] = [
    { ok: false, said: 'SyntaxError: nonsense' },
    { ok: true, said: '' },
  ];
  const rig = launch(t, 'good', { check: async () => outcomes.shift() as CheckOutcome });
  await until(() => rig.readyCount() === 1);
  rig.launcher.signal('SIGHUP');
  await until(() => rig.lines.some((line) => /fails its check; nothing changes .*SyntaxError: nonsense/.test(line)));
  t.equal(rig.starts().length, 1);
  t.ok(process.kill(rig.starts()[0]?.pid ?? 0, 0));
  rig.launcher.signal('SIGHUP');
  await until(() => rig.readyCount() === 2);
  t.equal(rig.starts()[1]?.generation, 'c0ffee-2', 'a generation is never used twice');
});

test('a link that leads nowhere changes nothing', async (t) => {
  const { link, use } = releases(t, ['a']);
  const rig = launch(t, 'good', { main: link });
  await until(() => rig.readyCount() === 1);
  use('gone');
  rig.launcher.signal('SIGHUP');
  await until(() => rig.lines.some((line) => line.startsWith('the main script cannot be found')));
  t.equal(rig.starts().length, 1);
  t.equal(rig.read('leaves'), '');
});

test('a build that ends before it is ready is given up for the one that ran last', async (t) => {
  for (const word of ['exit-7', 'exit-2', 'murder', 'exit-0']) {
    const { link, path, use } = releases(t, ['a', 'b']);
    const rig = launch(t, `good ${word} good`, { main: link, timing: { restartMsMin: 60_000, restartMsMax: 60_000 } });
    await until(() => rig.readyCount() === 1);
    use('b');
    rig.launcher.signal('SIGHUP');
    await until(() => rig.readyCount() === 2);
    t.match(
      rig.starts().map(({ main, generation }) => [main, generation]),
      [
        [path('a'), 'c0ffee-0'],
        [path('b'), 'c0ffee-1'],
        [path('a'), 'c0ffee-0'],
      ],
      word,
    );
    t.match(rig.lines.join('\n'), /ended before it was ready; going back/);
    rig.launcher.signal('SIGHUP');
    await until(() => rig.readyCount() === 3);
    t.match(rig.starts()[3], { main: path('b'), generation: 'c0ffee-2' });
  }
});

test('a build that never gets ready is given up too', async (t) => {
  const { link, path, use } = releases(t, ['a', 'b']);
  writeFileSync(path('b'), `process.env.FAKE_SCRIPT = 'slow';\nawait import(${JSON.stringify(FAKE_PRIMARY)});\n`);
  const rig = launch(t, 'good', { main: link, timing: { takeOverMs: 300 } });
  await until(() => rig.readyCount() === 1);
  use('b');
  rig.launcher.signal('SIGHUP');
  await until(() => rig.readyCount() === 2);
  t.match(rig.lines.join('\n'), /not ready in time/);
  t.match(rig.starts().at(-1), { main: path('a'), generation: 'c0ffee-0' });
});

test('a primary that does not leave in time is killed, and the next one starts all the same', async (t) => {
  const rig = launch(t, 'deaf good', { timing: { leaveMs: 200, restartMsMin: 60_000, restartMsMax: 60_000 } });
  await until(() => rig.readyCount() === 1);
  rig.launcher.signal('SIGHUP');
  await until(() => rig.readyCount() === 2);
  t.match(rig.lines.join('\n'), /did not leave by itself.*did not leave in time/);
});

test('signals that come during a replacement make one more after it', async (t) => {
  let checks = 0;
  const rig = launch(t, 'good', {
    check: async () => {
      checks++;
      return { ok: true, said: '' };
    },
  });
  await until(() => rig.readyCount() === 1);
  rig.launcher.signal('SIGHUP');
  await until(() => rig.lines.some((line) => line.startsWith('handing over')));
  for (let i = 0; i < 5; i++) rig.launcher.signal('SIGHUP');
  await until(() => rig.readyCount() === 3);
  t.equal(checks, 2);
  rig.launcher.signal('SIGTERM');
  t.equal(await rig.ended, 0);
  t.equal(rig.starts().length, 3);
});

test('a signal that is doubled replaces once', async (t) => {
  let checks = 0;
  const rig = launch(t, 'good', {
    check: async () => {
      checks++;
      return { ok: true, said: '' };
    },
  });
  await until(() => rig.readyCount() === 1);
  rig.launcher.signal('SIGHUP');
  rig.launcher.signal('SIGHUP');
  await until(() => rig.readyCount() === 2);
  t.equal(checks, 2, 'what was checked may have been out of date');
  t.equal(rig.starts().length, 2);
});

test('SIGTERM wins over a replacement: while the build is checked, and while the primary leaves', async (t) => {
  const checking = launch(t, 'good', {
    check: (_, abort) =>
      new Promise((resolve) => abort.addEventListener('abort', () => resolve({ ok: false, said: 'aborted' }))),
  });
  await until(() => checking.readyCount() === 1);
  checking.launcher.signal('SIGHUP');
  checking.launcher.signal('SIGTERM');
  t.equal(await checking.ended, 0);
  t.equal(checking.starts().length, 1);
  t.notMatch(checking.lines.join('\n'), /fails its check/);

  const leaving = launch(t, 'deaf', { shutdownTimeoutMs: 300 });
  await until(() => leaving.readyCount() === 1);
  leaving.launcher.signal('SIGHUP');
  await until(() => leaving.lines.some((line) => line.startsWith('handing over')));
  leaving.launcher.signal('SIGTERM');
  t.equal(await leaving.ended, 1, 'it did not drain in time');
  t.equal(leaving.starts().length, 1);
});

test('SIGHUP ends the wait of a crash loop', async (t) => {
  const { link, path, use } = releases(t, ['a', 'b']);
  const rig = launch(t, 'crash good', { main: link, timing: { restartMsMin: 60_000, restartMsMax: 60_000 } });
  await until(() => rig.lines.some((line) => line.startsWith('the primary ended; workers serve on')));
  use('b');
  rig.launcher.signal('SIGHUP');
  await until(() => rig.readyCount() === 2);
  t.equal(rig.starts()[1]?.main, path('b'));
});

test('a crash starts the build that ran last again, not what the link leads to by now, unless that is gone', async (t) => {
  const { link, path, use } = releases(t, ['a', 'b']);
  const rig = launch(t, 'good', { main: link });
  const crash = async (): Promise<void> => {
    const count = rig.readyCount();
    process.kill(rig.starts().at(-1)?.pid ?? 0, 'SIGKILL');
    await until(() => rig.readyCount() === count + 1);
  };
  await until(() => rig.readyCount() === 1);
  use('b');
  await crash();
  t.equal(rig.starts()[1]?.main, path('a'));
  rmSync(path('a'));
  await crash();
  t.equal(rig.starts()[2]?.main, path('b'));
  t.equal(rig.starts()[2]?.generation, 'c0ffee-0');
});

test('SIGTERM after a primary has left ends the workers that it left behind', async (t) => {
  const worker = startSleeper(t);
  const gone = once(worker, 'exit');
  const rig = launch(t, 'good', { before: (runDir) => runDir.writePid('worker-1', identityOf(worker)) });
  await until(() => rig.readyCount() === 1);
  rig.launcher.signal('SIGHUP');
  await until(() => rig.read('leaves') !== '');
  rig.launcher.signal('SIGTERM');
  t.equal(await rig.ended, 0);
  t.same(await gone, [null, 'SIGTERM']);
  t.notMatch(rig.lines.join('\n'), /killing workers/);
});
