// Redis as several processes on loopback: a cluster of three masters, and a master with a replica under three sentinels.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './service.ts';

const PASSWORD = 'only-for-tests';

export interface RedisNode {
  readonly port: number;
  cli(...args: string[]): string;
  /** As a crash does. */
  kill(): Promise<void>;
}

export interface RedisTopology {
  readonly url: string;
  readonly nodes: readonly RedisNode[];
  close(): Promise<void>;
}

/** Three masters that share the slots. */
export async function startRedisCluster(): Promise<RedisTopology> {
  const folder = mkdtempSync(join(tmpdir(), 'burgee-cluster-'));
  const nodes: StartedNode[] = [];
  for (let index = 0; index < 3; index++) nodes.push(await startNode(folder, ['--cluster-enabled', 'yes']));
  const hosts = nodes.map(({ port }) => `127.0.0.1:${port}`);
  const auth = ['-a', PASSWORD, '--no-auth-warning'];
  const made = spawnSync('redis-cli', [...auth, '--cluster', 'create', ...hosts, '--cluster-yes'], {
    encoding: 'utf8',
  });
  if (made.status !== 0) throw new Error(`redis-cli --cluster create: ${made.stdout}${made.stderr}`);
  await until(() => nodes.every((node) => /cluster_state:ok/.test(node.cli('cluster', 'info'))));
  return topology(folder, nodes, `redis+cluster://:${PASSWORD}@${hosts.join(',')}`);
}

/** The first node is the master, the second its replica; the sentinels act after 500 ms of silence. */
export async function startSentinels(): Promise<RedisTopology> {
  const folder = mkdtempSync(join(tmpdir(), 'burgee-sentinel-'));
  const master = await startNode(folder, ['--masterauth', PASSWORD, '--repl-diskless-sync-delay', '0']);
  const replica = await startNode(folder, ['--masterauth', PASSWORD, '--replicaof', '127.0.0.1', String(master.port)]);
  await until(() => /master_link_status:up/.test(replica.cli('info', 'replication')));
  const sentinels: StartedNode[] = [];
  for (let index = 0; index < 3; index++) sentinels.push(await startSentinel(folder, master.port));
  await until(() => sentinels.every((sentinel) => /slaves=1,sentinels=3/.test(sentinel.cli('info', 'sentinel'))));
  const hosts = sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',');
  return topology(folder, [master, replica, ...sentinels], `redis+sentinel://:${PASSWORD}@${hosts}/main`);
}

interface StartedNode extends RedisNode {
  readonly child: ChildProcess;
}

async function startNode(folder: string, settings: readonly string[]): Promise<StartedNode> {
  const port = await freePort();
  const dir = join(folder, String(port));
  mkdirSync(dir);
  const own = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', dir];
  return started(port, [...own, '--requirepass', PASSWORD, ...settings], /Ready to accept connections/, PASSWORD);
}

async function startSentinel(folder: string, masterPort: number): Promise<StartedNode> {
  const port = await freePort();
  const file = join(folder, `sentinel-${port}.conf`);
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${folder}`,
    `sentinel monitor main 127.0.0.1 ${masterPort} 2`,
    `sentinel auth-pass main ${PASSWORD}`,
    'sentinel down-after-milliseconds main 500',
    'sentinel failover-timeout main 3000',
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  return started(port, [file, '--sentinel'], /\+monitor master/, undefined);
}

async function started(
  port: number,
  args: readonly string[],
  ready: RegExp,
  password: string | undefined,
): Promise<StartedNode> {
  const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`redis-server ended with ${code}:\n${output}`)));
    child.stdout?.on('data', (chunk) => {
      output = `${output}${chunk}`.slice(-20_000);
      if (ready.test(output)) resolve();
    });
  });
  child.removeAllListeners('exit');
  return {
    port,
    child,
    cli(...more) {
      const auth = password === undefined ? [] : ['-a', password, '--no-auth-warning'];
      const done = spawnSync('redis-cli', ['-p', String(port), ...auth, ...more], { encoding: 'utf8' });
      if (done.status !== 0) throw new Error(`redis-cli ${more.join(' ')}: ${done.stderr}`);
      return done.stdout.trimEnd();
    },
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}

function topology(folder: string, nodes: readonly StartedNode[], url: string): RedisTopology {
  return {
    url,
    nodes,
    async close() {
      await Promise.all(nodes.map((node) => node.kill()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 50));
}
