import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { test } from 'tap';
import { openRunDir } from '../../src/run/run-dir.ts';
import { endChild, identityOf, startSleeper, typescriptArgv } from '../unit/run/fixtures/support.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

interface Teardown {
  teardown(end: () => void | Promise<void>): unknown;
}

/** Runs the service's main script to its end. */
async function run(
  t: Teardown,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  const child = spawn(process.execPath, [...typescriptArgv, MAIN, ...args], {
    env: { ...process.env, NODE_OPTIONS: undefined, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.teardown(() => endChild(child));
  const exited = once(child, 'exit');
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [code] = (await exited) as [number];
  return { code, out, err };
}

function folder(t: Teardown): string {
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'burgee-test-')));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test('--version and --help answer and end with 0', async (t) => {
  t.match(await run(t, ['--version']), { code: 0, out: /^\d+\.\d+\.\d+\n$/, err: '' });
  t.match(await run(t, ['--help']), { code: 0, out: /DATA_DIR[^]*SHUTDOWN_TIMEOUT_MS/, err: '' });
});

test('what is not configured right ends with 2 and names itself', async (t) => {
  const dataDir = folder(t);
  writeFileSync(join(dataDir, 'file'), '');
  t.match(await run(t, ['--prot']), { code: 2, out: '', err: /^burgee: unknown argument --prot/ });
  t.match(await run(t, [], { BURGEE_ROLE: 'captain' }), { code: 2, out: '', err: /"captain" is no role/ });
  t.match(await run(t, [], { DATA_DIR: dataDir, PORT: 'eighty' }), { code: 2, err: /PORT/ });
  t.match(await run(t, [], { DATA_DIR: join(dataDir, 'file') }), {
    code: 2,
    err: /^burgee: DATA_DIR .* cannot be used/,
  });
  t.same(readdirSync(dataDir), ['file']);
});

test('a second launcher on a DATA_DIR ends with 3 and names the first, whose file it leaves alone', async (t) => {
  const dataDir = folder(t);
  const first = identityOf(startSleeper(t));
  openRunDir(dataDir).writePid('launcher', first);
  const { code, err } = await run(t, [], { DATA_DIR: dataDir });
  t.equal(code, 3);
  t.equal(
    err,
    `burgee: DATA_DIR ${dataDir} is owned by the service whose launcher has pid ${first.pid}; stop it, or set DATA_DIR to another folder.\n`,
  );
  t.same(openRunDir(dataDir).readPid('launcher'), first);
});
