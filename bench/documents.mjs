// What an evaluation costs by what its flag says, as a ratio to a plain percentage flag of the same run: one rule, twenty
// rules of five conditions, prerequisites three deep, ten segments. `npm run bench:documents`.
//
// Every subject takes its turn in every round, so that a machine that warms or slows favours none.
import { compileCondition } from '../dist/core/compile-condition.js';
import { evaluate } from '../dist/core/evaluate.js';
import { layerIds } from '../dist/core/layered-ids.js';
import { packIds } from '../dist/core/pack-ids.js';
import { openPackedIds } from '../dist/core/packed-ids.js';
import { hashUser } from '../dist/kernel/murmur3.js';
import { compiledFlag } from './compiled-flag.mjs';

const USER_COUNT = 4096;
const CALLS_PER_ROUND = 200_000;
const ROUNDS = 9;
const COUNTRIES = ['PL', 'CZ', 'DE', 'FR', 'ES', 'IT', 'SE', 'NO'];

const contexts = Array.from({ length: USER_COUNT }, (_, i) => ({
  userId: `user-${i * 7919}`,
  attributes: {
    country: COUNTRIES[i % COUNTRIES.length],
    age: 18 + (i % 60),
    plan: i % 3 === 0 ? 'pro' : 'free',
    version: `2.${i % 20}.${i % 7}`,
    ip: `10.${i % 256}.${(i * 7) % 256}.9`,
    email: `user${i}@example.com`,
    since: `2026-0${1 + (i % 9)}-11T10:00:00Z`,
  },
}));
// Read by nobody, written by every round: keeps the optimiser from dropping the work.
let sink = 0;

const flags = new Map();
const segments = new Map();
const scope = { flags, segments };

for (let i = 0; i < 10; i += 1) segments.set(`segment-${i}`, segment(i));
const percentage = flag('percentage', {});
const oneRule = flag('one-rule', { rules: [rule(0, [equals('country', ['US'])])] });
const rulesThatFailAtOnce = flag('rules-fail-first', {
  rules: Array.from({ length: 20 }, (_, i) => rule(i, [equals('country', [`X${i}`]), ...nearMisses(i)])),
});
const rulesThatFailAtLast = flag('rules-fail-last', {
  rules: Array.from({ length: 20 }, (_, i) => rule(i, [...nearMisses(i), equals('country', [`X${i}`])])),
});
flag('base', { rollout_percentage: 100 });
flag('middle', { rollout_percentage: 100, prerequisites: [{ flag_id: 'base', variant: 'on' }] });
flag('upper', { rollout_percentage: 100, prerequisites: [{ flag_id: 'middle', variant: 'on' }] });
const prerequisites = flag('prerequisites', { prerequisites: [{ flag_id: 'upper', variant: 'on' }] });
const tenSegments = flag('ten-segments', {
  rules: Array.from({ length: 10 }, (_, i) => rule(i, [{ segment: `segment-${i}` }])),
});

report([
  ['plain percentage, 25 %', percentage],
  ['1 rule of 1 condition, no match', oneRule],
  ['20 rules x 5 conditions, each fails at its first', rulesThatFailAtOnce],
  ['20 rules x 5 conditions, each fails at its last: 100 checked', rulesThatFailAtLast],
  ['prerequisites 3 deep, all met', prerequisites],
  ['10 rules of a segment each (1,000 ids), no match', tenSegments],
]);

function report(subjects) {
  const times = subjects.map(() => []);
  for (const [, subject] of subjects) round(subject);
  for (let i = 0; i < ROUNDS; i += 1) {
    for (const [index, [, subject]] of subjects.entries()) {
      const startedAt = performance.now();
      round(subject);
      times[index].push(((performance.now() - startedAt) * 1e6) / CALLS_PER_ROUND);
    }
  }
  const medians = times.map((all) => all.sort((a, b) => a - b)[ROUNDS >> 1]);
  console.log(
    `median of ${ROUNDS} rounds of ${CALLS_PER_ROUND.toLocaleString('en')} calls, ${USER_COUNT} users, 7 attributes`,
  );
  console.log(`${''.padEnd(64)} ${'ns'.padStart(8)} ${'ratio'.padStart(7)} ${'asked'.padStart(7)}`);
  for (const [index, [name, subject]] of subjects.entries()) {
    const ns = medians[index];
    const ratio = (ns / medians[0]).toFixed(2);
    const asked = askedIn(subject).toFixed(1);
    console.log(`${name.padEnd(64)} ${ns.toFixed(0).padStart(8)} ${ratio.padStart(7)} ${asked.padStart(7)}`);
  }
  console.log('asked: conditions, groups and segments that one evaluation looks at, on average over the users');
  if (sink === -1) console.log(sink);
}

function round(subject) {
  let on = 0;
  for (let i = 0; i < CALLS_PER_ROUND; i += 1) {
    if (evaluate(subject, contexts[i & (USER_COUNT - 1)], scope, hashUser).enabled) on += 1;
  }
  sink += on;
}

/** So that it is seen that what a subject names is really evaluated, for every user. */
function askedIn(subject) {
  let asked = 0;
  const none = () => {};
  const condition = () => {
    asked += 1;
  };
  const observer = { prerequisite: none, target: none, rule: none, segment: none, condition };
  for (const context of contexts) evaluate(subject, context, scope, hashUser, observer);
  return asked / contexts.length;
}

/** Four conditions that hold for every context here, each of another operator. */
function nearMisses(i) {
  return [
    { attribute: 'age', op: 'gte', values: [18] },
    { attribute: 'plan', op: 'in', values: ['pro', 'free', `plan-${i}`] },
    { attribute: 'version', op: 'semver_gte', values: ['2.0.0'] },
    { attribute: 'email', op: 'ends_with', values: ['@example.com'] },
  ];
}

function equals(attribute, values) {
  return { attribute, op: 'equals', values };
}

function rule(i, conditions) {
  return { rule_id: `rule-${i}`, description: '', when: { all: conditions }, serve: { variant: 'on' } };
}

function segment(i) {
  const ids = Array.from({ length: 1000 }, (_, n) => `member-${i}-${n}`);
  const layer = { adds: openPackedIds(packIds(ids, hashUser), hashUser), drops: undefined };
  return {
    segmentId: `segment-${i}`,
    environment: 'prod',
    version: 1,
    revision: 1,
    json: '{}',
    quarantined: undefined,
    matchBy: undefined,
    matchPath: undefined,
    // As a worker serves it.
    included: layerIds({ layers: [layer], tail: { adds: [], drops: [] }, count: ids.length }, hashUser),
    excluded: undefined,
    when: compileCondition(equals('country', [`Y${i}`])),
  };
}

function flag(flagId, part) {
  const compiled = compiledFlag({ flag_id: flagId, type: 'boolean', rollout_percentage: 25, ...part });
  flags.set(flagId, compiled);
  return compiled;
}
