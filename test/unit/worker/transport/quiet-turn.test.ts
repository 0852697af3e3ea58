// The moment at which a listening socket, or a connection, is closed with the least loss.
import { test } from 'tap';
import { quietTurn } from '../../../../src/worker/transport/quiet-turn.ts';

const BUSY_MS = 5;

/** Turns of the event loop that each have something to do, until `isOver`; resolves with how many there were. */
function busyTurns(isOver: (count: number) => boolean): Promise<number> {
  return new Promise((resolve) => {
    let count = 0;
    function turn(): void {
      if (isOver(count)) return resolve(count);
      count += 1;
      const untilMs = performance.now() + BUSY_MS;
      while (performance.now() < untilMs);
      setImmediate(turn);
    }
    turn();
  });
}

test('is none of a busy loop while that is short, and comes all the same where it never ends', async (t) => {
  let order: string[] = [];
  let tookMs: number;
  do {
    order = [];
    const startedMs = performance.now();
    const quiet = quietTurn().then(() => order.push('quiet'));
    await busyTurns((count) => count === 10);
    order.push('no longer busy');
    tookMs = performance.now() - startedMs;
    await quiet;
    // A machine that stood still meanwhile has used up the patience.
  } while (tookMs > 150);
  t.same(order, ['no longer busy', 'quiet']);

  let isOver = false;
  void quietTurn().then(() => {
    isOver = true;
  });
  const count = await busyTurns(() => isOver);
  // A quarter of a second has 50 of them.
  t.ok(count >= 10 && count < 100, `its patience has an end, and not at once: ${count} turns`);
});
