// Batches one situation at a time: what is refused, what ends early, and what is wider than a panel.
import { type Test, test } from 'tap';
import type { CompiledFlag, EvaluationContext } from '../../../../src/core/compiled.ts';
import { evaluate } from '../../../../src/core/evaluate.ts';
import { hashUser } from '../../../../src/kernel/murmur3.ts';
import { limits } from '../../../../src/limits.ts';
import type { BinaryBatch, JsonBatch, SliceBounds } from '../../../../src/worker/batch/batches.ts';
import { createTurns } from '../../../../src/worker/batch/turns.ts';
import type { ServingEnvironment } from '../../../../src/worker/serving.ts';
import { makeFlag, makeKey } from '../../../support/serving.ts';
import { type Engine, EVERY_KEY, environmentOf, KERNELS, openEngine, runJob } from './support.ts';

const HEAD_BYTES = 24;
const SMALLEST: SliceBounds = { sliceMs: 0, chunkCells: 100, chunkBytes: 100 };
const PLAIN = makeFlag({ flag_id: 'plain', enabled: true, rollout_percentage: 50 });
const RULED = makeFlag({
  flag_id: 'ruled',
  enabled: true,
  rollout_percentage: 0,
  rules: [
    { rule_id: 'r', when: { attribute: 'id', op: 'equals', values: ['9007199254740993'] }, serve: { variant: 'on' } },
  ],
});

interface BinaryOutcome {
  readonly reply: Buffer | undefined;
  readonly refused: readonly [message: string, user: number, isMalformed: boolean][];
  readonly tooMuch: number;
}

function runBinary(
  { batches, plans }: Engine,
  environment: ServingEnvironment,
  frame: Uint8Array,
  userCount: number,
  more: Partial<BinaryBatch> = {},
): BinaryOutcome {
  const outcome = {
    reply: undefined as Buffer | undefined,
    refused: [] as BinaryOutcome['refused'][number][],
    tooMuch: 0,
  };
  runJob(
    batches.binary({
      plan: plans.find(environment, EVERY_KEY, undefined),
      users: frame,
      userCount,
      withAttributes: false,
      packed: false,
      writeHead: (head) => void head.fill(7),
      done: (bytes) => {
        outcome.reply = Buffer.from(bytes);
      },
      refused: (...told) => void outcome.refused.push(told),
      tooMuchWork: () => {
        outcome.tooMuch += 1;
      },
      ...more,
    }),
  );
  return outcome;
}

function user(bytes: string | Uint8Array, attributes?: string): Buffer {
  const own = Buffer.from(bytes as string);
  const length = Buffer.alloc(2);
  length.writeUInt16LE(own.length);
  if (attributes === undefined) return Buffer.concat([length, own]);
  const attributesLength = Buffer.alloc(4);
  attributesLength.writeUInt32LE(Buffer.byteLength(attributes));
  return Buffer.concat([length, own, attributesLength, Buffer.from(attributes)]);
}

function runJson(
  { batches }: Engine,
  environment: ServingEnvironment,
  contexts: readonly EvaluationContext[],
  more: Partial<JsonBatch> = {},
): { readonly text: string | undefined; readonly slices: number; readonly tooMuch: number; readonly tooLarge: number } {
  const outcome = { text: undefined as string | undefined, tooMuch: 0, tooLarge: 0 };
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
        outcome.tooMuch += 1;
      },
      bytesMax: limits.batchReplyBytesMax,
      tooLarge: () => {
        outcome.tooLarge += 1;
      },
      ...more,
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

