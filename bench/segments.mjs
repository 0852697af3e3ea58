// What a segment of a million ids costs a worker: to load, to change by one id, to hold, and to ask, beside one of a
// hundred ids in the same run; and ten million look-ups held against a Set. Over the compiled files that are served.
// `npm run bench:segments`.
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { packIds } from '../dist/core/pack-ids.js';
import { hashUser } from '../dist/kernel/murmur3.js';
import { createPacking } from '../dist/primary/jobs/packing.js';
import { createReadBlob } from '../dist/snapshot/blob-file.js';
import { createHashBytes } from '../dist/snapshot/checksum.js';
import { encodeDelta, encodeSnapshot } from '../dist/snapshot/encoding.js';
import { createHolder } from '../dist/worker/holder.js';

const ID_COUNT = 1_000_000;
const SMALL_COUNT = 100;
const LOOKUPS = 10_000_000;
const ROUNDS = 7;
const CALLS_PER_ROUND = 1_000_000;

const idOf = (i) => `user-${String(i).padStart(7, '0')}`;
const hash = await createHashBytes();
const root = mkdtempSync(join(tmpdir(), 'burgee-segments-'));
process.on('exit', () => rmSync(root, { recursive: true, force: true }));
const folder = join(root, 'blobs');
mkdirSync(folder);

const big = await packUpload();
const small = keep(
  packIds(
    Array.from({ length: SMALL_COUNT }, (_, i) => idOf(i * 2)),
    hashUser,
  ),
  SMALL_COUNT,
);
const { holder, take } = openHolder();

// What else runs on this machine makes the loop wait too: this much.
await measured('nothing, for comparison', () => new Promise((resolve) => setTimeout(resolve, 200)));
gc();
const before = process.memoryUsage();
await measured('publish 1,000,000 ids: load and compile', () =>
  take(encodeSnapshot(content(1, listOf(big, [])), hash)),
);
gc();
const after = process.memoryUsage();
const grown = after.rss - before.rss;
const held = after.external + after.heapUsed - before.external - before.heapUsed;
console.log(
  `bytes an id in the worker             ${(held / ID_COUNT).toFixed(1)} held, ${(grown / ID_COUNT).toFixed(1)} resident`,
);
await measured('publish one id more', () => take(encodeDelta(delta(1, 2, listOf(big, ['user-new'])), hash)));
for (let i = 0; i < 20; i++) await take(encodeDelta(delta(2 + i, 3 + i, listOf(big, ['user-new', `${i}`])), hash));
await measured('publish one id more, warm', () => take(encodeDelta(delta(22, 23, listOf(big, ['user-new'])), hash)));

compareLookups();
checkAnswers();

async function packUpload() {
  const path = join(root, 'upload');
  let text = '';
  for (let i = 0; i < ID_COUNT; i++) text += `${idOf(i * 2)}\n`;
  writeFileSync(path, text);
  const packing = createPacking();
  const task = { path, bytes: statSync(path).size, idsMax: 2_000_000, folder };
  await packing.pack(task);
  const { blob } = await measured('pack 1,000,000 lines in the thread', () => packing.pack(task));
  const tail = { adds: Array.from({ length: 4096 }, (_, i) => `new-${i}`), drops: [] };
  const list = { layers: [{ adds: blob.ref, drops: null }], tail };
  await measured('fold 4,096 ids into them in the thread', () => packing.fold({ list, isBase: true, folder }));
  await packing.close();
  return blob.ref;
}

/** Runs it and says how long it took, and how long the loop stood still at most meanwhile. */
async function measured(name, run) {
  let longestMs = 0;
  let lastMs = performance.now();
  let running = true;
  const tick = () => {
    const nowMs = performance.now();
    longestMs = Math.max(longestMs, nowMs - lastMs);
    lastMs = nowMs;
    if (running) setImmediate(tick);
  };
  await new Promise(setImmediate);
  lastMs = performance.now();
  setImmediate(tick);
  const startedAt = performance.now();
  const result = await run();
  const tookMs = performance.now() - startedAt;
  tick();
  running = false;
  console.log(`${name.padEnd(42)} ${tookMs.toFixed(1).padStart(8)} ms, longest stall ${longestMs.toFixed(2)} ms`);
  return result;
}

function openHolder() {
  let heard = () => {};
  const made = createHolder({
    hash,
    now: () => performance.now(),
    warn: () => {},
    faultCompileMs: 0,
    compile: { readBlob: createReadBlob(folder, hashUser), hashUser },
    send: (message) => heard(message),
  });
  return {
    holder: made,
    take: (bytes) =>
      new Promise((resolve, reject) => {
        heard = (message) => (message.type === 'ack' ? resolve() : reject(new Error(message.reason)));
        made.receive({ type: bytes[6] === 1 ? 'snapshot' : 'delta', bytes });
      }),
  };
}

