// A PgBouncer of a test's own before a PostgreSQL of test/support/postgres.ts, in transaction mode unless told otherwise.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { otherUser, type PostgresServer } from './postgres.ts';
import { freePort } from './service.ts';

export interface PgBouncer {
  /** Of the database behind it. */
  readonly url: string;
  close(): Promise<void>;
}

/** The program; or why there is none. */
export function findPgBouncer(): { readonly program: string } | { readonly missing: string } {
  const program = ['/usr/sbin/pgbouncer', '/usr/bin/pgbouncer', '/usr/local/bin/pgbouncer'].find((path) =>
    existsSync(path),
  );
  return program === undefined ? { missing: 'pgbouncer is not installed' } : { program };
}

export async function startPgBouncer(
  program: string,
  server: PostgresServer,
  mode: 'transaction' | 'session' = 'transaction',
): Promise<PgBouncer> {
  const folder = mkdtempSync(join(tmpdir(), 'burgee-pgbouncer-'));
  const behind = new URL(server.url);
  const port = await freePort();
  const users = join(folder, 'users.txt');
  const settings = join(folder, 'pgbouncer.ini');
  writeFileSync(users, `"${behind.username}" "${behind.password}"\n`, { mode: 0o644 });
  // Few connections to the server, so that clients must share them.
  writeFileSync(
    settings,
    `[databases]
* = host=127.0.0.1 port=${server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${users}
pool_mode = ${mode}
default_pool_size = 4
max_client_conn = 200
`,
    { mode: 0o644 },
  );
  const user = otherUser();
  chmodSync(folder, 0o755);
  if (user !== undefined) chownSync(folder, user.uid, user.gid);
  const child = spawn(program, [settings], { ...user, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  let output = '';
  await new Promise<void>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`pgbouncer ended with ${code}:\n${output}`)));
    child.stderr.on('data', (chunk) => {
      output = `${output}${chunk}`.slice(-20_000);
      if (output.includes('process up')) resolve();
    });
  });
  child.removeAllListeners('exit');
  const url = new URL(server.url);
  url.port = String(port);
  return {
    url: url.href,
    async close() {
      if (child.exitCode === null && child.signalCode === null) {
        const ended = once(child, 'exit');
        child.kill('SIGTERM');
        const timer = setTimeout(() => child.kill('SIGKILL'), 3_000);
        await ended;
        clearTimeout(timer);
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
