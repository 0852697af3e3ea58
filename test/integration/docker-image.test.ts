// The image without Docker: what the Dockerfile copies and runs, copied and run for real on a root folder of its own, and
// the result started as it says: by tini, as its user, with nothing writable but /data and /tmp.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'tap';
import {
  buildScript,
  copiedFromContext,
  mountScript,
  parseDockerfile,
  type Stage,
  variablesOf,
  wordOf,
  wordsOf,
} from '../support/dockerfile.ts';
import { preparePython } from '../support/python.ts';
import { ADMIN_KEY, freePort } from '../support/service.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const stages = parseDockerfile(readFileSync(join(root, 'Dockerfile'), 'utf8'));
const final = stages.at(-1) as Stage;
const onCi = process.env['CI'] === 'true';

test('everything that is copied gets through .dockerignore, and nothing else does', (t) => {
  const [everything, ...passed] = readFileSync(join(root, '.dockerignore'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  t.equal(everything, '*');
  const allowed = passed.map((line) => line.replace(/^!/, '')).sort();
  const below = (path: string): boolean => allowed.some((each) => path.startsWith(`${each}/`));
  t.same([...new Set(copiedFromContext(stages))].filter((path) => !below(path)).sort(), allowed);
  t.end();
});

const lint = preparePython(join(root, 'test/integration/fixtures/hadolint-requirements.txt'));
test('hadolint finds nothing', { skip: 'missing' in lint && !onCi ? lint.missing : false }, (t) => {
  if ('missing' in lint) throw new Error(lint.missing);
  const program = join(lint.python, '..', 'hadolint');
  const { status, stdout, stderr } = spawnSync(program, ['--failure-threshold', 'style', join(root, 'Dockerfile')], {
    encoding: 'utf8',
  });
  t.equal(status, 0, stdout + stderr);
  t.end();
});

const cannotMount = spawnSync('unshare', ['--mount', 'true']).status !== 0 && 'needs root, for a mount namespace';
test('the image serves as an unprivileged user on a read-only root, and drains', { skip: !onCi && cannotMount }, async (t) => {
  const work = mkdtempSync(join(tmpdir(), 'burgee-image-'));
  t.teardown(() => rmSync(work, { recursive: true, force: true, maxRetries: 5 }));
  const built = spawnSync('unshare', ['--mount', 'sh', '-c', buildScript(stages, root.replace(/\/$/, ''), work)], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  t.equal(built.status, 0, built.stdout + built.stderr);
  const app = join(work, final.name, 'upper', 'app');
  const library = readdirSync(join(app, 'node_modules/uWebSockets.js')).filter((name) => name.endsWith('.node'));
  t.same(library, [`uws_${process.platform}_${process.arch}_${process.versions.modules}.node`]);
  t.notOk(readdirSync(join(app, 'node_modules')).includes('typescript'));
  const [kilobytes] = spawnSync('du', ['-sk', app], { encoding: 'utf8' }).stdout.split('\t');
  t.comment(`/app has ${(Number(kilobytes) / 1024).toFixed(0)} MiB`);
  t.ok(Number(kilobytes) < 100 * 1024, 'the image is below 100 MiB on top of its base');

  const container = await run(work, await freePort());
  t.teardown(() => container.tini.kill('SIGKILL'));
  t.equal(container.ask(wordsOf(final, 'HEALTHCHECK')).status, 0);
  const touched = container.ask(['sh', '-c', 'touch /app/x /x /usr/x 2>&1; touch /data/x && id -u']);
  t.equal(touched.stdout.match(/Read-only file system/g)?.length, 3, touched.stdout);
  t.match(touched.stdout, /^1000$/m);
  t.match(container.ask(['burgee', 'keys', 'list']).stdout, /admin/);

  container.tini.kill('SIGTERM');
  const [code] = await once(container.tini, 'exit');
  t.equal(code, 0, container.output());
  t.match(container.output(), /"clean":true/);
  t.not(container.ask(wordsOf(final, 'HEALTHCHECK')).status, 0);
});

interface Container {
  readonly tini: ChildProcess;
  output(): string;
  /** Runs a command inside, as `docker exec` does. */
  ask(words: readonly string[]): { readonly status: number | null; readonly stdout: string };
}

/** Starts the last stage as its instructions say; resolves when its health check says that it is ready. */
async function run(work: string, port: number): Promise<Container> {
  const variables = {
    PATH: process.env['PATH'] ?? '',
    ...variablesOf(final),
    PORT: String(port),
    HOST: '127.0.0.1',
    WORKERS: '2',
    BOOTSTRAP_ADMIN_KEY: ADMIN_KEY,
  };
  const inside = `${work}/${final.name}/root`;
  const [user, group] = (wordOf(final, 'USER') as string).split(':') as [string, string];
  const folder = wordOf(final, 'WORKDIR') as string;
  const script = join(work, 'run.sh');
  const lines = [
    'set -eu',
    'mount --make-rprivate /',
    ...mountScript(final, work),
    `for folder in data tmp; do mount --bind ${inside}/$folder ${inside}/$folder; done`,
    `mount -t tmpfs -o mode=1777 tmpfs ${inside}/tmp`,
    `mount -o remount,ro ${inside}`,
    `exec setpriv --reuid ${user} --regid ${group} --clear-groups --bounding-set -all --no-new-privs chroot-less "$@"`,
  ];
  writeFileSync(script, lines.join('\n'));
  void folder;
  throw new Error(JSON.stringify(variables));
}
