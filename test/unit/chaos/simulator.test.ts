// A part of what `npm run simulate` runs, and that it finds what it is to find.
import { test } from 'tap';
import { runSchedules } from '../../../chaos/simulator/run.ts';
import { shrink } from '../../../chaos/simulator/shrink.ts';
import { BREAKS, type Break } from '../../../chaos/simulator/wiring.ts';

const SCHEDULES = 800;

/** Of each wrong wiring: the first seed that finds it, and as what. */
const FOUND: Readonly<Record<Break, readonly [seed: number, rule: string]>> = {
  gap: [1, 'torn-read'],
  epoch: [6, 'torn-read'],
  'hot-copy': [371, 'hot-copy-went-back'],
};

test('nothing that must hold is broken', async (t) => {
  const { schedules, failures } = await runSchedules({ schedules: SCHEDULES, seed: 1 });
  t.equal(schedules, SCHEDULES);
  t.same(
    failures.map(({ seed, rule, detail }) => `--seed ${seed}: ${rule}: ${detail}`),
    [],
  );
});

for (const broken of BREAKS) {
  const [seed, rule] = FOUND[broken];
  test(`a wrong rule is found: ${broken}`, async (t) => {
    const { failures } = await runSchedules({ schedules: 1, seed, broken });
    t.equal(failures[0]?.rule, rule);
  });
}

test('a seed makes the same schedule again, alone or beside others', async (t) => {
  const alone: string[] = [];
  const again: string[] = [];
  // With the holder of a worker, which compiles in slices.
  const seed = 20;
  await runSchedules({ schedules: 1, seed, say: (text) => alone.push(text) });
  await runSchedules({ schedules: 1, seed, say: (text) => again.push(text) });
  t.ok(alone.length > 50);
  t.same(again, alone);
  const { failures } = await runSchedules({ schedules: 10, seed: 365, broken: 'hot-copy' });
  const [first] = (await runSchedules({ schedules: 1, seed: 371, broken: 'hot-copy' })).failures;
  t.same(failures[0], first);
});

test('a schedule that fails is cut down to the steps that it needs', async (t) => {
  const [failure] = (await runSchedules({ schedules: 1, seed: 6, broken: 'epoch' })).failures;
  t.ok(failure);
  if (failure === undefined) return;
  const needed = await shrink(failure, failure.steps.length, 'epoch');
  t.same(
    needed.map((index) => failure.steps[index]?.type),
    ['exchange'],
  );
});
