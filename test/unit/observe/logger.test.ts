// The log with real processes and real readers: one that never reads, one that reads late, one that has gone.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { type Test, test } from 'tap';

const FIXTURE = fileURLToPath(new URL('fixtures/noisy-service.ts', import.meta.url));
const NODE = [process.execPath, '--import', './scripts/run-typescript.mjs', FIXTURE];

interface Noisy {
  readonly child: ChildProcess;
  get(path: string): Promise<{ linesDropped: number }>;
}

test('answers on while nobody reads its socket of a stdout', async (t) => {
  const noisy = await start(
    t,
    spawn(NODE[0] as string, NODE.slice(1), { stdio: ['ignore', 'pipe', 'pipe'], env: clean() }),
  );
  t.ok((await noisy.get('/flood')).linesDropped > 10_000);
  t.ok((await noisy.get('/flood')).linesDropped > 40_000);
});

test('answers on while nobody reads the pipe a shell made', async (t) => {
  // `exec` leaves one process in each half, and ending the group ends both.
  const shell = spawn('sh', ['-c', `${NODE.map((word) => `'${word}'`).join(' ')} | exec sleep 600`], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: clean(),
    detached: true,
  });
  t.teardown(() => process.kill(-(shell.pid as number), 'SIGKILL'));
  const noisy = await start(t, shell);
  t.ok((await noisy.get('/flood')).linesDropped > 10_000);
  t.ok((await noisy.get('/flood')).linesDropped > 40_000);
});

test('a reader that comes late gets whole lines, and is told how many it missed', async (t) => {
  const noisy = await start(
    t,
    spawn(NODE[0] as string, NODE.slice(1), { stdio: ['ignore', 'pipe', 'pipe'], env: clean() }),
  );
  const { linesDropped } = await noisy.get('/flood');
  const lines = createInterface({ input: noisy.child.stdout as Readable })[Symbol.asyncIterator]();
  let confessed = 0;
  let read = 0;
  while (confessed === 0) {
    const line = JSON.parse((await lines.next()).value as string) as { msg: string; linesDropped?: number };
    if (line.msg === 'noise') read++;
    confessed = line.linesDropped ?? 0;
  }
  t.equal(confessed, linesDropped);
  t.equal(read + confessed, 36_000);
  await noisy.get('/one');
  t.match(JSON.parse((await lines.next()).value as string), { msg: 'one more', level: 'info', name: 'noisy' });
});

test('a reader that has gone stops nothing', async (t) => {
  const noisy = await start(
    t,
    spawn(NODE[0] as string, NODE.slice(1), { stdio: ['ignore', 'pipe', 'pipe'], env: clean() }),
  );
  noisy.child.stdout?.destroy();
  t.ok((await noisy.get('/flood')).linesDropped > 30_000);
});

test('the last words of a process are in the log when it is gone, behind every line before them', async (t) => {
  const noisy = await start(
    t,
    spawn(NODE[0] as string, NODE.slice(1), { stdio: ['ignore', 'pipe', 'pipe'], env: clean() }),
  );
  const lines: string[] = [];
  createInterface({ input: noisy.child.stdout as Readable }).on('line', (line) => lines.push(line));
  const closed = once(noisy.child, 'close');
  await noisy.get('/die').catch(() => undefined);
  t.equal((await closed)[0], 7);
  // That lines were dropped is said when all that was kept is out: of a reader that got some room before, last of all.
  const last = lines.slice(-2).map((line) => JSON.parse(line));
  if (last[0].level === 'fatal') last.reverse();
  t.match(last, [{ linesDropped: Number }, { level: 'fatal', msg: 'the last words' }]);
});

test('a file gets every line', async (t) => {
  const path = `${t.testdir({})}/log`;
  const fd = openSync(path, 'w');
  const noisy = await start(
    t,
    spawn(NODE[0] as string, NODE.slice(1), { stdio: ['ignore', fd, 'pipe'], env: clean() }),
  );
  closeSync(fd);
  t.equal((await noisy.get('/flood')).linesDropped, 0);
  t.equal(readFileSync(path, 'utf8').trimEnd().split('\n').length, 36_000);
});

async function start(t: Test, child: ChildProcess): Promise<Noisy> {
  t.teardown(() => child.kill('SIGKILL'));
  const port = await new Promise<string>((resolve, reject) => {
    let text = '';
    child.stderr?.on('data', (chunk) => {
      text += String(chunk);
      const found = /port (\d+)\n/.exec(text)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.stderr?.on('end', () => reject(new Error(text)));
  });
  return {
    child,
    async get(path) {
      const reply = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(20_000) });
      return (await reply.json()) as { linesDropped: number };
    },
  };
}

/** Without what tap sets for the processes it starts. */
function clean(): NodeJS.ProcessEnv {
  return { ...process.env, NODE_OPTIONS: '' };
}
