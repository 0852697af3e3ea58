// A real Redis of a test's own, in memory only, on a free loopback port, with a password.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './service.ts';

const PASSWORD = 'only-for-tests';

export interface RedisServer {
  readonly port: number;
  readonly url: string;
  readonly password: string;
  readonly folder: string;
  pid(): number;
  /** Runs redis-cli to its end and resolves with its output, without the last line's end. */
  cli(...args: string[]): string;
  /** SIGTERM, or SIGKILL as a crash does. What it held is lost. */
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** After stop(): an empty one on the same port. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/** True when redis-server is on PATH, or could be installed: as root on Debian. */
export function prepareRedis(): { readonly missing: string } | undefined {
  if (spawnSync('redis-server', ['--version']).status === 0) return undefined;
  if (process.getuid?.() !== 0) return { missing: 'redis-server is not on PATH' };
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const done = spawnSync('apt-get', ['install', '-y', '-q', '--no-install-recommends', 'redis-server'], {
    env,
    encoding: 'utf8',
  });
  return done.status === 0 ? undefined : { missing: `apt-get install redis-server: ${done.stderr ?? done.error}` };
}

/** `settings`: as on redis-server's command line. */
export async function startRedis(settings: readonly string[] = []): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'burgee-redis-'));
  const port = await freePort();
  let server: ChildProcess | undefined;

  async function start(): Promise<void> {
    const own = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder];
    // DEBUG SLEEP is how a hung Redis is made.
    const args = [...own, '--requirepass', PASSWORD, '--enable-debug-command', 'yes', ...settings];
    const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    server = child;
    let output = '';
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`redis-server ended with ${code}:\n${output}`)));
      child.stdout?.on('data', (chunk) => {
        output = `${output}${chunk}`.slice(-20_000);
        if (/Ready to accept connections/.test(output)) resolve();
      });
    });
    child.removeAllListeners('exit');
  }

  async function stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
    const ended = once(server, 'exit');
    server.kill(signal);
    await ended;
  }

  await start();
  return {
    port,
    url: `redis://:${PASSWORD}@127.0.0.1:${port}/0`,
    password: PASSWORD,
    folder,
    pid: () => server?.pid as number,
    cli(...args) {
      const auth = ['-h', '127.0.0.1', '-p', String(port), '-a', PASSWORD, '--no-auth-warning'];
      const done = spawnSync('redis-cli', [...auth, ...args], { encoding: 'utf8' });
      if (done.status !== 0) throw new Error(`redis-cli ${args.join(' ')}: ${done.stderr}`);
      return done.stdout.trimEnd();
    },
    stop,
    start,
    async close() {
      await stop('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
