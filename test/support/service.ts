// The whole service as a user runs it: dist/main.js as a child on a free loopback port with a DATA_DIR of its own.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transportUnderTest } from './transport.ts';

export const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
export const ADMIN_KEY = 'burgee_admin_0123456789abcdefghijklmnopqrstuvwxyzABCDE_00000000';

export interface Service {
  readonly url: string;
  readonly port: number;
  readonly dataDir: string;
  readonly launcher: ChildProcess;
  /** Everything written to stdout and stderr so far. */
  output(): string;
  primaryPid(): number;
  workerPids(): number[];
  /** Asks the API with the admin key. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into replies of every route
  api(path: string, init?: RequestInit & { json?: unknown }): Promise<{ status: number; headers: Headers; body: any }>;
  /** Ends the launcher with a signal and resolves with its exit code when it is gone. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
  /** SIGKILLs every process of the service at once. */
  killAll(): Promise<void>;
}

export interface ServiceOptions {
  readonly workers?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Kept by the caller; else made and removed with stop(). */
  readonly dataDir?: string;
  readonly port?: number;
  /** Default: dist/main.js. */
  readonly main?: string;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Starts the service and resolves when it says it is ready. Rejects with its output when it exits first. */
export async function startService(options: ServiceOptions = {}): Promise<Service> {
  const port = options.port ?? (await freePort());
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'burgee-')));
  const launcher = spawn(process.execPath, [options.main ?? MAIN], {
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      PORT: String(port),
      HOST: '127.0.0.1',
      DATA_DIR: dataDir,
      WORKERS: String(options.workers ?? 2),
      BOOTSTRAP_ADMIN_KEY: ADMIN_KEY,
      LOG_LEVEL: 'info',
      TRANSPORT: transportUnderTest,
      ...options.env,
    },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let output = '';
  launcher.stdout?.on('data', (chunk) => (output += chunk));
  launcher.stderr?.on('data', (chunk) => (output += chunk));
  await new Promise<void>((resolve, reject) => {
    launcher.once('exit', (code, signal) => reject(new Error(`the service ended with ${code ?? signal}:\n${output}`)));
    launcher.on('message', (message) => message === 'ready' && resolve());
  });
  launcher.removeAllListeners('exit');
  const url = `${options.env?.['TLS_CERT_FILE'] === undefined ? 'http' : 'https'}://127.0.0.1:${port}`;

  async function gone(): Promise<number | null> {
    if (launcher.exitCode === null && launcher.signalCode === null) await once(launcher, 'exit');
    if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
    return launcher.exitCode;
  }

  const service: Service = {
    url,
    port,
    dataDir,
    launcher,
    output: () => output,
    primaryPid: () => pidIn(dataDir, 'primary.pid'),
    workerPids: () =>
      readdirSync(join(dataDir, 'run'))
        .filter((name) => /^worker-\d+\.pid$/.test(name))
        .map((name) => pidIn(dataDir, name)),
    async api(path, init = {}) {
      const { json, ...rest } = init;
      const body = json === undefined ? init.body : JSON.stringify(json);
      const response = await fetch(url + path, {
        ...rest,
        ...(body === undefined ? {} : { body }),
        headers: {
          'x-api-key': ADMIN_KEY,
          ...(json === undefined ? {} : { 'content-type': 'application/json' }),
          ...(rest.headers as object),
        },
      });
      const text = await response.text();
      return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) };
    },
    async stop(signal = 'SIGTERM') {
      launcher.kill(signal);
      return gone();
    },
    async killAll() {
      const pids = [launcher.pid as number, service.primaryPid(), ...service.workerPids()];
      for (const pid of pids) signalQuietly(pid, 'SIGKILL');
      await gone();
      while (pids.some(alive)) await new Promise(setImmediate);
    },
  };
  return service;
}

export function pidIn(dataDir: string, name: string): number {
  return Number(readFileSync(join(dataDir, 'run', name), 'utf8').split(' ')[0]);
}

export function signalQuietly(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // gone already
  }
}

/** False for zombies too: nobody waits for an adopted worker. */
export function alive(pid: number): boolean {
  if (!existsSync(`/proc/${pid}/stat`)) return false;
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** Runs dist/main.js, or another build's, to its end. */
export async function runToEnd(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  main = MAIN,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child: ChildProcess = spawn(process.execPath, [main, ...args], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk) => (stdout += chunk));
  child.stderr?.on('data', (chunk) => (stderr += chunk));
  await once(child, 'close');
  return { code: child.exitCode, stdout, stderr };
}

/** Makes a flag; throws when it is refused. */
export async function flagWith(service: Service, flag: Record<string, unknown>): Promise<void> {
  const reply = await service.api('/api/v1/flags', { method: 'POST', json: flag });
  if (reply.status !== 201) throw new Error(JSON.stringify(reply.body));
}
