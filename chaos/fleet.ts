// Many nodes that start together, on one PostgreSQL and one Redis: what that costs either, with and without the hot copy,
// against a full read by each; what they cost while nothing happens; and two real nodes that write in a tight loop, which
// must make nobody read everything again. The many are sync loops, publishers, pools and Redis connections as primaries
// have them, without workers, in one process.
//
//   npm run chaos:fleet [-- --nodes 50 --flags 1000 --idle 10 --seconds 60]
import { startNodes, stopNodes } from '../test/support/nodes.ts';
import { ADMIN_KEY, type Service } from '../test/support/service.ts';
import { openConnection } from './connection.ts';
import { backendsOrEnd, metricsOf, optionsOf, pause } from './figures.ts';
import { type FleetNode, fillStore, openFleetNode } from './fleet/fleet-node.ts';

const asked = optionsOf({ nodes: '50', flags: '1000', idle: '10', seconds: '60' });
const count = Number(asked['nodes']);
// Each node has up to ten connections; they open few of them.
const backends = await backendsOrEnd(['max_connections=600']);
const { postgres, redis, postgresProxy, redisProxy } = backends;
try {
  const url = await postgres.createDatabase('fleet');
  await fillStore(url, Number(asked['flags']));
  const urls = { databaseUrl: postgresProxy.through(url), redisUrl: redisProxy.through(redis.url) };
  await together('each reads everything (no Redis)', { databaseUrl: urls.databaseUrl });
  await together('Redis is empty', urls);
  const keeper = await openFleetNode(urls);
  await keeper.start();
  await keeper.hotCopyThere();
  const fleet = await together('the hot copy is there', urls, true);
  await idle(fleet);
  await Promise.all([keeper, ...fleet].map((node) => node.close()));
  await tightLoop(Number(asked['seconds']));
} finally {
  await backends.close();
}

interface Cost {
  readonly queries: ReadonlyMap<string, number>;
  readonly fromPostgres: number;
  readonly fromRedis: number;
  readonly redisCommands: number;
}

function costOf(nodes: readonly FleetNode[]): Cost {
  const queries = new Map<string, number>();
  for (const node of nodes)
    for (const [name, times] of node.queries) queries.set(name, (queries.get(name) ?? 0) + times);
  return {
    queries,
    fromPostgres: postgresProxy.bytes.answered,
    fromRedis: redisProxy.bytes.answered,
    redisCommands: Number(/total_commands_processed:(\d+)/.exec(redis.cli('INFO', 'stats'))?.[1]),
  };
}

function told(now: Cost, before: Cost): string {
  const queries = [...now.queries]
    .map(([name, times]) => [name, times - (before.queries.get(name) ?? 0)] as const)
    .filter(([, times]) => times > 0);
  const all = queries.reduce((sum, [, times]) => sum + times, 0);
  return (
    `${all} statements on PostgreSQL (${queries.map(([name, times]) => `${times} ${name}`).join(', ')}), ` +
    `${megabytes(now.fromPostgres - before.fromPostgres)} from it; ${now.redisCommands - before.redisCommands - 1} commands on Redis, ` +
    `${megabytes(now.fromRedis - before.fromRedis)} from it`
  );
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(2)} MB`;
}

async function together(name: string, urls: FleetUrls, keep?: true): Promise<readonly FleetNode[]> {
  const nodes = await Promise.all(Array.from({ length: count }, () => openFleetNode(urls)));
  const before = costOf(nodes);
  const startedMs = performance.now();
  await Promise.all(nodes.map((node) => node.start()));
  const tookMs = performance.now() - startedMs;
  const revisions = new Set(nodes.map(({ revision }) => revision));
  const from = nodes.reduce((sum, node) => sum + node.loads.redis, 0);
  console.log(
    `${count} nodes start together, ${asked['flags']} flags, ${name}: all loaded after ${tookMs.toFixed(0)} ms ` +
      `(${from} by the hot copy), revisions ${[...revisions].join()}: ${told(costOf(nodes), before)}`,
  );
  if (keep !== true) await Promise.all(nodes.map((node) => node.close()));
  return nodes;
}

type FleetUrls = Parameters<typeof openFleetNode>[0];

async function idle(nodes: readonly FleetNode[]): Promise<void> {
  // What the start has left over is done.
  await pause(5000);
  const before = costOf(nodes);
  await pause(Number(asked['idle']) * 1000);
  console.log(`${count} idle nodes for ${asked['idle']} s: ${told(costOf(nodes), before)}`);
}

/** Two real nodes, a writer on each that never rests. */
async function tightLoop(seconds: number): Promise<void> {
  const nodes = await startNodes(backends, { count: 2, workers: 1, news: 'redis', database: 'tight' });
  try {
    const until = performance.now() + seconds * 1000;
    const writes = await Promise.all(nodes.map((node, i) => writeUntil(node, `flag-${i}`, until)));
    const figures = await Promise.all(
      ['burgee_sync_reloads_', 'burgee_sync_deltas_total', 'burgee_sync_delta_reads_total'].map(async (prefix) =>
        (await Promise.all(nodes.map((node) => metricsOf(node, prefix)))).join(' and '),
      ),
    );
    console.log(
      `two nodes write in a tight loop for ${seconds} s: ${writes.join(' and ')} writes; full reloads ${figures[0]}, ` +
        `deltas ${figures[1]}, reads of changes ${figures[2]}`,
    );
  } finally {
    await stopNodes(nodes);
  }
}

async function writeUntil(node: Service, flagId: string, untilMs: number): Promise<number> {
  const connection = await openConnection(node.port, ADMIN_KEY);
  await connection.request('POST', '/api/v1/flags', { json: { flag_id: flagId, enabled: true } });
  let writes = 0;
  for (; performance.now() < untilMs; writes++) {
    const json = { rollout_percentage: (writes % 9_999) / 100 + 0.01 };
    const { status, body } = await connection.request('PATCH', `/api/v1/flags/${flagId}`, { json });
    if (status !== 200) throw new Error(`a write was answered ${status}: ${JSON.stringify(body)}`);
  }
  connection.close();
  return writes;
}
