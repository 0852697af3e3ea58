// A node in simulated time: real limiters in its workers, real rate leases and a real ledger in its primary, and between
// them links that are slow, break, and lose what is on its way. Everything follows from the seed.
import type { LeaseUse, ToPrimary } from '../../src/ipc/messages.ts';
import { WINDOW_MS } from '../../src/ipc/rate-window.ts';
import { openLeaseLedger } from '../../src/primary/lease-ledger.ts';
import { openNodeMemory } from '../../src/primary/node-memory.ts';
import type { RateLeases } from '../../src/primary/rate-leases.ts';
import { createSharedLimits, type SharedLimits } from '../../src/primary/shared-limits.ts';
import type { LeaseCounter } from '../../src/storage/lease-counter.ts';
import { ADMITTED, createLimiter, type Limiter, WAIT } from '../../src/worker/limiter.ts';
import type { ServingKey } from '../../src/worker/serving.ts';

export interface Scenario {
  readonly seed: number;
  readonly workers: number;
  readonly limit: number;
  readonly windows: number;
  /** A folder of its own. */
  readonly ledgerFolder: string;
  /** Requests a second on each slot at a time of the window (ms). */
  readonly demand: (slot: number, windowIndex: number, intoWindowMs: number) => number;
  /** Mean ms between deaths; Infinity: never. */
  readonly workerDeathsEveryMs: number;
  readonly primaryDeathsEveryMs: number;
}

export interface WindowCount {
  /** Requests that came early enough to be let through. */
  demand: number;
  /** By the clock on the wall at the moment a request was let through. */
  admitted: number;
  refused: number;
  /** Longest time a request waited, ms. */
  longestWaitMs: number;
  /** False when there was a time without a primary in it, or just before. */
  counted: boolean;
}

interface Worker {
  readonly id: string;
  readonly slot: number;
  readonly limiter: Limiter;
  alive: boolean;
  connection: Connection | undefined;
}

interface Connection {
  open: boolean;
  greeted: boolean;
  toPrimaryMs: number;
  toWorkerMs: number;
}

type Said =
  | Extract<ToPrimary, { type: 'lease_request' | 'lease_return' }>
  | { readonly type: 'report'; readonly uses: readonly LeaseUse[] };

// Some minute's beginning.
export const START_MS = 29_000_000 * WINDOW_MS;
const BEAT_MS = 250;
const REDIAL_MS = 200;

/** What the nodes of one simulation have in common. */
export interface World {
  readonly random: () => number;
  readonly clock: SimulatedClock;
  readonly counts: WindowCount[];
  /** Requests that wait for a promise. */
  waiting: number;
  /** A promise was settled from which others hang. */
  settled: boolean;
}

export async function simulate(scenario: Scenario): Promise<WindowCount[]> {
  const world = createWorld(scenario);
  const node = createNode(scenario, world);
  node.start();
  await world.clock.runUntil(START_MS + scenario.windows * WINDOW_MS - 0.001, () => (world.waiting > 0 ? 3 : 0));
  node.close();
  return world.counts;
}

export function createWorld(scenario: Pick<Scenario, 'seed' | 'windows'>): World {
  return {
    random: createRandom(scenario.seed),
    clock: createClock(START_MS - WINDOW_MS * 0.25),
    counts: Array.from(
      { length: scenario.windows },
      (): WindowCount => ({ demand: 0, admitted: 0, refused: 0, longestWaitMs: 0, counted: true }),
    ),
    waiting: 0,
    settled: false,
  };
}

