// Promise 3, the part about losing: no acknowledged write is lost, and one whose outcome was unknown, repeated with its
// Idempotency-Key, happens once. Every write adds one version to one flag, so in the end the version tells: fewer is a
// loss, more is a double.
//
//   npm run chaos:durability [-- PRIMARY_KILLS WHOLE_KILLS]
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ADMIN_KEY, type Service, signalQuietly, startService } from '../test/support/service.ts';
import { type Connection, reopen } from './connection.ts';

const PRIMARY_KILLS = Number(process.argv[2] ?? 50);
const WHOLE_KILLS = Number(process.argv[3] ?? 20);

interface Tally {
  /** Writes acknowledged; each is one version. */
  written: number;
  unknown: number;
  refused: number;
  /** Unknown ones that, repeated, had happened before. */
  replayed: number;
}

const dataDir = await mkdtemp(join(tmpdir(), 'burgee-durability-'));
let service = await startService({ workers: 2, dataDir });
const created = await service.api('/api/v1/flags', { method: 'POST', json: { flag_id: 'durable', enabled: true } });
let version: number = created.body.version;
try {
  await killPrimaries();
  await killEverything();
} finally {
  await service.stop();
  await rm(dataDir, { recursive: true, force: true });
}

async function killPrimaries(): Promise<void> {
  const tally: Tally = { written: 0, unknown: 0, refused: 0, replayed: 0 };
  let kills = 0;
  const recoveries: number[] = [];
  let stop = false;
  const writing = writeUntil(
    () => stop,
    tally,
    () => service,
  );
  for (; kills < PRIMARY_KILLS; kills++) {
    const target = tally.written + 5 + Math.floor(Math.random() * 20);
    while (tally.written < target) await new Promise((resolve) => setTimeout(resolve, 2));
    await anyMomentOfAWrite();
    const before = tally.written;
    const killedMs = performance.now();
    signalQuietly(service.primaryPid(), 'SIGKILL');
    while (tally.written <= before + 1) await new Promise((resolve) => setTimeout(resolve, 2));
    recoveries.push(performance.now() - killedMs);
  }
  stop = true;
  await writing;
  await judge(`primary killed ${kills} times`, tally);
  recoveries.sort((a, b) => a - b);
  console.log(
    `  next write acknowledged after ${recoveries[recoveries.length >> 1]?.toFixed(0)} ms (median), ${recoveries.at(-1)?.toFixed(0)} ms (longest)`,
  );
}

async function killEverything(): Promise<void> {
  const tally: Tally = { written: 0, unknown: 0, refused: 0, replayed: 0 };
  let failedStarts = 0;
  for (let kills = 0; kills < WHOLE_KILLS; kills++) {
    let stop = false;
    const target = tally.written + 5 + Math.floor(Math.random() * 20);
    const writing = writeUntil(
      () => stop,
      tally,
      () => service,
    );
    while (tally.written < target) await new Promise((resolve) => setTimeout(resolve, 2));
    const { port } = service;
    await anyMomentOfAWrite();
    await service.killAll();
    try {
      service = await startService({ workers: 2, dataDir, port });
    } catch (error) {
      failedStarts++;
      console.log(String(error));
      service = await startService({ workers: 2, dataDir, port });
    }
    stop = true;
    await writing;
  }
  await judge(`every process killed ${WHOLE_KILLS} times`, tally);
  console.log(`  restarts that failed ${failedStarts}`);
}

/** A write takes some 10 ms: before its commit, between commit and reply, or after. */
function anyMomentOfAWrite(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
}

/** One write after another. Whatever is not acknowledged is repeated with the same Idempotency-Key until it is. */
async function writeUntil(stopped: () => boolean, tally: Tally, current: () => Service): Promise<void> {
  let connection: Connection | undefined;
  while (!stopped()) {
    const idempotencyKey = randomUUID();
    const description = `write ${idempotencyKey}`;
    let unsure = false;
    for (;;) {
      connection = connection?.open ? connection : await reopen(current().port, ADMIN_KEY);
      try {
        const reply = await connection.request('PATCH', '/api/v1/flags/durable', {
          json: { description },
          headers: { 'idempotency-key': idempotencyKey },
        });
        if (reply.status === 200) {
          if (unsure && reply.headers.get('idempotent-replayed') === 'true') tally.replayed++;
          tally.written++;
          break;
        }
        if (reply.body.code === 'OUTCOME_UNKNOWN') {
          unsure = true;
          tally.unknown++;
        } else tally.refused++;
      } catch {
        unsure = true; // the connection broke with the write out
        tally.unknown++;
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
  connection?.close();
}

async function judge(name: string, tally: Tally): Promise<void> {
  const flag = await service.api('/api/v1/flags/durable');
  const expected = version + tally.written;
  console.log(
    `${name}: acknowledged writes ${tally.written}, lost ${Math.max(0, expected - flag.body.version)}, ` +
      `applied twice ${Math.max(0, flag.body.version - expected)}; outcome unknown and repeated ${tally.unknown} ` +
      `(of which had happened ${tally.replayed}), refused and repeated ${tally.refused}`,
  );
  version = flag.body.version;
}
