// The two nodes: each drains, dies, and comes back with its port and folder, of one build or another.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createReleases } from '../../test/support/releases.ts';
import { freePort, type Service, startService } from '../../test/support/service.ts';

export interface Node {
  /** As the proxy calls it. */
  readonly name: string;
  readonly port: number;
  readonly metricsPort: number;
  service(): Service;
  /** What all its processes have written. */
  output(): string;
  /** By the main script of a build; resolves when it is ready. */
  start(main: string): Promise<void>;
  close(): Promise<void>;
}

export interface Builds {
  readonly folder: string;
  /** The main script of a build. */
  main(name: string): string;
}

export function makeBuilds(names: readonly string[]): Builds {
  const folder = mkdtempSync(join(tmpdir(), 'burgee-topology-builds-'));
  const releases = createReleases(folder);
  for (const name of names) releases.make(name);
  return { folder, main: (name) => join(folder, 'releases', name, 'dist', 'main.js') };
}

export async function createNode(name: string, workers: number, env: Readonly<Record<string, string>>): Promise<Node> {
  const port = await freePort();
  const metricsPort = await freePort();
  const dataDir = mkdtempSync(join(tmpdir(), `burgee-topology-${name}-`));
  let current: Service | undefined;
  let before = '';
  return {
    name,
    port,
    metricsPort,
    service: () => current as Service,
    output: () => before + (current?.output() ?? ''),
    async start(main) {
      before += current?.output() ?? '';
      current = await startService({
        port,
        dataDir,
        main,
        workers,
        env: { ...env, METRICS_PORT: String(metricsPort) },
      });
    },
    async close() {
      await current?.killAll();
      rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
