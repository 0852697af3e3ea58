// Promise 3, the part about reading: when a write's reply is there, no worker of the node answers with less. Each write
// is followed at once by reads over other kept connections, with and without min_revision; then the same while workers
// are killed and frozen at random; then a delta that takes 5 s to compile on every worker.
//
//   npm run chaos:freshness [-- WRITES]

import { startLoad } from '../test/support/load.ts';
import { ADMIN_KEY, type Service, signalQuietly, startService } from '../test/support/service.ts';
import { type Connection, openConnection, quantile, reopen } from './connection.ts';

const WRITES = Number(process.argv[2] ?? 1000);
const WORKERS = 4;
const READERS = 8;
const EVALUATE = '/api/v1/flags/fresh/evaluate?user_id=user-1';

interface Outcome {
  stale: number;
  reads: number;
  lostReads: number;
  refused: number;
  readonly writeMs: number[];
}

await quietWrites();
await writesUnderFaults();
await slowCompile();

async function quietWrites(): Promise<void> {
  const service = await startService({ workers: WORKERS });
  try {
    await service.api('/api/v1/flags', { method: 'POST', json: { flag_id: 'fresh', enabled: true } });
    report('quiet', await writeAndRead(service, WRITES));
  } finally {
    await service.stop();
  }
}

async function writesUnderFaults(): Promise<void> {
  const service = await startService({ workers: WORKERS });
  let faults = 0;
  let running = true;
  const injecting = (async () => {
    while (running) {
      await new Promise((resolve) => setTimeout(resolve, 300 + Math.random() * 700));
      const pids = service.workerPids();
      const pid = pids[Math.floor(Math.random() * pids.length)];
      if (pid === undefined) continue;
      faults++;
      if (Math.random() < 0.5) signalQuietly(pid, 'SIGKILL');
      else {
        signalQuietly(pid, 'SIGSTOP');
        // Some freezes are short, so that a worker wakes with old news; some last until the watchdog acts.
        setTimeout(() => signalQuietly(pid, 'SIGCONT'), Math.random() * 1500);
      }
    }
  })();
  try {
    await service.api('/api/v1/flags', { method: 'POST', json: { flag_id: 'fresh', enabled: true } });
    const outcome = await writeAndRead(service, WRITES);
    running = false;
    await injecting;
    report(`with ${faults} workers killed or frozen meanwhile`, outcome);
  } finally {
    running = false;
    await service.stop();
  }
}

/** Writes one version after another; after each reply every reader must see it or newer. */
async function writeAndRead(service: Service, writes: number): Promise<Outcome> {
  const outcome: Outcome = { stale: 0, reads: 0, lostReads: 0, refused: 0, writeMs: [] };
  let writer = await openConnection(service.port, ADMIN_KEY);
  const readers: Connection[] = [];
  for (let i = 0; i < READERS; i++) readers.push(await openConnection(service.port, ADMIN_KEY));

  async function read(index: number, version: number, revision: number, withMinimum: boolean): Promise<void> {
    if (!readers[index]?.open) readers[index] = await reopen(service.port, ADMIN_KEY);
    try {
      const reply = await (readers[index] as Connection).request(
        'GET',
        withMinimum ? `${EVALUATE}&min_revision=${revision}` : EVALUATE,
      );
      outcome.reads++;
      if (reply.status !== 200) outcome.refused++;
      else if (reply.body.version < version || reply.body.revision < revision) outcome.stale++;
    } catch {
      outcome.lostReads++; // its worker was killed with the request out: no answer is not a stale answer
    }
  }

  for (let i = 0; i < writes; ) {
    const startedMs = performance.now();
    try {
      const reply = await writer.request('PATCH', '/api/v1/flags/fresh', {
        json: { rollout_percentage: (i % 10_000) / 100 + 0.01 },
      });
      if (reply.status !== 200) throw new Error(`write refused: ${reply.status}`);
      outcome.writeMs.push(performance.now() - startedMs);
      const revision = Number(reply.headers.get('x-flags-revision'));
      await Promise.all(readers.map((_, index) => read(index, reply.body.version, revision, index % 2 === 1)));
      i++;
    } catch {
      writer.close();
      writer = await reopen(service.port, ADMIN_KEY);
    }
  }
  writer.close();
  for (const reader of readers) reader.close();
  return outcome;
}

async function slowCompile(): Promise<void> {
  const service = await startService({ workers: WORKERS, env: { BURGEE_FAULT_COMPILE_MS: '5000' } });
  try {
    await service.api('/api/v1/flags', { method: 'POST', json: { flag_id: 'fresh', enabled: true } });
    const pids = service.workerPids().sort().join();
    const load = startLoad({ port: service.port, connections: 16, path: EVALUATE, key: ADMIN_KEY, thinkMs: 5 });
    await load.answered(100);
    const startedMs = performance.now();
    const reply = await service.api('/api/v1/flags/fresh', { method: 'PATCH', json: { rollout_percentage: 50 } });
    const writeMs = performance.now() - startedMs;
    const record = await load.stop();
    const killed = pids === service.workerPids().sort().join() ? 0 : 'some';
    console.log(
      `a delta that compiles for 5 s on every worker: write ${reply.status} after ${writeMs.toFixed(0)} ms, workers killed ${killed}, ` +
        `evaluations ${record.requests}, failed ${record.failed}, slowest ${record.slowestMs.toFixed(0)} ms`,
    );
  } finally {
    await service.stop();
  }
}

function report(name: string, outcome: Outcome): void {
  console.log(
    `${name}: writes ${outcome.writeMs.length}, reads ${outcome.reads}, stale ${outcome.stale}, refused ${outcome.refused}, ` +
      `lost with their worker ${outcome.lostReads}; write to all ${WORKERS} workers p50 ${quantile(outcome.writeMs, 0.5).toFixed(1)} ms, ` +
      `p99 ${quantile(outcome.writeMs, 0.99).toFixed(1)} ms`,
  );
}
