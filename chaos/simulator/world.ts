// One schedule: nodes, the store and Redis that they share, and what befalls them; then quiet, and what must be true then.
import type { HashBytes } from '../../src/snapshot/checksum.ts';
import { createRandom, type Random } from '../../test/support/random.ts';
import { type Clients, createClients } from './client.ts';
import { checkQuiet, checkReloads, checkSwap } from './invariants.ts';
import { createModelRedis, type ModelRedis } from './model-redis.ts';
import { createModelStore, type ModelStore } from './model-store.ts';
import { createNetwork, type Network } from './network.ts';
import { createNode, type Node } from './node.ts';
import { drawSteps, type Step, textOfStep } from './steps.ts';
import { createTimeline, type Timeline } from './timeline.ts';
import { type Break, wire } from './wiring.ts';
import type { Worker } from './worker.ts';

/** From the end of all faults to when every node has asked the store: a call that hangs, the poll, and a load. */
const SETTLE_MS = 6000;
/** To follow what was accepted, and then one more write: the poll and its jitter, and a few ways to the store. */
const FOLLOW_MS = 2500;
const BOUND_MS = 1200;

export interface Violation {
  readonly rule: string;
  readonly detail: string;
  readonly atMs: number;
}

export interface World {
  readonly steps: readonly Step[];
  /** The first one. */
  readonly violation: Violation | undefined;
  /** Runs one event; false: it is over. */
  next(): boolean;
}

export interface WorldOptions {
  readonly seed: number;
  readonly hash: HashBytes;
  readonly broken: Break | undefined;
  readonly usesHolder: boolean;
  /** Indexes of the steps that are taken; undefined: all. */
  readonly only: ReadonlySet<number> | undefined;
  readonly say: ((text: string) => void) | undefined;
}

interface Scene {
  readonly timeline: Timeline;
  readonly network: Network;
  readonly random: Random;
  readonly store: ModelStore;
  readonly redis: ModelRedis | undefined;
  readonly nodes: readonly Node[];
  readonly clients: Clients;
  readonly violated: (rule: string, detail: string) => void;
  readonly say: (text: string) => void;
}

export function createWorld(options: WorldOptions): World {
  const steps = drawSteps(createRandom(options.seed));
  let violation: Violation | undefined;
  let isOver = false;
  const timeline = createTimeline();
  const say = (text: string): void => options.say?.(`${timeline.nowMs.toFixed(1)} ms  ${text}`);
  const violated = (rule: string, detail: string): void => {
    say(`VIOLATED ${rule}: ${detail}`);
    violation ??= { rule, detail, atMs: timeline.nowMs };
  };
  const scene = createScene(options, timeline, violated, say);
  for (const node of scene.nodes) timeline.after(scene.random.below(800), undefined, node.startPrimary);
  for (const [index, step] of steps.entries()) {
    if (options.only?.has(index) === false) continue;
    timeline.after(step.atMs, undefined, () => {
      say(`-- ${textOfStep(step)}`);
      take(scene, step);
    });
  }
  timeline.after((steps.at(-1) as Step).atMs, undefined, () =>
    quieten(scene, () => {
      isOver = true;
    }),
  );
  return {
    steps,
    get violation() {
      return violation;
    },
    next: () => !isOver && violation === undefined && timeline.next(),
  };
}

function createScene(
  options: WorldOptions,
  timeline: Timeline,
  violated: (rule: string, detail: string) => void,
  say: (text: string) => void,
): Scene {
  const random = createRandom(options.seed ^ 0x5bd1e995);
  const network = createNetwork(timeline, random);
  const wiring = wire(options.broken, options.usesHolder);
  const hint = (node: Node, revision: number): void => {
    if (network.loses()) return;
    for (let copies = network.doubles() ? 2 : 1; copies > 0; copies--) {
      const { primary } = node;
      timeline.after(network.latencyMs(), primary?.process, () => primary?.sync.hinted(revision));
    }
  };
  const store = createModelStore(random, (revision) => {
    for (const node of nodes) if (node.cutFromStoreUntilMs <= timeline.nowMs) hint(node, revision);
  });
  const hasRedis = random.below(5) > 0;
  const redis = hasRedis
    ? createModelRedis({ nowMs: () => timeline.nowMs, mayPut: wiring.mayPut, violated })
    : undefined;
  let pids = 0;
  const nodes = Array.from({ length: 2 + random.below(2) }, (_, index) =>
    createNode({
      name: `node-${index}`,
      timeline,
      network,
      random,
      hash: options.hash,
      store,
      redis,
      wiring,
      workers: 1 + random.below(2),
      nextPid: () => ++pids,
      onSwap: (node, worker) => {
        say(`${worker.process.name} serves ${worker.reader.revision} of ${worker.reader.epoch}`);
        checkSwap({ store, worker, isHolder: wiring.usesHolder, stitched: node.stitched, violated });
      },
      onPrimaryGone: (_node, primary) => checkReloads(store, primary, violated),
      tellOthers: (from, revision) => {
        for (const node of nodes) {
          if (node === from || redis === undefined) continue;
          if (Math.max(node.cutFromRedisUntilMs, from.cutFromRedisUntilMs) <= timeline.nowMs) hint(node, revision);
        }
      },
      say,
    }),
  );
  const clients = createClients({ timeline, nodes, store, violated, say });
  return { timeline, network, random, store, redis, nodes, clients, violated, say };
}

