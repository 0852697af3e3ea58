// One node of the real service whose processes are stopped and killed one by one. Like a service manager it starts the
// launcher again when that ends; unlike service.ts it holds no process to be the only one of its kind.
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ADMIN_KEY, alive, freePort, MAIN, pidIn, signalQuietly } from '../service.ts';

export interface NodeUnderFault {
  readonly port: number;
  readonly dataDir: string;
  readonly workers: number;
  /** What all its processes wrote. */
  output(): string;
  /** undefined while there is none. */
  launcherPid(): number | undefined;
  /** As the run folder has it; undefined when that process does not live. */
  primaryPid(): number | undefined;
  /** Those of the run folder that live, stopped ones too. */
  workerPids(): number[];
  /** Every living process of this DATA_DIR. */
  processes(): number[];
  /** Starts a launcher unless one lives; resolves when it said that it is ready, or ended. */
  startLauncher(): Promise<void>;
  /** SIGKILL, and no other is started until startLauncher(). */
  killLauncher(): void;
  /**
   * Another launcher on this DATA_DIR with a port of its own, as of a second container on one volume, which no lock of the
   * port keeps away. Returns what SIGKILLs it.
   */
  startRival(port: number): () => void;
  /** SIGTERM to the launcher; resolves with the pids that are left when it has ended. Kills those. */
  stop(): Promise<readonly number[]>;
  /** After stop(). */
  remove(): Promise<void>;
}

/** How long a service manager waits before it starts what ended. */
const RESTART_MS = 200;

export async function startNode(options: {
  readonly workers: number;
  readonly main?: string | undefined;
  /** A DATA_DIR whose embedded database is copied: making one takes seconds. */
  readonly template?: string | undefined;
}): Promise<NodeUnderFault> {
  const port = await freePort();
  const dataDir = await mkdtemp(join(tmpdir(), 'burgee-hand-over-'));
  if (options.template !== undefined) await cp(join(options.template, 'pg'), join(dataDir, 'pg'), { recursive: true });
  let output = '';
  let launcher: ChildProcess | undefined;
  let wanted = true;

  function spawnLauncher(ownPort: number): ChildProcess {
    const child = spawn(process.execPath, [options.main ?? MAIN], {
      env: {
        PATH: process.env['PATH'],
        HOME: process.env['HOME'],
        PORT: String(ownPort),
        HOST: '127.0.0.1',
        DATA_DIR: dataDir,
        WORKERS: String(options.workers),
        BOOTSTRAP_ADMIN_KEY: ADMIN_KEY,
        // The longest that a worker told to go keeps a schedule waiting.
        SHUTDOWN_TIMEOUT_MS: '5000',
        ACCESS_LOG: 'errors',
      },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    child.stdout?.on('data', (chunk) => (output += chunk));
    child.stderr?.on('data', (chunk) => (output += chunk));
    return child;
  }
  function startLauncher(): Promise<void> {
    if (launcher !== undefined) return Promise.resolve();
    wanted = true;
    const child = spawnLauncher(port);
    launcher = child;
    return new Promise((resolve) => {
      child.on('message', (message) => message === 'ready' && resolve());
      child.once('exit', (code, signal) => {
        output += `[the launcher ended with ${code ?? signal}]\n`;
        if (launcher === child) launcher = undefined;
        if (wanted) setTimeout(() => wanted && void startLauncher(), RESTART_MS);
        resolve();
      });
    });
  }

  const node: NodeUnderFault = {
    port,
    dataDir,
    workers: options.workers,
    output: () => output,
    launcherPid: () => launcher?.pid,
    primaryPid: () => livingIn(dataDir, 'primary.pid'),
    workerPids: () =>
      readdirSync(join(dataDir, 'run'))
        .filter((name) => /^worker-\d+\.pid$/.test(name))
        .map((name) => livingIn(dataDir, name))
        .filter((pid) => pid !== undefined),
    processes: () => processesOf(dataDir),
    startLauncher,
    killLauncher() {
      wanted = false;
      launcher?.kill('SIGKILL');
      launcher = undefined;
    },
    startRival(rivalPort) {
      const rival = spawnLauncher(rivalPort);
      return () => void rival.kill('SIGKILL');
    },
    async stop() {
      wanted = false;
      const ending = launcher;
      for (const pid of node.processes()) signalQuietly(pid, 'SIGCONT');
      if (ending !== undefined) {
        const exited = new Promise((resolve) => ending.once('exit', resolve));
        ending.kill('SIGTERM');
        await exited;
      }
      const left = node.processes();
      for (const pid of left) signalQuietly(pid, 'SIGKILL');
      while (left.some(alive)) await pause(5);
      return left;
    },
    remove: () => rm(dataDir, { recursive: true, force: true, maxRetries: 5 }),
  };
  await startLauncher();
  if (launcher === undefined) throw new Error(`the service ended:\n${output}`);
  return node;
}

function livingIn(dataDir: string, name: string): number | undefined {
  try {
    const pid = pidIn(dataDir, name);
    return alive(pid) ? pid : undefined;
  } catch {
    return undefined;
  }
}

function processesOf(dataDir: string): number[] {
  const mark = `DATA_DIR=${dataDir}\0`;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => quietly(() => readFileSync(`/proc/${pid}/environ`, 'latin1').includes(mark)) === true)
    .map(Number);
}

/** R, S, D, T, Z as in /proc/PID/stat; undefined when there is no such process. */
export function stateOf(pid: number): string | undefined {
  return quietly(() => /\) (\S) /.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.[1]);
}

/** The process that holds the server's end of a loopback connection; undefined while it waits to be accepted. */
export function ownerOf(serverPort: number, clientPort: number, pids: readonly number[]): number | undefined {
  const [server, client] = [serverPort, clientPort].map((port) => port.toString(16).toUpperCase().padStart(4, '0'));
  const line = readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .find((each) => each.includes(` 0100007F:${server} 0100007F:${client} `));
  const inode = line?.trim().split(/\s+/)[9];
  if (inode === undefined || inode === '0') return undefined;
  return pids.find((pid) => {
    const names = quietly(() => readdirSync(`/proc/${pid}/fd`)) ?? [];
    return names.some((name) => quietly(() => readlinkSync(`/proc/${pid}/fd/${name}`)) === `socket:[${inode}]`);
  });
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** undefined for what is gone by the time it is looked at. */
function quietly<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}
