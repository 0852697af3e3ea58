// Runs schedules side by side: between two events of one, all that its promises lead to has to happen, and that takes a
// turn of the loop, which many share. None of them sees the others.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createHashBytes, type HashBytes } from '../../src/snapshot/checksum.ts';
import type { Step } from './steps.ts';
import type { Break } from './wiring.ts';
import { createWorld, type Violation, type World } from './world.ts';

/** More take longer each: what lives is copied by each collection of garbage. */
const AT_ONCE = 8;
/** One in so many schedules runs with the holder that workers have. */
const HOLDER_SHARE = 20;

export interface Failure extends Violation {
  readonly seed: number;
  readonly steps: readonly Step[];
}

export interface RunOptions {
  readonly schedules: number;
  /** Of the first; the others follow it. */
  readonly seed: number;
  readonly broken?: Break | undefined;
  /** Ends after so many. */
  readonly failuresMax?: number;
  readonly say?: ((text: string) => void) | undefined;
  /** Indexes of the steps that are taken; undefined: all. */
  readonly only?: ReadonlySet<number> | undefined;
}

export interface Ran {
  readonly schedules: number;
  readonly steps: number;
  readonly events: number;
  readonly failures: readonly Failure[];
}

let hashing: Promise<HashBytes> | undefined;

export async function runSchedules(options: RunOptions): Promise<Ran> {
  hashing ??= createHashBytes();
  const hash = await hashing;
  const { schedules, seed, broken, failuresMax = Number.POSITIVE_INFINITY, say, only } = options;
  const failures: Failure[] = [];
  const running = new Map<number, World>();
  let next = seed;
  let steps = 0;
  let events = 0;
  for (;;) {
    while (running.size < AT_ONCE && next < seed + schedules && failures.length < failuresMax) {
      const usesHolder = next % HOLDER_SHARE === 0;
      running.set(next, createWorld({ seed: next, hash, broken, usesHolder, only, say }));
      next++;
    }
    if (running.size === 0) break;
    // Taken first, so that what an event puts off to the next turn comes after the next event.
    const turn = nextTurn();
    for (const [started, world] of running) {
      events++;
      if (world.next()) continue;
      running.delete(started);
      steps += only?.size ?? world.steps.length;
      if (world.violation !== undefined) failures.push({ seed: started, steps: world.steps, ...world.violation });
    }
    await turn;
  }
  failures.sort((a, b) => a.seed - b.seed);
  return { schedules: next - seed, steps, events, failures: failures.slice(0, failuresMax) };
}
