// A handle keeps its plan, and with it kept the prepared texts that a batch of the same list had made, megabytes that
// were given back to the budget when the plan had left the cache: client after client could have them made anew.
import { test } from 'tap';
import { limits } from '../../src/limits.ts';
import { makeFlag } from '../support/serving.ts';
import { EVERY_KEY, environmentOf, KERNELS, openEngine, runJob } from '../unit/worker/batch/support.ts';

const ENVIRONMENT = environmentOf(
  ['a', 'b'].map((flagId) => makeFlag({ flag_id: flagId, enabled: true, rollout_percentage: 50 })),
);
const CONTEXTS = Array.from({ length: 100 }, (_, i) => ({ userId: `u${i}`, attributes: undefined }));

for (const kernel of KERNELS) {
  test(`a list that is let go keeps no texts, and a batch under way goes on without (${kernel.name})`, (t) => {
    const { plans, batches } = openEngine(kernel, { sliceMs: 0, chunkCells: 8 });
    const flagIds = ['a', 'b'];
    const reply = (disturb: () => void): string => {
      let text = '';
      const fail = () => t.fail('it is refused');
      const job = batches.json({
        plan: plans.find(ENVIRONMENT, EVERY_KEY, flagIds),
        contexts: CONTEXTS,
        form: 'batch',
        head: '[',
        tail: ']',
        done: (bytes) => {
          text = Buffer.from(bytes).toString();
        },
        tooMuchWork: fail,
        replyBytesMax: limits.batchReplyBytesMax,
        tooLarge: fail,
      });
      runJob(job, disturb);
      return text;
    };
    const expected = reply(() => {});
    const kept = plans.find(ENVIRONMENT, EVERY_KEY, flagIds);
    const [panel] = kept.panels;
    t.ok(panel?.fragments('batch'));
    let slices = 0;
    const text = reply(() => {
      slices += 1;
      if (slices !== 2) return;
      for (let i = 0; i <= 2 * limits.plansMax; i++) plans.find(ENVIRONMENT, EVERY_KEY, ['a', `other-${i}`]);
      t.equal(panel?.fragments('batch'), undefined);
    });
    t.ok(slices > 2);
    t.ok(text === expected, 'the reply is the same');
    t.not(plans.find(ENVIRONMENT, EVERY_KEY, flagIds), kept);
    t.end();
  });
}
