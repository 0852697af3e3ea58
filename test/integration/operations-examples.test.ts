// docs/operations.md tells the truth: its blocks `sh` are run as they stand, in order, against a service behind a release
// link, and what they print is compared with the block `output` below them. Needs dist (npm test builds it first).
import { execFile, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Test, test } from 'tap';
import { findPostgres, startPostgres } from '../support/postgres.ts';
import { prepareRedis, startRedis } from '../support/redis.ts';
import { createReleases } from '../support/releases.ts';
import { ADMIN_KEY, freePort, signalQuietly, startService } from '../support/service.ts';

const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');
const DEPLOY = fileURLToPath(new URL('../../deploy', import.meta.url));
const onCi = process.env['CI'] === 'true';
const BLOCK_MS_MAX = 90_000;

/** Its blocks are run on a node of their own. */
const PRODUCTION = 'PostgreSQL and Redis';

interface Example {
  readonly chapter: string;
  readonly heading: string;
  /** Of the page, where its block begins. */
  readonly line: number;
  readonly script: string;
  /** undefined: the page does not say what it prints. */
  readonly output: string | undefined;
}

test('the examples of docs/operations.md, run in order', { timeout: 300_000 }, async (t) => {
  const folder = t.testdir({ copies: {} });
  const releases = createReleases(folder);
  for (const name of ['0.4.0', '0.5.0']) {
    releases.make(name);
    symlinkSync(DEPLOY, join(folder, 'releases', name, 'deploy'));
  }
  releases.use('0.4.0');
  const metricsPort = String(await freePort());
  const dataDir = t.testdirName.concat('/data');
  // auto: what the page prints is of the first transport, whichever the suite is run on.
  const service = await startService({
    dataDir,
    main: releases.main,
    env: { METRICS_PORT: metricsPort, TRANSPORT: 'auto' },
  });
  // Whichever launcher the page has started last.
  t.teardown(() => end(dataDir));
  const env = {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    HOST: '127.0.0.1',
    PORT: String(service.port),
    METRICS_PORT: metricsPort,
    DATA_DIR: dataDir,
    WORKERS: '2',
    OPT: folder,
    URL: service.url,
    METRICS: `http://127.0.0.1:${metricsPort}`,
    KEY: ADMIN_KEY,
    LOG: join(folder, 'log'),
    BACKUP: join(folder, 'copies'),
  };
  const production = await startProduction(t, env, releases.main);
  const examples = readExamples(page).filter(({ chapter }) => chapter !== PRODUCTION || 'env' in production);
  t.ok(examples.length > 10, `${examples.length} examples`);
  for (const { chapter, heading, line, script, output } of examples) {
    const place = `${heading} (line ${line})`;
    const where = chapter === PRODUCTION && 'env' in production ? production.env : env;
    const ran = await run(script, join(folder, 'current'), where);
    if (ran.failure !== undefined) {
      t.fail(place, { failure: ran.failure, stdout: ran.stdout, log: service.output().slice(-4000) });
      return;
    }
    t.match(ran.stdout.trimEnd(), output === undefined ? '' : matcherOf(output), place);
  }
});

/** A node on PostgreSQL and Redis, and the variables of its blocks; without the programs its blocks are skipped by name. */
async function startProduction(
  t: Test,
  base: NodeJS.ProcessEnv,
  main: string,
): Promise<{ readonly env: NodeJS.ProcessEnv } | { readonly missing: string }> {
  const programs = findPostgres();
  const tools = spawnSync('pg_dump', ['--version']).error;
  const missing = 'missing' in programs ? programs.missing : (prepareRedis()?.missing ?? tools?.message);
  if ('missing' in programs || missing !== undefined) {
    await t.test(`the examples of ${PRODUCTION}`, { skip: onCi ? false : `${missing}` }, async () => {
      throw new Error(missing);
    });
    return { missing: `${missing}` };
  }
  const [postgres, redis] = await Promise.all([startPostgres(programs), startRedis()]);
  t.teardown(() => Promise.all([postgres.close(), redis.close()]));
  const metricsPort = String(await freePort());
  const dataDir = join(base['OPT'] as string, 'node');
  const variables = { DATABASE_URL: postgres.url, REDIS_URL: redis.url, METRICS_PORT: metricsPort };
  const service = await startService({ dataDir, main, env: variables });
  t.teardown(() => end(dataDir));
  const metrics = `http://127.0.0.1:${metricsPort}`;
  const own = { ...variables, PORT: String(service.port), DATA_DIR: dataDir, URL: service.url, METRICS: metrics };
  return { env: { ...base, ...own } };
}

/** The blocks of the page, in its order. */
function readExamples(text: string): Example[] {
  const examples: Example[] = [];
  let chapter = '';
  let heading = '';
  let block: { readonly language: string; readonly line: number; readonly lines: string[] } | undefined;
  for (const [i, line] of text.split('\n').entries()) {
    const fence = /^```(\w*)$/.exec(line);
    if (block === undefined && fence !== null) block = { language: fence[1] ?? '', line: i + 1, lines: [] };
    else if (block !== undefined && line === '```') {
      const content = block.lines.join('\n');
      const last = examples.at(-1);
      if (block.language === 'sh')
        examples.push({ chapter, heading, line: block.line, script: content, output: undefined });
      if (block.language === 'output' && last !== undefined)
        examples.splice(-1, 1, { ...last, output: content.trimEnd() });
      block = undefined;
    } else if (block !== undefined) block.lines.push(line);
    else {
      chapter = /^## (.*)$/.exec(line)?.[1] ?? chapter;
      heading = /^#+ (.*)$/.exec(line)?.[1] ?? heading;
    }
  }
  return examples;
}

/** `...` is anything, on a line of its own any lines. */
function matcherOf(output: string): RegExp {
  const parts = output.split('...').map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('[^]*')}$`);
}

/** Of a shell that ends with the first command that fails. */
function run(
  script: string,
  cwd: string,
  env: NodeJS.ProcessEnv,
): Promise<{ readonly stdout: string; readonly failure: string | undefined }> {
  return new Promise((resolve) => {
    execFile(
      'bash',
      ['-euo', 'pipefail', '-c', script],
      { cwd, env, timeout: BLOCK_MS_MAX },
      (error, stdout, stderr) => {
        resolve({ stdout, failure: error === null ? undefined : `${error.message}\n${stderr}` });
      },
    );
  });
}

/** By what they were started with: the folder, and the pid files in it, may be gone by now. */
function end(dataDir: string): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(`DATA_DIR=${dataDir}`))
        signalQuietly(Number(pid), 'SIGKILL');
    } catch {
      // It has ended, or is another user's.
    }
  }
}
