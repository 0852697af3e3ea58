// Slices were measured in cells of about a hundred bytes: sixty megabytes of long values were made in one, and the
// worker was taken for hung.
import { test } from 'tap';
import { limits } from '../../src/limits.ts';
import { makeFlag } from '../support/serving.ts';
import { EVERY_KEY, environmentOf, KERNELS, openEngine, runJob } from '../unit/worker/batch/support.ts';

const CONTEXTS = Array.from({ length: 200 }, (_, i) => ({ userId: `user-${i}`, attributes: undefined }));

for (const kernel of KERNELS) {
  for (const rules of [
    [],
    [{ rule_id: 'r', when: { attribute: 'user_id', op: 'equals', values: ['user-1'] }, serve: { variant: 'b' } }],
  ]) {
    const way = `${kernel.name}, ${rules.length > 0 ? 'with a rule' : 'by the bucket alone'}`;
    test(`long values are told in as many slices as they have bytes for (${way})`, (t) => {
      const long = makeFlag({
        flag_id: 'long',
        enabled: true,
        type: 'string',
        variants: { a: 'a'.repeat(60_000), b: 'b'.repeat(60_000) },
        off_variant: 'a',
        rollout: [
          { variant: 'a', percentage: 50 },
          { variant: 'b', percentage: 50 },
        ],
        rules,
      });
      const { batches, plans } = openEngine(kernel, { sliceMs: 0 });
      let bytes = 0;
      const slices = runJob(
        batches.json({
          plan: plans.find(environmentOf([long]), EVERY_KEY, undefined),
          contexts: CONTEXTS,
          form: 'batch',
          head: '[',
          tail: ']',
          done: ({ byteLength }) => {
            bytes = byteLength;
          },
          tooMuchWork: () => t.fail('too much work'),
          replyBytesMax: limits.batchReplyBytesMax,
          tooLarge: () => t.fail('too large'),
        }),
      );
      t.ok(bytes > 12_000_000, `a reply of ${bytes} bytes`);
      t.ok(slices >= 5, `in ${slices} slices`);
      t.end();
    });
  }
}
