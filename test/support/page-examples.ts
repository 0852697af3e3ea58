// The examples of a page: its blocks `sh` are run as they stand, and what they print is compared with the block `output`
// below them.
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import type { Test } from 'tap';
import { signalQuietly } from './service.ts';

/** The chapter of docs/operations.md whose blocks are run on a node of their own. */
export const PRODUCTION = 'PostgreSQL and Redis';

const BLOCK_MS_MAX = 90_000;

export interface Example {
  /** The headings above it: of the second level, and of any. */
  readonly chapter: string;
  readonly heading: string;
  /** Of the page, where its block begins. */
  readonly line: number;
  readonly script: string;
  /** undefined: the page does not say what it prints. */
  readonly output: string | undefined;
}

/** The blocks of the page, in its order. */
export function readExamples(text: string): Example[] {
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

/** Runs them in order, up to the first that fails. `log`: of the service, for the report. */
export async function tryExamples(
  t: Test,
  examples: readonly Example[],
  cwd: string,
  env: NodeJS.ProcessEnv,
  log: () => string,
): Promise<void> {
  for (const { heading, line, script, output } of examples) {
    const place = `${heading} (line ${line})`;
    const { stdout, failure } = await run(script, cwd, env);
    if (failure !== undefined) {
      t.fail(place, { failure, stdout, log: log().slice(-4000) });
      return;
    }
    t.match(stdout.trimEnd(), output === undefined ? '' : matcherOf(output), place);
  }
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
export function endAll(dataDir: string): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(`DATA_DIR=${dataDir}`))
        signalQuietly(Number(pid), 'SIGKILL');
    } catch {
      // It has ended, or is another user's.
    }
  }
}
