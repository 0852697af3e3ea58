// Does to a node what a schedule says, and undoes it: whoever was stopped is continued in the end.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { alive, freePort, signalQuietly } from '../service.ts';
import { type NodeUnderFault, pause } from './node.ts';
import type { Fault, Schedule } from './schedule.ts';
import type { Touched } from './touched.ts';
import type { Writers } from './writers.ts';

/** When no worker runs, or no primary gets that far. */
const ADOPTION_MS_MAX = 30_000;

export interface InflictDeps {
  readonly node: NodeUnderFault;
  readonly writers: Writers;
  readonly touched: Touched;
  /** By what was done. */
  readonly counts: Map<string, number>;
  /** Told what is done, as it is done. */
  readonly note: (event: string) => void;
}

/** Resolves when all was done, all that was stopped goes on, and a launcher runs. */
export async function inflict({ steps }: Schedule, deps: InflictDeps): Promise<void> {
  const hands = createHands(deps);
  const startedMs = performance.now();
  const all: Promise<void>[] = [];
  for (const { atMs, fault } of steps) {
    await pause(Math.max(0, atMs - (performance.now() - startedMs)));
    all.push(carryOut(fault, deps, hands));
  }
  await Promise.all(all);
  for (const pid of deps.node.processes()) signalQuietly(pid, 'SIGCONT');
  await Promise.race([deps.node.startLauncher(), pause(100)]);
}

/** The next primary has its socket up: a worker that runs has joined it. */
async function adoption(node: NodeUnderFault, since: number): Promise<void> {
  const startedMs = performance.now();
  while (!node.output().includes('worker adopted', since) && performance.now() - startedMs < ADOPTION_MS_MAX)
    await pause(10);
}

type Hands = ReturnType<typeof createHands>;

async function carryOut(fault: Fault, { node, writers, note }: InflictDeps, hands: Hands): Promise<void> {
  switch (fault.type) {
    case 'kill primary':
      return hands.killPrimary();
    case 'kill worker':
      return hands.kill(hands.worker(fault.worker), 'worker');
    case 'freeze worker':
      return hands.freezeWorkers([fault.worker], fault.forMs);
    case 'freeze worker in a write': {
      await new Promise<void>((resolve) => {
        writers.onNextWrite(() => setTimeout(resolve, fault.afterMs));
        setTimeout(resolve, 1000);
      });
      const pid = hands.worker(fault.worker);
      await hands.freeze([pid], fault.forMs, 'worker in a write');
      return fault.kill ? hands.kill(pid, 'worker') : undefined;
    }
    case 'freeze all workers':
      return hands.freeze(node.workerPids(), fault.forMs, 'all workers');
    case 'freeze orphans': {
      const expected = pause(fault.killAfterMs).then(async () => {
        const before = node.output().length;
        hands.killPrimary();
        if (fault.fromNextPrimary) await adoption(node, before);
        await pause(fault.forMs);
      });
      return hands.freezeWorkers(fault.workers, expected);
    }
    case 'kill expected worker':
      hands.killPrimary();
      await pause(fault.afterMs);
      return hands.kill(hands.worker(fault.worker), 'worker');
    case 'freeze primary':
      return hands.freeze([node.primaryPid()], fault.forMs, 'primary');
    case 'kill launcher':
      return hands.restartLauncher(fault.restartAfterMs);
    case 'kill launcher of a frozen primary': {
      const frozen = hands.freeze([node.primaryPid()], fault.forMs, 'primary');
      await hands.restartLauncher(fault.restartAfterMs);
      return frozen;
    }
    case 'terminate orphan': {
      const restarted = hands.restartLauncher(fault.restartAfterMs);
      // Only an orphan acts on it, and a worker learns that it is one from its socket.
      await pause(20);
      hands.terminate(hands.worker(fault.worker));
      return restarted;
    }
    case 'replace all':
      note('SIGHUP to the launcher');
      return hands.signalLauncher('SIGHUP');
    case 'take the lock away':
      return hands.takeLock(fault.forMs, fault.rivalMs);
    default:
      return fault satisfies never;
  }
}

function createHands({ node, touched, counts, note }: InflictDeps) {
  function count(what: string): void {
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  function worker(index: number): number | undefined {
    const pids = node.workerPids().sort((a, b) => a - b);
    return pids[index % pids.length];
  }
  function kill(pid: number | undefined, what: string): void {
    if (pid === undefined || !alive(pid)) return;
    touched.hit(pid, 'killed');
    signalQuietly(pid, 'SIGKILL');
    count(`${what} killed`);
    note(`SIGKILL to ${what} ${pid}`);
  }
  /** For a time, or until something has come to pass. */
  async function freeze(
    pids: readonly (number | undefined)[],
    until: number | Promise<unknown>,
    what: string,
  ): Promise<void> {
    const hit = pids.filter((pid) => pid !== undefined && alive(pid)) as number[];
    if (hit.length === 0) return;
    for (const pid of hit) {
      touched.hit(pid, 'frozen');
      signalQuietly(pid, 'SIGSTOP');
    }
    count(`${what} frozen`);
    note(`SIGSTOP to ${what} ${hit.join()}`);
    await (typeof until === 'number' ? pause(until) : until);
    for (const pid of hit) signalQuietly(pid, 'SIGCONT');
    note(`SIGCONT to ${what} ${hit.join()}`);
  }
  async function restartLauncher(afterMs: number): Promise<void> {
    count('launcher killed');
    note(`SIGKILL to launcher ${node.launcherPid()}, started again after ${afterMs} ms`);
    node.killLauncher();
    await pause(afterMs);
    void node.startLauncher();
  }

  return {
    worker,
    kill,
    freeze,
    restartLauncher,
    killPrimary: () => kill(node.primaryPid(), 'primary'),
    freezeWorkers: (indices: readonly number[], until: number | Promise<unknown>) =>
      freeze(indices.map(worker), until, 'worker'),
    terminate(pid: number | undefined): void {
      if (pid === undefined) return;
      touched.hit(pid, 'drained');
      signalQuietly(pid, 'SIGTERM');
      count('orphan terminated');
      note(`SIGTERM to worker ${pid}`);
    },
    signalLauncher(signal: NodeJS.Signals): void {
      count(`launcher ${signal}`);
      const pid = node.launcherPid();
      if (pid !== undefined) signalQuietly(pid, signal);
    },
    /** A removed lock file: the primary ends when it sees that, and no rival may have come in meanwhile. */
    async takeLock(forMs: number, rivalMs: number): Promise<void> {
      const primary = node.primaryPid();
      if (primary === undefined) return;
      const frozen = freeze([primary], forMs, 'primary without its lock');
      for (const name of ['primary.lock', 'lock.sock', 'launcher.pid'])
        rmSync(join(node.dataDir, 'run', name), { force: true });
      note('the lock is taken away, a rival starts');
      const endRival = node.startRival(await freePort());
      await Promise.all([frozen, pause(rivalMs)]);
      note('SIGKILL to the rival, if it was not refused');
      endRival();
    },
  };
}
