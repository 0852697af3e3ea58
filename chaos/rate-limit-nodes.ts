// Three nodes on one PostgreSQL and one Redis, and keys at 600, 6,000 and 60,000 a minute, each driven above its limit: on all
// nodes, and on one only. Prints what was admitted in each window. In the last one Redis is killed after half a minute, and
// comes back empty ten seconds later.
//
//   npm run chaos:rate-limit-nodes [-- WINDOWS [NODES]]
import { findPostgres, startPostgres } from '../test/support/postgres.ts';
import { prepareRedis, startRedis } from '../test/support/redis.ts';
import { type Service, startService } from '../test/support/service.ts';
import { type Connection, openConnection } from './connection.ts';

const WINDOWS = Number(process.argv[2] ?? 3);
const NODES = Number(process.argv[3] ?? 3);
const LIMITS = [600, 6000, 60_000];
const TIMES = 1.5;
const MINUTE_MS = 60_000;
const TURN_MS = 10;
const CONNECTIONS = 8;

interface Driver {
  readonly name: string;
  readonly limit: number;
  readonly connections: Connection[];
  /** By UTC minute. */
  readonly sent: Map<number, number>;
  readonly admitted: Map<number, number>;
  /** The slowest answer, ms. */
  slowestMs: number;
}

const missing = prepareRedis()?.missing;
if (missing !== undefined) throw new Error(missing);
const programs = findPostgres();
if ('missing' in programs) throw new Error(programs.missing);
const [postgres, redis] = await Promise.all([startPostgres(programs), startRedis()]);
const env = { DATABASE_URL: postgres.url, REDIS_URL: redis.url, LOG_LEVEL: 'warn', ACCESS_LOG: 'errors' };
const nodes: Service[] = [];
try {
  for (let node = 0; node < NODES; node++) nodes.push(await startService({ workers: 2, env }));
  const [first] = nodes as [Service];
  await first.api('/api/v1/flags', {
    method: 'POST',
    json: { flag_id: 'limited', enabled: true, rollout_percentage: 50 },
  });
  const planned: (readonly [string, number, readonly Service[], string])[] = [];
  for (const limit of LIMITS) {
    planned.push([`${limit}, on all nodes`, limit, nodes, await makeKey(first, limit)]);
    planned.push([`${limit}, on one node`, limit, [first], await makeKey(first, limit)]);
  }
  const startMs = Math.ceil(Date.now() / MINUTE_MS + 0.1) * MINUTE_MS;
  console.log(`waiting for the next whole minute, then ${WINDOWS} windows`);
  // A connection on which nothing comes is closed after a while.
  await until(startMs - 4000);
  const drivers: Driver[] = [];
  for (const plan of planned) drivers.push(await driverOf(...plan));
  await until(startMs);
  const killing = killRedis(startMs + (WINDOWS - 0.5) * MINUTE_MS);
  await Promise.all(drivers.map((driver) => drive(driver, startMs)));
  await killing;
  for (const driver of drivers) console.log(lines(driver, startMs).join('\n'));
} finally {
  await Promise.all(nodes.map((node) => node.stop()));
  await Promise.all([redis.close(), postgres.close()]);
}

async function makeKey(on: Service, limit: number): Promise<string> {
  const json = { name: `at ${limit}`, scopes: ['evaluate'], rate_limit: limit };
  return (await on.api('/api/v1/keys', { method: 'POST', json })).body.key;
}

async function driverOf(name: string, limit: number, on: readonly Service[], key: string): Promise<Driver> {
  const connections: Connection[] = [];
  for (const node of on) {
    for (let index = 0; index < CONNECTIONS; index++) connections.push(await openConnection(node.port, key));
    await knows(connections.at(-1) as Connection);
  }
  return { name, limit, connections, sent: new Map(), admitted: new Map(), slowestMs: 0 };
}

/** A key made on one node is on the others within a second. */
async function knows(connection: Connection): Promise<void> {
  while ((await connection.request('GET', '/api/v1/flags/limited/evaluate?user_id=u')).status !== 200)
    await new Promise((resolve) => setTimeout(resolve, 100));
}

async function drive(driver: Driver, startMs: number): Promise<void> {
  const idle = [...driver.connections];
  const asked: Promise<void>[] = [];
  let count = 0;
  for (let nowMs = Date.now(); nowMs < startMs + WINDOWS * MINUTE_MS - 50; nowMs = Date.now()) {
    const due = ((nowMs - startMs) * driver.limit * TIMES) / MINUTE_MS;
    // What is late because every connection is busy is asked later.
    for (; count < due && idle.length > 0; count++) {
      const connection = idle.shift() as Connection;
      asked.push(ask(driver, connection).finally(() => idle.push(connection)));
    }
    if (asked.length > 1000) await Promise.all(asked.splice(0, 900));
    await new Promise((resolve) => setTimeout(resolve, TURN_MS / 5));
  }
  await Promise.all(asked);
}

async function ask(driver: Driver, connection: Connection): Promise<void> {
  const startedMs = performance.now();
  const reply = await connection.request('GET', '/api/v1/flags/limited/evaluate?user_id=user-1');
  driver.slowestMs = Math.max(driver.slowestMs, performance.now() - startedMs);
  // Those near an edge are told apart by the reply's time.
  const minute = Math.floor((reply.status === 200 ? Date.parse(reply.body.evaluated_at) : Date.now()) / MINUTE_MS);
  driver.sent.set(minute, (driver.sent.get(minute) ?? 0) + 1);
  if (reply.status === 200) driver.admitted.set(minute, (driver.admitted.get(minute) ?? 0) + 1);
  else if (reply.status !== 429) throw new Error(`status ${reply.status}`);
}

function lines({ name, limit, sent, admitted, slowestMs }: Driver, startMs: number): string[] {
  const first = startMs / MINUTE_MS;
  const windows = Array.from({ length: WINDOWS }, (_, window) => {
    const [asked, through] = [sent.get(first + window) ?? 0, admitted.get(first + window) ?? 0];
    const of = ((100 * through) / Math.min(limit, asked)).toFixed(1);
    const killed = window === WINDOWS - 1 ? ', Redis killed in it' : '';
    return `  window ${window + 1}: sent ${asked}, admitted ${through} of ${limit} (${of} %)${killed}`;
  });
  return [`${name}: slowest answer ${slowestMs.toFixed(0)} ms`, ...windows];
}

async function killRedis(atMs: number): Promise<void> {
  await until(atMs);
  await redis.stop('SIGKILL');
  await until(atMs + 10_000);
  await redis.start();
}

function until(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms - Date.now())));
}
