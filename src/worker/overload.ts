// Whether this worker has more to do than it can, and how much it refuses because of it. Two things tell: the event loop
// turns late (every request waits as long), and batches wait long for their turns. First a growing share of what is
// costly is refused, then of everything; both shares fall again by themselves. And one turn may find so much waiting that
// it would hold the loop for seconds: what it finds past its time is refused within that turn. All by CPU time: a process
// that was stopped, or has to wait for a CPU, is not quicker for refusing.
import { limits } from '../limits.ts';
import type { Tallies } from './tallies.ts';

const TICK_MS = 20;
/** An overload lasts; a garbage collection, or a process that was stopped and goes on, makes one tick late or two. */
const LATE_TICKS = 3;
/**
 * Of the pressure, for each tick: from nothing to all that is costly in half a second at the most, and back in two. Late
 * ticks are fewer: with them it takes about three seconds.
 */
const RISE = 0.04;
const RISE_TIMES_MAX = 4;
/** A tick that comes late stands for those that did not come, but not for so many that one says it all. */
const TICKS_IN_ONE_MAX = 4;
const FALL = 0.01;
/** Something of everything is always let in: whether it is still too much can be seen only by that. */
const SHARE_MAX = 0.9;
/** What adding shares up may lose of a whole one. */
const ROUNDING = 1e-9;
/** So few batches wait for a few large ones, not for too many. */
const WAITING_MIN = 16;
/** Requests of a turn between two looks at the CPU time it has taken. */
const LOOK_EACH = 64;
/** Over which the pace of batches is taken. */
const PACE_TICKS = 25;

/** `costly`: takes milliseconds where most take microseconds. */
export type Cost = 'costly' | 'cheap';

export interface Overload {
  /** While false nothing is refused, and nothing else need be asked. */
  readonly active: boolean;
  /** To be called for each request and message as it comes, before `active` is read. */
  count(): void;
  /** Whether the one request of this cost is refused. */
  sheds(cost: Cost): boolean;
  /** Begins to look at the loop. */
  start(): void;
  /** May be called twice. */
  close(): void;
}

export interface OverloadDeps {
  /** Milliseconds that only grow. */
  readonly now: () => number;
  /** Milliseconds of CPU that this process has used. */
  readonly cpuMs: () => number;
  /** Batches that wait for a turn, and how many were done since the start. */
  readonly backlog: () => { readonly waiting: number; readonly doneCount: number };
  readonly tallies: Pick<Tallies, 'gauge'>;
  /** Called from within a long turn now and then: the loop's timers do not come to run. */
  readonly onLook: () => void;
}

/** What tests drive by hand. */
export interface DrivenOverload extends Overload {
  /** The timer's work. */
  tick(): void;
}

export function createOverload(deps: OverloadDeps): DrivenOverload {
  const { now, tallies } = deps;
  const lateMs = Array.from({ length: LATE_TICKS }, () => 0);
  const doneCounts: { readonly atMs: number; readonly count: number }[] = [];
  let tickCount = 0;
  let lastTickMs = 0;
  let lastCpuMs = 0;
  /** 0: nothing is refused; 1: all that is costly; up to 1 + SHARE_MAX: that share of everything else. */
  let pressure = 0;
  const debts = { costly: 0, cheap: 0 };
  let countedInTurn = 0;
  let firstCpuMs = 0;
  /** This turn of the loop has lasted too long. */
  let isTurnFull = false;
  let timer: NodeJS.Timeout | undefined;

  /** Milliseconds that a batch which comes now would wait. */
  function batchWaitMs(nowMs: number): number {
    const { waiting, doneCount } = deps.backlog();
    doneCounts.push({ atMs: nowMs, count: doneCount });
    if (doneCounts.length > PACE_TICKS) doneCounts.shift();
    const first = doneCounts[0];
    if (waiting < WAITING_MIN || first === undefined) return 0;
    return (waiting * (nowMs - first.atMs)) / Math.max(1, doneCount - first.count);
  }

  function tick(): void {
    const nowMs = now();
    const elapsedMs = nowMs - lastTickMs;
    const cpuMs = deps.cpuMs();
    lateMs[tickCount % LATE_TICKS] = Math.max(0, Math.min(elapsedMs, cpuMs - lastCpuMs) - TICK_MS);
    tickCount += 1;
    lastTickMs = nowMs;
    lastCpuMs = cpuMs;
    countedInTurn = 0;
    isTurnFull = false;
    const lagMs = Math.min(...lateMs);
    const late = lagMs / limits.loopLagMsMax;
    const load = Math.max(late, batchWaitMs(nowMs) / limits.batchWaitMsMax);
    // Only a late loop keeps others waiting than those who ask for batches.
    const pressureMax = late > 1 ? 1 + SHARE_MAX : Math.max(1, pressure);
    const ticks = Math.min(TICKS_IN_ONE_MAX, Math.max(1, elapsedMs / TICK_MS));
    if (load > 1) pressure = Math.min(pressureMax, pressure + ticks * RISE * Math.min(load, RISE_TIMES_MAX));
    else if (load < 0.5) pressure = Math.max(0, pressure - FALL);
    overload.active = pressure > 0;
    tallies.gauge('burgee_worker_loop_lag_seconds', lagMs / 1000);
    tallies.gauge('burgee_worker_shed_pressure', pressure);
  }

  function look(): void {
    const cpuMs = deps.cpuMs();
    if (countedInTurn === LOOK_EACH) firstCpuMs = cpuMs;
    else if (cpuMs - firstCpuMs > limits.turnCpuMsMax) {
      isTurnFull = true;
      overload.active = true;
    }
    deps.onLook();
  }

  const overload = {
    active: false,
    count(): void {
      countedInTurn += 1;
      if (countedInTurn % LOOK_EACH === 0) look();
    },
    sheds(cost: Cost): boolean {
      const current = isTurnFull ? 1 + SHARE_MAX : pressure;
      // Spread evenly: of ten at a share of 0.3 every third or fourth.
      debts[cost] += cost === 'costly' ? Math.min(1, current) : Math.max(0, current - 1);
      if (debts[cost] < 1 - ROUNDING) return false;
      debts[cost] -= 1;
      return true;
    },
    tick,
    start() {
      lastTickMs = now();
      lastCpuMs = deps.cpuMs();
      timer ??= setInterval(tick, TICK_MS).unref();
    },
    close() {
      clearInterval(timer);
      timer = undefined;
    },
  };
  return overload;
}
