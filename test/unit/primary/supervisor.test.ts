import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { test } from 'tap';
import type { Supervisor } from '../../../src/primary/supervision.ts';
import { createSupervisor } from '../../../src/primary/supervisor.ts';
import type { SupervisorTiming } from '../../../src/primary/supervisor-timing.ts';
import { systemClock } from '../../../src/run/clock.ts';
import { identify, isAlive } from '../../../src/run/process-identity.ts';
import { openRunDir, type RunDir } from '../../../src/run/run-dir.ts';
import { endChild, fixture, identityOf, startSleeper, until } from '../run/fixtures/support.ts';

const FAKE_WORKER = fixture('fake-worker.mjs', import.meta.url);

/** For tests about something else than silence, on a machine that may be busy. */
const PATIENT = { silentMs: 60_000, rejoinMs: 60_000 };

interface Teardown {
  teardown(end: () => void | Promise<void>): unknown;
}

interface Forked {
  readonly slot: number;
  readonly pid: number;
  readonly atMs: number;
  readonly child: ChildProcess;
}

interface Rig {
  readonly supervisor: Supervisor;
  readonly runDir: RunDir;
  readonly forked: readonly Forked[];
  readonly lines: readonly string[];
  readonly drains: readonly { readonly pid: number; readonly deadlineMs: number }[];
  readonly dead: readonly number[];
  /** The newest living worker of a slot. */
  readonly at: (slot: number) => Forked | undefined;
}

interface RigOptions {
  readonly slots: number;
  readonly timing?: Partial<SupervisorTiming>;
  /** Workers do not say hello; the test does. */
  readonly silent?: boolean;
  readonly args?: readonly string[];
  /** Workers that do not serve the newest revision. */
  readonly behind?: readonly number[];
  readonly before?: (runDir: RunDir) => void;
}

/** Real processes; their channel stands for the local socket, and a drain is a SIGTERM. */
function supervise(t: Teardown, options: RigOptions): Rig {
  const folder = realpathSync(mkdtempSync(joinPath(tmpdir(), 'burgee-test-')));
  const runDir = openRunDir(folder);
  options.before?.(runDir);
  const forked: Forked[] = [];
  const lines: string[] = [];
  const drains: { pid: number; deadlineMs: number }[] = [];
  const dead: number[] = [];
  const log = (fields: object, message: string): void => void lines.push(`${message} ${JSON.stringify(fields)}`);
  const supervisor = createSupervisor({
    slots: options.slots,
    runDir,
    clock: systemClock,
    log: { info: log, warn: log },
    drainMs: 5000,
    build: 'test',
    generation: 'now',
    isBehind: (pid) => options.behind?.includes(pid) ?? false,
    onDead: (pid, drained) => void (dead.push(pid) && lines.push(`dead, drained: ${drained}`)),
    onUnusable: () => {},
    sendDrain: (pid, { deadlineMs }) => {
      drains.push({ pid, deadlineMs });
      process.kill(pid, 'SIGTERM');
    },
    timing: { tickMs: 20, silentMs: 1000, rejoinMs: 1000, restartMsMin: 50, ...options.timing },
    fork(slot) {
      const child = spawn(process.execPath, [FAKE_WORKER, ...(options.args ?? [])], {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
        env: { ...process.env, NODE_OPTIONS: undefined },
      });
      const pid = child.pid ?? 0;
      forked.push({ slot, pid, atMs: performance.now(), child });
      child.on('error', () => {});
      child.on('message', (message) => {
        if (message === 'beat') supervisor.beat(pid);
        else if (options.silent !== true) join(supervisor, pid, slot);
      });
      child.on('disconnect', () => supervisor.left(pid));
      return {
        pid,
        kill: (signal) => void child.kill(signal),
        onExit: (ended) => void child.once('exit', (code, signal) => ended(code ?? undefined, signal ?? undefined)),
      };
    },
  });
  // The supervisor's own timers do not keep a process alive; a primary has its sockets for that.
  const alive = setInterval(() => {}, 1000);
  t.teardown(async () => {
    clearInterval(alive);
    supervisor.close();
    for (const { child } of forked) await endChild(child);
    rmSync(folder, { recursive: true, force: true });
  });
  const at = (slot: number): Forked | undefined =>
    forked
      .filter((worker) => worker.slot === slot && worker.child.exitCode === null && worker.child.signalCode === null)
      .at(-1);
  return { supervisor, runDir, forked, lines, drains, dead, at };
}

