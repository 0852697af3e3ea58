// The rate limit of one key over several nodes, in simulated time, over random schedules: what must hold whatever happens.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { type NodesScenario, simulateNodes } from '../../support/nodes-rate-simulator.ts';
import type { WindowCount } from '../../support/rate-simulator.ts';

const WINDOWS = 2;
const NEVER = Number.POSITIVE_INFINITY;
const WORKERS = 2;

type Demand = NodesScenario['demand'];

/** Requests a second on all nodes, so that there are `times` the limit in a window. */
const rate = (limit: number, times: number): number => (limit * times) / 60;

const demands: Readonly<Record<string, (limit: number, nodes: number) => Demand>> = {
  'evenly on all nodes': (limit, nodes) => () => rate(limit, 5) / nodes / WORKERS,
  'all on one node': (limit) => (node) => (node === 1 ? rate(limit, 5) / WORKERS : 0),
  'all on one worker of one node, just above the limit': (limit) => (node, slot) =>
    node === 1 && slot === 0 ? rate(limit, 1.15) : 0,
  'just above the limit, evenly': (limit, nodes) => () => rate(limit, 1.15) / nodes / WORKERS,
  'jumping from node to node every 400 ms': (limit, nodes) => (node, _slot, _window, ms) =>
    node === Math.floor(ms / 400) % nodes ? rate(limit, 3) / WORKERS : 0,
  'all in the last three seconds, on one node': (limit) => (node, slot, _window, ms) =>
    node === 0 && slot === 1 && ms > 57_000 ? limit : 0,
  'a trickle on all nodes but one, then a flood on that': (limit, nodes) => (node, _slot, _window, ms) =>
    node > 0 ? rate(limit, 0.3) / nodes / WORKERS : ms > 55_000 ? limit / 2 : 0,
};

let seed = Number(process.env['RATE_SEED'] ?? 500);

for (const [name, make] of Object.entries(demands)) {
  test(`demand ${name}: never above the limit, and 98 % of it from 600 on`, async (t) => {
    for (const [limit, nodes] of [
      [600, 3],
      [1200, 5],
    ] as const) {
      const counts = await run(t, { limit, nodes, demand: make(limit, nodes) });
      for (const count of counts) {
        t.ok(count.admitted >= Math.min(limit, count.demand) * 0.98, `98 %: ${told(limit, count)}, ${nodes} nodes`);
      }
    }
  });
}

test('a limit of 1, of 7 and of 50 over three nodes is used to the last', async (t) => {
  for (const limit of [1, 7, 50]) {
    const counts = await run(t, { limit, demand: () => 2 });
    for (const count of counts) t.equal(count.admitted, limit);
  }
});

test('primaries and workers die, questions and answers are lost: never above the limit', async (t) => {
  for (let round = 0; round < 8; round++) {
    const limit = [5, 600, 1000, 2000][round % 4] as number;
    const make = Object.values(demands)[round % Object.keys(demands).length] as (typeof demands)[string];
    await run(t, {
      limit,
      demand: make(limit, 3),
      lossPart: round < 4 ? 0.02 : 0,
      workerDeathsEveryMs: 9000,
      primaryDeathsEveryMs: 20_000,
    });
  }
});

test('a minute that begins without the counter is shared out', async (t) => {
  for (const how of ['refuses', 'hangs'] as const) {
    const outages = [{ atMs: 50_000, forMs: 75_000, how, empties: how === 'refuses' }];
    const counts = await run(t, { limit: 600, windows: 3, demand: () => rate(600, 5) / 6, outages });
    const [first, second, third] = counts as [WindowCount, WindowCount, WindowCount];
    t.ok(first.admitted >= 588, told(600, first));
    t.ok(second.admitted >= 588, told(600, second));
    t.ok(third.admitted >= 450, told(600, third));
  }
});

test('the counter goes in the middle, empty or not: what is left is shared out', async (t) => {
  for (const [index, make] of Object.values(demands).entries()) {
    const how = index % 2 === 0 ? 'refuses' : 'hangs';
    for (const empties of [true, false]) {
      const outages = [{ atMs: 22_000, forMs: 8000, how, empties } as const];
      const [, second] = await run(t, { limit: 600, demand: make(600, 3), outages });
      t.ok((second?.admitted ?? 0) >= 588, 'the next minute is whole again');
    }
  }
});

function told(limit: number, count: WindowCount): string {
  return `seed ${seed}, limit ${limit}: ${JSON.stringify(count)}`;
}

async function run(
  t: Test,
  given: Partial<NodesScenario> & Pick<NodesScenario, 'limit' | 'demand'>,
): Promise<WindowCount[]> {
  seed++;
  const ledgerFolder = mkdtempSync(join(tmpdir(), 'burgee-limits-'));
  t.teardown(() => rmSync(ledgerFolder, { recursive: true }));
  const counts = await simulateNodes({
    seed,
    nodes: 3,
    workers: WORKERS,
    windows: WINDOWS,
    skewMs: 3000,
    lossPart: 0,
    outages: [],
    workerDeathsEveryMs: NEVER,
    primaryDeathsEveryMs: NEVER,
    ...given,
    ledgerFolder,
  });
  for (const count of counts) {
    t.ok(count.admitted <= given.limit, `not above: ${told(given.limit, count)}`);
    t.ok(count.longestWaitMs <= 51, `nobody waited longer than 50 ms: ${told(given.limit, count)}`);
  }
  return counts;
}
