import { test } from 'tap';
import { createSlots } from '../../../src/primary/worker-slots.ts';
import { createFakeClock } from '../run/fixtures/support.ts';

const TIMING = { restartMsMin: 200, restartMsMax: 10_000, longLifeMs: 30_000 };

test('slots are due at once at first, and a wish is granted while it is free', async (t) => {
  const slots = createSlots(3, createFakeClock(), TIMING);
  t.same(slots.due(), [1, 2, 3]);
  t.equal(slots.take(2), 2);
  t.equal(slots.take(2), 1);
  t.equal(slots.take(99), 3);
  t.equal(slots.take(1), undefined);
  t.same(slots.due(), []);
});

test('a slot whose workers die young waits 0, 200, 400 ms and so on up to 10 s, and a long life starts over', async (t) => {
  const clock = createFakeClock();
  const slots = createSlots(1, clock, TIMING);
  const pauses = [0, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000];
  for (const pauseMs of pauses) {
    slots.take(1);
    slots.free(1, 29_999);
    if (pauseMs > 0) {
      clock.advance(pauseMs - 1);
      t.same(slots.due(), [], `not before ${pauseMs}`);
      clock.advance(1);
    }
    t.same(slots.due(), [1], `after ${pauseMs}`);
  }
  slots.take(1);
  slots.free(1, 30_000);
  t.same(slots.due(), [1]);
});