/** Hello and listening. False when the hello was refused. */
function join(supervisor: Supervisor, pid: number, slot: number, generation = 'now'): boolean {
  const startTime = identify(pid)?.startTime;
  if (startTime === undefined || !supervisor.joined({ pid, startTime, slot, build: 'test', generation })) return false;
  supervisor.ready(pid);
  return true;
}

test('starts a worker in each slot, names it in the run folder, and replaces one that is killed', async (t) => {
  const { supervisor, runDir, forked, at, dead, lines } = supervise(t, { slots: 2 });
  supervisor.start();
  await supervisor.settled();
  await until(() => supervisor.serving() === 2);
  t.same(
    runDir.workers().map(({ slot, identity }) => [slot, identity.pid]),
    forked.map(({ slot, pid }) => [slot, pid]),
  );
  const first = at(1)?.pid ?? 0;
  process.kill(first, 'SIGKILL');
  await until(() => dead.includes(first) && supervisor.serving() === 2 && lines.includes('dead, drained: false'));
  t.equal(forked.length, 3);
  t.equal(forked[2]?.slot, 1);
  t.equal(runDir.readPid('worker-1')?.pid, forked[2]?.pid);
  const died = lines.find((line) => line.startsWith('worker died'))?.slice('worker died '.length);
  t.match(JSON.parse(died ?? ''), { worker_pid: first, slot: 1, signal: 'SIGKILL', uptime_ms: Number });
});

test('a worker that is stopped is killed and replaced, even when it is the only one', async (t) => {
  const { supervisor, at, dead, forked, lines } = supervise(t, { slots: 1 });
  supervisor.start();
  await until(() => supervisor.serving() === 1);
  const first = at(1);
  first?.child.kill('SIGSTOP');
  await until(() => dead.includes(first?.pid ?? 0) && supervisor.serving() === 1);
  t.equal(forked.length, 2);
  t.match(lines.join('\n'), /it was silent for/);
});

test("of workers that hang at the same time the next is killed when the last one's successor is ready", async (t) => {
  const { supervisor, forked, dead } = supervise(t, { slots: 3 });
  supervisor.start();
  await until(() => supervisor.serving() === 3);
  for (const { child } of forked) child.kill('SIGSTOP');
  const order: string[] = [];
  let seen = 0;
  await until(() => {
    for (; seen < dead.length; seen++) order.push(`death ${seen + 1}, ${forked.length} forked`);
    return dead.length === 3 && supervisor.serving() === 3;
  });
  t.same(order, ['death 1, 4 forked', 'death 2, 5 forked', 'death 3, 6 forked']);
});

test('a primary that was itself held up kills nobody', async (t) => {
  const { supervisor, dead } = supervise(t, { slots: 2 });
  supervisor.start();
  await until(() => supervisor.serving() === 2);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1500);
  const afterMs = performance.now() + 300;
  await until(() => performance.now() > afterMs);
  t.same(dead, []);
  t.equal(supervisor.serving(), 2);
});

test('a worker asked to be killed goes only when another serves', async (t) => {
  const { supervisor, forked, dead } = supervise(t, { slots: 2, silent: true, timing: { firstJoinMs: 60_000 } });
  supervisor.start();
  const [one, two] = forked;
  if (one === undefined || two === undefined) throw new Error('two were to be forked');
  t.ok(join(supervisor, one.pid, one.slot));
  supervisor.kill(one.pid, 'it did not take revision 5');
  const afterMs = performance.now() + 100;
  await until(() => performance.now() > afterMs);
  t.same(dead, []);
  t.ok(join(supervisor, two.pid, two.slot));
  supervisor.kill(two.pid, 'nor did this one');
  await until(() => dead.length === 1 && forked.length === 3);
  t.same(dead, [one.pid], 'one at a time');
  t.equal(supervisor.serving(), 1);
});

test('a worker that crashes again and again is started at growing intervals', async (t) => {
  const { supervisor, forked, lines } = supervise(t, { slots: 1, args: ['short'] });
  supervisor.start();
  await until(() => forked.length === 5);
  const gaps = forked.slice(1).map(({ atMs }, index) => atMs - (forked[index]?.atMs ?? 0));
  for (const [index, min] of [0, 50, 100, 200].entries()) t.ok((gaps[index] ?? 0) >= min, `${gaps[index]} >= ${min}`);
  t.match(lines.join('\n'), /worker died .*"code":9/);
});

