// What docker-compose.yml starts, as processes on this machine: two nodes behind HAProxy with deploy's own haproxy.cfg,
// PostgreSQL, Redis, and Prometheus with deploy's own configuration and alarms. Each line it prints is shown, not assumed;
// exit code 1 when one does not hold.
//
//   npm run topology
import { readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'yaml';
import { type LoadRecord, startLoad } from '../test/support/load.ts';
import { findPostgres, startPostgres } from '../test/support/postgres.ts';
import { prepareRedis, startRedis } from '../test/support/redis.ts';
import { ADMIN_KEY } from '../test/support/service.ts';
import { openConnection, quantile } from './connection.ts';
import { startSocketLoad } from './socket-load.ts';
import { type Builds, createNode, makeBuilds, type Node } from './topology/nodes.ts';
import { type HaProxy, type Prometheus, startPrometheus, startProxy, versionOf } from './topology/programs.ts';
import { watchSocket } from './topology/watch-socket.ts';
import { startWriter } from './writer.ts';

const FLAG_ID = 'steady';
const GET_PATH = `/api/v1/flags/${FLAG_ID}/evaluate?user_id=user-1`;
const WRITES = 100;
const POLL_MS = 100;

interface Scene {
  readonly nodes: readonly [Node, Node];
  readonly proxy: HaProxy;
  readonly prometheus: Prometheus | undefined;
  readonly builds: Builds;
}

const startedMs = performance.now();
let failures = 0;

function line(holds: boolean, text: string): void {
  if (!holds) failures++;
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1).padStart(5);
  console.log(`${holds ? 'ok    ' : 'FAILED'} ${seconds} s  ${text}`);
}

const postgresPrograms = findPostgres();
const missing = [
  'missing' in postgresPrograms ? postgresPrograms.missing : undefined,
  prepareRedis()?.missing,
  versionOf('haproxy', '-v') === undefined ? 'haproxy is not on PATH' : undefined,
].filter((reason) => reason !== undefined);
if (missing.length > 0 || 'missing' in postgresPrograms) {
  console.error(`the topology cannot be had: ${missing.join('; ')}`);
  process.exit(1);
}
const [postgres, redis] = await Promise.all([startPostgres(postgresPrograms), startRedis()]);
const builds = makeBuilds(['one', 'two']);
// As the compose file has it, but for addresses.
const compose = parse(readFileSync(new URL('../docker-compose.yml', import.meta.url), 'utf8'), { merge: true });
const { DRAIN_DELAY_MS, SHUTDOWN_TIMEOUT_MS } = compose.services['burgee-a'].environment;
const env = {
  DATABASE_URL: postgres.url,
  REDIS_URL: redis.url,
  DRAIN_DELAY_MS,
  SHUTDOWN_TIMEOUT_MS,
  TRUST_PROXY: '127.0.0.1',
};
const nodes = [await createNode('node-a', 2, env), await createNode('node-b', 2, env)] as const;
const opened: { close(): Promise<void> }[] = [...nodes, redis, postgres];
try {
  await Promise.all(nodes.map((node) => node.start(builds.main('one'))));
  const proxy = await startProxy([nodes[0].port, nodes[1].port]);
  opened.unshift(proxy);
  const prometheus =
    versionOf('prometheus', '--version') === undefined
      ? undefined
      : await startPrometheus([nodes[0].metricsPort, nodes[1].metricsPort], proxy.metricsPort);
  if (prometheus !== undefined) opened.unshift(prometheus);
  await show({ nodes, proxy, prometheus, builds });
} finally {
  for (const each of opened) await each.close();
  rmSync(builds.folder, { recursive: true, force: true });
}
console.log(failures === 0 ? 'all of it holds' : `${failures} lines do not hold`);
process.exitCode = failures === 0 ? 0 : 1;