/** `shared`: for a node among several, its way to what counts for all, and how far its clock is ahead. */
export function createNode(
  scenario: Scenario,
  world: World,
  shared?: { readonly counter: LeaseCounter; readonly skewMs: number },
): { start: () => void; close: () => void } {
  const { random, clock, counts } = world;
  const wallClock = (): number => clock.now() + (shared?.skewMs ?? 0);
  const key = { keyId: 'k', rateLimit: scenario.limit } as ServingKey;
  const slots: (Worker | undefined)[] = Array(scenario.workers).fill(undefined);
  let primary: RateLeases | undefined;
  let limits: SharedLimits | undefined;
  let started = 0;
  const everAlive = new Set<string>();

  const countAt = (ms: number): WindowCount | undefined => counts[Math.floor((ms - START_MS) / WINDOW_MS)];
  const delayMs = (): number => (random() < 0.02 ? random() * 30 : 0.05 + random() * 0.5);

  /** A node among several waits until it has heard what counts for all, or that it is away. */
  function startPrimary(): void {
    const own = openLimits();
    limits = own;
    if (shared === undefined) return serve(own.leases);
    void own.start().then(() => {
      if (limits === own) serve(own.leases);
    });
  }

  function openLimits(): SharedLimits {
    const isMine = (): boolean => limits === own;
    const own = createSharedLimits({
      shared: shared && { counter: shared.counter, memory: openNodeMemory(scenario.ledgerFolder, fail) },
      workers: scenario.workers,
      // Those that lived when the last primary ended may have taken shares, even if they are dead by now.
      orphans: [...everAlive],
      ledger: openLeaseLedger(scenario.ledgerFolder, fail),
      wallClock,
      timers: {
        nowMs: clock.now,
        after: (ms, run) => clock.at(clock.now() + ms, () => isMine() && run()),
        every: () => () => {},
      },
      onClock: () => {
        if (isMine()) for (const worker of slots) if (worker !== undefined) tellClock(worker);
      },
    });
    return own;
  }

  function tellClock(worker: Worker): void {
    const { connection } = worker;
    const told = limits?.clock();
    if (told === undefined || connection === undefined) return;
    connection.toWorkerMs = Math.max(connection.toWorkerMs, clock.now() + delayMs());
    clock.at(connection.toWorkerMs, () => {
      if (worker.alive && connection.open) worker.limiter.setClock(told.offsetMs, told.nodes);
    });
  }

  function serve(leases: RateLeases): void {
    primary = leases;
    for (const id of [...everAlive]) {
      if (!slots.some((worker) => worker?.id === id)) bury(id);
    }
    for (const [slot, worker] of slots.entries()) if (worker === undefined) startWorker(slot);
  }

  function bury(id: string): void {
    everAlive.delete(id);
    primary?.workerDied(id);
  }

  function startWorker(slot: number): void {
    const id = `w${slot}-${++started}`;
    const limiter = createLimiter({
      now: wallClock,
      workers: scenario.workers,
      later: (ms, run) => clock.at(clock.now() + ms, () => worker.alive && run()),
      connected: () => worker.connection !== undefined,
      requestLease: (keyId, limit, tokens) => say(worker, { type: 'lease_request', keyId, limit, tokens }),
      returnLease: (keyId, windowEndMs, tokens) => say(worker, { type: 'lease_return', keyId, windowEndMs, tokens }),
    });
    const worker: Worker = { id, slot, limiter, alive: true, connection: undefined };
    slots[slot] = worker;
    everAlive.add(id);
    dial(worker);
    beat(worker);
  }

  function dial(worker: Worker): void {
    if (!worker.alive) return;
    if (primary === undefined) return void clock.at(clock.now() + REDIAL_MS * (0.5 + random() / 2), () => dial(worker));
    worker.connection = { open: true, greeted: false, toPrimaryMs: 0, toWorkerMs: 0 };
    say(worker, { type: 'report', uses: worker.limiter.uses() });
  }

  function beat(worker: Worker): void {
    clock.at(clock.now() + BEAT_MS, () => {
      if (!worker.alive) return;
      if (worker.connection !== undefined) say(worker, { type: 'report', uses: worker.limiter.changedUses() });
      beat(worker);
    });
  }

  /** In order on each connection; nothing arrives once it is broken. */
  function say(worker: Worker, said: Said): void {
    const { connection } = worker;
    if (connection === undefined) return;
    connection.toPrimaryMs = Math.max(connection.toPrimaryMs, clock.now() + delayMs());
    clock.at(connection.toPrimaryMs, () => {
      if (connection.open && primary !== undefined) hear(worker, connection, said);
    });
  }

  function hear(worker: Worker, connection: Connection, said: Said): void {
    if (said.type === 'report') {
      if (!connection.greeted) tellClock(worker);
      connection.greeted = true;
      return primary?.report(worker.id, said.uses);
    }
    if (said.type === 'lease_return') return primary?.giveBack(worker.id, said.keyId, said.windowEndMs, said.tokens);
    const asked = primary;
    const lend = (): void => {
      if (primary !== asked || !connection.open) return;
      const lease = asked?.request(worker.id, said.keyId, said.limit, said.tokens);
      connection.toWorkerMs = Math.max(connection.toWorkerMs, clock.now() + delayMs());
      clock.at(connection.toWorkerMs, () => {
        if (lease !== undefined && worker.alive && connection.open) worker.limiter.receive(lease);
      });
    };
    const refill = asked?.refill(said.keyId, said.limit, said.tokens);
    if (refill === undefined) lend();
    else void refill.then(lend);
  }

  function killWorker(): void {
    const worker = slots[Math.floor(random() * slots.length)];
    if (worker !== undefined) {
      worker.alive = false;
      slots[worker.slot] = undefined;
      const { connection } = worker;
      // What it had written still arrives for a moment; then the primary sees the close.
      clock.at(clock.now() + random() * 5, () => {
        if (connection !== undefined) connection.open = false;
        if (primary === undefined || connection === undefined) return;
        bury(worker.id);
        clock.at(clock.now() + 100 + random() * 300, () => {
          if (primary !== undefined && slots[worker.slot] === undefined) startWorker(worker.slot);
        });
      });
    }
    clock.at(clock.now() + scenario.workerDeathsEveryMs * 2 * random(), killWorker);
  }

  function killPrimary(): void {
    primary = undefined;
    limits = undefined;
    for (const worker of slots) {
      if (worker?.connection === undefined) continue;
      const { connection } = worker;
      // A lease that is on its way may still arrive, or not.
      clock.at(clock.now() + random() * 3, () => {
        connection.open = false;
        if (!worker.alive) return;
        worker.connection = undefined;
        dial(worker);
      });
    }
    const awayMs = 20 + random() * 4000;
    for (const ms of [clock.now() - 1000, clock.now() + awayMs + 1000]) {
      const count = countAt(ms);
      if (count !== undefined) count.counted = false;
    }
    clock.at(clock.now() + awayMs, startPrimary);
    clock.at(clock.now() + awayMs + scenario.primaryDeathsEveryMs * 2 * random(), killPrimary);
  }

  function demandOn(slot: number): void {
    const intoMs = clock.now() - START_MS;
    const windowIndex = Math.floor(intoMs / WINDOW_MS);
    const perSecond = scenario.demand(slot, windowIndex, ((intoMs % WINDOW_MS) + WINDOW_MS) % WINDOW_MS);
    const worker = slots[slot];
    if (perSecond > 0 && worker?.alive === true) request(worker);
    clock.at(clock.now() + (perSecond > 0 ? (-Math.log(1 - random()) * 1000) / perSecond : 15), () => demandOn(slot));
  }

  function request(worker: Worker): void {
    const cameMs = clock.now();
    const count = countAt(cameMs);
    if (count !== undefined && (cameMs - START_MS) % WINDOW_MS < WINDOW_MS - 100) count.demand++;
    const settle = (admitted: boolean): void => {
      // A worker that died meanwhile answered nobody.
      const at = countAt(clock.now());
      if (at === undefined || !worker.alive) return;
      at[admitted ? 'admitted' : 'refused']++;
      at.longestWaitMs = Math.max(at.longestWaitMs, clock.now() - cameMs);
    };
    const verdict = worker.limiter.tryTake(key, wallClock());
    if (verdict !== WAIT) return settle(verdict === ADMITTED);
    world.waiting++;
    void worker.limiter.waitTake(key).then((admitted) => {
      world.waiting--;
      settle(admitted);
    });
  }

  return {
    start() {
      startPrimary();
      for (let slot = 0; slot < slots.length; slot++) demandOn(slot);
      if (scenario.workerDeathsEveryMs < Number.POSITIVE_INFINITY)
        clock.at(clock.now() + scenario.workerDeathsEveryMs * 2 * random(), killWorker);
      if (scenario.primaryDeathsEveryMs < Number.POSITIVE_INFINITY)
        clock.at(clock.now() + scenario.primaryDeathsEveryMs * 2 * random(), killPrimary);
    },
    close() {
      for (const worker of slots) worker?.limiter.close();
    },
  };
}