function compareLookups() {
  const { segments } = holder.current.environments.get('prod');
  const ids = Array.from({ length: 4096 }, (_, i) => idOf(((i * 7919) % ID_COUNT) * 2));
  const few = Array.from({ length: 4096 }, (_, i) => idOf((i % SMALL_COUNT) * 2));
  const strangers = Array.from({ length: 4096 }, (_, i) => idOf(((i * 7919) % ID_COUNT) * 2 + 1));
  const spread = Array.from({ length: CALLS_PER_ROUND }, (_, i) => idOf(((i * 7919) % ID_COUNT) * 2 + (i & 1)));
  const subjects = [
    ['100 ids, hit', segments.get('small').included, few],
    ['100 ids, miss', segments.get('small').included, strangers],
    ['1,000,000 ids, hit, 4,096 users', segments.get('big').included, ids],
    ['1,000,000 ids, miss, 4,096 users', segments.get('big').included, strangers],
    ['100 ids, a million users in turn', segments.get('small').included, spread],
    ['1,000,000 ids, a million users in turn', segments.get('big').included, spread],
  ];
  const times = subjects.map(() => []);
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [index, [, set, asked]] of subjects.entries()) {
      const startedAt = performance.now();
      let found = 0;
      for (let i = 0, j = 0; i < CALLS_PER_ROUND; i++, j = j + 1 === asked.length ? 0 : j + 1)
        if (set.has(asked[j])) found++;
      if (round > 0) times[index].push(((performance.now() - startedAt) * 1e6) / CALLS_PER_ROUND);
      if (found > CALLS_PER_ROUND) throw new Error('more found than asked');
    }
  }
  const ns = times.map((each) => each.sort((a, b) => a - b)[ROUNDS >> 1]);
  const baseline = [0, 1, 0, 1, 4, 4];
  for (const [index, [name]] of subjects.entries()) {
    const ratio = ns[index] / ns[baseline[index]];
    console.log(
      `look-up: ${name.padEnd(40)} ${ns[index].toFixed(1).padStart(7)} ns, ${ratio.toFixed(2)} times the small one`,
    );
  }
}

function checkAnswers() {
  const set = new Set();
  for (let i = 0; i < ID_COUNT; i++) set.add(idOf(i * 2));
  set.add('user-new');
  const { included } = holder.current.environments.get('prod').segments.get('big');
  let wrong = 0;
  for (let i = 0; i < LOOKUPS; i++) {
    const id = i % 5 === 4 ? `stranger-${i}` : idOf((i * 7919) % (2 * ID_COUNT));
    if (included.has(id) !== set.has(id)) wrong++;
  }
  console.log(`${LOOKUPS.toLocaleString('en')} look-ups beside a Set: ${wrong} wrong`);
  if (wrong > 0) process.exitCode = 1;
}

function keep(bytes, count) {
  const name = createHash('sha256').update(bytes).digest('hex');
  writeFileSync(join(folder, name), bytes);
  return { hash: name, bytes: bytes.length, count };
}

function listOf(ref, adds) {
  return { layers: [{ adds: ref, drops: null }], tail: { adds, drops: [] }, count: ref.count + adds.length };
}

function content(revision, included) {
  const environment = { kind: 'environment', environment: '', id: 'prod', revision: 1, tag: 1n, json: '{}' };
  const items = [environment, segment('big', revision, 2n, included), segment('small', 1, 4n, listOf(small, []))];
  return { head: headOf(revision, items), items };
}

function delta(from, to, included) {
  const before = content(from, included);
  const after = content(to, included);
  return { from, head: { ...before.head, revision: to }, puts: [after.items[1]], removes: [] };
}

function segment(id, revision, tag, included) {
  const document = {
    segment_id: id,
    environment: 'prod',
    description: '',
    match_by: 'user_id',
    included_count: included.count,
    excluded_count: 0,
    when: null,
    version: revision,
    revision,
    created_at: '2026-01-01T00:00:00.000Z',
    updated_at: '2026-01-01T00:00:00.000Z',
    updated_by: 'bench',
  };
  const excluded = { layers: [], tail: { adds: [], drops: [] }, count: 0 };
  return {
    kind: 'segment',
    environment: 'prod',
    id,
    revision,
    tag,
    json: JSON.stringify({ document, included, excluded }),
  };
}

function headOf(revision, items) {
  const sumRest = items.reduce((sum, { tag }) => sum ^ tag, 0n);
  return { epoch: 'bench', revision, sumKeys: 0n, sumRest, changedAt: {} };
}

function gc() {
  for (let i = 0; i < 3; i++) globalThis.gc?.();
}
