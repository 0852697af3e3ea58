// What is kept for slow clients: all of it together has a bound, and each has to take some.
import { test } from 'tap';
import { limits } from '../../../../src/limits.ts';
import { type BudgetHolder, ByteBudget } from '../../../../src/worker/transport/byte-budget.ts';

function holder(cut: string[], name: string, isPaced = true): BudgetHolder {
  return { isPaced, cut: () => void cut.push(name) };
}

test('cuts who has waited longest when all together are too much', (t) => {
  const cut: string[] = [];
  const budget = new ByteBudget(100, () => 0);
  const [a, b, c] = ['a', 'b', 'c'].map((name) => holder(cut, name)) as [BudgetHolder, BudgetHolder, BudgetHolder];
  budget.set(a, 40);
  budget.set(b, 40);
  // It takes some, and goes behind the other.
  budget.set(a, 30);
  budget.set(c, 40);
  t.strictSame([cut, budget.bytes, budget.cutCount], [['b'], 70, 1]);
  budget.set(b, 0);
  budget.set(a, 0);
  budget.set(a, 0);
  t.equal(budget.bytes, 40, 'what is over is counted once');
  budget.set(a, 101);
  t.strictSame([cut, budget.bytes], [['b', 'c', 'a'], 0], 'what is too much alone goes too');
  budget.close();
  budget.close();
  t.end();
});

test('cuts who takes nothing for a while, or next to nothing for longer', (t) => {
  const cut: string[] = [];
  let nowMs = 0;
  const budget = new ByteBudget(1e9, () => nowMs);
  const idle = holder(cut, 'idle');
  const slow = holder(cut, 'slow');
  const good = holder(cut, 'good');
  const stream = holder(cut, 'stream', false);
  const whole = 1e7;
  for (const each of [idle, slow, good, stream]) budget.set(each, whole);
  for (let second = 1; second <= 60; second++) {
    nowMs = 1000 * second;
    if (cut.includes('slow') === false) budget.set(slow, whole - second);
    budget.set(good, whole - second * limits.replyBytesPerSecondMin);
    budget.look();
    if (nowMs < limits.replyIdleMsMax) t.strictSame(cut, []);
  }
  t.strictSame(cut, ['idle', 'slow']);
  budget.close();
  t.end();
});

test('cuts who takes nothing any more, however much it took before', (t) => {
  const cut: string[] = [];
  let nowMs = 0;
  const budget = new ByteBudget(1e9, () => nowMs);
  const tired = holder(cut, 'tired');
  budget.set(tired, 1e8);
  nowMs = 1000;
  budget.set(tired, 1e7);
  nowMs = 1000 + limits.replyIdleMsMax - 1;
  budget.look();
  t.strictSame(cut, []);
  nowMs += 1;
  budget.look();
  t.strictSame(cut, ['tired']);
  budget.close();
  t.end();
});
