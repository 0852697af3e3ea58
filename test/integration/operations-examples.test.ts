// docs/operations.md tells the truth: its blocks `sh` are run as they stand, in order, against a service behind a release
// link, and what they print is compared with the block `output` below them. Needs dist (npm test builds it first).
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'tap';
import { createReleases } from '../support/releases.ts';
import { ADMIN_KEY, freePort, signalQuietly, startService } from '../support/service.ts';

const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');
const DEPLOY = fileURLToPath(new URL('../../deploy', import.meta.url));
const BLOCK_MS_MAX = 90_000;

interface Example {
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
  const examples = readExamples(page);
  t.ok(examples.length > 10, `${examples.length} examples`);
  for (const { heading, line, script, output } of examples) {
    const place = `${heading} (line ${line})`;
    const ran = await run(script, join(folder, 'current'), env);
    if (ran.failure !== undefined) {
      t.fail(place, { failure: ran.failure, stdout: ran.stdout, log: service.output().slice(-4000) });
      return;
    }
    t.match(ran.stdout.trimEnd(), output === undefined ? '' : matcherOf(output), place);
  }
});

/** The blocks of the page, in its order. */
function readExamples(text: string): Example[] {
  const examples: Example[] = [];
  let heading = '';
  let block: { readonly language: string; readonly line: number; readonly lines: string[] } | undefined;
  for (const [i, line] of text.split('\n').entries()) {
    const fence = /^```(\w*)$/.exec(line);
    if (block === undefined && fence !== null) block = { language: fence[1] ?? '', line: i + 1, lines: [] };
    else if (block !== undefined && line === '```') {
      const content = block.lines.join('\n');
      const last = examples.at(-1);
      if (block.language === 'sh') examples.push({ heading, line: block.line, script: content, output: undefined });
      if (block.language === 'output' && last !== undefined)
        examples.splice(-1, 1, { ...last, output: content.trimEnd() });
      block = undefined;
    } else if (block !== undefined) block.lines.push(line);
    else heading = /^#+ (.*)$/.exec(line)?.[1] ?? heading;
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
