// Batches against single evaluations: every form, both kernels, whole and in the smallest slices with others in between.
import fc from 'fast-check';
import { test } from 'tap';
import type { CompiledFlag, EvaluationContext, Outcome } from '../../../../src/core/compiled.ts';
import { evaluate } from '../../../../src/core/evaluate.ts';
import { hashUser } from '../../../../src/kernel/murmur3.ts';
import type { ReplyForm, SliceBounds } from '../../../../src/worker/batch/batches.ts';
import { itemJson } from '../../../../src/worker/routes/ofrep-reply.ts';
import type { ServingEnvironment } from '../../../../src/worker/serving.ts';
import { arbitraryContext } from '../../../support/arbitrary-conditions.ts';
import { arbitraryEnvironment, compileEnvironment } from '../../../support/arbitrary-environments.ts';
import { makeFlag } from '../../../support/serving.ts';
import { type Engine, EVERY_KEY, environmentOf, KERNELS, openEngine, runJob } from './support.ts';

const HEAD_BYTES = 24;

/** What others ask for between two slices, with the same kernel and the same shared reply. */
const OTHER_BATCH = {
  environment: environmentOf([makeFlag({ flag_id: 'other', enabled: true, rollout_percentage: 50 })]),
  key: EVERY_KEY,
  flagIds: undefined,
  contexts: Array.from({ length: 20 }, (_, i) => ({ userId: `other-${i}`, attributes: undefined })),
  form: 'batch',
  head: 'x'.repeat(200),
  tail: '',
  done: () => {},
  tooMuchWork: () => {},
} as const;

/** Flags that a bucket alone decides, which random environments have too few of. */
const arbitraryPlain = fc
  .array(fc.record({ edge: fc.integer({ min: 0, max: 10_000 }), salt: fc.constantFrom(null, 'a', 'ß-😀') }), {
    maxLength: 20,
  })
  .map((plain) =>
    plain.map(({ edge, salt }, i) =>
      makeFlag({ flag_id: `plain-${i}`, enabled: i % 7 !== 3, rollout_percentage: edge / 100, salt }),
    ),
  );

const arbitraryServed = fc.record({ random: arbitraryEnvironment, plain: arbitraryPlain }).map(({ random, plain }) => {
  const { flags, segments } = compileEnvironment(random);
  return environmentOf([...flags.values(), ...plain], segments as ServingEnvironment['segments']);
});

const arbitraryContexts = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: arbitraryContext },
    {
      weight: 1,
      arbitrary: fc.constantFrom('x'.repeat(65_535), 'ż'.repeat(32_767), '\ud800', 'a\u0000b').map((user_id) => ({
        user_id,
        attributes: undefined,
      })),
    },
  ),
  { maxLength: 12 },
);

const arbitraryBounds = fc.constantFrom<SliceBounds>(
  {},
  { sliceMs: 0, chunkCells: 1, chunkBytes: 1 },
  { sliceMs: 0, chunkCells: 40, chunkBytes: 100 },
  { sliceMs: 0 },
);

/** What is asked for: all, or a list with what does not exist and what is named again. */
const arbitraryAsked = fc.oneof(
  fc.constant(undefined),
  fc.array(
    fc.constantFrom('flag-0', 'flag-1', 'flag-3', 'flag-5', 'plain-0', 'plain-3', 'plain-9', 'none', 'a "b"\n', ''),
    { maxLength: 14 },
  ),
);

const arbitraryCase = fc.record({
  environment: arbitraryServed,
  contexts: arbitraryContexts,
  asked: arbitraryAsked,
  bounds: arbitraryBounds,
});

for (const kernel of KERNELS) {
  test(`property: JSON batches equal single evaluations (${kernel.name})`, (t) => {
    let slicesMost = 0;
    fc.assert(
      fc.property(arbitraryCase, ({ environment, contexts, asked, bounds }) => {
        const engine = openEngine(kernel, bounds);
        const read = contexts.map(toContext);
        for (const form of ['batch', 'ofrep'] as const) {
          const expected = `{"rows":[${read.map((context) => naiveRow(environment, context, asked, form)).join(',')}]}`;
          // By strings, and by the kernel once enough was asked.
          for (let round = 0; round < 2; round += 1) {
            const { text, slices } = runJson(engine, environment, asked, read, form);
            if (text !== expected) throw new Error(`${form}, round ${round}:\n${text}\n${expected}`);
            slicesMost = Math.max(slicesMost, slices);
            engine.plans.find(environment, EVERY_KEY, asked).distinct.isWorthKernel(1000);
          }
        }
      }),
      { seed: 20261124, numRuns: 120 },
    );
    t.ok(slicesMost > 20, `${slicesMost} slices at most`);
    t.end();
  });

  test(`property: binary batches equal single evaluations (${kernel.name})`, (t) => {
    fc.assert(
      fc.property(arbitraryCase, fc.boolean(), ({ environment, contexts, asked, bounds }, withAttributes) => {
        const engine = openEngine(kernel, bounds);
        const read = contexts
          .map(toContext)
          // What a frame cannot carry: nobody, and half a surrogate pair.
          .filter(({ userId }) => userId !== '' && Buffer.from(userId).toString() === userId)
          .map((context) => (withAttributes ? context : { ...context, attributes: undefined }));
        for (const packed of [false, true]) checkBinary(engine, environment, asked, read, packed, withAttributes);
      }),
      { seed: 20261125, numRuns: 120 },
    );
    t.end();
  });
}

