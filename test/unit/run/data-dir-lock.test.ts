import { randomBytes } from 'node:crypto';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import { lockDataDir } from '../../../src/run/data-dir-lock.ts';
import { listen } from '../../../src/run/lock-socket.ts';
import { bootId, ownIdentity, parseIdentity } from '../../../src/run/process-identity.ts';
import { openRunDir, type RunDir } from '../../../src/run/run-dir.ts';
import { answer, createFakeClock, endChild, fixture, startScript, until } from './fixtures/support.ts';

interface Teardown {
  teardown(end: () => void): unknown;
}

const STARTER = fixture('lock-starter.ts', import.meta.url);
const OTHER_BOOT = '00000000-0000-0000-0000-000000000000';
const NEVER = {
  onLost: () => {
    throw new Error('the lock was lost');
  },
};
const AT_ONCE = { ...NEVER, timing: { graceMs: 0 } };

function open(t: Teardown, ...below: string[]): RunDir {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'burgee-test-')));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  return openRunDir(join(root, ...below));
}

/** A lock whose owner died without a trace: the number is of a living process, the socket is nobody's. */
function leaveStaleLock(runDir: RunDir, boot = bootId()): string {
  const path = join(runDir.path, 'primary.lock');
  writeFileSync(path, `${process.pid} 1 ${boot} ${randomBytes(8).toString('hex')}\n`);
  return path;
}

test("a lock is taken, refused to another with the owner's pid, and taken again after it was given back", async (t) => {
  const runDir = open(t);
  const lock = await lockDataDir(runDir, AT_ONCE);
  t.match(
    readFileSync(join(runDir.path, 'primary.lock'), 'utf8'),
    new RegExp(`^${process.pid} \\d+ [0-9a-f-]+ [0-9a-f]{16}\\n$`),
  );
  await t.rejects(lockDataDir(runDir, AT_ONCE), {
    name: 'Owned',
    what: 'data_dir',
    exitCode: 3,
    pid: process.pid,
    message: new RegExp(`${runDir.dataDir} is owned by the primary with pid ${process.pid}`),
  });
  await lock.close();
  await lock.close();
  t.same(lockFiles(runDir.path), ['lock.sock']);
  const next = await lockDataDir(runDir, AT_ONCE);
  await next.close();
});

test('a starter waits for an owner that is on its way out', async (t) => {
  const runDir = open(t);
  const first = await lockDataDir(runDir, AT_ONCE);
  const second = lockDataDir(runDir, NEVER);
  await first.close();
  await t.resolves(second);
  await (await second).close();
});

test('the lock of a killed owner is taken, with nothing left behind', async (t) => {
  const runDir = open(t);
  const child = startScript(t, STARTER, [runDir.dataDir]);
  await answer(child);
  child.send('take');
  t.match(await answer(child), { won: true });
  await t.rejects(lockDataDir(runDir, AT_ONCE), { name: 'Owned', pid: child.pid });
  await endChild(child);
  const lock = await lockDataDir(runDir, AT_ONCE);
  t.same(lockFiles(runDir.path), ['lock.sock', 'primary.lock']);
  await lock.close();
});

test('a stopped owner is still the owner', async (t) => {
  const runDir = open(t);
  const child = startScript(t, STARTER, [runDir.dataDir]);
  await answer(child);
  child.send('take');
  await answer(child);
  child.kill('SIGSTOP');
  await t.rejects(lockDataDir(runDir, AT_ONCE), { name: 'Owned', pid: child.pid });
});

test("of two processes that start at once over a dead owner's lock exactly one gets it, 20 times", async (t) => {
  const runDir = open(t);
  const starters = [startScript(t, STARTER, [runDir.dataDir]), startScript(t, STARTER, [runDir.dataDir])];
  await Promise.all(starters.map(answer));
  for (let round = 0; round < 20; round++) {
    leaveStaleLock(runDir);
    const replies = starters.map(answer);
    for (const starter of starters) starter.send('take');
    const results = (await Promise.all(replies)) as { won: boolean; pid?: number; message?: string }[];
    const winner = results.findIndex(({ won }) => won);
    const loser = results[1 - winner];
    t.equal(results.filter(({ won }) => won).length, 1, `round ${round}: ${JSON.stringify(results)}`);
    t.equal(loser?.pid, starters[winner]?.pid, `the message of round ${round} names the winner`);
    const released = starters.map(answer);
    for (const starter of starters) starter.send('release');
    await Promise.all(released);
  }
});

