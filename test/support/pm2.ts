// A real PM2 with a home of its own, and the service under it as an operator starts it: by ecosystem.config.cjs.
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ADMIN_KEY, alive, freePort, pidIn, signalQuietly } from './service.ts';

const VERSION = '7.0.4';
const ECOSYSTEM = fileURLToPath(new URL('../../ecosystem.config.cjs', import.meta.url));
const POLL_MS = 50;

export interface Pm2Process {
  readonly pid: number;
  readonly status: string;
  /** How often PM2 has started it again. */
  readonly restarts: number;
}

export interface Pm2Service {
  readonly port: number;
  readonly url: string;
  readonly dataDir: string;
  /** Runs the pm2 command to its end, from the root folder; resolves with its exit code and output. */
  pm2(...args: string[]): Promise<{ code: number; output: string }>;
  /** `pm2 start` with the repository's ecosystem file; `env` on top of the service's variables. */
  start(env?: Readonly<Record<string, string>>): Promise<{ code: number; output: string }>;
  /** Makes a boolean flag that is on for half of the users. */
  makeFlag(flagId: string): Promise<void>;
  /** What PM2 says of a process; undefined when it knows none of that name. */
  seen(name?: string): Promise<Pm2Process | undefined>;
  /** What the service wrote to standard output. */
  log(): string;
  daemonPid(): number;
  pid(role: 'launcher' | 'primary' | 'worker-1' | 'worker-2'): number;
  workerPids(): number[];
  /** What a process was started with. */
  argv(pid: number): string[];
  /** Every living process that was started with this DATA_DIR, whatever the pid files say. */
  processes(): number[];
  /** Ends PM2 and whatever the service left, and removes both folders. */
  close(): Promise<void>;
}

/** The program of a PM2 that is kept from run to run; or why there is none. */
export function preparePm2(): { readonly program: string } | { readonly missing: string } {
  const folder = fileURLToPath(new URL(`../../node_modules/.cache/burgee-pm2-${VERSION}`, import.meta.url));
  const program = join(folder, 'node_modules', 'pm2', 'bin', 'pm2');
  if (existsSync(program)) return { program };
  const made = `${folder}.new-${process.pid}`;
  rmSync(made, { recursive: true, force: true });
  mkdirSync(made, { recursive: true });
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-save', '--prefix', made];
  const done = spawnSync('npm', ['install', ...flags, `pm2@${VERSION}`], { encoding: 'utf8' });
  if (done.status !== 0)
    return { missing: `npm install pm2@${VERSION}: ${(done.stderr ?? String(done.error)).trim()}` };
  try {
    renameSync(made, folder);
  } catch {
    // Another test file was quicker.
    rmSync(made, { recursive: true, force: true });
  }
  return { program };
}

/** Starts PM2's daemon; `close` ends it. */
export async function createPm2Service(program: string, workers: number): Promise<Pm2Service> {
  const port = await freePort();
  const dataDir = await mkdtemp(join(tmpdir(), 'burgee-'));
  const home = await mkdtemp(join(tmpdir(), 'burgee-pm2-'));
  const base = { PATH: process.env['PATH'] ?? '', HOME: home, PM2_HOME: home, PM2_DISABLE_VERSION_CHECK: 'true' };
  const variables = {
    PORT: String(port),
    HOST: '127.0.0.1',
    WORKERS: String(workers),
    DATA_DIR: dataDir,
    BOOTSTRAP_ADMIN_KEY: ADMIN_KEY,
  };

  function run(
    args: readonly string[],
    env: Readonly<Record<string, string>>,
  ): Promise<{ code: number; output: string }> {
    return new Promise((resolve) => {
      const options = { cwd: '/', env: { ...base, ...env }, maxBuffer: 64 * 1024 * 1024 };
      const child = execFile(process.execPath, [program, ...args], options, (_error, stdout, stderr) =>
        resolve({ code: child.exitCode ?? 1, output: stdout + stderr }),
      );
    });
  }

  const service: Pm2Service = {
    port,
    url: `http://127.0.0.1:${port}`,
    dataDir,
    pm2: (...args) => run(args, {}),
    start: (env = {}) => run(['start', ECOSYSTEM, '--update-env'], { ...variables, ...env }),
    async makeFlag(flagId) {
      const reply = await fetch(`${service.url}/api/v1/flags`, {
        method: 'POST',
        headers: { 'x-api-key': ADMIN_KEY, 'content-type': 'application/json' },
        body: JSON.stringify({ flag_id: flagId, enabled: true, rollout_percentage: 50 }),
      });
      if (reply.status !== 201) throw new Error(await reply.text());
    },
    async seen(name = 'burgee') {
      const { output } = await service.pm2('jlist', '--silent');
      const list = JSON.parse(output.slice(output.indexOf('['))) as {
        name: string;
        pid: number;
        pm2_env: { status: string; restart_time: number };
      }[];
      const found = list.find((each) => each.name === name);
      return found && { pid: found.pid, status: found.pm2_env.status, restarts: found.pm2_env.restart_time };
    },
    log: () => readOr('', join(home, 'logs', 'burgee-out-0.log')),
    daemonPid: () => Number(readFileSync(join(home, 'pm2.pid'), 'utf8')),
    pid: (role) => pidIn(dataDir, `${role}.pid`),
    workerPids: () =>
      readdirSync(join(dataDir, 'run'))
        .filter((name) => /^worker-\d+\.pid$/.test(name))
        .map((name) => pidIn(dataDir, name))
        .sort((a, b) => a - b),
    argv: (pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0'),
    processes: () =>
      readdirSync('/proc')
        .filter((name) => /^\d+$/.test(name))
        .filter((name) => `\0${readOr('', `/proc/${name}/environ`)}`.includes(`\0DATA_DIR=${dataDir}\0`))
        .map(Number)
        .filter(alive),
    async close() {
      const daemon = Number(readOr('0', join(home, 'pm2.pid')));
      await service.pm2('kill');
      for (const pid of [daemon, ...service.processes()]) if (pid > 0) signalQuietly(pid, 'SIGKILL');
      await Promise.all([dataDir, home].map((folder) => rm(folder, { recursive: true, force: true, maxRetries: 5 })));
    },
  };
  // By itself, so that the service's variables are not the daemon's too.
  await service.pm2('ping');
  return service;
}

/** Resolves when `holds` does; for what sends no event, a pid file or the state of another program's child. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
}

/** True once `role` runs in another process than `pid`, and the service has said that it is ready more than `readies` times. */
export function isReplaced(service: Pm2Service, role: 'launcher' | 'primary', pid: number, readies: number): boolean {
  try {
    return service.pid(role) !== pid && readyCount(service) > readies;
  } catch {
    // Between the old pid file and the new one there is none.
    return false;
  }
}

/** How often a primary was ready so far. */
export function readyCount(service: Pm2Service): number {
  return service.log().match(/"msg":"ready"/g)?.length ?? 0;
}

function readOr(otherwise: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return otherwise;
  }
}
