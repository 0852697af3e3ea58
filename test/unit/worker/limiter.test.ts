// The worker's half of the rate limit, one situation at a time.
import { type Test, test } from 'tap';
import type { Lease } from '../../../src/ipc/messages.ts';
import { WINDOW_MS } from '../../../src/ipc/rate-window.ts';
import { limits } from '../../../src/limits.ts';
import { ADMITTED, createLimiter, type Limiter, SPENT, WAIT } from '../../../src/worker/limiter.ts';
import type { ServingKey } from '../../../src/worker/serving.ts';

const START_MS = 29_000_000 * WINDOW_MS;
const END_MS = START_MS + WINDOW_MS;

interface Bench {
  readonly limiter: Limiter;
  /** What went to the primary. */
  readonly asked: number[];
  readonly returned: number[];
  connected: boolean;
  nowMs: number;
  take(limit?: number): number;
  grant(tokens: number, more?: Partial<Lease>): void;
  /** Lets time go on, timers included. */
  pass(ms: number): void;
}

test('a key without a limit is never asked about', (t) => {
  const bench = open(t);
  for (let index = 0; index < 1000; index++) t.equal(bench.take(0), ADMITTED);
  t.same(bench.asked, []);
  t.same(bench.limiter.uses(), []);
  t.end();
});

test('the first request waits for a lease and is let through by it', async (t) => {
  const bench = open(t);
  t.equal(bench.take(), WAIT);
  const waited = bench.limiter.waitTake(key());
  t.same(bench.asked, [2], 'for itself and one ahead');
  bench.grant(2);
  t.equal(await waited, true);
  t.same(bench.limiter.uses(), [{ keyId: 'k', windowEndMs: END_MS, admitted: 1, held: 1 }]);
});

test('asks ahead, so that steady demand never waits', (t) => {
  const bench = open(t);
  void bench.limiter.waitTake(key());
  bench.grant(bench.asked.at(-1) as number);
  for (let index = 0; index < 500; index++) {
    const before = bench.asked.length;
    t.equal(bench.take(), ADMITTED);
    if (bench.asked.length > before) bench.grant(bench.asked.at(-1) as number);
    if (index % 5 === 0) bench.pass(10);
  }
  t.ok(bench.asked.length < 120, `${bench.asked.length} questions for 500 requests`);
  t.end();
});

test('waits at most 50 ms, then refuses', async (t) => {
  const bench = open(t);
  const waited = bench.limiter.waitTake(key());
  bench.pass(limits.rateWaitMsMax);
  t.equal(await waited, false);
});

test('while others may give back it asks again every 10 ms for those who wait', async (t) => {
  const bench = open(t);
  const waited = bench.limiter.waitTake(key());
  bench.grant(0);
  bench.pass(10);
  bench.grant(0);
  bench.pass(10);
  t.equal(bench.asked.length, 3);
  bench.grant(1);
  t.equal(await waited, true);
});

test('a spent window refuses at once, without asking, and says when the next begins', async (t) => {
  const bench = open(t);
  const waited = bench.limiter.waitTake(key());
  bench.grant(1, { spent: true, remaining: 0 });
  t.equal(await waited, true);
  for (let index = 0; index < 100; index++) t.equal(bench.take(), SPENT);
  t.equal(bench.asked.length, 1);
  bench.pass(29_500);
  t.same(bench.limiter.standing(key(), bench.nowMs), { limit: 1000, remaining: 0, resetSeconds: 21 });
  bench.pass(END_MS - bench.nowMs);
  t.equal(bench.take(), WAIT, 'a new window is not spent');
});

test('what waits together is served in the order it came, and the rest refused when the window is spent', async (t) => {
  const bench = open(t);
  const waited = [0, 1, 2].map(() => bench.limiter.waitTake(key()));
  bench.grant(2, { spent: true });
  t.same(await Promise.all(waited), [true, true, false]);
});

test('no more than a bounded number wait', (t) => {
  const bench = open(t);
  for (let index = 0; index < limits.rateWaitersMax; index++) void bench.limiter.waitTake(key());
  t.equal(bench.take(), SPENT);
  t.end();
});

