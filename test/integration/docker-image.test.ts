// The image without Docker: what the Dockerfile copies and runs, copied and run for real on a root folder of its own, and
// the result started as it says: by tini, as its user, with nothing writable but /data and /tmp.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
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
import { ADMIN_KEY, freePort, signalQuietly } from '../support/service.ts';

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
test('the image serves as an unprivileged user on a read-only root, and drains', {
  skip: !onCi && cannotMount,
}, async (t) => {
  const work = mkdtempSync(join(tmpdir(), 'burgee-image-'));
  t.teardown(() => rmSync(work, { recursive: true, force: true, maxRetries: 5 }));
  const built = spawnSync('unshare', ['--mount', 'sh', '-c', buildScript(stages, root.replace(/\/$/, ''), work)], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (built.status !== 0) t.comment(built.stdout + built.stderr);
  t.equal(built.status, 0);
  const app = join(work, final.name, 'upper', 'app');
  const library = readdirSync(join(app, 'node_modules/uWebSockets.js')).filter((name) => name.endsWith('.node'));
  t.same(library, [`uws_${process.platform}_${process.arch}_${process.versions.modules}.node`]);
  t.notOk(readdirSync(join(app, 'node_modules')).includes('typescript'));
  const [kilobytes] = spawnSync('du', ['-sk', app], { encoding: 'utf8' }).stdout.split('\t');
  t.comment(`/app has ${(Number(kilobytes) / 1024).toFixed(0)} MiB`);
  t.ok(Number(kilobytes) < 100 * 1024, 'the image is below 100 MiB on top of its base');

  const container = await run(work, await freePort());
  t.teardown(() => container.outside.exitCode === null && container.kill('SIGKILL'));
  t.equal(container.ask(wordsOf(final, 'HEALTHCHECK')).status, 0);
  const touched = container.ask(['sh', '-c', 'touch /app/x /x /usr/x 2>&1; touch /data/x && id -u']);
  t.equal(touched.stdout.match(/Read-only file system/g)?.length, 3);
  t.match(touched.stdout, /^1000$/m);
  t.match(container.ask(['burgee', 'keys', 'list']).stdout, /admin/);

  container.kill('SIGHUP');
  await container.said(/"msg":"ready"[^]*"msg":"ready"/);
  t.equal(container.ask(wordsOf(final, 'HEALTHCHECK')).status, 0);

  const ended = once(container.outside, 'exit');
  container.kill('SIGTERM');
  t.equal((await ended)[0], 0);
  t.match(container.output(), /"clean":true/);
});

interface Container {
  /** Outside of the container; ends with the exit code of the container's first process. */
  readonly outside: ChildProcess;
  output(): string;
  /** Signals the first process, as `docker kill` does. */
  kill(signal: NodeJS.Signals): void;
  /** Resolves when the output has it. Rejects when the container ends before. */
  said(pattern: RegExp): Promise<void>;
  /** Runs a command inside, as `docker exec` does. */
  ask(words: readonly string[]): { readonly status: number | null; readonly stdout: string };
}

/** Starts the last stage as its instructions say; resolves when its health check says that it is ready. */
async function run(work: string, port: number): Promise<Container> {
  const inside = `${work}/${final.name}/root`;
  const variables = {
    PATH: process.env['PATH'] ?? '',
    ...variablesOf(final),
    PORT: String(port),
    HOST: '127.0.0.1',
    WORKERS: '2',
    BOOTSTRAP_ADMIN_KEY: ADMIN_KEY,
  };
  const [user, folder] = [wordOf(final, 'USER') as string, wordOf(final, 'WORKDIR') as string];
  // A container's process has no capabilities and cannot get any.
  const enter = [
    ...['chroot', `--userspec=${user}`, '--groups=', inside],
    ...['setpriv', '--no-new-privs', '--inh-caps=-all'],
    // tap has its own loader in every child's NODE_OPTIONS; inside there is no such file.
    ...['sh', '-c', `cd ${folder} && unset NODE_OPTIONS && exec "$@"`, 'sh'],
  ];
  const script = [
    'set -eu',
    'mount --make-rprivate /',
    ...mountScript(final, work),
    // A new volume begins as the image's folder.
    `cp -a ${inside}/data ${work}/volume`,
    `mount -o remount,bind,ro ${inside}`,
    `mount --bind ${work}/volume ${inside}/data`,
    `mount -t tmpfs -o mode=1777 tmpfs ${inside}/tmp`,
    `mount -t proc proc ${inside}/proc`,
    'exec "$@"',
  ].join('\n');
  const words = ['--mount', '--pid', '--fork', 'sh', '-c', script, 'sh', ...enter, ...wordsOf(final, 'ENTRYPOINT')];
  const outside = spawn('unshare', words, { env: variables, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [outside.stdout, outside.stderr]) stream.on('data', (chunk) => (output += chunk));
  const firstChild = (): number => Number(readFileSync(`/proc/${outside.pid}/task/${outside.pid}/children`, 'utf8'));
  const ask = (words: readonly string[]): { readonly status: number | null; readonly stdout: string } => {
    // The mounts of the first process, as an exec into a container has them.
    const into = ['--mount', '--pid', '--target', String(firstChild()), ...enter, ...words];
    const { status, stdout, stderr } = spawnSync('nsenter', into, { env: variables, encoding: 'utf8' });
    return { status, stdout: stdout + stderr };
  };
  async function said(pattern: RegExp): Promise<void> {
    while (!pattern.test(output)) {
      if (outside.exitCode !== null) throw new Error(`it ended with ${outside.exitCode}:\n${output}`);
      await Promise.race([once(outside.stdout as Readable, 'data'), once(outside, 'exit')]);
    }
  }
  await said(/"msg":"ready"/);
  const kill = (signal: NodeJS.Signals): void => signalQuietly(firstChild(), signal);
  return { outside, output: () => output, ask, said, kill };
}
