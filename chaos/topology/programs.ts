// HAProxy and Prometheus as processes, each with the very files of deploy/; only addresses are others.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../test/support/service.ts';

const DEPLOY = fileURLToPath(new URL('../../deploy', import.meta.url));
const POLL_MS = 50;

export interface HaProxy {
  readonly port: number;
  readonly metricsPort: number;
  /** Names of the nodes that it sends requests to, as its own metrics say it. */
  nodesUp(): Promise<string[]>;
  close(): Promise<void>;
}

export interface Prometheus {
  readonly version: string;
  /** The values of an instant query. Rejects when Prometheus does not take it. */
  query(expr: string): Promise<number[]>;
  /** Its API, as what `data` holds. */
  // biome-ignore lint/suspicious/noExplicitAny: another program's replies
  api(path: string): Promise<any>;
  close(): Promise<void>;
}

/** The first line of `PROGRAM ...args`; undefined: it is not on PATH. */
export function versionOf(program: string, ...args: string[]): string | undefined {
  const { error, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  return error === undefined ? (stdout || stderr).split('\n')[0] : undefined;
}

/** `nodes`: the ports of node-a and node-b. */
export async function startProxy(nodes: readonly [number, number]): Promise<HaProxy> {
  const port = await freePort();
  const metricsPort = await freePort();
  const env = {
    NODE_A: `127.0.0.1:${nodes[0]}`,
    NODE_B: `127.0.0.1:${nodes[1]}`,
    BIND: `127.0.0.1:${port}`,
    METRICS_BIND: `127.0.0.1:${metricsPort}`,
    // Two open files each, as many as any machine lets one have.
    CONNECTIONS: '400',
  };
  const child = spawn('haproxy', ['-db', '-f', join(DEPLOY, 'haproxy/haproxy.cfg')], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const metrics = `http://127.0.0.1:${metricsPort}/metrics`;
  await answers(child, metrics);
  return {
    port,
    metricsPort,
    async nodesUp() {
      const text = await (await fetch(metrics)).text();
      const lines = text.matchAll(/^haproxy_server_status\{proxy="nodes",server="([^"]+)",state="UP"\} 1$/gm);
      return [...lines].map(([, name]) => `${name}`);
    },
    close: () => end(child),
  };
}

export async function startPrometheus(nodes: readonly number[], proxy: number): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'burgee-prometheus-'));
  cpSync(join(DEPLOY, 'prometheus'), folder, { recursive: true });
  for (const [name, ports] of [['burgee', nodes] as const, ['haproxy', [proxy]] as const]) {
    const targets = [{ targets: ports.map((port) => `127.0.0.1:${port}`) }];
    writeFileSync(join(folder, `targets/${name}.yml`), JSON.stringify(targets));
  }
  const url = `http://127.0.0.1:${await freePort()}`;
  const args = [
    `--config.file=${join(folder, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=${new URL(url).host}`,
  ];
  const child = spawn('prometheus', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  await answers(child, `${url}/-/ready`);

  // biome-ignore lint/suspicious/noExplicitAny: another program's replies
  async function api(path: string): Promise<any> {
    const reply = (await (await fetch(`${url}/api/v1/${path}`)).json()) as { data?: unknown; error?: string };
    if (reply.error !== undefined) throw new Error(`${path}: ${reply.error}`);
    return reply.data;
  }
  return {
    version: versionOf('prometheus', '--version') ?? '',
    api,
    async query(expr) {
      const { result } = await api(`query?query=${encodeURIComponent(expr)}`);
      return (result as { value: [number, string] }[]).map(({ value }) => Number(value[1]));
    },
    async close() {
      await end(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Resolves when the address says 200; rejects with what the program said when it ends first. */
async function answers(child: ChildProcess, url: string): Promise<void> {
  let said = '';
  child.stderr?.on('data', (chunk) => (said = `${said}${chunk}`.slice(-4000)));
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${child.spawnfile} ended:\n${said}`);
    const status = await fetch(url).then(
      (reply) => reply.status,
      () => 0,
    );
    if (status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  // A proxy waits for its connections.
  const timer = setTimeout(() => child.kill('SIGKILL'), 2000);
  await ended;
  clearTimeout(timer);
}