test('a worker that never joins is killed and started again', async (t) => {
  const { supervisor, forked, lines } = supervise(t, { slots: 1, silent: true, timing: { firstJoinMs: 300 } });
  supervisor.start();
  await until(() => forked.length === 2);
  t.match(lines.join('\n'), /it never joined/);
});

test('a worker from before keeps its slot, and writes wait until it has joined', async (t) => {
  const orphan = identityOf(startSleeper(t));
  const { supervisor, forked, runDir, lines } = supervise(t, {
    slots: 2,
    timing: PATIENT,
    before: (dir) => dir.writePid('worker-2', orphan),
  });
  let settled = false;
  supervisor.start();
  void supervisor.settled().then(() => {
    settled = true;
  });
  t.same(
    forked.map(({ slot }) => slot),
    [1],
  );
  t.same(supervisor.living(), [orphan.pid]);
  await until(() => supervisor.serving() === 1);
  t.notOk(settled);
  t.ok(join(supervisor, orphan.pid, 2));
  await until(() => settled);
  t.equal(supervisor.serving(), 2);
  t.equal(runDir.readPid('worker-2')?.pid, orphan.pid);
  t.match(lines.join('\n'), /worker adopted .*"slot":2,"build":"test"/);
});

test('a worker from before that does not join is killed, and its slot filled only then', async (t) => {
  const orphan = startSleeper(t);
  const identity = identityOf(orphan);
  orphan.kill('SIGSTOP');
  const { supervisor, forked, dead } = supervise(t, { slots: 1, before: (dir) => dir.writePid('worker-1', identity) });
  supervisor.start();
  t.equal(forked.length, 0);
  await supervisor.settled();
  t.same(dead, [identity.pid]);
  t.notOk(isAlive(identity));
  t.equal(forked.length, 1);
});

test('files of dead processes, reused numbers and another boot hold nothing up and cost nobody his life', async (t) => {
  const innocent = identityOf(startSleeper(t));
  const { supervisor, forked, runDir } = supervise(t, {
    slots: 3,
    before(dir) {
      dir.writePid('worker-1', { ...innocent, pid: 4_194_303 });
      dir.writePid('worker-2', { ...innocent, startTime: '1' });
      dir.writePid('worker-3', { ...innocent, bootId: '00000000-0000-0000-0000-000000000000' });
    },
  });
  supervisor.start();
  await supervisor.settled();
  t.same(
    forked.map(({ slot }) => slot),
    [1, 2, 3],
  );
  t.same(
    runDir.workers().map(({ identity }) => identity.pid),
    forked.map(({ pid }) => pid),
  );
  t.ok(isAlive(innocent));
});

test('workers beyond the slots are drained once they join, and stay on file until then', async (t) => {
  const orphans = [identityOf(startSleeper(t)), identityOf(startSleeper(t)), identityOf(startSleeper(t))];
  const { supervisor, drains, dead, runDir, forked, lines } = supervise(t, {
    slots: 1,
    timing: PATIENT,
    before: (dir) => {
      for (const [index, identity] of orphans.entries()) dir.writePid(`worker-${index + 2}`, identity);
    },
  });
  supervisor.start();
  t.equal(forked.length, 0);
  t.same(
    runDir
      .workers()
      .map(({ identity }) => identity.pid)
      .sort(),
    orphans.map(({ pid }) => pid).sort(),
  );
  for (const [index, { pid }] of orphans.entries()) t.ok(join(supervisor, pid, index + 2));
  await until(() => dead.length === 0 && drains.length === 2);
  t.same(
    drains.map(({ deadlineMs }) => deadlineMs),
    [5000, 5000],
  );
  t.equal(supervisor.serving(), 1);
  for (const { pid } of drains) {
    await until(() => identify(pid) === undefined);
    supervisor.left(pid);
  }
  await until(() => lines.filter((line) => line === 'dead, drained: true').length === 2);
  t.equal(runDir.workers().length, 1);
});

