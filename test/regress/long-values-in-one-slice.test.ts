// A batch was measured in cells of some 100 bytes: a thousand users of a few flags with long values were made in one
// slice, however many megabytes they were, and the worker was taken for hung and killed.
import { test } from 'tap';
import type { EvaluationContext } from '../../src/core/compiled.ts';
import { evaluate } from '../../src/core/evaluate.ts';
import { hashUser } from '../../src/kernel/murmur3.ts';
import { limits } from '../../src/limits.ts';
import type { ServingEnvironment } from '../../src/worker/serving.ts';
import { makeFlag } from '../support/serving.ts';
import { type Engine, EVERY_KEY, environmentOf, KERNELS, openEngine, runJob } from '../unit/worker/batch/support.ts';

for (const kernel of KERNELS) {
  for (const isRuled of [false, true]) {
    const way = `${kernel.name}, ${isRuled ? 'with a rule' : 'by the bucket alone'}`;
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
      ...(isRuled
        ? {
            rules: [
              {
                rule_id: 'r',
                when: { attribute: 'user_id', op: 'equals', values: ['user-1'] },
                serve: { variant: 'b' },
              },
            ],
          }
        : {}),
    });

    test(`long values are told in as many slices as they have bytes for (${way})`, (t) => {
      const environment = environmentOf([long]);
      const contexts = contextsOf(200);
      const { text, slices } = run(openEngine(kernel, { sliceMs: 0 }), environment, contexts);
      t.ok(text === rowsOf(environment, contexts), 'every answer is right');
      t.ok(slices >= 5, `12 MB in ${slices} slices`);
      t.end();
    });

    test(`a reply over its limit is refused, and not made first (${way})`, (t) => {
      const bytesMax = 3_000_000;
      const outcome = run(openEngine(kernel, { sliceMs: 0 }), environmentOf([long]), contextsOf(1000), bytesMax);
      t.match(outcome, { text: undefined, tooLarge: 1 });
      t.ok(outcome.slices < 150, `60 MB given up after ${outcome.slices} slices`);
      t.end();
    });
  }
}

function run(
  { batches }: Engine,
  environment: ServingEnvironment,
  contexts: readonly EvaluationContext[],
  bytesMax: number = limits.batchReplyBytesMax,
): { readonly text: string | undefined; readonly slices: number; readonly tooLarge: number } {
  const outcome = { text: undefined as string | undefined, tooLarge: 0 };
  const slices = runJob(
    batches.json({
      environment,
      key: EVERY_KEY,
      flagIds: undefined,
      contexts,
      form: 'batch',
      head: '[',
      tail: ']',
      done: (reply) => {
        outcome.text = Buffer.from(reply).toString();
      },
      tooMuchWork: () => {
        throw new Error('too much work');
      },
      bytesMax,
      tooLarge: () => {
        outcome.tooLarge += 1;
      },
    }),
  );
  return { ...outcome, slices };
}

function contextsOf(count: number): EvaluationContext[] {
  return Array.from({ length: count }, (_, i) => ({ userId: `user-${i}`, attributes: undefined }));
}

function rowsOf(environment: ServingEnvironment, contexts: readonly EvaluationContext[]): string {
  const rows = contexts.map((context) => {
    const cells = [...environment.flags.values()].map(
      (flag) => `"${flag.flagId}":${evaluate(flag, context, environment, hashUser).batchJson}`,
    );
    return `{${cells.join(',')}}`;
  });
  return `[${rows.join(',')}]`;
}
