// Three nodes on one PostgreSQL and Redis under a constant load. How long a write on one node takes until every worker of
// all nodes serves it, with Redis, with LISTEN alone and with the poll alone. And min_revision: whoever reads with the
// revision of a write on another node is never answered with less, and never refused.
//
//   npm run chaos:nodes [-- --writes 200 --reads 10000 --news redis,listen,poll]
import { makeEverywhere, type News, openEyes, startNodes, stopNodes } from '../test/support/nodes.ts';
import { ADMIN_KEY, type Service } from '../test/support/service.ts';
import { type Connection, openConnection, quantile } from './connection.ts';
import { backendsOrEnd, metricsOf, ms, optionsOf, pause, startNodesLoad } from './figures.ts';

const NODES = 3;
const WORKERS = 2;
/** Reads with min_revision that are out at once; past it the writer waits. */
const READS_OUT_MAX = 64;
const EVALUATE = '/api/v1/flags/fresh/evaluate?user_id=user-1';

const asked = optionsOf({ writes: '200', reads: '10000', news: 'redis,listen,poll' });
const backends = await backendsOrEnd();
try {
  for (const news of (asked['news'] as string).split(',') as News[]) await experiment(news);
} finally {
  await backends.close();
}

async function experiment(news: News): Promise<void> {
  const nodes = await startNodes(backends, { count: NODES, workers: WORKERS, news, database: `nodes_${news}` });
  try {
    await makeEverywhere(nodes, { flag_id: 'fresh', enabled: true });
    const load = startNodesLoad(nodes, EVALUATE);
    await spread(news, nodes, Number(asked['writes']));
    await readBack(news, nodes, Number(asked['reads']));
    const { answers, failed, p99Ms, staleSecondsMax, reasons } = load.figures();
    await load.stop();
    const reloads = await Promise.all(nodes.map((node) => metricsOf(node, 'burgee_sync_reloads_')));
    console.log(
      `${news}: load meanwhile: ${answers} evaluations, failed ${failed}, p99 ${ms(p99Ms)}, stale ${staleSecondsMax} s; ` +
        `full reloads of each node ${reloads.join(', ')}${reasons.map((reason) => `; ${reason.split('\r\n')[0]}`).join('')}`,
    );
  } finally {
    await stopNodes(nodes);
  }
}

/** From sending a write until the last worker of all nodes serves it. */
async function spread(news: News, nodes: readonly Service[], writes: number): Promise<void> {
  const eyes = await openEyes(nodes);
  const writer = await openConnection((nodes[0] as Service).port, ADMIN_KEY);
  const replyMs: number[] = [];
  const allMs: number[] = [];
  for (let i = 0; i < writes; i++) {
    // No write begins at the same moment of anybody's poll as the one before.
    await pause(Math.random() * (news === 'poll' ? 1000 : 50));
    const sentMs = performance.now();
    const revision = await write(writer, i);
    replyMs.push(performance.now() - sentMs);
    allMs.push((await eyes.reached(revision)) - sentMs);
  }
  writer.close();
  eyes.close();
  console.log(
    `${news}: ${writes} writes on one of ${nodes.length} nodes, ${eyes.count} workers: reply p50 ${ms(quantile(replyMs, 0.5))}, ` +
      `p99 ${ms(quantile(replyMs, 0.99))}; every worker of all nodes p50 ${ms(quantile(allMs, 0.5))}, ` +
      `p99 ${ms(quantile(allMs, 0.99))}, longest ${ms(Math.max(...allMs))}`,
  );
}

/** Writes on all nodes in turn as fast as they are answered; each is read on the other nodes, held to its revision. */
async function readBack(news: News, nodes: readonly Service[], writes: number): Promise<void> {
  const writers = await Promise.all(nodes.map(({ port }) => openConnection(port, ADMIN_KEY)));
  const readers: Connection[][] = nodes.map(() => []);
  const outcome = { reads: 0, below: 0, conflicts: 0, others: 0, ownBelow: 0 };
  const tookMs: number[] = [];
  let out = 0;
  let landed: () => void = () => {};

  async function read(node: number, revision: number): Promise<void> {
    const kept = readers[node]?.pop();
    out++;
    // One that nobody has used for a while is closed by the server.
    const connection = kept?.open === true ? kept : await openConnection((nodes[node] as Service).port, ADMIN_KEY);
    const sentMs = performance.now();
    const reply = await connection.request('GET', `${EVALUATE}&min_revision=${revision}`);
    tookMs.push(performance.now() - sentMs);
    outcome.reads++;
    if (reply.status === 409) outcome.conflicts++;
    else if (reply.status !== 200) outcome.others++;
    else if (reply.body.revision < revision || reply.body.version < revision - firstRevision) outcome.below++;
    readers[node]?.push(connection);
    out--;
    landed();
  }

  const { body, headers } = await (nodes[0] as Service).api('/api/v1/flags/fresh');
  // Nothing else is written here: each revision from now on is one version of this flag.
  const firstRevision = Number(body.revision) - Number(body.version);
  if (Number(headers.get('x-flags-revision')) !== body.revision) throw new Error('somebody else writes');
  const startedMs = performance.now();
  for (let i = 0; i < writes; i++) {
    const from = i % nodes.length;
    const writer = writers[from] as (typeof writers)[number];
    const revision = await write(writer, i);
    const own = await writer.request('GET', EVALUATE);
    if (own.body.revision < revision) outcome.ownBelow++;
    for (let node = 0; node < nodes.length; node++) if (node !== from) void read(node, revision);
    while (out > READS_OUT_MAX - nodes.length) await new Promise<void>((resolve) => (landed = resolve));
  }
  const seconds = (performance.now() - startedMs) / 1000;
  while (out > 0) await new Promise<void>((resolve) => (landed = resolve));
  for (const connection of [...writers, ...readers.flat()]) connection.close();
  console.log(
    `${news}: ${writes} writes on all nodes in turn in ${seconds.toFixed(1)} s (${(writes / seconds).toFixed(0)}/s); ` +
      `reads elsewhere with min_revision ${outcome.reads}: below it ${outcome.below}, 409 ${outcome.conflicts}, ` +
      `other refusals ${outcome.others}, p50 ${ms(quantile(tookMs, 0.5))}, p99 ${ms(quantile(tookMs, 0.99))}, ` +
      `longest ${ms(tookMs.reduce((most, took) => Math.max(most, took), 0))}; own node below ${outcome.ownBelow}`,
  );
}

async function write(connection: Connection, i: number): Promise<number> {
  const reply = await connection.request('PATCH', '/api/v1/flags/fresh', {
    json: { rollout_percentage: (i % 9_999) / 100 + 0.01 },
  });
  if (reply.status !== 200) throw new Error(`a write was answered ${reply.status}: ${JSON.stringify(reply.body)}`);
  return Number(reply.headers.get('x-flags-revision'));
}
