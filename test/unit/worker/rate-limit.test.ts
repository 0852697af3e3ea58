// The rate limit of a whole node, in simulated time, over random schedules: what must hold whatever happens.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { createRandom, type Scenario, simulate } from '../../support/rate-simulator.ts';

const WINDOWS = 2;
const NEVER = Number.POSITIVE_INFINITY;

type Demand = Scenario['demand'];

/** Requests a second on a node, so that there are `times` the limit in a window. */
const rate = (limit: number, times: number): number => (limit * times) / 60;

const demands: Readonly<Record<string, (limit: number, workers: number, seed: number) => Demand>> = {
  'evenly on all workers': (limit, workers) => () => rate(limit, 5) / workers,
  'all on one worker': (limit) => (slot) => (slot === 1 ? rate(limit, 5) : 0),
  'just above the limit, all on one worker': (limit) => (slot) => (slot === 0 ? rate(limit, 1.15) : 0),
  'just above the limit, evenly': (limit, workers) => () => rate(limit, 1.15) / workers,
  'jumping from worker to worker every 150 ms': (limit, workers) => (slot, _window, ms) =>
    slot === Math.floor(ms / 150) % workers ? rate(limit, 3) : 0,
  'skewed at random, another way every second': (limit, workers, seed) => (slot, window, ms) => {
    const share = createRandom(seed + window * 1000 + Math.floor(ms / 1000) * 7 + slot)() ** 4;
    return (share * 5 * rate(limit, 3)) / workers;
  },
  'all in the last two seconds, on one worker': (limit) => (slot, _window, ms) =>
    slot === 2 && ms > 58_000 ? limit : 0,
  'all in the last two seconds, evenly': (limit, workers) => (_slot, _window, ms) =>
    ms > 58_000 ? limit / workers : 0,
  'a trickle on three workers, then a flood on the fourth': (limit) => (slot, _window, ms) =>
    slot < 3 ? rate(limit, 0.1) : ms > 57_000 ? limit / 2 : 0,
};

let seed = 1;

for (const [name, make] of Object.entries(demands)) {
  test(`demand ${name}: never above the limit, and 98 % of it from 600 on`, async (t) => {
    for (const limit of [600, 3000])
      await check(t, { limit, workers: 4, make, workerDeathsEveryMs: NEVER, primaryDeathsEveryMs: NEVER });
  });
}

test('sixteen workers: never above the limit, and 98 % of it from 600 on', async (t) => {
  for (const name of ['evenly on all workers', 'all on one worker', 'jumping from worker to worker every 150 ms']) {
    await check(t, {
      limit: 600,
      workers: 16,
      make: demands[name] as never,
      workerDeathsEveryMs: NEVER,
      primaryDeathsEveryMs: NEVER,
    });
  }
});

test('a limit of 1, of 7 and of 50 is used to the last, and never exceeded', async (t) => {
  for (const limit of [1, 7, 50]) {
    const counts = await check(t, {
      limit,
      workers: 4,
      make: () => () => 5,
      workerDeathsEveryMs: NEVER,
      primaryDeathsEveryMs: NEVER,
    });
    for (const count of counts) t.equal(count.admitted, limit);
  }
});

test('workers that die at any time: never above the limit', async (t) => {
  for (let round = 0; round < 12; round++) {
    const limit = [5, 600, 1000, 2000][round % 4] as number;
    const make = Object.values(demands)[round % Object.keys(demands).length] as never;
    await check(t, { limit, workers: 4, make, workerDeathsEveryMs: 3000, primaryDeathsEveryMs: NEVER });
  }
});

test('primaries that are replaced at any time: never above the limit', async (t) => {
  for (let round = 0; round < 12; round++) {
    const limit = [5, 600, 1000, 2000][round % 4] as number;
    const make = Object.values(demands)[round % Object.keys(demands).length] as never;
    await check(t, { limit, workers: 4, make, workerDeathsEveryMs: NEVER, primaryDeathsEveryMs: 9000 });
  }
});

test('workers and primaries that die at any time, together and apart: never above the limit', async (t) => {
  for (let round = 0; round < 30; round++) {
    const limit = [4, 600, 1000, 2000][round % 4] as number;
    const make = Object.values(demands)[round % Object.keys(demands).length] as never;
    await check(t, { limit, workers: 4, make, workerDeathsEveryMs: 4000, primaryDeathsEveryMs: 7000 });
  }
});

async function check(
  t: Test,
  given: Omit<Scenario, 'seed' | 'windows' | 'ledgerFolder' | 'demand'> & {
    make: (limit: number, workers: number, seed: number) => Demand;
  },
): Promise<Awaited<ReturnType<typeof simulate>>> {
  const { make, ...rest } = given;
  seed++;
  const ledgerFolder = join(t.testdirName, String(seed));
  mkdirSync(ledgerFolder, { recursive: true });
  t.teardown(() => rmSync(t.testdirName, { recursive: true, force: true }));
  const counts = await simulate({
    ...rest,
    seed,
    windows: WINDOWS,
    ledgerFolder,
    demand: make(rest.limit, rest.workers, seed),
  });
  const nobodyDied = rest.workerDeathsEveryMs === NEVER && rest.primaryDeathsEveryMs === NEVER;
  for (const [index, count] of counts.entries()) {
    const place = `seed ${seed}, limit ${rest.limit}, window ${index}: ${JSON.stringify(count)}`;
    t.ok(count.admitted <= rest.limit, `not above: ${place}`);
    t.ok(count.longestWaitMs <= 50.001, `nobody waited longer than 50 ms: ${place}`);
    if (nobodyDied && rest.limit >= 600)
      t.ok(count.admitted >= Math.min(rest.limit, count.demand) * 0.98, `98 %: ${place}`);
  }
  return counts;
}