async function show(scene: Scene): Promise<void> {
  const { proxy, prometheus } = scene;
  await until(async () => (await proxy.nodesUp()).length === 2);
  line(
    true,
    `two nodes, ${versionOf('haproxy', '-v')?.split(' - ')[0]}, ${(postgresPrograms as { version: string }).version}, Redis, ${prometheus?.version ?? 'no Prometheus'}`,
  );
  await evaluations(scene);
  await writesAreSeen(scene);
  await aSocketIsPushed(scene);
  await underLoad(scene, 'a node is killed', true, async () => {
    const [a] = scene.nodes;
    await a.service().killAll();
    await until(async () => (await proxy.nodesUp()).length === 1);
    if (prometheus !== undefined) await pending(prometheus, ['BurgeeNodeSilent', 'ProxyNodeDown']);
    await a.start(scene.builds.main('one'));
    await until(async () => (await proxy.nodesUp()).length === 2);
  });
  await underLoad(scene, 'both nodes drain and come back with another build, one after the other', false, async () => {
    for (const node of scene.nodes) {
      const stoppedMs = performance.now();
      const code = await node.service().stop('SIGTERM');
      const drainedMs = performance.now() - stoppedMs;
      await node.start(scene.builds.main('two'));
      await until(async () => (await proxy.nodesUp()).length === 2);
      const tookMs = performance.now() - stoppedMs - drainedMs;
      line(
        code === 0,
        `${node.name} drained on SIGTERM in ${drainedMs.toFixed(0)} ms, exit code ${code}; used by the proxy again ${tookMs.toFixed(0)} ms later`,
      );
    }
  });
  const running = await Promise.all(scene.nodes.map(({ port }) => buildOf(port)));
  line(
    running.every((build) => build === 'two'),
    `the nodes run builds ${running.join(' and ')}`,
  );
  if (prometheus !== undefined) await metrics(prometheus);
  else line(process.env['CI'] !== 'true', 'metrics and alarms: skipped, prometheus is not on PATH');
}

async function evaluations(scene: Scene): Promise<void> {
  const flag = { flag_id: FLAG_ID, enabled: true, rollout_percentage: 50 };
  const port = scene.proxy.port;
  const connection = await openConnection(port, ADMIN_KEY);
  const made = await connection.request('POST', '/api/v1/flags', { json: flag });
  line(made.status === 201, 'a flag is made through the proxy');
  const load = startLoad({
    port,
    key: ADMIN_KEY,
    connections: 8,
    path: `${GET_PATH}&min_revision=${made.headers.get('x-flags-revision')}`,
  });
  await load.answered(400);
  const record = await load.stop();
  // Workers report every 250 ms.
  let counts: number[] = [];
  await until(async () => {
    counts = await Promise.all(scene.nodes.map(answeredBy));
    return counts.reduce((sum, count) => sum + count) >= record.requests;
  });
  line(
    record.failed === 0 && counts.every((count) => count > 100),
    `${record.requests} evaluations through the proxy, failed ${record.failed}; ${scene.nodes.map(({ name }, i) => `${name} answered ${counts[i]}`).join(', ')}`,
  );
  connection.close();
  await fromAddress(port, '127.0.0.9');
  await until(() => scene.nodes.some((node) => node.output().includes('"client":"127.0.0.9"')));
  line(true, 'the access log has the address of the client behind the proxy');
}

async function writesAreSeen({ proxy }: Scene): Promise<void> {
  const writer = await openConnection(proxy.port, ADMIN_KEY);
  const readers = await Promise.all(Array.from({ length: 4 }, () => openConnection(proxy.port, ADMIN_KEY)));
  const seenMs: number[] = [];
  let unreached = 0;
  let older = 0;
  for (let i = 0; i < WRITES; i++) {
    const written = await writer.request('PATCH', `/api/v1/flags/${FLAG_ID}`, { json: { rollout_percentage: i / 2 } });
    const revision = Number(written.headers.get('x-flags-revision'));
    const sentMs = performance.now();
    const replies = await Promise.all(
      readers.map((each) => each.request('GET', `${GET_PATH}&min_revision=${revision}`)),
    );
    seenMs.push(performance.now() - sentMs);
    for (const reply of replies) {
      if (reply.status !== 200) unreached++;
      else if (Number(reply.headers.get('x-flags-revision')) < revision) older++;
    }
  }
  line(
    unreached === 0 && older === 0,
    `${WRITES} writes through the proxy, each read on 4 connections with min_revision: older answers ${older}, not reached ${unreached}; all 4 after p50 ${quantile(seenMs, 0.5).toFixed(1)} ms, p99 ${quantile(seenMs, 0.99).toFixed(1)} ms`,
  );
  for (const each of [writer, ...readers]) each.close();
}

async function aSocketIsPushed({ proxy }: Scene): Promise<void> {
  const sockets = await Promise.all(Array.from({ length: 4 }, () => watchSocket(proxy.port, ADMIN_KEY, FLAG_ID)));
  const writer = await openConnection(proxy.port, ADMIN_KEY);
  const written = await writer.request('PATCH', `/api/v1/flags/${FLAG_ID}`, { json: { rollout_percentage: 100 } });
  const revision = Number(written.headers.get('x-flags-revision'));
  const sentMs = performance.now();
  await Promise.all(sockets.map((socket) => socket.told(revision)));
  line(true, `4 WebSockets through the proxy were pushed a write after ${(performance.now() - sentMs).toFixed(1)} ms`);
  for (const socket of sockets) socket.close();
  writer.close();
}

