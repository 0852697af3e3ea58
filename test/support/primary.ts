// A primary without its launcher: a test plays that part, so that it can have two of them, freeze one, or tell one to leave.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { FromLauncher } from '../../src/launcher/channel.ts';
import { ADMIN_KEY, MAIN } from './service.ts';

export interface Primary {
  readonly child: ChildProcess;
  readonly pid: number;
  /** Everything written to stdout and stderr so far, by its workers too. */
  output(): string;
  tell(message: FromLauncher): void;
  /** Resolves when it says that all workers serve. */
  readonly ready: Promise<void>;
  /** Resolves with exit code or signal. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

export function startPrimary(options: {
  readonly dataDir: string;
  readonly port: number;
  readonly generation: string;
  readonly workers?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Another build's main script. */
  readonly main?: string;
  /** As in another container with the same volume: a network namespace of its own. For root only. */
  readonly isApart?: boolean;
}): Primary {
  const command = [process.execPath, options.main ?? MAIN];
  const apart = ['unshare', '--net', 'sh', '-c', 'ip link set lo up && exec "$0" "$@"'];
  const [program = '', ...args] = options.isApart === true ? [...apart, ...command] : command;
  const child = spawn(program, args, {
    env: {
      PATH: process.env['PATH'],
      PORT: String(options.port),
      HOST: '127.0.0.1',
      DATA_DIR: options.dataDir,
      WORKERS: String(options.workers ?? 2),
      BOOTSTRAP_ADMIN_KEY: ADMIN_KEY,
      BURGEE_ROLE: 'primary',
      BURGEE_GENERATION: options.generation,
      ...options.env,
    },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let output = '';
  child.stdout?.on('data', (chunk) => (output += chunk));
  child.stderr?.on('data', (chunk) => (output += chunk));
  const ready = new Promise<void>((resolve) => {
    child.on('message', (message) => (message as { type?: unknown }).type === 'ready' && resolve());
  });
  return {
    child,
    pid: child.pid as number,
    output: () => output,
    tell: (message) => void child.send(message),
    ready,
    ended: once(child, 'exit').then(([code, signal]) => code ?? signal),
  };
}
