// What a batch costs in memory, from contexts to the bytes of its reply, beside the way of strings: evaluate each cell,
// join the texts, encode. Both run in turns in one process, over flags as they are served. `npm run bench:batches`.
import { compileFlag } from '../dist/core/compile.js';
import { evaluate } from '../dist/core/evaluate.js';
import { createBatchKernel } from '../dist/kernel/create-batch-kernel.js';
import { hashUser } from '../dist/kernel/murmur3.js';
import { createBatches } from '../dist/worker/batch/batches.js';
import { createPlans } from '../dist/worker/batch/plans.js';
import { createTurns } from '../dist/worker/batch/turns.js';

const ROUNDS = 7;
const ROUND_MS = 60;
const EVALUATOR_SHARES = [0, 0.1, 1];
const COUNTRY = { attribute: 'country', op: 'in', values: ['PL', 'CZ'] };
const KEY = { tags: undefined };
const HEAD = '{"revision":812,"evaluated_at":"2026-01-05T09:00:00.000Z","results":[';
const TAIL = ']}';

const { kernel, warning } = createBatchKernel();
if (warning !== undefined) console.log(warning);
const now = () => performance.now();
/** Of this process, in ms: on a shared machine the clock counts what others do. */
const cpuMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
const plans = createPlans();
const batches = createBatches({ kernel, hash: hashUser, now });
let endTurn = () => {};
// A turn of the loop for each batch, as for a message that comes alone: in one long turn jobs would wait for the next.
const turns = createTurns({
  now,
  defer: (turn) => {
    endTurn = turn;
  },
});
const owner = {};
// Read by nobody, written by every round: keeps the optimiser from dropping the work.
let sink = 0;

console.log(`kernel ${kernel.name}; medians of ${ROUNDS} rounds, in turns, of processor time\n`);
console.log(row('batch', 'evaluator', 'us', 'ns/evaluation', 'JSON strings us', 'ratio'));
for (const share of EVALUATOR_SHARES) {
  const hundred = environmentOf(100, share);
  const one = environmentOf(1, share);
  await measure('JSON, 1 user x 100 flags', share, 100, jsonOf(hundred, 1));
  await measure('JSON, 100 users x 100 flags', share, 10_000, jsonOf(hundred, 100));
  // Of one flag there is no tenth.
  if (share !== 0.1) await measure('JSON, 1,000 users x 1 flag', share, 1000, jsonOf(one, 1000));
  await measure('binary, 100 users x 100 flags', share, 10_000, binaryOf(hundred, 100, false));
  await measure('binary, 100 x 100, packed', share, 10_000, binaryOf(hundred, 100, true));
}
await measureFirstUse();
if (sink === -1) console.log(sink);

/** @param share of flags that have a rule, so that the evaluator decides them */
function environmentOf(count, share) {
  const flags = Array.from({ length: count }, (_, i) => flagOf(i, i < count * share));
  return {
    environment: 'prod',
    json: '{}',
    changedAt: 1,
    flags: new Map(flags.map((f) => [f.flagId, f])),
    segments: new Map(),
  };
}

function flagOf(i, hasRule, prefix = 'checkout') {
  const id = `${prefix}-feature-${String(i).padStart(4, '0')}`;
  const document = {
    flag_id: id,
    environment: 'prod',
    description: '',
    tags: [],
    owner: '',
    kind: 'release',
    enabled: true,
    type: 'boolean',
    rollout_percentage: 1 + (i % 99),
    bucket_by: 'user_id',
    salt: null,
    targets: [],
    prerequisites: [],
    rules: hasRule ? [{ rule_id: 'poland', description: '', when: COUNTRY, serve: { variant: 'on' } }] : [],
    version: 3,
    revision: 812,
    created_at: '2026-01-05T09:00:00.000Z',
    updated_at: '2026-01-05T09:00:00.000Z',
    updated_by: 'bench',
  };
  const flag = compileFlag(JSON.stringify(document), { environment: 'prod', id });
  if (flag.quarantined !== undefined) throw new Error(flag.quarantined);
  return flag;
}

function contextsOf(count, seed) {
  return Array.from({ length: count }, (_, i) => ({
    userId: `user-${(seed * 7919 + i * 104_729) % 1_000_003}`,
    // Half of the users match a rule and are not hashed, in batches of one user too.
    attributes: (seed + i) % 2 === 0 ? { country: 'PL' } : undefined,
  }));
}