function toContext({ user_id: userId, attributes }: { user_id: string; attributes?: EvaluationContext['attributes'] }) {
  return { userId, attributes };
}

function naiveRow(
  environment: ServingEnvironment,
  context: EvaluationContext,
  asked: readonly string[] | undefined,
  form: ReplyForm,
): string {
  const cells = [...new Set(asked ?? environment.flags.keys())].map((id) => {
    const flag = environment.flags.get(id);
    const name = JSON.stringify(id);
    if (flag === undefined)
      return form === 'batch' ? `${name}:{"error":"FLAG_NOT_FOUND"}` : `{"key":${name},"errorCode":"FLAG_NOT_FOUND"}`;
    const outcome = single(environment, flag, context);
    return form === 'batch' ? `${name}:${outcome.batchJson}` : itemJson(flag, outcome);
  });
  return form === 'batch' ? `{${cells.join(',')}}` : `[${cells.join(',')}]`;
}

function single(environment: ServingEnvironment, flag: CompiledFlag, context: EvaluationContext): Outcome {
  return evaluate(flag, context, environment, hashUser);
}

function runJson(
  { batches }: Engine,
  environment: ServingEnvironment,
  flagIds: readonly string[] | undefined,
  contexts: readonly EvaluationContext[],
  form: ReplyForm,
): { readonly text: string; readonly slices: number } {
  let text = '';
  const run = (done: (reply: Uint8Array) => void, disturb?: () => void): number =>
    runJob(
      batches.json({
        environment,
        key: EVERY_KEY,
        flagIds,
        contexts,
        form,
        head: '{"rows":[',
        tail: ']}',
        done,
        tooMuchWork: () => {
          throw new Error('too much work');
        },
      }),
      disturb,
    );
  const disturb = (): void => void batches.json(OTHER_BATCH).step();
  const slices = run((reply) => {
    text = Buffer.from(reply).toString();
  }, disturb);
  return { text, slices };
}

function checkBinary(
  { batches, plans }: Engine,
  environment: ServingEnvironment,
  asked: readonly string[] | undefined,
  contexts: readonly EvaluationContext[],
  packed: boolean,
  withAttributes: boolean,
): void {
  const plan = plans.find(environment, EVERY_KEY, asked);
  const frame = Buffer.concat(contexts.map((context) => encodeUser(context, withAttributes)));
  let reply: Uint8Array | undefined;
  runJob(
    batches.binary({
      plan,
      users: frame,
      userCount: contexts.length,
      withAttributes,
      packed,
      writeHead: (head) => void head.fill(7),
      done: (bytes) => {
        reply = Buffer.from(bytes);
      },
      refused: (message) => {
        throw new Error(message);
      },
      tooMuchWork: () => {
        throw new Error('too much work');
      },
    }),
    () => {
      // The frame is its sender's again, and others use the kernel.
      frame.fill(0xff);
      batches.json(OTHER_BATCH).step();
    },
  );
  const columns = plan.flagIds.length;
  const rowBytes = packed ? Math.ceil(columns / 8) : columns;
  const expected = Buffer.alloc(HEAD_BYTES + contexts.length * rowBytes);
  expected.fill(7, 0, HEAD_BYTES);
  for (const [row, context] of contexts.entries()) {
    for (const [column, id] of plan.flagIds.entries()) {
      const flag = environment.flags.get(id);
      const outcome = flag === undefined ? undefined : single(environment, flag, context);
      const at = HEAD_BYTES + row * rowBytes;
      if (!packed) expected[at + column] = outcome?.variantIndex ?? 255;
      else if (outcome?.enabled === true) (expected[at + (column >> 3)] as number) |= 1 << (column & 7);
    }
  }
  if (reply === undefined || !expected.equals(reply)) {
    const found = Buffer.from(reply ?? []).toString('hex');
    throw new Error(`packed ${packed}\n${found}\n${expected.toString('hex')}`);
  }
}

function encodeUser({ userId, attributes }: EvaluationContext, withAttributes: boolean): Buffer {
  const user = Buffer.from(userId);
  const length = Buffer.alloc(2);
  length.writeUInt16LE(user.length);
  if (!withAttributes) return Buffer.concat([length, user]);
  const json = Buffer.from(attributes === undefined ? '' : JSON.stringify(attributes));
  const jsonLength = Buffer.alloc(4);
  jsonLength.writeUInt32LE(json.length);
  return Buffer.concat([length, user, jsonLength, json]);
}
