// Asks a build whether it could run here, before the service is handed to it: `node MAIN check` in a process of its own,
// so that whatever is wrong with the build stays in there.
import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import type { Clock } from '../run/clock.ts';

/** What of its words is kept, the last of them; an error with its stack is shorter. */
const SAID_CHARS_MAX = 4096;

export interface CheckOutcome {
  readonly ok: boolean;
  /** What the check printed, or why it said nothing; for the log. */
  readonly said: string;
}

/** Never rejects. A check that takes `timeoutMs`, or that `abort` ends, is killed and counts as failed. */
export function checkBuild(check: {
  readonly main: string;
  readonly execArgv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly abort: AbortSignal;
}): Promise<CheckOutcome> {
  const child = spawn(process.execPath, [...check.execArgv, check.main, 'check'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: check.env,
  });
  const said = { text: '' };
  for (const stream of [child.stdout, child.stderr]) collect(stream, said);
  return new Promise((resolve) => {
    let why: string | undefined;
    const kill = (reason: string): void => {
      why ??= reason;
      child.kill('SIGKILL');
      // Whoever inherited its output may hold that open after it.
      settle(false);
    };
    const onAbort = (): void => kill('it was not waited for');
    const cancelTimer = check.clock.after(check.timeoutMs, () => kill(`it took more than ${check.timeoutMs} ms`));
    function settle(ok: boolean): void {
      cancelTimer();
      check.abort.removeEventListener('abort', onAbort);
      child.stdout.destroy();
      child.stderr.destroy();
      resolve({ ok, said: [why, said.text.trim()].filter(Boolean).join(': ') });
    }
    check.abort.addEventListener('abort', onAbort);
    if (check.abort.aborted) onAbort();
    child.on('error', (error) => {
      why ??= error.message;
      if (child.pid === undefined) settle(false);
    });
    child.once('close', (code, signal) => {
      if (code !== 0) why ??= `it ended with ${code ?? signal}`;
      settle(code === 0 && why === undefined);
    });
  });
}

function collect(stream: Readable, said: { text: string }): void {
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    said.text = (said.text + chunk).slice(-SAID_CHARS_MAX);
  });
}
