import { test } from 'tap';
import { createEmptyWorkers } from '../../../src/primary/empty-workers.ts';

function workersOf(left: readonly number[]) {
  const listening: number[] = [];
  const state = { isEmpty: true };
  const workers = createEmptyWorkers({ isEmpty: () => state.isEmpty, left });
  const join = (pid: number, revision: number): void => workers.joined(pid, revision, () => listening.push(pid));
  return { workers, join, listening, state };
}

test('with nothing to serve and nobody who serves, a worker listens at once', async (t) => {
  const { join, listening } = workersOf([]);
  join(1, 0);
  join(2, 0);
  t.same(listening, [1, 2]);
});

test('beside a worker of an earlier primary that serves, one without a snapshot does not listen until it is dead', async (t) => {
  const { workers, join, listening } = workersOf([1, 2]);
  join(3, 0);
  t.same(listening, [], 'those that were left have not joined yet');
  join(1, 812);
  workers.dead(2);
  t.same(listening, []);
  workers.dead(1);
  t.same(listening, [3]);
});

test('a worker that was left with nothing is no reason to wait', async (t) => {
  const { join, listening } = workersOf([1]);
  join(2, 0);
  join(1, 0);
  t.same(listening.sort(), [1, 2]);
});

test('once there is a snapshot, nobody is told that there is none', async (t) => {
  const { workers, join, listening, state } = workersOf([1]);
  join(2, 0);
  state.isEmpty = false;
  workers.dead(1);
  workers.serves(2);
  t.same(listening, []);
});
