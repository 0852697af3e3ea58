// What counts as too much to do, what is refused first, and that it ends by itself.
import { test } from 'tap';
import { limits } from '../../../src/limits.ts';
import { createOverload, type DrivenOverload } from '../../../src/worker/overload.ts';

const TICK_MS = 20;

interface Loop {
  readonly overload: DrivenOverload;
  readonly backlog: { waiting: number; doneCount: number };
  /** Turns of the loop, each this late. */
  turns(count: number, lateMs: number, cpuMs?: number): void;
  /** Requests of one turn that take this long each; how often somebody was told of the turn. */
  requests(count: number, eachMs: number, cpuEachMs?: number): number;
  /** Of 100 requests the ones that are refused. */
  refused(cost: 'costly' | 'cheap'): number;
}

function startLoop(): Loop {
  let nowMs = 0;
  let looks = 0;
  let cpuMs = 0;
  const backlog = { waiting: 0, doneCount: 0 };
  const overload = createOverload({
    now: () => nowMs,
    cpuMs: () => cpuMs,
    backlog: () => backlog,
    tallies: { gauge: () => {} },
    onLook: () => void (looks += 1),
  });
  overload.start();
  overload.close();
  return {
    overload,
    backlog,
    turns(count, lateMs, ownMs = TICK_MS + lateMs) {
      for (let i = 0; i < count; i++) {
        nowMs += TICK_MS + lateMs;
        cpuMs += ownMs;
        overload.tick();
      }
    },
    requests(count, eachMs, cpuEachMs = eachMs) {
      looks = 0;
      for (let i = 0; i < count; i++) {
        overload.count();
        nowMs += eachMs;
        cpuMs += cpuEachMs;
      }
      return looks;
    },
    refused: (cost) => Array.from({ length: 100 }, () => overload.sheds(cost)).filter(Boolean).length,
  };
}

test('refuses nothing while turns are on time, and not for one or two late ones', (t) => {
  const { overload, turns } = startLoop();
  turns(10, 0);
  t.notOk(overload.active);
  // A process that was stopped for an hour.
  turns(1, 3_600_000);
  t.notOk(overload.active);
  turns(1, 0);
  turns(2, 5000);
  t.notOk(overload.active);
  turns(100, limits.loopLagMsMax / 2);
  t.notOk(overload.active, 'late, and still fast enough');
  t.end();
});

test('refuses what is costly first, then a share of everything, and never all of it', (t) => {
  const { overload, turns, refused } = startLoop();
  turns(5, 2 * limits.loopLagMsMax);
  t.ok(overload.active);
  const early = refused('costly');
  t.ok(early > 0 && early < 100, `${early} of 100`);
  t.equal(refused('cheap'), 0);
  turns(1000, 2 * limits.loopLagMsMax);
  t.equal(refused('costly'), 100);
  t.equal(refused('cheap'), 90, 'something is let in, to see whether it is still too much');
  t.end();
});

test('recovers by itself, not at the first good turn', (t) => {
  const { overload, turns, refused } = startLoop();
  turns(1000, 2 * limits.loopLagMsMax);
  turns(3, 0);
  t.ok(refused('cheap') > 80);
  turns(300, 0);
  t.notOk(overload.active);
  t.equal(refused('costly'), 0);
  t.end();
});

test('keeps what it refuses between the lag at which that grows and half of it, at which it falls', (t) => {
  const { overload, turns, refused } = startLoop();
  turns(1000, 2 * limits.loopLagMsMax);
  turns(200, 0.75 * limits.loopLagMsMax);
  t.equal(refused('cheap'), 90);
  turns(200, 0.25 * limits.loopLagMsMax);
  t.notOk(overload.active);
  t.end();
});

test('batches that would wait long are refused, and nothing that is cheap with them', (t) => {
  const { overload, backlog, turns, refused } = startLoop();
  backlog.waiting = 100;
  for (let i = 0; i < 200; i++) {
    // One in five turns: the last of the 100 waits 10 s.
    if (i % 5 === 0) backlog.doneCount += 1;
    turns(1, 0);
  }
  t.ok(overload.active);
  t.equal(refused('costly'), 100);
  t.equal(refused('cheap'), 0);
  backlog.waiting = 3;
  turns(300, 0);
  t.notOk(overload.active, 'a few that are slow are no crowd');
  t.end();
});

test('refuses nine of ten that a turn still finds when it has lasted too long, and nothing in the next', (t) => {
  const { overload, turns, requests, refused } = startLoop();
  turns(1, 0);
  requests(200, 1);
  t.notOk(overload.active, 'within its time');
  t.equal(requests(400, 1) > 4, true, 'a worker with much to do says that it lives');
  t.ok(overload.active);
  t.equal(refused('cheap'), 90);
  t.equal(refused('costly'), 100);
  turns(1, 300);
  t.notOk(overload.active);
  t.end();
});

test('a process that is stopped, or waits for a CPU, refuses nothing in that turn', (t) => {
  const { overload, turns, requests } = startLoop();
  turns(1, 0);
  requests(100, 50, 0.01);
  t.notOk(overload.active);
  t.end();
});

test('turns that are late for want of a CPU refuse nothing, and late ones of which half was work do', (t) => {
  const { overload, turns } = startLoop();
  turns(100, 500, TICK_MS);
  t.notOk(overload.active);
  turns(3, 500, 260);
  t.ok(overload.active);
  t.end();
});
