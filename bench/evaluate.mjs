// What one evaluation costs in memory, beside the obvious way to write it: join the strings, encode, hash, build the
// answer. Both run in turns in one process, over the compiled files that are served. `npm run bench`.
import { evaluate } from '../dist/core/evaluate.js';
import { hashUser, murmur3 } from '../dist/kernel/murmur3.js';
import { compiledFlag } from './compiled-flag.mjs';

const USER_COUNT = 4096;
const CALLS_PER_ROUND = 1_000_000;
const ROUNDS = 7;
const BUCKET_COUNT = 10_000;

const contexts = Array.from({ length: USER_COUNT }, (_, i) => ({ userId: `user-${i * 7919}`, attributes: undefined }));
const encoder = new TextEncoder();
// Read by nobody, written by every round: keeps the optimiser from dropping the work.
let sink = 0;
/** The environment: these flags depend on nothing in it. */
const alone = { flags: new Map(), segments: new Map() };

const FLAG_ID = 'new-checkout';

const boolean25 = compiledFlag({ flag_id: FLAG_ID, type: 'boolean', rollout_percentage: 25 });
const disabled = compiledFlag({ flag_id: FLAG_ID, type: 'boolean', rollout_percentage: 25, enabled: false });
const targeted = compiledFlag({
  flag_id: FLAG_ID,
  type: 'boolean',
  rollout_percentage: 25,
  targets: [{ variant: 'on', user_ids: contexts.slice(0, 100).map(({ userId }) => userId) }],
});
const split3 = compiledFlag({
  flag_id: FLAG_ID,
  type: 'string',
  variants: { a: 'A', b: 'B', c: 'C' },
  off_variant: 'a',
  rollout: [
    { variant: 'a', percentage: 50 },
    { variant: 'b', percentage: 30 },
    { variant: 'c', percentage: 20 },
  ],
  allocation: [
    [0, 5000, 'a'],
    [5000, 8000, 'b'],
    [8000, 10_000, 'c'],
  ],
});

checkAgreement();
console.log(
  `ns per operation, median of ${ROUNDS} rounds of ${CALLS_PER_ROUND.toLocaleString('en')} calls, ${USER_COUNT} users`,
);
report([
  ['naive: join, encode, hash, new object', () => naiveRound(boolean25.flagId, 2500)],
  ['evaluate: boolean, 25 %', () => evaluateRound(boolean25)],
  ['evaluate: three variants', () => evaluateRound(split3)],
  ['evaluate: 100 targets, 25 %', () => evaluateRound(targeted)],
  ['evaluate: disabled', () => evaluateRound(disabled)],
  ['hash: naive, join and encode', () => naiveHashRound(boolean25.flagId)],
  ['hash: hashUser', () => hashRound(boolean25.hashSuffix)],
]);

function report(subjects) {
  const times = subjects.map(() => []);
  for (const [, round] of subjects) round();
  for (let i = 0; i < ROUNDS; i += 1) {
    for (const [index, [, round]] of subjects.entries()) {
      const startedAt = performance.now();
      round();
      times[index].push(((performance.now() - startedAt) * 1e6) / CALLS_PER_ROUND);
    }
  }
  for (const [index, [name]] of subjects.entries()) {
    const ns = times[index].sort((a, b) => a - b)[ROUNDS >> 1];
    console.log(`${name.padEnd(40)} ${ns.toFixed(1).padStart(8)}`);
  }
  if (sink === -1) console.log(sink);
}

function evaluateRound(flag) {
  let on = 0;
  for (let i = 0; i < CALLS_PER_ROUND; i += 1) {
    if (evaluate(flag, contexts[i & (USER_COUNT - 1)], alone, hashUser).enabled) on += 1;
  }
  sink += on;
}

function naiveRound(flagId, edge) {
  let on = 0;
  for (let i = 0; i < CALLS_PER_ROUND; i += 1) {
    if (naiveEvaluate(flagId, contexts[i & (USER_COUNT - 1)].userId, edge).enabled) on += 1;
  }
  sink += on;
}

function naiveEvaluate(flagId, userId, edge) {
  const enabled = naiveHash(userId, flagId) % BUCKET_COUNT < edge;
  return {
    flag_id: flagId,
    enabled,
    user_id: userId,
    variant: enabled ? 'on' : 'off',
    value: enabled,
    reason: 'SPLIT',
  };
}

function naiveHash(userId, flagId) {
  return murmur3(encoder.encode(`${userId}:${flagId}`), 0);
}

function hashRound(suffix) {
  let sum = 0;
  for (let i = 0; i < CALLS_PER_ROUND; i += 1) sum ^= hashUser(contexts[i & (USER_COUNT - 1)].userId, suffix);
  sink += sum;
}

function naiveHashRound(flagId) {
  let sum = 0;
  for (let i = 0; i < CALLS_PER_ROUND; i += 1) sum ^= naiveHash(contexts[i & (USER_COUNT - 1)].userId, flagId);
  sink += sum;
}

/** Speed without agreement would be worthless: both ways must answer the same for every user. */
function checkAgreement() {
  for (const context of contexts) {
    const fast = evaluate(boolean25, context, alone, hashUser).enabled;
    const naive = naiveEvaluate(boolean25.flagId, context.userId, 2500).enabled;
    if (fast !== naive) throw new Error(`the two disagree about ${context.userId}`);
  }
}