function fail(fields: object): never {
  throw new Error(JSON.stringify(fields));
}

export interface SimulatedClock {
  now(): number;
  at(ms: number, run: () => void): () => void;
  /** `turns`: how long a chain of promises may settle after each step. */
  runUntil(ms: number, turns: () => number): Promise<void>;
}

interface Happening {
  readonly ms: number;
  readonly order: number;
  run: (() => void) | undefined;
}

/** A binary heap of what is to happen. Promises settle before time goes on. */
function createClock(startMs: number): SimulatedClock {
  const heap: Happening[] = [];
  let nowMs = startMs;
  let order = 0;

  const before = (a: number, b: number): boolean => {
    const [x, y] = [heap[a] as Happening, heap[b] as Happening];
    return x.ms < y.ms || (x.ms === y.ms && x.order < y.order);
  };
  const swap = (a: number, b: number): void => {
    [heap[a], heap[b]] = [heap[b] as Happening, heap[a] as Happening];
  };

  function pop(): Happening {
    const top = heap[0] as Happening;
    const last = heap.pop() as Happening;
    if (heap.length === 0) return top;
    heap[0] = last;
    for (let at = 0; ; ) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) if (child < heap.length && before(child, least)) least = child;
      if (least === at) return top;
      swap(at, least);
      at = least;
    }
  }

  return {
    now: () => nowMs,
    at(ms, run) {
      const happening: Happening = { ms: Math.max(ms, nowMs), order: order++, run };
      heap.push(happening);
      for (let at = heap.length - 1; at > 0 && before(at, (at - 1) >> 1); at = (at - 1) >> 1) swap(at, (at - 1) >> 1);
      return () => {
        happening.run = undefined;
      };
    },
    async runUntil(ms, turns) {
      while (heap.length > 0 && (heap[0] as Happening).ms <= ms) {
        const { ms: atMs, run } = pop();
        nowMs = atMs;
        run?.();
        for (let turn = turns(); turn > 0; turn--) await undefined;
      }
    },
  };
}

/** mulberry32: small, even, the same everywhere. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