for (const kernel of KERNELS) {
  test(`a frame that is wrong is refused, and says which user and why (${kernel.name})`, (t) => {
    const engine = openEngine(kernel);
    const environment = environmentOf([PLAIN]);
    const refusal = (frame: Uint8Array, users: number): unknown =>
      runBinary(engine, environment, frame, users).refused[0];
    t.same(refusal(Buffer.concat([user('a'), user('')]), 2), [
      'users[1] is empty; a user has 1 to 65535 bytes',
      1,
      false,
    ]);
    t.same(refusal(user(Buffer.from([0xc3])), 1), ['users[0] is not UTF-8', 0, false]);
    t.same(refusal(user('a'), 2), ['the frame ends within users[1]', 1, true]);
    t.same(refusal(Buffer.concat([user('a'), Buffer.from('xy')]), 1), ['2 bytes follow the last of 1 users', 1, true]);
    t.match(refusal(Buffer.alloc(kernel.users.length + 1), 1), [/users must be at most/, 0, false]);
    t.end();
  });

  test(`attributes of a frame are read as those of a body, and refused as those (${kernel.name})`, (t) => {
    const engine = openEngine(kernel);
    const environment = environmentOf([PLAIN, RULED]);
    const frame = Buffer.concat([
      user('a', '{"id":9007199254740993}'),
      user('a', '{"id":9007199254740992}'),
      user('a', ''),
    ]);
    const { reply } = runBinary(engine, environment, frame, 3, { withAttributes: true });
    t.same(
      [1, 3, 5].map((cell) => reply?.[HEAD_BYTES + cell]),
      [1, 0, 0],
      'a number that no double has stays a text',
    );
    const refusal = (attributes: string): string | undefined =>
      runBinary(engine, environment, Buffer.concat([user('a', '{}'), user('b', attributes)]), 2, {
        withAttributes: true,
      }).refused[0]?.[0];
    t.equal(refusal('{'), 'users[1].attributes is not valid JSON at character 1');
    t.equal(refusal('[]'), 'users[1].attributes must be an object');
    t.equal(refusal(`${'['.repeat(100)}`), 'users[1].attributes must be nested at most 16 levels deep');
    t.equal(refusal(JSON.stringify('x'.repeat(70_000))), 'users[1].attributes must be at most 65536 bytes of JSON');
    const many = JSON.stringify(Object.fromEntries(Array.from({ length: 257 }, (_, i) => [`a${i}`, i])));
    t.equal(refusal(many), 'users[1].attributes must have at most 256 attributes');
    t.match(
      runBinary(engine, environmentOf([PLAIN]), user('b', '{'), 1, { withAttributes: true }).refused[0]?.[0],
      /not valid JSON/,
      'also when no flag asks for them',
    );
    t.end();
  });

  test(`no users, no contexts, no flags: empty replies (${kernel.name})`, (t) => {
    const engine = openEngine(kernel);
    const some = environmentOf([PLAIN]);
    const none = environmentOf([]);
    t.equal(runBinary(engine, some, Buffer.alloc(0), 0).reply?.length, HEAD_BYTES);
    t.equal(runBinary(engine, none, user('a'), 1).reply?.length, HEAD_BYTES);
    t.equal(runBinary(engine, none, user(''), 1).refused.length, 1);
    t.equal(runJson(engine, some, []).text, '[]');
    for (let round = 0; round < 3; round += 1)
      t.equal(runJson(engine, none, contextsOf(20)).text, `[${Array(20).fill('{}').join(',')}]`);
    t.equal(runJson(engine, some, contextsOf(1), { flagIds: [] }).text, '[{}]');
    t.end();
  });

  test(`more flags than a panel has, in every way (${kernel.name})`, (t) => {
    const environment = environmentOf(wideFlags());
    const contexts = contextsOf(7).map((context, i) => ({
      ...context,
      attributes: i % 2 === 0 ? { id: '1' } : undefined,
    }));
    for (const bounds of [{}, SMALLEST]) {
      const engine = openEngine(kernel, bounds);
      for (let round = 0; round < 3; round += 1)
        t.ok(runJson(engine, environment, contexts).text === rowsOf(environment, contexts), `JSON, round ${round}`);
      for (const withAttributes of [false, true]) {
        const frame = Buffer.concat(
          contexts.map(({ userId, attributes }) =>
            withAttributes ? user(userId, attributes === undefined ? '' : JSON.stringify(attributes)) : user(userId),
          ),
        );
        const asked = withAttributes ? contexts : contexts.map(({ userId }) => ({ userId, attributes: undefined }));
        for (const packed of [false, true]) {
          const { reply } = runBinary(engine, environment, frame, contexts.length, { withAttributes, packed });
          checkCells(t, reply, environment, asked, packed);
        }
      }
    }
    t.end();
  });

  test(`a row that is too large for prepared texts is told in strings (${kernel.name})`, (t) => {
    const flags = Array.from({ length: 12 }, (_, i) =>
      makeFlag({
        flag_id: `large-${i}`,
        enabled: true,
        type: 'string',
        variants: { a: 'x'.repeat(30_000), b: 'ż' },
        off_variant: 'b',
        rollout: [
          { variant: 'a', percentage: 50 },
          { variant: 'b', percentage: 50 },
        ],
      }),
    );
    const environment = environmentOf(flags);
    const contexts = contextsOf(20);
    const engine = openEngine(kernel);
    for (let round = 0; round < 2; round += 1)
      t.ok(runJson(engine, environment, contexts).text === rowsOf(environment, contexts));
    t.end();
  });

  test(`a batch that makes too much work is refused, however it is asked (${kernel.name})`, (t) => {
    const environment = environmentOf([PLAIN, ...costlyFlags(100)]);
    const attributes = { tags: Array.from({ length: 15_000 }, (_, i) => `${i}`) };
    const contexts = contextsOf(60).map(({ userId }) => ({ userId, attributes }));
    const engine = openEngine(kernel);
    for (let round = 0; round < 2; round += 1) {
      const { text, tooMuch } = runJson(engine, environment, contexts);
      t.equal(text, undefined);
      t.equal(tooMuch, 1);
    }
    const json = JSON.stringify({ tags: attributes.tags.slice(0, 7000) });
    const frame = Buffer.concat(Array.from({ length: 15 }, (_, i) => user(`user-${i}`, json)));
    const binary = runBinary(engine, environmentOf(costlyFlags(300)), frame, 15, { withAttributes: true });
    t.equal(binary.reply, undefined);
    t.equal(binary.tooMuch, 1);
    t.end();
  });

  test(`a batch that nobody waits for ends at its next slice (${kernel.name})`, (t) => {
    const environment = environmentOf([PLAIN, RULED]);
    let asked = 0;
    const abandoned = (): boolean => {
      asked += 1;
      return asked > 3;
    };
    const engine = openEngine(kernel, SMALLEST);
    t.same(runJson(engine, environment, contextsOf(500), { abandoned }), {
      text: undefined,
      tooMuch: 0,
      tooLarge: 0,
      slices: 4,
    });
    asked = 0;
    const frame = Buffer.concat(contextsOf(500).map(({ userId }) => user(userId)));
    t.equal(runBinary(engine, environment, frame, 500, { abandoned }).reply, undefined);
    t.equal(asked, 4);
    t.end();
  });
}

