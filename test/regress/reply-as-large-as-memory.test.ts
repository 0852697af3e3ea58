// A name or a value is told once for every context, and nothing bounded their sum: a request of a megabyte made a reply
// of one gigabyte, and a few of them a machine without memory. Now a reply that passes its bound is refused as it is made.
import { test } from 'tap';
import { limits } from '../../src/limits.ts';
import { makeFlag } from '../support/serving.ts';
import { EVERY_KEY, environmentOf, KERNELS, openEngine, runJob } from '../unit/worker/batch/support.ts';

const CONTEXTS = Array.from({ length: 1000 }, (_, i) => ({ userId: `u${i}`, attributes: undefined }));
const VALUE = 'v'.repeat(60_000);
const LARGE = makeFlag({
  flag_id: 'large',
  enabled: true,
  type: 'string',
  variants: { a: VALUE, b: `${VALUE}b` },
  off_variant: 'a',
  rollout: [
    { variant: 'a', percentage: 50 },
    { variant: 'b', percentage: 50 },
  ],
});

for (const kernel of KERNELS) {
  for (const [what, flagIds] of [
    ['a name of a megabyte', ['n'.repeat(1_000_000)]],
    ['a large value', ['large']],
  ] as const) {
    test(`${what} for each of 1000 contexts is refused while its reply is made (${kernel.name})`, (t) => {
      const { batches, plans } = openEngine(kernel);
      const told: string[] = [];
      const before = process.memoryUsage().arrayBuffers;
      let most = 0;
      const job = batches.json({
        plan: plans.find(environmentOf([LARGE]), EVERY_KEY, flagIds),
        contexts: CONTEXTS,
        form: 'batch',
        head: '[',
        tail: ']',
        done: ({ byteLength }) => told.push(`a reply of ${byteLength} bytes`),
        tooMuchWork: () => told.push('too much work'),
        replyBytesMax: limits.socketUnsentBytesMax,
        tooLarge: () => told.push('too large'),
      });
      runJob(job, () => {
        most = Math.max(most, process.memoryUsage().arrayBuffers - before);
      });
      t.strictSame(told, ['too large']);
      t.ok(most < 8 * limits.socketUnsentBytesMax, `it took ${most} bytes meanwhile`);
      t.end();
    });
  }
}

test('a reply of exactly its bound is sent, and one byte less refuses it', (t) => {
  for (const spare of [0, -1]) {
    const { batches, plans } = openEngine(KERNELS[0] as (typeof KERNELS)[number]);
    const reply = '[{"no":{"error":"FLAG_NOT_FOUND"}}]';
    const told: string[] = [];
    const job = batches.json({
      plan: plans.find(environmentOf([]), EVERY_KEY, ['no']),
      contexts: CONTEXTS.slice(0, 1),
      form: 'batch',
      head: '[',
      tail: ']',
      done: (bytes) => told.push(Buffer.from(bytes).toString()),
      tooMuchWork: () => told.push('too much work'),
      replyBytesMax: reply.length + spare,
      tooLarge: () => told.push('too large'),
    });
    runJob(job);
    t.strictSame(told, [spare === 0 ? reply : 'too large']);
  }
  t.end();
});
