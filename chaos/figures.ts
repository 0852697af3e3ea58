// What the experiments with several nodes count and print alike.
import { parseArgs } from 'node:util';
import { type Load, type LoadRecord, startLoad } from '../test/support/load.ts';
import { type Backends, findBackends, startBackends } from '../test/support/nodes.ts';
import { ADMIN_KEY, type Service } from '../test/support/service.ts';
import { quantile } from './connection.ts';

/** `--name value` on the command line. */
export function optionsOf(defaults: Readonly<Record<string, string>>): Record<string, string> {
  const options = Object.fromEntries(
    Object.entries(defaults).map(([name, value]) => [name, { type: 'string' as const, default: value }]),
  );
  return parseArgs({ options }).values as Record<string, string>;
}

/** Ends the experiment where a server cannot be had. */
export async function backendsOrEnd(settings: readonly string[] = []): Promise<Backends> {
  const found = findBackends();
  if (!('missing' in found)) return startBackends(found, settings);
  console.error(found.missing);
  process.exit(1);
}

export interface NodesLoad {
  /** What came since this was last asked. */
  figures(): LoadFigures;
  stop(): Promise<LoadRecord[]>;
}

export interface LoadFigures {
  readonly answers: number;
  readonly failed: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly slowestMs: number;
  /** The largest X-Flags-Stale; 0: none was stale. */
  readonly staleSecondsMax: number;
  readonly reasons: readonly string[];
}

/** The same constant load on each node. */
export function startNodesLoad(nodes: readonly Service[], path: string, connections = 4, thinkMs = 10): NodesLoad {
  let tookMs: number[] = [];
  let staleSecondsMax = 0;
  let failedBefore = 0;
  const onAnswer = (ms: number, head: string): void => {
    tookMs.push(ms);
    const stale = /^x-flags-stale: (\d+)/im.exec(head)?.[1];
    if (stale !== undefined) staleSecondsMax = Math.max(staleSecondsMax, Number(stale));
  };
  const loads: readonly Load[] = nodes.map(({ port }) =>
    startLoad({ port, path, key: ADMIN_KEY, connections, thinkMs, onAnswer }),
  );
  return {
    figures() {
      const failed = loads.reduce((sum, { record }) => sum + record.failed, 0);
      const figures = {
        answers: tookMs.length,
        failed: failed - failedBefore,
        p50Ms: quantile(tookMs, 0.5),
        p99Ms: quantile(tookMs, 0.99),
        slowestMs: tookMs.reduce((most, ms) => Math.max(most, ms), 0),
        staleSecondsMax,
        reasons: loads.flatMap(({ record }) => record.reasons),
      };
      tookMs = [];
      staleSecondsMax = 0;
      failedBefore = failed;
      return figures;
    },
    stop: () => Promise.all(loads.map((load) => load.stop())),
  };
}

/** The sum of the node's metrics whose names begin so. */
export async function metricsOf(node: Service, prefix: string): Promise<number> {
  const text = await (await fetch(`${node.url}/metrics`, { headers: { 'x-api-key': ADMIN_KEY } })).text();
  const lines = text.split('\n').filter((line) => line.startsWith(prefix));
  if (lines.length === 0) throw new Error(`no metric begins with ${prefix}`);
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

export function ms(value: number): string {
  return value >= 100 ? `${value.toFixed(0)} ms` : `${value.toFixed(1)} ms`;
}

export function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}
