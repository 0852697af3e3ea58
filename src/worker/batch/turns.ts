// Hot path.
// Shares a worker between jobs that take long: each runs a slice at a time, the owners in turn, so that one huge batch
// does not hold up the worker's other clients. What has not begun goes before what goes on: nearly all of it is small,
// and over after one slice. What goes on gets a slice of every turn all the same, so that it ends however much comes.
import { limits } from '../../limits.ts';

export interface Job {
  /** Evaluations, which its reply is as large as. */
  readonly weight?: number;
  /**
   * Works for about a millisecond at most. True: done, and whoever waits was answered by it. What it throws is a bug: it
   * leaves `run`, or, once the job has waited, ends it by `failed`.
   */
  step(): boolean;
  /** Called once, before `run` returns, when the job has to wait: what it needs longer than that is to be copied now. */
  wait?(): void;
}

export interface Turns {
  /**
   * Runs `job` at once if this turn of the loop has time left, nothing that has not begun waits, and its owner has
   * nothing waiting; else it waits its turn. The jobs of one owner run one after another.
   * @param owner whose jobs share one place in the round: a connection, or the request itself
   * @param failed answers whoever waits when the job throws in a later turn
   */
  run(owner: object, job: Job, failed?: () => void): void;
  /** Jobs that wait. */
  readonly waiting: number;
  /** Whether a job of this weight would be too much beside what waits. */
  isFullFor(weight: number): boolean;
  /** Of those that had to wait, the ones that are done, since the start. */
  readonly doneCount: number;
}

/** What all jobs of one turn of the loop take together, in milliseconds; the slice that passes it is the last. */
export const TURN_MS_MAX = 2;

/** A small batch is answered however many others there are: a connection has one at a time. */
const WEIGHT_LET_BE = 1000;

/** An owner with its jobs in order; the first is the one that runs. */
interface Place {
  readonly owner: object;
  readonly jobs: Job[];
  /** Of each job, what to call when it throws. */
  readonly failed: ((() => void) | undefined)[];
}

/**
 * @param deps.now milliseconds, with fractions
 * @param deps.defer calls back once the loop has looked at its sockets; setImmediate
 * @param deps.onFailure a job threw in a later turn; left out: the error leaves the turn
 */
export function createTurns(deps: {
  readonly now: () => number;
  readonly defer?: (turn: () => void) => void;
  readonly onFailure?: (error: unknown) => void;
}): Turns {
  const { now, defer = setImmediate } = deps;
  const places = new Map<object, Place>();
  // A Set keeps the order in which places come: the first one is next.
  const fresh = new Set<Place>();
  const begun = new Set<Place>();
  let waiting = 0;
  let doneCount = 0;
  let waitingWeight = 0;
  let spentMs = 0;
  let isRunning = false;
  let isDeferred = false;

  /** True: the job is done. */
  function slice(job: Job): boolean {
    const startedMs = now();
    isRunning = true;
    try {
      return job.step();
    } finally {
      isRunning = false;
      spentMs += now() - startedMs;
    }
  }

  function awaitTurn(): void {
    if (isDeferred) return;
    isDeferred = true;
    defer(turn);
  }

  function turn(): void {
    isDeferred = false;
    if (fresh.size > 0) advance(fresh);
    if (begun.size > 0) advance(begun);
    while (fresh.size > 0 && spentMs < TURN_MS_MAX) advance(fresh);
    while (begun.size > 0 && spentMs < TURN_MS_MAX) advance(begun);
    spentMs = 0;
    if (waiting > 0) awaitTurn();
  }

  /** There is no caller any more that could answer for a job that throws: without this the worker would end. */
  function sliceOrFail(place: Place): boolean {
    try {
      return slice(place.jobs[0] as Job);
    } catch (error) {
      if (deps.onFailure === undefined) throw error;
      deps.onFailure(error);
      place.failed[0]?.();
      return true;
    }
  }

  /** Runs a slice of the place that is next, and puts it behind the others that go on if it has more to do. */
  function advance(ring: Set<Place>): void {
    for (const place of ring) {
      ring.delete(place);
      const job = place.jobs[0] as Job;
      if (sliceOrFail(place)) {
        place.jobs.shift();
        place.failed.shift();
        waiting -= 1;
        waitingWeight -= job.weight ?? 0;
        doneCount += 1;
      }
      if (place.jobs.length > 0) begun.add(place);
      else places.delete(place.owner);
      return;
    }
  }

  function wait(owner: object, job: Job, failed: (() => void) | undefined, hasBegun: boolean): void {
    if (job.wait !== undefined) job.wait();
    waiting += 1;
    waitingWeight += job.weight ?? 0;
    const place = places.get(owner);
    if (place !== undefined) {
      place.jobs.push(job);
      place.failed.push(failed);
      return;
    }
    const added = { owner, jobs: [job], failed: [failed] };
    places.set(owner, added);
    if (hasBegun) begun.add(added);
    else fresh.add(added);
  }

  return {
    run(owner, job, failed) {
      awaitTurn();
      const isFree = !isRunning && spentMs < TURN_MS_MAX && fresh.size === 0;
      if (!isFree || (waiting > 0 && places.has(owner))) return wait(owner, job, failed, false);
      if (!slice(job)) wait(owner, job, failed, true);
    },
    isFullFor: (weight) => weight > WEIGHT_LET_BE && waitingWeight + weight > limits.batchesWaitingEvaluationsMax,
    get waiting() {
      return waiting;
    },
    get doneCount() {
      return doneCount;
    },
  };
}