/** Runs `inject` under constant load through the proxy. Where nodes go as they should nothing may fail. */
async function underLoad(scene: Scene, name: string, isCrash: boolean, inject: () => Promise<void>): Promise<void> {
  const to = { port: scene.proxy.port, key: ADMIN_KEY };
  const body = '{"context":{"targetingKey":"user-1"}}';
  const gets = startLoad({ ...to, connections: 8, path: GET_PATH, thinkMs: 10 });
  const posts = startLoad({ ...to, connections: 4, path: '/ofrep/v1/evaluate/flags', body, thinkMs: 20 });
  const sockets = startSocketLoad({ ...to, sockets: 8, flagId: FLAG_ID, thinkMs: 50, heedGoodbye: true });
  const writer = startWriter(to.port, to.key, FLAG_ID);
  await Promise.all([gets.answered(500), posts.answered(100), writer.accepted(5)]);
  await inject();
  await Promise.all([gets.answered(500), posts.answered(100), writer.accepted(5)]);
  const gap = writer.longestGapMs();
  const [got, posted, talked, written] = await Promise.all([gets.stop(), posts.stop(), sockets.stop(), writer.stop()]);
  const lost = written.refused + written.unknown;
  line(got.failed === 0 && (isCrash || posted.failed === 0), `${name}: GET ${said(got)}; POST ${said(posted)}`);
  line(
    isCrash || talked.failed === 0,
    `  WebSockets: evaluations ${talked.evaluations}, failed ${talked.failed}, goodbyes ${talked.goodbyes}, reconnects ${talked.reconnects}, longest gap of a client ${talked.longestGapMs.toFixed(0)} ms`,
  );
  line(
    isCrash || lost === 0,
    `  writes: accepted ${written.accepted}, refused ${written.refused}, of unknown outcome ${written.unknown}, without one for at most ${gap.toFixed(0)} ms`,
  );
  for (const reason of new Set([...got.reasons, ...posted.reasons, ...talked.reasons, ...written.reasons]))
    console.log(`                 ${reason.replaceAll(/\s+/g, ' ').slice(0, 160)}`);
}

function said(record: LoadRecord): string {
  return `${record.requests}, failed ${record.failed}, longest gap of a client ${record.longestGapMs.toFixed(0)} ms`;
}

/** Each alarm is on its way: its expression holds. That it goes off minutes later is for promtool's tests. */
async function pending(prometheus: Prometheus, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await until(async () => (await prometheus.query(`ALERTS{alertname="${name}"}`)).length > 0);
    line(true, `  the alarm ${name} is on its way`);
  }
}

async function metrics(prometheus: Prometheus): Promise<void> {
  await until(async () => (await prometheus.query('up == 1')).length === 3);
  line(true, 'Prometheus scrapes both nodes and the proxy');
  const { groups } = await prometheus.api('rules');
  const rules = groups.flatMap((group: { rules: { name: string; health: string }[] }) => group.rules);
  const broken = rules.filter(({ health }: { health: string }) => health !== 'ok');
  line(rules.length > 15 && broken.length === 0, `${rules.length} alarms are evaluated, with errors ${broken.length}`);
  const dashboard = JSON.parse(
    readFileSync(new URL('../deploy/grafana/dashboards/burgee.json', import.meta.url), 'utf8'),
  );
  const empty: string[] = [];
  let asked = 0;
  for (const { title, targets = [] } of dashboard.panels) {
    for (const { expr } of targets as { expr: string }[]) {
      asked++;
      const filled = expr.replaceAll('$__rate_interval', '1m').replaceAll('$node', '.*');
      if ((await prometheus.query(filled)).length === 0) empty.push(title);
    }
  }
  // No TLS here.
  const unexpected = empty.filter((title) => title !== 'Certificate expires in');
  line(
    unexpected.length === 0,
    `${asked} queries of the dashboard, without data: ${empty.length === 0 ? 'none' : [...new Set(empty)].join(', ')}`,
  );
}

async function answeredBy({ metricsPort }: Node): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  const counts = text.matchAll(/^burgee_requests_total\{route="[^"]*\/evaluate",status_class="2xx"\} (\d+)$/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

async function buildOf(port: number): Promise<string> {
  const reply = (await (await fetch(`http://127.0.0.1:${port}/version`)).json()) as { build: string };
  return reply.build;
}

/** One evaluation from another address of this machine. */
function fromAddress(port: number, localAddress: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, localAddress, path: GET_PATH, headers: { 'x-api-key': ADMIN_KEY } };
    request(options, (reply) => reply.resume().on('end', resolve))
      .on('error', reject)
      .end();
  });
}

/** For what sends no event: another program's state. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + 60_000;
  while (!(await holds())) {
    if (performance.now() > deadlineMs) throw new Error(`not within a minute: ${holds}`);
    await sleep(POLL_MS);
  }
}
