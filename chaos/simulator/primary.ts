// The primary of a node, as src/primary/main.ts and node-sync.ts wire it: the real loop, publisher, commands, hot copy and
// its upkeep, on the modelled store, Redis, disk and clock.
import { type Commands, createCommands } from '../../src/primary/commands.ts';
import { createHotCopyUpkeep } from '../../src/primary/hot-copy-upkeep.ts';
import { createPublisher, type Publisher } from '../../src/primary/publisher.ts';
import { createResends } from '../../src/primary/resends.ts';
import { createSyncLoop, type SyncLoop } from '../../src/primary/sync.ts';
import type { HashBytes } from '../../src/snapshot/checksum.ts';
import type { SnapshotHead } from '../../src/snapshot/item.ts';
import { createHotCopy } from '../../src/storage/redis/hot-copy.ts';
import { OutcomeUnknown, StorageUnavailable } from '../../src/storage/sql.ts';
import { type HotCopy, TierUnavailable } from '../../src/storage/tiers.ts';
import type { Random } from '../../test/support/random.ts';
import { nothingToPrepare } from '../../test/support/segments.ts';
import { createModelFile, type Disk } from './model-file.ts';
import type { ModelRedis } from './model-redis.ts';
import type { ModelStore } from './model-store.ts';
import type { Network } from './network.ts';
import type { Process, Timeline } from './timeline.ts';
import type { Worker } from './worker.ts';

const STORE_MS_MAX = 1000;
const REDIS_MS_MAX = 250;
const LATENESS_CHECK_MS = 500;
/** As src/primary/look.ts says it. */
const WITHOUT_STORE = 'serving without the store';

export interface PrimaryDeps {
  readonly name: string;
  readonly timeline: Timeline;
  readonly network: Network;
  readonly random: Random;
  readonly hash: HashBytes;
  readonly store: ModelStore;
  readonly redis: ModelRedis | undefined;
  readonly disk: Disk;
  readonly isCutFromStore: () => boolean;
  readonly isCutFromRedis: () => boolean;
  /** What the store says of itself, as this node is made to understand it. */
  readonly understand: (head: SnapshotHead) => SnapshotHead;
  /** From before this primary. */
  readonly orphans: readonly Worker[];
  readonly isFrozen: (pid: number) => boolean;
  readonly kill: (pid: number, why: string) => void;
  readonly tellOthers: (revision: number) => void;
  readonly say: (text: string) => void;
}

export interface Primary {
  readonly process: Process;
  readonly sync: SyncLoop;
  readonly publisher: Publisher;
  readonly commands: Commands;
  /** What it published without the store, from Redis: the rest of a revision, and keys that may be older. */
  readonly stitched: SnapshotHead | undefined;
  hello(worker: Worker): void;
  dead(pid: number): void;
}

type Ask = <T>(work: () => T) => Promise<T>;

