// What durability costs a write on the embedded database: the same writes with fsync and without, in turns, and how
// long a checkpoint holds up the one connection.
//
//   npm run bench:storage
//   npm run bench:storage -- --writes 300 --rounds 5
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { migrate } from '../dist/storage/migrate.js';
import { openPglite } from '../dist/storage/pglite.js';
import { createStore } from '../dist/storage/sql-store.js';

const { values } = parseArgs({
  options: { writes: { type: 'string', default: '300' }, rounds: { type: 'string', default: '5' } },
});
const writes = Number(values.writes);
const rounds = Number(values.rounds);
const folder = mkdtempSync(join(tmpdir(), 'burgee-bench-'));

const durable = await open('fsync', true);
const fast = await open('no-fsync', false);
for (let round = 0; round < rounds; round++) {
  for (const subject of [durable, fast]) subject.meanMs.push(await writeRound(subject, round));
}
for (const { name, writeMs } of [durable, fast]) {
  writeMs.sort((a, b) => a - b);
  console.log(
    `${name.padEnd(9)} write p50 ${at(writeMs, 0.5)} ms, p99 ${at(writeMs, 0.99)} ms, longest ${at(writeMs, 1)} ms`,
  );
}
const [durableMs, fastMs] = [median(durable.meanMs), median(fast.meanMs)];
console.log(
  `mean of a round, median of ${rounds}: ${durableMs.toFixed(2)} ms with fsync, ${fastMs.toFixed(2)} ms without`,
);
console.log(`ratio ${(durableMs / fastMs).toFixed(2)}: durability costs a write ${(durableMs - fastMs).toFixed(2)} ms`);
const startMs = performance.now();
await durable.sql.query('CHECKPOINT');
console.log(`a checkpoint now: ${(performance.now() - startMs).toFixed(0)} ms`);
console.log(`load average ${loadavg()[0].toFixed(1)}: above 1 the disk and the cores are shared with others`);
for (const { store } of [durable, fast]) await store.close();
rmSync(folder, { recursive: true });

async function open(name, isDurable) {
  const sql = await openPglite({ dataDir: join(folder, name), durable: isDurable });
  await migrate(sql);
  return { name, sql, store: createStore(sql), writeMs: [], meanMs: [] };
}

/** Milliseconds a write takes in this round, on average. */
async function writeRound({ store, writeMs }, round) {
  const startMs = performance.now();
  for (let i = 0; i < writes; i++) {
    const flag_id = `flag-${round}-${i}`;
    const body = {
      flag_id,
      description: 'As long as a description is.'.repeat(10),
      enabled: true,
      rollout_percentage: i % 101,
    };
    const beganMs = performance.now();
    const command = { type: 'flag.create', environment: 'prod', body };
    const outcome = await store.run({ id: i, actor: 'bench', requestId: '', idempotency: undefined, command });
    writeMs.push(performance.now() - beganMs);
    if (!outcome.ok) throw new Error(outcome.detail);
  }
  return (performance.now() - startMs) / writes;
}

function at(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))].toFixed(2);
}

function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
}