test('a batch stays with the snapshot that it began on, whatever is served meanwhile', (t) => {
  const engine = openEngine(KERNELS[1] as (typeof KERNELS)[number], SMALLEST);
  const contexts = contextsOf(200);
  const turns = createTurns({ now: () => performance.now() });
  const environments = [10, 90].map((percentage) =>
    environmentOf(
      Array.from({ length: 5 }, (_, i) =>
        makeFlag({ flag_id: `f${i}`, enabled: true, rollout_percentage: percentage }, 'prod', percentage),
      ),
    ),
  );
  let open = 4;
  for (const environment of [...environments, ...environments]) {
    const job = engine.batches.json({
      environment,
      key: EVERY_KEY,
      flagIds: undefined,
      contexts,
      form: 'batch',
      head: '[',
      tail: ']',
      done: (reply) => {
        t.ok(Buffer.from(reply).toString() === rowsOf(environment, contexts));
        open -= 1;
        if (open === 0) t.end();
      },
      tooMuchWork: () => t.fail('too much work'),
      bytesMax: limits.batchReplyBytesMax,
      tooLarge: () => t.fail('too large'),
    });
    turns.run({}, job);
  }
});

test('a flag named twice is told once in JSON, and has two columns in a plan', (t) => {
  const engine = openEngine(KERNELS[0] as (typeof KERNELS)[number]);
  const environment = environmentOf([PLAIN]);
  const flagIds = ['plain', 'none', 'plain', 'none'];
  const text = runJson(engine, environment, contextsOf(1), { flagIds }).text as string;
  t.equal(text.match(/"plain"/g)?.length, 1);
  t.equal(text.match(/"none"/g)?.length, 1);
  t.equal(engine.plans.find(environment, EVERY_KEY, flagIds).flagIds.length, 4);
  t.end();
});

