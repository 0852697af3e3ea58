// What a bucket costs in a batch: the kernel, the reference (the user's string hashed with each flag's prepared suffix,
// then the search that evaluate does), and the obvious way (join the strings, hash their characters, compare). They run
// in turns in one process over the compiled files that are served, and each writes the variant of every cell. Before,
// the three are held to each other. `npm run bench:kernel`.
import { makeColumns } from '../dist/kernel/batch-columns.js';
import { createBatchKernel } from '../dist/kernel/create-batch-kernel.js';
import { createJsKernel } from '../dist/kernel/js-kernel.js';
import { hashUser } from '../dist/kernel/murmur3.js';
import { compiledFlag } from './compiled-flag.mjs';

const ROUNDS = 5;
const ROUND_MS = 100;
const WARM_UP_MS = 200;
const BUCKET_COUNT = 10_000;
const WORDS = ['new', 'checkout', 'dark', 'mode', 'payments', 'v2', 'beta', 'search', 'ranking', 'mobile', 'banner'];

const { kernel, warning } = createBatchKernel();
if (warning !== undefined) console.log(warning);
const jsKernel = createJsKernel();
const encoder = new TextEncoder();
let seed = 12345;

console.log(`million buckets/s, medians of ${ROUNDS} rounds of ${ROUND_MS} ms in turns`);
console.log(['users x flags', 'kernel', 'scan too', 'packed', 'js kernel', 'reference', 'naive', 'x naive'].join('\t'));
for (const [userCount, flagCount] of [
  [1, 1000],
  [1000, 1],
  [100, 100],
  [1000, 100],
  [10, 10_000],
]) {
  measure(userCount, flagCount, (id, i) => booleanFlag(id, ((i * 37) % 9999) + 1));
}
console.log('with three variants each');
measure(1, 1000, (id) => splitFlag(id));
measureColumns();

function measure(userCount, flagCount, makeFlag) {
  const users = Array.from({ length: userCount }, () => text(8, 36));
  const flags = Array.from({ length: flagCount }, (_, i) => makeFlag(text(8, 40), i));
  const columns = makeColumns(flags);
  const bytes = wireOf(users);
  for (const each of [kernel, jsKernel]) {
    each.users.set(bytes);
    each.scan(bytes.length, userCount, false);
  }
  const subjects = {
    kernel: () => kernel.variants(columns, 0, userCount),
    scan: () => {
      kernel.users.set(bytes);
      kernel.scan(bytes.length, userCount, false);
      return kernel.variants(columns, 0, userCount);
    },
    packed: () => kernel.packed(columns, 0, userCount),
    js: () => jsKernel.variants(columns, 0, userCount),
    reference: referenceOf(users, flags),
    naive: naiveOf(users, flags),
  };
  checkAgreement(subjects);
  const rates = race(Object.values(subjects), userCount * flagCount);
  const ratio = (rates[0] / rates[5]).toFixed(1);
  console.log([`${userCount} x ${flagCount}`, ...rates.map((rate) => rate.toFixed(1)), ratio].join('\t'));
}

/** Million cells a second of each, the median of its rounds, which are equally long: a busy machine is so for all. */
function race(subjects, cells) {
  for (const subject of subjects) run(subject, WARM_UP_MS);
  const rates = subjects.map(() => []);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [i, subject] of subjects.entries()) rates[i].push(run(subject, ROUND_MS));
  }
  return rates.map((list) => (list.sort((a, b) => a - b)[ROUNDS >> 1] * cells) / 1000);
}

/** Calls a millisecond. */
function run(subject, ms) {
  const startedAt = performance.now();
  let calls = 0;
  let now = startedAt;
  for (; now - startedAt < ms; now = performance.now()) {
    subject();
    calls += 1;
  }
  return calls / (now - startedAt);
}

