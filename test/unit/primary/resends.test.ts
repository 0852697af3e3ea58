import { test } from 'tap';
import { createResends } from '../../../src/primary/resends.ts';

test('a worker that refuses again and again is sent the snapshot at growing intervals', async (t) => {
  const sent: number[] = [];
  const pauses: number[] = [];
  let rechecks = 0;
  let fire: () => void = () => {};
  const resends = createResends({
    resend: (pid) => void sent.push(pid),
    recheck: async () => void rechecks++,
    clock: {
      after(ms, run) {
        pauses.push(ms);
        fire = run;
        return () => {};
      },
    },
  });
  resends.refused(1);
  t.same(sent, [1], 'the first time at once');
  for (let i = 0; i < 10; i++) {
    resends.refused(1);
    resends.refused(1);
    await new Promise(setImmediate);
    fire();
  }
  t.same(pauses, [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
  t.equal(sent.length, 11);
  t.equal(rechecks, 10);
  resends.acked(1);
  resends.refused(1);
  t.equal(sent.length, 12, 'what it took in between begins anew');
  resends.refused(1);
  await new Promise(setImmediate);
  resends.dead(1);
  fire();
  t.equal(sent.length, 12, 'the dead are sent nothing');
});
