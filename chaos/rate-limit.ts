// One key at 1,000 a minute, driven at 5,000 a minute over 4 workers for whole windows: evenly, and all on one worker.
// Both run side by side with a key each.
//
//   npm run chaos:rate-limit [-- WINDOWS]
import { ADMIN_KEY, type Service, startService } from '../test/support/service.ts';
import { type Connection, openConnection } from './connection.ts';

const WINDOWS = Number(process.argv[2] ?? 3);
const WORKERS = 4;
const LIMIT = 1000;
const DRIVEN = 5000;
const MINUTE_MS = 60_000;

const service = await startService({ workers: WORKERS });
try {
  await service.api('/api/v1/flags', {
    method: 'POST',
    json: { flag_id: 'limited', enabled: true, rollout_percentage: 50 },
  });
  const even = await drivers(service, 'evenly over the workers');
  const skewed = await drivers(service, 'all on one worker');
  const startMs = Math.ceil(Date.now() / MINUTE_MS + 0.1) * MINUTE_MS;
  console.log(`waiting for the next whole minute, then ${WINDOWS} windows`);
  const results = await Promise.all([even, skewed].map((driver) => driver(startMs)));
  for (const lines of results) console.log(lines.join('\n'));
} finally {
  await service.stop();
}

/** A key of its own and connections to the workers it is to use; returns what drives it from a given minute on. */
async function drivers(running: Service, name: string): Promise<(startMs: number) => Promise<string[]>> {
  const made = await running.api('/api/v1/keys', {
    method: 'POST',
    json: { name, scopes: ['evaluate'], rate_limit: LIMIT },
  });
  const key: string = made.body.key;
  const byWorker = await connectionsByWorker(running, key);
  const chosen = name.startsWith('all') ? [...byWorker.values()].slice(0, 1) : [...byWorker.values()];
  const connections = chosen.flat();
  return async (startMs) => {
    // Requests are counted by the window they were answered in; those near an edge are told apart by the reply's time.
    const admitted = new Map<number, number>();
    const sent = new Map<number, number>();
    await new Promise((resolve) => setTimeout(resolve, startMs - Date.now()));
    const pending: Promise<void>[] = [];
    const total = DRIVEN * WINDOWS;
    for (let i = 0; i < total; i++) {
      const dueMs = startMs + (i * MINUTE_MS) / DRIVEN;
      if (dueMs > Date.now()) await new Promise((resolve) => setTimeout(resolve, dueMs - Date.now()));
      const connection = connections[i % connections.length] as Connection;
      // A connection carries one request at a time: this one's last was asked `connections.length` ago.
      if (pending.length >= connections.length) await pending.shift();
      pending.push(ask(connection, admitted, sent));
    }
    await Promise.all(pending);
    return [...sent].map(
      ([minute, count]) =>
        `${name} (${chosen.length} workers): window ${minute - startMs / MINUTE_MS + 1}: sent ${count}, admitted ${admitted.get(minute) ?? 0} of ${LIMIT}`,
    );
  };
}

async function ask(connection: Connection, admitted: Map<number, number>, sent: Map<number, number>): Promise<void> {
  const reply = await connection.request('GET', '/api/v1/flags/limited/evaluate?user_id=user-1');
  const answeredAtMs = reply.status === 200 ? Date.parse(reply.body.evaluated_at) : Date.now();
  const minute = Math.floor(answeredAtMs / MINUTE_MS);
  sent.set(minute, (sent.get(minute) ?? 0) + 1);
  if (reply.status === 200) admitted.set(minute, (admitted.get(minute) ?? 0) + 1);
  else if (reply.status !== 429) throw new Error(`status ${reply.status}`);
}

/** Opens connections until each worker has four; the worker is told by /healthz to a key that may read. */
async function connectionsByWorker(running: Service, key: string): Promise<Map<number, Connection[]>> {
  const byWorker = new Map<number, Connection[]>();
  while (byWorker.size < WORKERS || [...byWorker.values()].some((list) => list.length < 4)) {
    const connection = await openConnection(running.port, key);
    const reply = await connection.request('GET', '/healthz', { headers: { 'x-api-key': ADMIN_KEY } });
    const list = byWorker.get(reply.body.pid) ?? [];
    byWorker.set(reply.body.pid, list);
    if (list.length < 4) list.push(connection);
    else connection.close();
  }
  return byWorker;
}
