// Starts workers with node:cluster, and uses nothing else of it: a worker opens its listen socket itself, and says hello
// over the local socket, so that it can outlive this process.
import cluster from 'node:cluster';

export interface ForkedWorker {
  readonly pid: number;
  kill(signal: NodeJS.Signals): void;
  /** Called once. A worker that dies before this is set is told too: exit is an event of a later turn. */
  onExit(ended: (code: number | undefined, signal: string | undefined) => void): void;
}

// Each request leaves garbage, and V8's first new space is small and so collected often. Beginning with 16 MiB took the
// service from 0.79 to 0.85 of the bare server (`npm run bench:http`, medians); what survives is next to nothing either way.
const WORKER_FLAGS = ['--min-semi-space-size=16', '--max-semi-space-size=32'];

/** A worker has no business with these: it opens no store and makes no key. */
const WITHHELD = { DATABASE_URL: undefined, REDIS_URL: undefined, BOOTSTRAP_ADMIN_KEY: undefined };

/**
 * Returns what starts the worker of a slot. `main` is the script to run; `env` is added to this process's own, and an
 * undefined value takes a variable away. The fork throws when the system refuses another process.
 */
export function createWorkerFork(options: {
  readonly main: string;
  readonly execArgv?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
}): (slot: number) => ForkedWorker {
  cluster.setupPrimary({
    exec: options.main,
    args: [],
    execArgv: [...WORKER_FLAGS, ...(options.execArgv ?? process.execArgv)],
    silent: false,
  });
  return (slot) => {
    const worker = cluster.fork({ ...WITHHELD, ...options.env, BURGEE_ROLE: 'worker', BURGEE_SLOT: String(slot) });
    // A message that could not be sent to a dying worker must not end the primary; its exit says all there is to say.
    worker.on('error', () => {});
    const { pid } = worker.process;
    if (pid === undefined) throw new Error('the system refused to start another process');
    return {
      pid,
      kill: (signal) => void worker.process.kill(signal),
      onExit: (ended) =>
        void worker.process.once('exit', (code, signal) => ended(code ?? undefined, signal ?? undefined)),
    };
  };
}
