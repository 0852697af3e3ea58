import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'tap';
import { endStalePrimary } from '../../../src/launcher/stale-primary.ts';
import { systemClock } from '../../../src/run/clock.ts';
import { identify, isAlive, type ProcessIdentity, signalProcess } from '../../../src/run/process-identity.ts';
import { identityOf, startScript, until } from '../run/fixtures/support.ts';

const skip = process.platform !== 'linux';
const FOREVER = 'setInterval(() => {}, 1000)';

function end(primary: ProcessIdentity | undefined, lines: string[] = []): Promise<void> {
  return endStalePrimary({
    runDir: { readPid: (name) => (name === 'primary' ? primary : undefined) },
    clock: systemClock,
    log: { warn: (_, message) => void lines.push(message) },
    graceMs: 100,
  });
}

test('a stopped primary without its launcher is ended', { skip }, async (t) => {
  // Its parent is a shell, as an orphan's is whoever collects orphans.
  const script = `console.log(process.pid); ${FOREVER}`;
  const shell = spawn('sh', ['-c', '"$0" -e "$1" & wait', process.execPath, script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => shell.kill('SIGKILL'));
  const [line] = (await once(shell.stdout, 'data')) as [Buffer];
  const primary = await until(() => identify(Number(line.toString())));
  t.teardown(() => signalProcess(primary, 'SIGKILL'));
  process.kill(primary.pid, 'SIGSTOP');
  const lines: string[] = [];
  await end(primary, lines);
  t.notOk(isAlive(primary));
  t.match(lines, [/killing the primary of a launcher that is dead/]);
});

test('one whose launcher lives all the same is left alone, and so is another process with its number', {
  skip,
}, async (t) => {
  const child = startScript(t, '-e', [FOREVER]);
  const primary = identityOf(child);
  await end(primary);
  t.ok(isAlive(primary));
  await end({ ...primary, startTime: '1' });
  t.ok(isAlive(primary));
  await end(undefined);
});

test('one that ends by itself is waited for', { skip }, async (t) => {
  const child = spawn('sleep', ['0.05'], { stdio: 'ignore' });
  const primary = identityOf(child);
  const lines: string[] = [];
  await end(primary, lines);
  t.same(lines, []);
});
