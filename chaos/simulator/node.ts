// A node: a primary, its workers and its disk. Workers outlive the primary, the disk outlives both.
import type { HashBytes } from '../../src/snapshot/checksum.ts';
import type { SnapshotHead } from '../../src/snapshot/item.ts';
import type { Random } from '../../test/support/random.ts';
import type { Disk } from './model-file.ts';
import type { ModelRedis } from './model-redis.ts';
import type { ModelStore } from './model-store.ts';
import type { Network } from './network.ts';
import { createPrimary, type Primary } from './primary.ts';
import { createHolderReader, createReader } from './reader.ts';
import type { Timeline } from './timeline.ts';
import type { Wiring } from './wiring.ts';
import { createWorker, type Worker } from './worker.ts';

/** At most this much later a worker dials a primary that has started. */
const REDIAL_MS = 200;
const DEATH_NOTICED_MS = 5;

export interface Node {
  readonly name: string;
  readonly disk: Disk;
  readonly workers: ReadonlySet<Worker>;
  /** undefined while it is dead. */
  readonly primary: Primary | undefined;
  /** What any of its primaries published that is whole but for keys, which may be older. */
  readonly stitched: SnapshotHead | undefined;
  cutFromStoreUntilMs: number;
  cutFromRedisUntilMs: number;
  startPrimary(): void;
  /** It starts again after `ms`. */
  crashPrimary(ms: number): void;
  crashWorker(worker: Worker, ms: number): void;
}

export interface NodeDeps {
  readonly name: string;
  readonly timeline: Timeline;
  readonly network: Network;
  readonly random: Random;
  readonly hash: HashBytes;
  readonly store: ModelStore;
  readonly redis: ModelRedis | undefined;
  readonly wiring: Wiring;
  readonly workers: number;
  readonly nextPid: () => number;
  readonly onSwap: (node: Node, worker: Worker) => void;
  readonly onPrimaryGone: (node: Node, primary: Primary) => void;
  readonly tellOthers: (node: Node, revision: number) => void;
  readonly say: (text: string) => void;
}

export function createNode(deps: NodeDeps): Node {
  const { timeline, random, wiring } = deps;
  const workers = new Set<Worker>();
  const disk: Disk = { newest: undefined, previous: undefined };
  let primary: Primary | undefined;
  let starts = 0;
  let stitched: SnapshotHead | undefined;

  function startWorker(): void {
    const pid = deps.nextPid();
    const open = wiring.usesHolder ? createHolderReader : createReader;
    const worker = createWorker({
      pid,
      name: `${deps.name}.worker-${pid}`,
      timeline,
      network: deps.network,
      open: (link) => open({ ...link, hash: deps.hash, now: () => timeline.nowMs, checksGaps: wiring.checksGaps }),
      takesConfirmations: wiring.usesHolder,
      onSwap: (swapped) => deps.onSwap(node, swapped),
    });
    workers.add(worker);
    dial(worker, 10);
  }

  function dial(worker: Worker, ms: number): void {
    const to = primary;
    if (to === undefined) return;
    timeline.after(random.below(ms), worker.process, () => {
      if (to === primary) to.hello(worker);
    });
  }

  function startPrimary(): void {
    if (primary !== undefined) return;
    primary = createPrimary({
      ...deps,
      name: `${deps.name}.primary-${++starts}`,
      disk,
      isCutFromStore: () => node.cutFromStoreUntilMs > timeline.nowMs,
      isCutFromRedis: () => node.cutFromRedisUntilMs > timeline.nowMs,
      understand: wiring.understand,
      orphans: [...workers],
      isFrozen: (pid) => workerOf(pid)?.process.frozenUntilMs !== 0,
      kill(pid, why) {
        const worker = workerOf(pid);
        deps.say(`${deps.name}: kills worker ${pid}: ${why}`);
        if (worker !== undefined) node.crashWorker(worker, 100);
      },
      tellOthers: (revision) => deps.tellOthers(node, revision),
    });
    for (const worker of workers) dial(worker, REDIAL_MS);
    while (workers.size < deps.workers) startWorker();
  }

  function workerOf(pid: number): Worker | undefined {
    return [...workers].find((worker) => worker.pid === pid);
  }

  const node: Node = {
    name: deps.name,
    disk,
    workers,
    get primary() {
      return primary;
    },
    get stitched() {
      return primary?.stitched ?? stitched;
    },
    cutFromStoreUntilMs: 0,
    cutFromRedisUntilMs: 0,
    startPrimary,
    crashPrimary(ms) {
      if (primary === undefined) return;
      primary.process.alive = false;
      const gone = primary;
      stitched = gone.stitched ?? stitched;
      primary = undefined;
      deps.onPrimaryGone(node, gone);
      timeline.after(ms, undefined, startPrimary);
    },
    crashWorker(worker, ms) {
      worker.process.alive = false;
      workers.delete(worker);
      const notify = primary;
      if (notify === undefined) return;
      timeline.after(DEATH_NOTICED_MS, notify.process, () => notify.dead(worker.pid));
      timeline.after(ms, notify.process, () => {
        if (primary === notify && workers.size < deps.workers) startWorker();
      });
    },
  };
  return node;
}