test('of eight starters at once exactly one gets it, over a dead owner, a dead claim, and nothing at all', async (t) => {
  for (const leave of [
    () => {},
    leaveStaleLock,
    (runDir: RunDir) => {
      const nonce = readFileSync(leaveStaleLock(runDir), 'utf8').trim().split(' ').at(-1);
      writeFileSync(join(runDir.path, `primary.lock.${nonce}`), `${process.pid} 1 ${bootId()} ${'a'.repeat(16)}\n`);
    },
  ]) {
    const runDir = open(t);
    leave(runDir);
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => lockDataDir(runDir, AT_ONCE)));
    const won = results.filter((result) => result.status === 'fulfilled');
    t.equal(won.length, 1);
    t.same(lockFiles(runDir.path), ['lock.sock', 'primary.lock']);
    for (const { value } of won) await value.close();
  }
});

test("removes what starters that died left, but not a living starter's socket", async (t) => {
  const runDir = open(t);
  const living = createServer();
  await listen(living, join(runDir.path, `lock-${'b'.repeat(16)}.sock`));
  t.teardown(() => void living.close());
  for (const name of [`lock-${'c'.repeat(16)}.sock`, `lock-${'c'.repeat(16)}.tmp`, `primary.lock.${'d'.repeat(16)}`]) {
    writeFileSync(join(runDir.path, name), '');
  }
  const lock = await lockDataDir(runDir, AT_ONCE);
  t.same(lockFiles(runDir.path), [`lock-${'b'.repeat(16)}.sock`, 'lock.sock', 'primary.lock']);
  await lock.close();
});

test("another boot's lock that nobody touched for 30 s is taken at once", async (t) => {
  const runDir = open(t);
  const path = leaveStaleLock(runDir, OTHER_BOOT);
  const old = new Date(Date.now() - 31_000);
  utimesSync(path, old, old);
  const lock = await lockDataDir(runDir, AT_ONCE);
  t.equal(parseIdentity(readFileSync(path, 'utf8').split(' ', 3).join(' '))?.pid, process.pid);
  await lock.close();
});

test("another boot's lock is waited for, and refused as soon as somebody touches it", async (t) => {
  const runDir = open(t);
  const path = leaveStaleLock(runDir, OTHER_BOOT);
  const waits: string[] = [];
  const starting = lockDataDir(runDir, { ...AT_ONCE, onWait: (line) => waits.push(line) });
  await until(() => waits.length > 0);
  t.match(waits[0], /another boot.* for 30 s/);
  const touched = new Date(Date.now() - 1000);
  utimesSync(path, touched, touched);
  await t.rejects(starting, { name: 'Owned' });
});

test("another boot's lock, and an empty one, are taken after 30 s of silence", async (t) => {
  for (const leave of [
    (runDir: RunDir) => void leaveStaleLock(runDir, OTHER_BOOT),
    (runDir: RunDir) => writeFileSync(join(runDir.path, 'primary.lock'), ''),
  ]) {
    const runDir = open(t);
    leave(runDir);
    const clock = createFakeClock();
    let waiting = false;
    let taken = false;
    const starting = lockDataDir(runDir, {
      ...AT_ONCE,
      clock,
      onWait: () => {
        waiting = true;
      },
    }).finally(() => {
      taken = true;
    });
    await until(() => waiting);
    for (let ms = 0; ms < 29_000; ms += 50) {
      clock.advance(50);
      await Promise.resolve();
    }
    t.notOk(taken);
    await until(() => {
      clock.advance(50);
      return taken;
    });
    await (await starting).close();
  }
});

test('an owner keeps its lock touched, and is told once when it lost it', async (t) => {
  const runDir = open(t);
  const clock = createFakeClock();
  let lost = 0;
  const lock = await lockDataDir(runDir, {
    clock,
    onLost: () => {
      lost += 1;
    },
  });
  const path = join(runDir.path, 'primary.lock');
  const old = new Date(0);
  utimesSync(path, old, old);
  clock.advance(5000);
  t.equal(lost, 0);
  t.ok(Date.now() - statSync(path).mtimeMs < 10_000, 'it was touched');
  const other = `${ownIdentity().pid} 1 ${OTHER_BOOT} ${'e'.repeat(16)}\n`;
  writeFileSync(path, other);
  clock.advance(15_000);
  t.equal(lost, 1);
  await lock.close();
  t.equal(readFileSync(path, 'utf8'), other, "another owner's lock is left alone");
});

test('works in a folder whose path is too long for a socket', async (t) => {
  const runDir = open(t, 'x'.repeat(150));
  const lock = await lockDataDir(runDir, AT_ONCE);
  await t.rejects(lockDataDir(runDir, AT_ONCE), { name: 'Owned' });
  await lock.close();
  const next = await lockDataDir(runDir, AT_ONCE);
  await next.close();
});

/** What the lock itself keeps there, beside the folders that others use. */
function lockFiles(path: string): readonly string[] {
  const entries = readdirSync(path, { withFileTypes: true });
  return entries.flatMap((entry) => (entry.isDirectory() ? [] : [entry.name])).sort();
}
