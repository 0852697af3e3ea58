// What a benchmark asks of the machine: cores to pin to, CPU time and memory of a process, and how busy it is.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';

export const WORKER_CORE = 0;
export const CLIENT_CORE = 1;
// A service's own start makes about one.
const BUSY_LOAD_MIN = 1.5;
const TICKS_PER_SECOND = 100;

/** Throws when this machine cannot give each side a core of its own. */
export function requireTwoCores(): void {
  if (availableParallelism() < 2) throw new Error('two cores are needed: one for the worker, one for the clients');
}

/** All threads: those of the runtime too, so that each side has exactly one core. */
export function pin(pid: number, core: number): void {
  execFileSync('taskset', ['-a', '-c', '-p', String(core), String(pid)], { stdio: 'ignore' });
}

export interface CpuTimes {
  readonly userSeconds: number;
  readonly systemSeconds: number;
}

/** CPU time of a process so far; Linux counts it in hundredths of a second. */
export function cpuTimes(pid: number): CpuTimes {
  const fields = (readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1] as string).split(' ');
  return {
    userSeconds: Number(fields[11]) / TICKS_PER_SECOND,
    systemSeconds: Number(fields[12]) / TICKS_PER_SECOND,
  };
}

/** What is resident, in bytes. */
export function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}

export function warnWhenBusy(): void {
  const load = loadavg()[0] as number;
  if (load > BUSY_LOAD_MIN)
    console.log(`NOTE: load average ${load.toFixed(1)}: something else runs here, and the figures will be noise`);
}

export function positiveInteger(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${name} takes a whole number above 0, not ${text}`);
  return value;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

export function mib(bytes: number): string {
  return (bytes / 1_048_576).toFixed(1);
}
