// Jobs of many owners on one worker, with a clock that only jobs move.
import fc from 'fast-check';
import { test } from 'tap';
import { limits } from '../../../../src/limits.ts';
import { createTurns, type Job, TURN_MS_MAX, type Turns } from '../../../../src/worker/batch/turns.ts';

interface Bench {
  readonly turns: Turns;
  /** What happened, in order: the name of a job at each of its slices. */
  readonly slices: string[];
  readonly ended: string[];
  /** Names of jobs that were told to keep what they need. */
  readonly waited: string[];
  /** How long all slices between two turns of the loop took. */
  readonly turnsMs: number[];
  /** A job of so many slices. */
  job(name: string, slices: number, sliceMs?: number, onEnd?: () => void): Job;
  /** One turn of the loop. False: nothing was to be done. */
  turn(): boolean;
}

function open(): Bench {
  let nowMs = 0;
  let turnStartedMs = 0;
  let deferred: (() => void) | undefined;
  const bench: Bench = {
    turns: createTurns({
      now: () => nowMs,
      defer: (turn) => {
        if (deferred !== undefined) throw new Error('deferred twice');
        deferred = turn;
      },
    }),
    slices: [],
    ended: [],
    waited: [],
    turnsMs: [],
    job(name, slices, sliceMs = 1, onEnd) {
      let left = slices;
      return {
        step() {
          bench.slices.push(name);
          nowMs += sliceMs;
          left -= 1;
          if (left > 0) return false;
          bench.ended.push(name);
          onEnd?.();
          return true;
        },
        wait: () => void bench.waited.push(name),
      };
    },
    turn() {
      const run = deferred;
      deferred = undefined;
      run?.();
      bench.turnsMs.push(nowMs - turnStartedMs);
      turnStartedMs = nowMs;
      return run !== undefined;
    },
  };
  return bench;
}

test('a small job runs at once, and what it was given may go when run returns', (t) => {
  const bench = open();
  bench.turns.run({}, bench.job('a', 1, 0.01));
  t.same(bench.ended, ['a']);
  t.same(bench.waited, []);
  t.equal(bench.turns.waiting, 0);
  t.end();
});

test('a job of several slices goes on in later turns, and is told once that it waits', (t) => {
  const bench = open();
  bench.turns.run({}, bench.job('a', 6));
  t.same(bench.slices, ['a'], 'the first slice at once');
  t.same(bench.waited, ['a']);
  t.equal(bench.turns.waiting, 1);
  bench.turn();
  t.equal(bench.slices.length, 2, 'what ran at once counts to the turn');
  bench.turn();
  t.equal(bench.slices.length, 4, `${TURN_MS_MAX} ms a turn`);
  bench.turn();
  t.same(bench.ended, ['a']);
  t.same(bench.waited, ['a']);
  t.equal(bench.turns.waiting, 0);
  t.notOk(bench.turn(), 'the loop is left alone');
  t.end();
});

test('what small jobs take of one turn is bounded; the others wait for the next', (t) => {
  const bench = open();
  for (const name of ['a', 'b', 'c', 'd', 'e']) bench.turns.run({}, bench.job(name, 1, 1));
  t.same(bench.ended, ['a', 'b']);
  t.same(bench.waited, ['c', 'd', 'e']);
  bench.turn();
  bench.turn();
  t.same(bench.ended, ['a', 'b', 'c', 'd', 'e']);
  t.end();
});

test('a small job of another client does not wait for a huge one', (t) => {
  const bench = open();
  bench.turns.run({}, bench.job('huge', 100));
  bench.turn();
  bench.turn();
  bench.turns.run({}, bench.job('small', 1, 0.01));
  t.same(bench.ended, ['small']);
  t.same(bench.waited, ['huge']);
  t.end();
});

test('jobs of one owner keep their order, and share one place in the round', (t) => {
  const bench = open();
  const greedy = {};
  for (let i = 0; i < 10; i += 1) bench.turns.run(greedy, bench.job(`greedy ${i}`, 3));
  bench.turns.run({}, bench.job('modest', 3));
  while (bench.turns.waiting > 0) bench.turn();
  t.ok(bench.ended.indexOf('modest') <= 1, bench.ended.join());
  t.same(
    bench.ended.filter((name) => name !== 'modest'),
    Array.from({ length: 10 }, (_, i) => `greedy ${i}`),
  );
  t.end();
});

