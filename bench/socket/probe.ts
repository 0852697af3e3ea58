// Starts the ordinary clients (prober.ts) and tells how long their answers took.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import { quantile } from '../../chaos/connection.ts';
import { CLIENT_CORE, pin } from './machine.ts';

const PROBER = fileURLToPath(new URL('./prober.ts', import.meta.url));
const RUN_TYPESCRIPT = fileURLToPath(new URL('../../scripts/run-typescript.mjs', import.meta.url));

const PRIORITY = -15;

export interface ProberOptions {
  readonly port: number;
  readonly key: string;
  readonly sockets: number;
  /** Of each socket: from one request to the next, unless the answer takes longer. */
  readonly intervalMs: number;
  readonly flags: readonly string[];
}

export interface Samples {
  /** Milliseconds since 1970. */
  readonly sentAtMs: Float64Array;
  readonly tookMs: Float64Array;
}

export interface Prober {
  /** What was measured since the last time. */
  take(): Promise<Samples>;
  close(): Promise<void>;
}

export async function startProber(options: ProberOptions): Promise<Prober> {
  const child = spawn(process.execPath, ['--import', RUN_TYPESCRIPT, PROBER, JSON.stringify(options)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    serialization: 'advanced',
  });
  pin(child.pid as number, CLIENT_CORE);
  // It shares its core with whoever loads the worker, and must not wait for that.
  try {
    setPriority(child.pid as number, PRIORITY);
  } catch {
    console.log(
      'NOTE: the ordinary clients could not be given priority on their core (not root): p99 includes that wait',
    );
  }
  const ended = once(child, 'close');
  const message = async (): Promise<unknown> => {
    const [first] = await Promise.race([once(child, 'message'), ended.then(() => [undefined])]);
    if (first === undefined) throw new Error(`the prober ended with ${child.exitCode}`);
    return first;
  };
  await message();
  return {
    async take() {
      child.send('take');
      return (await message()) as Samples;
    },
    async close() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

export interface Latency {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly count: number;
}

export function latencyOf(tookMs: ArrayLike<number>): Latency {
  const values = Array.from(tookMs);
  return {
    p50Ms: quantile(values, 0.5),
    p99Ms: quantile(values, 0.99),
    maxMs: quantile(values, 1),
    count: values.length,
  };
}

export function describeLatency({ p50Ms, p99Ms, maxMs, count }: Latency): string {
  return `p50 ${p50Ms.toFixed(2)}  p99 ${p99Ms.toFixed(2)}  max ${maxMs.toFixed(1)} ms (${count} answers)`;
}