test('a hello that names no process of this machine is refused', async (t) => {
  const { supervisor } = supervise(t, { slots: 0 });
  supervisor.start();
  t.notOk(supervisor.joined({ pid: process.pid, startTime: '1', slot: 1, build: 'x' }));
  t.notOk(supervisor.joined({ pid: 4_194_303, startTime: '1', slot: 1, build: 'x' }));
});

test('a worker whose socket closed may come back, and is killed when it does not', async (t) => {
  const orphan = identityOf(startSleeper(t));
  const { supervisor, dead } = supervise(t, {
    slots: 1,
    timing: { silentMs: 60_000 },
    before: (dir) => dir.writePid('worker-1', orphan),
  });
  supervisor.start();
  t.ok(join(supervisor, orphan.pid, 1));
  supervisor.left(orphan.pid);
  t.equal(supervisor.serving(), 0);
  t.same(supervisor.living(), [orphan.pid], 'it may still answer clients');
  t.ok(join(supervisor, orphan.pid, 1));
  t.equal(supervisor.serving(), 1);
  supervisor.left(orphan.pid);
  await until(() => dead.includes(orphan.pid));
  t.notOk(isAlive(orphan));
});

test('a drain ends all workers, starts no more, and kills what is left at the deadline', async (t) => {
  const { supervisor, forked, dead, runDir } = supervise(t, {
    slots: 3,
    timing: { silentMs: 60_000, drainMarginMs: 50 },
  });
  supervisor.start();
  await until(() => supervisor.serving() === 3);
  forked[1]?.child.kill('SIGSTOP');
  await supervisor.drain(300);
  t.equal(dead.length, 3);
  t.equal(forked.length, 3);
  t.equal(forked[0]?.child.exitCode, 0);
  t.equal(forked[1]?.child.signalCode, 'SIGKILL');
  t.same(runDir.workers(), []);
});

test('a drain ends workers that were only starting', async (t) => {
  const { supervisor, forked } = supervise(t, { slots: 2, silent: true });
  supervisor.start();
  await supervisor.drain(60_000);
  t.same(
    forked.map(({ child }) => child.signalCode),
    ['SIGKILL', 'SIGKILL'],
  );
});

test('close leaves the workers as they are', async (t) => {
  const { supervisor, forked } = supervise(t, { slots: 1 });
  supervisor.start();
  await until(() => supervisor.serving() === 1);
  const waiting = supervisor.settled();
  supervisor.close();
  supervisor.close();
  await waiting;
  t.ok(isAlive(identityOf(forked[0]?.child as ChildProcess)));
});

test('workers of another generation serve on while new ones die, and go one for one when new ones serve', async (t) => {
  const orphans = [identityOf(startSleeper(t)), identityOf(startSleeper(t))];
  const { supervisor, forked, drains, runDir, lines } = supervise(t, {
    slots: 2,
    silent: true,
    timing: { ...PATIENT, firstJoinMs: 60_000 },
    before: (dir) => {
      for (const [index, identity] of orphans.entries()) dir.writePid(`worker-${index + 1}`, identity);
    },
  });
  supervisor.start();
  for (const [index, { pid }] of orphans.entries()) t.ok(join(supervisor, pid, index + 1, 'before'));
  t.same(supervisor.standing(), { serving: 2, old: 2, replaced: 0 });
  t.equal(forked.length, 1, 'one in addition');
  t.equal(runDir.workers().length, 3);
  forked[0]?.child.kill('SIGKILL');
  await until(() => forked.length === 2);
  t.same(drains, []);
  const first = forked[1];
  t.ok(join(supervisor, first?.pid ?? 0, 1));
  t.same([drains.length, supervisor.serving()], [1, 2]);
  const gone = drains[0]?.pid ?? 0;
  await until(() => identify(gone) === undefined);
  supervisor.left(gone);
  await until(() => forked.length === 3);
  // One that cannot share the port: what is in its way goes before it serves.
  const second = forked[2];
  supervisor.prepared(second?.pid ?? 0);
  await until(() => drains.length === 2);
  t.same(drains.map(({ pid }) => pid).sort(), orphans.map(({ pid }) => pid).sort());
  t.ok(join(supervisor, second?.pid ?? 0, 2));
  t.match(supervisor.standing(), { serving: 2, old: 0, replaced: 2 });
  t.match(lines.join('\n'), /worker adopted .*"generation":"before","old":true/);
});