export function createPrimary(deps: PrimaryDeps): Primary {
  const { timeline, random, hash, say } = deps;
  const process: Process = { name: deps.name, alive: true, frozenUntilMs: 0 };
  const clock = timeline.clockOf(process);
  let stitched: SnapshotHead | undefined;
  const warn = (fields: object, message: string): void => {
    if (message === WITHOUT_STORE && (fields as { tier?: string }).tier === 'redis') stitched = publisher.head;
    if (process.alive) say(`${deps.name}: ${message} ${textOf(fields)}`);
  };
  const publisher = createPublisher({
    hash,
    now: clock.nowMs,
    fence: () => {},
    kill: deps.kill,
    // Beats are not sent one by one: a worker that is not frozen beats.
    isStarved: (pid) => !deps.isFrozen(pid),
  });
  const hotCopy = deps.redis && openHotCopy(deps, deps.redis, process);
  const store = remoteStore(deps, process);
  const sync = createSyncLoop({
    store,
    prepareStore: () => store.readHead().then(() => {}),
    publisher,
    blobs: nothingToPrepare,
    hotCopy,
    file: createModelFile(timeline, process, deps.disk),
    clock,
    wallClock: () => timeline.nowMs,
    random: random.float,
    onConfirmed(revision) {
      publisher.toAll({ type: 'confirmed', revision, tier: 'store' });
      upkeep?.published();
    },
    warn,
  });
  const upkeep =
    hotCopy &&
    createHotCopyUpkeep({
      hotCopy,
      publisher,
      confirmedAtMs: () => sync.confirmedAtMs,
      witnessed: sync.witnessed,
      clock,
      random: random.float,
    });
  const waitedFor = new Set(deps.orphans.map(({ pid }) => pid));
  let settle: () => void = () => {};
  const settled = new Promise<void>((resolve) => {
    settle = resolve;
  });
  if (waitedFor.size === 0) settle();
  function leave(pid: number): void {
    if (waitedFor.delete(pid) && waitedFor.size === 0) settle();
  }
  const commands = createCommands({
    store,
    sync,
    publisher,
    fence: () => {},
    settled,
    highest: () => highest(sync, publisher, hotCopy),
    onWritten: (revision) => {
      if (process.alive) deps.tellOthers(revision);
    },
    warn,
    error: warn,
  });
  const resends = createResends({ resend: publisher.resend, recheck: () => Promise.resolve(), clock });
  clock.every(LATENESS_CHECK_MS, publisher.endLate);
  void sync.start().then(() => upkeep?.start());

  return {
    process,
    sync,
    publisher,
    commands,
    get stitched() {
      return stitched;
    },
    hello(worker) {
      const { pid, reader } = worker;
      const send = worker.connect(process, (message) => {
        if (message.type === 'ack') {
          resends.acked(pid);
          publisher.acked(pid, message.epoch, message.revision);
        } else if (message.type === 'resend') {
          say(`${deps.name}: worker ${pid} refused: ${message.reason}`);
          resends.refused(pid);
        }
      });
      const { epoch, revision } = reader;
      worker.tell(() => {
        sync.witnessed(epoch, revision);
        publisher.joined(pid, epoch, revision, send);
        leave(pid);
      });
    },
    dead(pid) {
      resends.dead(pid);
      publisher.dead(pid);
      leave(pid);
    },
  };
}

function remoteStore(deps: PrimaryDeps, process: Process) {
  const { network, store } = deps;
  const about = { process, isCut: deps.isCutFromStore, deadlineMs: STORE_MS_MAX };
  const away = (): Error => new StorageUnavailable('the store cannot be reached');
  const ask: Ask = (work) => network.ask({ ...about, work, failure: away });
  const understood = <T extends { readonly head: SnapshotHead }>(content: T): T => ({
    ...content,
    head: deps.understand(content.head),
  });
  return {
    readHead: () => ask(() => deps.understand(store.head)),
    readAll: () => ask(() => understood(store.readAll())),
    readKeys: () => ask(() => understood(store.readKeys())),
    readSince: (revision: number) =>
      ask(() => {
        const delta = store.readSince(revision);
        return delta && understood(delta);
      }),
    run: (request: Parameters<ModelStore['run']>[0]) =>
      network.ask({
        ...about,
        work: () => store.run(request),
        failure: (sent) => (sent ? new OutcomeUnknown('the connection broke') : away()),
      }),
  };
}

function openHotCopy(deps: PrimaryDeps, redis: ModelRedis, process: Process): HotCopy {
  const ask: Ask = (work) =>
    deps.network.ask({
      process,
      isCut: deps.isCutFromRedis,
      work,
      deadlineMs: REDIS_MS_MAX,
      failure: () => new TierUnavailable('Redis does not answer'),
    });
  return createHotCopy({
    redis: {
      command: (name, args) => ask(() => redis.command(name, args)),
      run: (script, keys, args) => ask(() => redis.run(script, keys, args)),
    },
    hash: deps.hash,
    nodeId: deps.name,
    warn: () => {},
    clock: deps.timeline.clockOf(process),
  });
}

/** As createNodeSync has it. */
async function highest(sync: SyncLoop, publisher: Publisher, hotCopy: HotCopy | undefined): Promise<number> {
  const epoch = publisher.head?.epoch;
  if (epoch === undefined || hotCopy === undefined) return sync.highest;
  sync.witnessed(epoch, await hotCopy.highestSeen(epoch).catch(() => 0));
  return sync.highest;
}

function textOf(fields: object): string {
  return JSON.stringify(fields, (_name, value) => (value instanceof Error ? value.message : value));
}