test('an unused lease flows back within 100 ms of idleness', (t) => {
  const bench = open(t);
  void bench.limiter.waitTake(key(600));
  bench.grant(50);
  bench.pass(100);
  bench.pass(100);
  t.equal(
    bench.returned.reduce((sum, tokens) => sum + tokens, 0),
    49,
  );
  t.same(bench.limiter.uses(), [{ keyId: 'k', windowEndMs: END_MS, admitted: 1, held: 0 }]);
  t.end();
});

test('tokens are good until 20 ms before the end of their window, and those of the next from its beginning', async (t) => {
  const bench = open(t, END_MS - 21);
  void bench.limiter.waitTake(key());
  bench.grant(10);
  t.equal(bench.take(), ADMITTED);
  bench.pass(1);
  t.equal(bench.take(), WAIT);
  const waited = bench.limiter.waitTake(key());
  let admittedMs = 0;
  void waited.then(() => {
    admittedMs = bench.nowMs;
  });
  bench.grant(5, { windowEndMs: END_MS + WINDOW_MS });
  t.equal(bench.take(), WAIT, 'the next window has not begun');
  for (let ms = 0; ms < 20; ms++) {
    bench.pass(1);
    await Promise.resolve();
  }
  t.equal(await waited, true);
  t.equal(admittedMs, END_MS);
  t.equal(bench.take(), ADMITTED);
});

test('a lease of a window that is over is worth nothing', (t) => {
  const bench = open(t);
  void bench.limiter.waitTake(key());
  bench.pass(END_MS - bench.nowMs);
  t.equal(bench.take(), WAIT);
  bench.grant(5, { windowEndMs: END_MS });
  t.equal(bench.take(), WAIT);
  t.end();
});

test('without a primary it admits what it holds, and from the next window its share', (t) => {
  const bench = open(t);
  void bench.limiter.waitTake(key());
  bench.grant(4);
  bench.connected = false;
  bench.pass(200);
  t.same(
    [1, 2, 3, 4].map(() => bench.take()),
    [ADMITTED, ADMITTED, ADMITTED, SPENT],
  );
  bench.pass(END_MS - bench.nowMs);
  for (let index = 0; index < 250; index++) t.equal(bench.take(), ADMITTED);
  t.equal(bench.take(), SPENT);
  t.same(bench.limiter.uses(), [{ keyId: 'k', windowEndMs: END_MS + WINDOW_MS, admitted: 250, held: 0 }]);
  t.same(bench.returned, [], 'nothing is given back to nobody');
  t.end();
});

test('a limit below the number of workers leaves each worker one request a window', (t) => {
  const bench = open(t);
  bench.connected = false;
  bench.pass(END_MS - bench.nowMs);
  t.equal(bench.take(1), ADMITTED);
  t.equal(bench.take(1), SPENT);
  t.end();
});

test('a primary that was lost in this window leaves no share of it', (t) => {
  const bench = open(t);
  bench.pass(1000);
  bench.connected = false;
  bench.pass(1000);
  t.equal(bench.take(), SPENT);
  t.end();
});

test('what a lost primary was asked is asked again', (t) => {
  const bench = open(t);
  void bench.limiter.waitTake(key());
  t.equal(bench.asked.length, 1);
  bench.connected = false;
  bench.pass(100);
  bench.connected = true;
  bench.limiter.uses();
  void bench.limiter.waitTake(key());
  t.equal(bench.asked.length, 2);
  t.end();
});

test('a changed limit gives back what the old one granted, the answer on its way included', (t) => {
  const bench = open(t);
  void bench.limiter.waitTake(key(1000));
  bench.grant(20);
  bench.take(1000);
  for (let index = 0; index < 18; index++) bench.take(1000);
  t.ok(bench.asked.length >= 2, 'a question is open');
  const before = bench.asked.length;
  t.equal(bench.take(5), WAIT);
  bench.grant(100);
  t.equal(bench.take(5), WAIT, 'that answered the old limit');
  t.equal(bench.returned.at(-1), 100);
  void bench.limiter.waitTake(key(5));
  t.equal(bench.asked.length, before + 1);
  t.end();
});