/** Strings in, and all that depends on the flag alone prepared. */
function referenceOf(users, flags) {
  const cells = new Uint8Array(users.length * flags.length);
  const suffixes = flags.map(({ hashSuffix }) => hashSuffix);
  const splits = flags.map(({ split }) => ({
    edges: split.edges,
    variants: split.outcomes.map(({ variantIndex }) => variantIndex),
  }));
  return () => {
    let cell = 0;
    for (let u = 0; u < users.length; u += 1) {
      for (let f = 0; f < flags.length; f += 1) {
        const bucket = hashUser(users[u], suffixes[f]) % BUCKET_COUNT;
        const { edges, variants } = splits[f];
        let low = 0;
        let high = edges.length - 1;
        while (low < high) {
          const middle = (low + high) >> 1;
          if (bucket < edges[middle]) high = middle;
          else low = middle + 1;
        }
        cells[cell++] = variants[low];
      }
    }
    return cells;
  };
}

/** As it is commonly written: one string for each pair, its characters hashed as if they were bytes. */
function naiveOf(users, flags) {
  const cells = new Uint8Array(users.length * flags.length);
  const rollouts = flags.map(({ flagId, split }) => ({
    flagId,
    ranges: split.outcomes.map(({ variantIndex }, i) => ({ edge: split.edges[i], variantIndex })),
  }));
  return () => {
    let cell = 0;
    for (const user of users) {
      for (const { flagId, ranges } of rollouts) {
        const bucket = naiveHash(`${user}:${flagId}`) % BUCKET_COUNT;
        cells[cell++] = ranges.find(({ edge }) => bucket < edge).variantIndex;
      }
    }
    return cells;
  };
}

function naiveHash(key) {
  let h = 0;
  let i = 0;
  for (; i + 4 <= key.length; i += 4) {
    const k =
      (key.charCodeAt(i) & 0xff) |
      ((key.charCodeAt(i + 1) & 0xff) << 8) |
      ((key.charCodeAt(i + 2) & 0xff) << 16) |
      ((key.charCodeAt(i + 3) & 0xff) << 24);
    h ^= naiveScramble(k);
    h = (h << 13) | (h >>> 19);
    h = (Math.imul(h, 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let k = key.length - 1; k >= i; k -= 1) tail = (tail << 8) | (key.charCodeAt(k) & 0xff);
  if (i < key.length) h ^= naiveScramble(tail);
  h ^= key.length;
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  h ^= h >>> 16;
  return h >>> 0;
}

function naiveScramble(word) {
  const k = Math.imul(word, 0xcc9e2d51);
  return Math.imul((k << 15) | (k >>> 17), 0x1b873593);
}

/** Speed without agreement would be worthless. */
function checkAgreement({ packed, reference, ...others }) {
  const wanted = Buffer.from(reference());
  for (const [name, subject] of Object.entries(others)) {
    if (!wanted.equals(subject())) throw new Error(`${name} and the reference disagree`);
  }
  packed();
}

/** What a new snapshot of a large environment costs before the first batch. */
function measureColumns() {
  const flags = Array.from({ length: 10_000 }, (_, i) => booleanFlag(text(8, 40), ((i * 37) % 9999) + 1));
  const times = Array.from({ length: 9 }, () => {
    const startedAt = performance.now();
    makeColumns(flags);
    return performance.now() - startedAt;
  });
  const { image } = makeColumns(flags);
  const [first] = times;
  const median = times.sort((a, b) => a - b)[4];
  console.log(
    `columns of 10,000 flags: ${median.toFixed(1)} ms (the first ${first.toFixed(1)}), ${image.length} bytes`,
  );
}

function wireOf(users) {
  return Buffer.concat(
    users.flatMap((user) => {
      const bytes = encoder.encode(user);
      return [Uint8Array.of(bytes.length & 255, bytes.length >> 8), bytes];
    }),
  );
}

/** Words with a dash between, of so many characters; the same in every run. */
function text(charsMin, charsMax) {
  const chars = charsMin + (next() % (charsMax - charsMin + 1));
  let made = '';
  while (made.length < chars) made += `${WORDS[next() % WORDS.length]}-${next() % 100}-`;
  // Flat, as what is read from a request is: a string cut from another is slower to read.
  return Buffer.from(`${made.slice(0, chars - 1)}x`).toString('latin1');
}

function next() {
  seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
  return seed >>> 8;
}

function booleanFlag(flagId, edge) {
  return compiledFlag({ flag_id: flagId, type: 'boolean', rollout_percentage: edge / 100 });
}

function splitFlag(flagId) {
  return compiledFlag({
    flag_id: flagId,
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
}
