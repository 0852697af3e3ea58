// Several nodes that share a key's limit, in simulated time: each with its own clock, and a way to one counter.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { WINDOW_MS } from '../../src/ipc/rate-window.ts';
import { ModelCounter, type Weather, wayTo } from './model-lease-counter.ts';
import { createNode, createWorld, type Scenario, START_MS, type WindowCount } from './rate-simulator.ts';

export interface Outage {
  /** From the first window's beginning, ms. */
  readonly atMs: number;
  readonly forMs: number;
  readonly how: 'refuses' | 'hangs';
  /** It comes back without anything. */
  readonly empties: boolean;
}

export interface NodesScenario extends Omit<Scenario, 'demand'> {
  readonly nodes: number;
  /** Requests a second. */
  readonly demand: (node: number, slot: number, windowIndex: number, intoWindowMs: number) => number;
  /** Clocks are wrong by as much at most, ms. */
  readonly skewMs: number;
  /** Of questions to the counter, and of its answers, that are lost. */
  readonly lossPart: number;
  readonly outages: readonly Outage[];
}

export async function simulateNodes(scenario: NodesScenario): Promise<WindowCount[]> {
  const world = createWorld(scenario);
  const { clock, random } = world;
  const model = new ModelCounter();
  const weather: Weather = { away: 'no' };
  const nodes = Array.from({ length: scenario.nodes }, (_, node) => {
    const ledgerFolder = join(scenario.ledgerFolder, String(node));
    mkdirSync(ledgerFolder, { recursive: true });
    const onSettled = (): void => {
      world.settled = true;
    };
    const way = { weather, now: clock.now, at: clock.at, random, lossPart: scenario.lossPart, onSettled };
    const counter = wayTo(model, way);
    const demand: Scenario['demand'] = (slot, window, ms) => scenario.demand(node, slot, window, ms);
    const skewMs = (random() * 2 - 1) * scenario.skewMs;
    return createNode({ ...scenario, ledgerFolder, demand }, world, { counter, skewMs });
  });
  for (const { atMs, forMs, how, empties } of scenario.outages) {
    clock.at(START_MS + atMs, () => {
      weather.away = how;
      clock.at(clock.now() + forMs, () => {
        weather.away = 'no';
        if (empties) model.empty();
      });
    });
  }
  for (const node of nodes) node.start();
  await clock.runUntil(START_MS + scenario.windows * WINDOW_MS - 0.001, () => {
    const turns = world.settled ? 14 : world.waiting > 0 ? 4 : 1;
    world.settled = false;
    return turns;
  });
  for (const node of nodes) node.close();
  return world.counts;
}