test('a raised limit opens a spent window', (t) => {
  const bench = open(t);
  void bench.limiter.waitTake(key(1));
  bench.grant(1, { spent: true });
  t.equal(bench.take(1), SPENT);
  t.equal(bench.take(2), WAIT);
  t.end();
});

test('a revoked key gives back what it held, and its state ends with the window', (t) => {
  const bench = open(t);
  void bench.limiter.waitTake(key(600));
  bench.grant(9);
  bench.pass(200);
  t.same(
    bench.returned.reduce((sum, tokens) => sum + tokens, 0),
    8,
  );
  bench.pass(END_MS - bench.nowMs + 200);
  t.same(bench.limiter.uses(), []);
  bench.grant(3, { windowEndMs: END_MS + WINDOW_MS });
  t.equal(bench.returned.at(-1), 3, 'a lease for nobody goes straight back');
  t.end();
});

test('a clock that is set back does not lock a key out', (t) => {
  const bench = open(t);
  void bench.limiter.waitTake(key());
  bench.grant(5);
  bench.nowMs -= 10 * WINDOW_MS;
  t.equal(bench.take(), WAIT);
  void bench.limiter.waitTake(key());
  bench.grant(5, { windowEndMs: END_MS - 10 * WINDOW_MS });
  t.equal(bench.take(), ADMITTED);
  t.end();
});

test('beats carry only what changed, hello everything', (t) => {
  const bench = open(t);
  void bench.limiter.waitTake(key());
  bench.grant(5);
  t.equal(bench.limiter.changedUses().length, 1);
  t.equal(bench.limiter.changedUses().length, 0);
  t.equal(bench.limiter.uses().length, 1);
  bench.take();
  t.equal(bench.limiter.changedUses().length, 1);
  t.end();
});

test('closing refuses who waits and gives back what is held', async (t) => {
  const bench = open(t);
  void bench.limiter.waitTake(key());
  bench.grant(5);
  const waited = bench.limiter.waitTake({ ...key(), keyId: 'other' });
  bench.limiter.close();
  bench.limiter.close();
  t.equal(await waited, false);
  t.equal(
    bench.returned.reduce((sum, tokens) => sum + tokens, 0),
    4,
  );
});

function key(rateLimit = 1000): ServingKey {
  return {
    keyId: 'k',
    keyHash: '',
    name: '',
    rank: 1,
    scopes: [],
    environments: undefined,
    tags: undefined,
    rateLimit,
    expiresAtMs: Number.POSITIVE_INFINITY,
  };
}

function open(t: Test, startMs = START_MS + 10_000): Bench {
  // Apart from the bench, because the limiter starts a timer before there is one.
  const clock = { nowMs: startMs };
  const timers: { atMs: number; run: () => void }[] = [];
  const asked: number[] = [];
  const returned: number[] = [];
  const limiter = createLimiter({
    workers: 4,
    now: () => clock.nowMs,
    connected: () => bench.connected,
    requestLease: (_keyId, _limit, tokens) => void asked.push(tokens),
    returnLease: (_keyId, _windowEndMs, tokens) => void returned.push(tokens),
    later(ms, run) {
      const timer = { atMs: clock.nowMs + ms, run };
      timers.push(timer);
      return () => {
        if (timers.includes(timer)) timers.splice(timers.indexOf(timer), 1);
      };
    },
  });
  const bench: Bench = {
    limiter,
    asked,
    returned,
    connected: true,
    get nowMs() {
      return clock.nowMs;
    },
    set nowMs(ms) {
      clock.nowMs = ms;
    },
    take: (limit = 1000) => limiter.tryTake(key(limit), bench.nowMs),
    grant: (tokens, more) =>
      limiter.receive({ keyId: 'k', windowEndMs: END_MS, tokens, spent: false, remaining: 500, ...more }),
    pass(ms) {
      const untilMs = bench.nowMs + ms;
      for (;;) {
        const next = timers.filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
        if (next === undefined) break;
        timers.splice(timers.indexOf(next), 1);
        bench.nowMs = Math.max(bench.nowMs, next.atMs);
        next.run();
      }
      bench.nowMs = untilMs;
    },
  };
  t.teardown(() => limiter.close());
  return bench;
}