test('what a key may not see is unknown to it', (t) => {
  const engine = openEngine(KERNELS[1] as (typeof KERNELS)[number]);
  const seen = makeFlag({ flag_id: 'seen', enabled: true, rollout_percentage: 100, tags: ['web'] });
  const environment = environmentOf([PLAIN, seen]);
  const key = makeKey({ raw: 'web', scope: 'evaluate', tags: ['web'] });
  for (let round = 0; round < 3; round += 1) {
    const all = JSON.parse(runJson(engine, environment, contextsOf(20), { key }).text as string);
    t.same(Object.keys(all[0]), ['seen']);
    const listed = JSON.parse(
      runJson(engine, environment, contextsOf(20), { key, flagIds: ['plain', 'seen'] }).text as string,
    );
    t.same(listed[19].plain, { error: 'FLAG_NOT_FOUND' });
    t.equal(listed[19].seen.enabled, true);
    const every = JSON.parse(
      runJson(engine, environment, contextsOf(20), { flagIds: ['plain', 'seen'] }).text as string,
    );
    t.equal(every[0].plain.variant !== undefined, true, 'another key sees it');
  }
  t.end();
});

function wideFlags(): CompiledFlag[] {
  return Array.from({ length: 1100 }, (_, i) =>
    makeFlag({
      flag_id: `wide-${String(i).padStart(4, '0')}`,
      enabled: true,
      rollout_percentage: (i * 7) % 101,
      rules:
        i % 9 === 0
          ? [{ rule_id: 'r', when: { attribute: 'id', op: 'equals', values: ['1'] }, serve: { variant: 'on' } }]
          : [],
    }),
  );
}

/** Each looks at every element of an array, and finds nothing. */
function costlyFlags(count: number): CompiledFlag[] {
  return Array.from({ length: count }, (_, i) =>
    makeFlag({
      flag_id: `costly-${i}`,
      enabled: true,
      rollout_percentage: 10,
      rules: [{ rule_id: 'r', when: { attribute: 'tags', op: 'equals', values: ['none'] }, serve: { variant: 'on' } }],
    }),
  );
}

function checkCells(
  t: Test,
  reply: Buffer | undefined,
  environment: ServingEnvironment,
  contexts: readonly EvaluationContext[],
  packed: boolean,
): void {
  const width = environment.flags.size;
  const rowBytes = packed ? Math.ceil(width / 8) : width;
  const expected = Buffer.alloc(HEAD_BYTES + rowBytes * contexts.length);
  expected.fill(7, 0, HEAD_BYTES);
  for (const [row, context] of contexts.entries()) {
    const at = HEAD_BYTES + row * rowBytes;
    for (const [column, flag] of [...environment.flags.values()].entries()) {
      const { variantIndex, enabled } = evaluate(flag, context, environment, hashUser);
      if (!packed) expected[at + column] = variantIndex;
      else if (enabled) (expected[at + (column >> 3)] as number) |= 1 << (column & 7);
    }
  }
  t.ok(reply !== undefined && expected.equals(reply), `packed ${packed}`);
}

test('limits hold what the kernel can take', (t) => {
  for (const kernel of KERNELS) t.ok(limits.binaryUsersMax <= kernel.usersMax, kernel.name);
  t.end();
});
