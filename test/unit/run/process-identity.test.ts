import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'tap';
import {
  bootId,
  formatIdentity,
  identify,
  isAlive,
  ownIdentity,
  parseIdentity,
  signalProcess,
} from '../../../src/run/process-identity.ts';
import { endChild, identityOf, startSleeper, until } from './fixtures/support.ts';

test('this process is alive, and stays itself through a file', async (t) => {
  const own = ownIdentity();
  t.equal(own.pid, process.pid);
  t.ok(isAlive(own));
  t.same(parseIdentity(`${formatIdentity(own)}\n`), own);
});

test('a process that ended is dead', async (t) => {
  const child = startSleeper(t);
  const identity = identityOf(child);
  t.ok(isAlive(identity));
  await endChild(child);
  t.notOk(isAlive(identity));
  t.notOk(signalProcess(identity, 'SIGKILL'));
});

test('a stopped process is alive', async (t) => {
  const child = startSleeper(t);
  const identity = identityOf(child);
  child.kill('SIGSTOP');
  t.ok(isAlive(identity));
});

test('the same number with another start time or another boot is another process', async (t) => {
  const own = ownIdentity();
  t.notOk(isAlive({ ...own, startTime: '1' }));
  t.notOk(isAlive({ ...own, bootId: '00000000-0000-0000-0000-000000000000' }));
});

test('another process with the number of a dead one is not signalled', async (t) => {
  const child = startSleeper(t);
  const identity = identityOf(child);
  t.notOk(signalProcess({ ...identity, startTime: '1' }, 'SIGKILL'));
  t.ok(isAlive(identity));
});

test('a zombie is dead although a signal still reaches it', { skip: process.platform !== 'linux' }, async (t) => {
  // The shell's child ends, and what the shell has become never asks for its exit status.
  const parent = spawn('sh', ['-c', 'sh -c "echo \\$\\$" & exec sleep 600'], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => endChild(parent));
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const pid = Number(line.toString());
  await until(() => identify(pid) === undefined);
  t.ok(process.kill(pid, 0));
});

test('a command name with spaces and parentheses does not confuse', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const child = spawn(
    process.execPath,
    ['-e', 'process.title = "a) Z (b"; process.send(1); setInterval(() => {}, 1e6)'],
    {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    },
  );
  t.teardown(() => endChild(child));
  const before = identityOf(child);
  await once(child, 'message');
  t.same(identityOf(child), before);
});

test('only an identity is read as one', async (t) => {
  for (const text of [
    '',
    '12',
    '12 34',
    '0 1 b',
    '-5 1 b',
    '12 x b',
    '12 34 b c',
    `99999999999 1 ${bootId()}`,
    '1 2 ../x',
  ]) {
    t.equal(parseIdentity(text), undefined, JSON.stringify(text));
  }
  for (const pid of [0, -1, 1.5, Number.NaN]) t.equal(identify(pid), undefined, String(pid));
});
