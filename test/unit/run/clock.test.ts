import { test } from 'tap';
import { createAwakeTime } from '../../../src/run/clock.ts';
import { createFakeClock } from './fixtures/support.ts';

test('counts the time in which timers came on time', async (t) => {
  const clock = createFakeClock();
  const awake = createAwakeTime(clock, 100);
  clock.every(100, () => awake.tick());
  clock.advance(1000);
  t.equal(awake.ms, 1000);
});

test('counts a long absence of the process itself as two periods', async (t) => {
  const clock = createFakeClock();
  const awake = createAwakeTime(clock, 100);
  clock.advance(60_000);
  awake.tick();
  t.equal(awake.ms, 200);
});