function take(scene: Scene, { type, node: at, forMs, choice }: Step): void {
  const { timeline, store, redis, nodes, clients } = scene;
  const node = nodes[at % nodes.length] as Node;
  const worker = [...node.workers][choice % Math.max(1, node.workers.size)];
  const untilMs = timeline.nowMs + forMs;
  switch (type) {
    case 'write':
      return clients.write(at, choice);
    case 'crash_primary':
      return node.crashPrimary(forMs);
    case 'crash_node':
      for (const each of [...node.workers]) node.crashWorker(each, forMs);
      return node.crashPrimary(forMs);
    case 'lose_file':
      if (choice % 2 === 0) node.disk.previous = undefined;
      node.disk.newest = undefined;
      return;
    case 'freeze_primary':
      if (node.primary !== undefined) node.primary.process.frozenUntilMs = untilMs;
      return;
    case 'cut_store':
      // The whole of it may be away.
      for (const each of choice % 4 === 0 ? nodes : [node]) each.cutFromStoreUntilMs = untilMs;
      return;
    case 'cut_redis':
      for (const each of choice % 4 === 0 ? nodes : [node]) each.cutFromRedisUntilMs = untilMs;
      return;
    case 'empty_redis':
      return redis?.empty();
    case 'keep_redis':
      return redis?.keep();
    case 'old_redis':
      return redis?.comeBack();
    case 'false_hint':
      return node.primary?.sync.hinted([Number.NaN, -1, 2 ** 53, 1e12, store.revision + 1][choice % 5] as number);
    case 'prune':
      // What is pruned is older than it takes an operator to answer an alarm.
      if (nodes.every(({ primary }) => primary?.sync.wentBack === undefined)) store.prune();
      return;
    case 'restore':
      return store.restore(1 + (choice % 5));
    case 'exchange':
      return store.exchange(1 + (choice % (store.revision + 5)));
    case 'accept':
      acceptLoss(scene);
      return;
    default:
      if (worker !== undefined) befall(node, worker, type, forMs, untilMs);
  }
}

type WorkerFault = 'freeze_worker' | 'crash_worker' | 'miss_delta' | 'slow_worker';

function befall(node: Node, worker: Worker, type: WorkerFault, forMs: number, untilMs: number): void {
  switch (type) {
    case 'freeze_worker':
      worker.process.frozenUntilMs = untilMs;
      return;
    case 'crash_worker':
      return node.crashWorker(worker, forMs);
    case 'miss_delta':
      worker.missesDelta = true;
      return;
    case 'slow_worker':
      worker.slowMs = forMs / 10;
      return;
    default:
      return type satisfies never;
  }
}

/** An operator, told by an alarm of any node. */
function acceptLoss({ nodes, clients }: Scene): boolean {
  const alarmed = nodes.find(({ primary }) => primary?.sync.wentBack !== undefined);
  if (alarmed !== undefined) clients.accept(alarmed);
  return alarmed !== undefined;
}

/** The faults end; then what must be true. */
function quieten(scene: Scene, onOver: () => void): void {
  const { timeline, network, store, nodes, clients, violated, say } = scene;
  say('-- the faults end');
  network.calm();
  for (const node of nodes) {
    node.cutFromStoreUntilMs = 0;
    node.cutFromRedisUntilMs = 0;
    node.startPrimary();
    if (node.primary !== undefined) node.primary.process.frozenUntilMs = 0;
    for (const worker of node.workers) Object.assign(worker, { slowMs: 0, missesDelta: false });
  }
  timeline.after(SETTLE_MS, undefined, () => {
    for (const { name, primary } of nodes) {
      const head = primary?.publisher.head;
      if (head?.epoch === store.epoch && head.revision > store.revision && primary?.sync.wentBack === undefined)
        violated('loss-not-told', `${name} published ${head.revision}, the store is at ${store.revision}`);
    }
    acceptAll(scene, nodes.length, () => {
      clients.write(scene.random.below(nodes.length), 0, (outcome) => {
        if (outcome?.ok !== true) violated('no-write-after-faults', JSON.stringify(outcome));
        timeline.after(BOUND_MS, undefined, () => {
          checkQuiet(store, nodes, violated);
          onOver();
        });
      });
    });
  });
}

/** Where nodes know different revisions, and Redis has forgotten, one after the other is to be answered. */
function acceptAll(scene: Scene, left: number, onOver: () => void): void {
  if (left === 0 || !acceptLoss(scene)) return onOver();
  scene.timeline.after(FOLLOW_MS, undefined, () => acceptAll(scene, left - 1, onOver));
}