function jsonOf(environment, count) {
  const inputs = Array.from({ length: 64 }, (_, i) => contextsOf(count, i));
  const ours = (i) => {
    let reply;
    const job = batches.json({
      plan: plans.find(environment, KEY, undefined),
      contexts: inputs[i & 63],
      form: 'batch',
      head: HEAD,
      tail: TAIL,
      done: (bytes) => {
        reply = bytes;
      },
      tooMuchWork: fail,
      replyBytesMax: Number.MAX_SAFE_INTEGER,
      tooLarge: fail,
    });
    turns.run(owner, job);
    endTurn();
    while (reply === undefined) endTurn();
    return reply;
  };
  const strings = (i) => Buffer.from(stringsReply(environment, inputs[i & 63]));
  for (let i = 0; i < 64; i += 1) {
    if (!Buffer.from(ours(i)).equals(strings(i))) throw new Error('the two ways differ');
  }
  return { ours, strings };
}

function binaryOf(environment, count, packed) {
  const inputs = Array.from({ length: 64 }, (_, i) =>
    contextsOf(count, i).map(({ userId }) => ({ userId, attributes: undefined })),
  );
  const frames = inputs.map((contexts) => Buffer.concat(contexts.map(({ userId }) => encodeUser(userId))));
  const plan = plans.find(environment, KEY, undefined);
  const ours = (i) => {
    let reply;
    const job = batches.binary({
      plan,
      users: frames[i & 63],
      userCount: count,
      withAttributes: false,
      packed,
      writeHead: (head) => head.fill(0),
      done: (bytes) => {
        reply = bytes;
      },
      refused: fail,
      tooMuchWork: fail,
    });
    turns.run(owner, job);
    endTurn();
    while (reply === undefined) endTurn();
    return reply;
  };
  const strings = (i) => Buffer.from(stringsReply(environment, inputs[i & 63]));
  return { ours, strings };
}

/** As replies were made before there was a kernel. */
function stringsReply(environment, contexts) {
  const rows = contexts.map((context) => {
    let text = '{';
    for (const flag of environment.flags.values()) {
      if (text.length > 1) text += ',';
      text += `"${flag.flagId}":${evaluate(flag, context, environment, hashUser).batchJson}`;
    }
    return `${text}}`;
  });
  return `${HEAD}${rows.join(',')}${TAIL}`;
}

/** What a list costs that was never asked for before, which makes its columns and texts or does not. */
async function measureFirstUse() {
  console.log('');
  for (const count of [100, 1000, 5000, 10_000, 50_000]) {
    const flags = Array.from({ length: count }, (_, i) => flagOf(i, i % 10 === 0, `first-${count}`));
    const map = new Map(flags.map((flag) => [flag.flagId, flag]));
    const make = () =>
      plans.find({ environment: 'prod', json: '{}', changedAt: 1, flags: map, segments: new Map() }, KEY, undefined);
    const makeColumns = (plan) => {
      for (const panel of plan.panels) panel.columns;
    };
    makeColumns(make());
    const columnsMs = median(() => {
      const plan = make();
      return timed(() => makeColumns(plan));
    });
    const fragmentsMs = median(() => {
      const plan = make();
      makeColumns(plan);
      return timed(() => {
        for (const panel of plan.panels) panel.fragments('batch');
      });
    });
    const listMs = median(() => timed(make));
    console.log(
      `${count} flags: plan ${listMs.toFixed(2)} ms, columns ${columnsMs.toFixed(2)} ms, texts ${fragmentsMs.toFixed(2)} ms`,
    );
  }
}

async function measure(name, share, evaluations, { ours, strings }) {
  const times = { ours: [], strings: [] };
  const calls = { ours: callsIn(ours), strings: callsIn(strings) };
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [side, run] of [
      ['ours', ours],
      ['strings', strings],
    ]) {
      await new Promise(setImmediate);
      const startedAt = cpuMs();
      for (let i = 0; i < calls[side]; i += 1) sink += run(i).length;
      times[side].push(((cpuMs() - startedAt) * 1000) / calls[side]);
    }
  }
  const own = middle(times.ours);
  const other = middle(times.strings);
  console.log(
    row(
      name,
      `${share * 100} %`,
      own.toFixed(2),
      ((own * 1000) / evaluations).toFixed(1),
      other.toFixed(2),
      (other / own).toFixed(2),
    ),
  );
}

/** How many calls take about a round. */
function callsIn(run) {
  const startedAt = now();
  let calls = 0;
  while (now() - startedAt < ROUND_MS) {
    run(calls);
    calls += 1;
  }
  return calls;
}

function encodeUser(userId) {
  const user = Buffer.from(userId);
  return Buffer.concat([Buffer.from([user.length & 0xff, user.length >> 8]), user]);
}

function timed(work) {
  const startedAt = cpuMs();
  work();
  return cpuMs() - startedAt;
}

function median(sample) {
  return middle(Array.from({ length: ROUNDS }, sample));
}

function middle(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

function row(...cells) {
  return cells.map((cell, i) => (i === 0 ? cell.padEnd(32) : cell.padStart(17))).join('');
}

function fail() {
  throw new Error('refused');
}