test('a huge job goes on however many small ones come', (t) => {
  const bench = open();
  bench.turns.run({}, bench.job('huge', 20));
  for (let i = 0; i < 25; i += 1) {
    for (let k = 0; k < 10; k += 1) bench.turns.run({}, bench.job('small', 1, 0.5));
    bench.turn();
  }
  t.ok(bench.ended.includes('huge'));
  t.end();
});

test('a job that is started by another one begins after it', (t) => {
  const bench = open();
  bench.turns.run(
    {},
    bench.job('outer', 1, 0.01, () => bench.turns.run({}, bench.job('inner', 1, 0.01))),
  );
  t.same(bench.ended, ['outer']);
  bench.turn();
  t.same(bench.ended, ['outer', 'inner']);
  t.end();
});

test('a job that throws leaves the others as they were', (t) => {
  const bench = open();
  t.throws(() =>
    bench.turns.run(
      {},
      {
        step: () => {
          throw new Error('a bug');
        },
      },
    ),
  );
  bench.turns.run({}, bench.job('a', 1));
  t.same(bench.ended, ['a']);
  t.end();
});

test('property: every job ends, in order for each owner, and no turn takes longer than its bound', (t) => {
  const SLICE_MS_MAX = 1;
  const arbitraryJob = fc.record({
    owner: fc.nat({ max: 4 }),
    slices: fc.integer({ min: 1, max: 12 }),
    sliceMs: fc.double({ min: 0.001, max: SLICE_MS_MAX, noNaN: true }),
    turnsBefore: fc.nat({ max: 2 }),
  });
  fc.assert(
    fc.property(fc.array(arbitraryJob, { maxLength: 40 }), (jobs) => {
      const bench = open();
      const owners = Array.from({ length: 5 }, () => ({}));
      for (const [i, { owner, slices, sliceMs, turnsBefore }] of jobs.entries()) {
        for (let k = 0; k < turnsBefore; k += 1) bench.turn();
        bench.turns.run(owners[owner] as object, bench.job(`${owner}.${i}`, slices, sliceMs));
      }
      for (let k = 0; bench.turns.waiting > 0; k += 1) {
        if (k > 1000) throw new Error('it does not end');
        bench.turn();
      }
      const ended = bench.ended.map((name) => name.split('.').map(Number) as [number, number]);
      for (const owner of owners.keys()) {
        const own = ended.filter(([of]) => of === owner).map(([, i]) => i);
        t.same(
          own,
          own.toSorted((a, b) => a - b),
        );
      }
      t.equal(ended.length, jobs.length);
      // A slice that passes the bound at once, one of each kind at the turn.
      for (const ms of bench.turnsMs) if (ms > TURN_MS_MAX + 3 * SLICE_MS_MAX) throw new Error(`a turn of ${ms} ms`);
    }),
    { seed: 20261124, numRuns: 300 },
  );
  t.end();
});

test('a job that throws in a later turn ends alone, is logged, and its client is answered', async (t) => {
  let nowMs = 0;
  const deferred: (() => void)[] = [];
  const failures: unknown[] = [];
  const turns = createTurns({
    now: () => nowMs,
    defer: (turn) => void deferred.push(turn),
    onFailure: (error) => void failures.push(error),
  });
  const ended: string[] = [];
  const broken = new Error('a bug');
  let isFirst = true;
  turns.run(
    {},
    {
      step() {
        nowMs += TURN_MS_MAX;
        if (!isFirst) throw broken;
        isFirst = false;
        return false;
      },
    },
    () => void ended.push('answered with an error'),
  );
  turns.run({}, { step: () => ended.push('the other') > 0 });
  while (deferred.length > 0) deferred.shift()?.();
  t.same(failures, [broken]);
  t.same(ended.sort(), ['answered with an error', 'the other']);
  t.equal(turns.waiting, 0);
});

test('is full for a large job while the weights of those that wait are too much, and never for a small one', (t) => {
  const { turns, job, turn } = open();
  const max = limits.batchesWaitingEvaluationsMax;
  t.notOk(turns.isFullFor(max));
  // The first takes the whole of this turn, so that the other waits.
  turns.run({}, job('first', 1, TURN_MS_MAX));
  turns.run({}, { ...job('large', 1), weight: max - 2000 });
  t.notOk(turns.isFullFor(2000));
  t.ok(turns.isFullFor(2001));
  t.notOk(turns.isFullFor(1000));
  while (turn());
  t.notOk(turns.isFullFor(max), 'what is done weighs nothing');
  t.end();
});
