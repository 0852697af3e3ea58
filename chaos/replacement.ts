// What clients and writers see when a service is replaced under load, part by part and as a whole.
//
//   npm run chaos:replacement [-- [--times=10] [--workers=2] [--only=primary,launcher,hup,build]]
//       on kept connections: GETs, OFREP bulk, WebSockets that know `goodbye` and some that do not, a writer
//   npm run chaos:replacement -- --connect [--times=20]
//       a new connection for each request, with and without net.ipv4.tcp_migrate_req. As root in network namespaces of its
//       own; else with what this machine has
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type LoadRecord, startLoad } from '../test/support/load.ts';
import { ADMIN_KEY, alive, freePort, type Service, signalQuietly, startService } from '../test/support/service.ts';
import { makeReleases } from './releases.ts';
import { type SocketRecord, startSocketLoad } from './socket-load.ts';
import { startWriter } from './writer.ts';

const { values } = parseArgs({
  options: {
    times: { type: 'string' },
    workers: { type: 'string', default: '2' },
    only: { type: 'string', default: 'primary,launcher,hup,build' },
    connect: { type: 'boolean', default: false },
    inside: { type: 'boolean', default: false },
  },
});
const workers = Number(values.workers);
const FLAG_ID = 'steady';
const GET_PATH = `/api/v1/flags/${FLAG_ID}/evaluate?user_id=user-1`;
const BULK_PATH = '/ofrep/v1/evaluate/flags';
const BULK_BODY = '{"context":{"targetingKey":"user-1"}}';
const MIGRATE = '/proc/sys/net/ipv4/tcp_migrate_req';

/** A service of which a part is replaced; which launcher it has may change. */
interface Scene {
  service: Service;
  /** Ends one part, and begins what takes its place. */
  readonly inject: (scene: Scene) => Promise<void>;
  readonly options: { readonly port: number; readonly dataDir: string; readonly main?: string };
  readonly metricsPort: number;
  /** Whether the workers are to be others afterwards. */
  readonly replacesWorkers: boolean;
}

const sighup = async ({ service }: Scene): Promise<void> => void service.launcher.kill('SIGHUP');

if (values.connect && !values.inside) compareConnects();
else if (values.connect) await connects(Number(values.times ?? 20));
else await keptConnections(Number(values.times ?? 10), values.only.split(','));

async function keptConnections(times: number, only: readonly string[]): Promise<void> {
  if (only.includes('primary')) {
    await kept('SIGKILL the primary', times, false, async ({ service }) => {
      signalQuietly(service.primaryPid(), 'SIGKILL');
    });
  }
  if (only.includes('launcher')) await kept('SIGKILL the launcher, and start it again', times, false, restartLauncher);
  if (only.includes('hup')) await kept('SIGHUP', times, true, sighup);
  if (!only.includes('build')) return;
  const releases = await makeReleases();
  try {
    const hupIntoNext = async (scene: Scene): Promise<void> => {
      await releases.next();
      await sighup(scene);
    };
    await kept('SIGHUP into a new build', times, true, hupIntoNext, releases.main);
  } finally {
    await releases.close();
  }
}

async function restartLauncher(scene: Scene): Promise<void> {
  const { launcher } = scene.service;
  const exited = once(launcher, 'exit');
  launcher.kill('SIGKILL');
  await exited;
  scene.service = await startService({ workers, ...scene.options, env: environment(scene.metricsPort) });
}

async function kept(
  name: string,
  times: number,
  replacesWorkers: boolean,
  inject: Scene['inject'],
  main?: string,
): Promise<void> {
  await withScene({ replacesWorkers, inject, ...(main === undefined ? {} : { main }) }, async (scene) => {
    const { port } = scene.options;
    const load = { port, key: ADMIN_KEY };
    const gets = startLoad({ ...load, connections: 24, path: GET_PATH, thinkMs: 4 });
    const bulks = startLoad({ ...load, connections: 8, path: BULK_PATH, body: BULK_BODY, thinkMs: 8 });
    const socketLoad = { ...load, flagId: FLAG_ID, thinkMs: 20 };
    const polite = startSocketLoad({ ...socketLoad, sockets: 16, heedGoodbye: true });
    const blind = startSocketLoad({ ...socketLoad, sockets: 8, heedGoodbye: false });
    const writer = startWriter(port, ADMIN_KEY, FLAG_ID);
    await Promise.all([gets.answered(2000), writer.accepted(5)]);
    const writeGapsMs: number[] = [];
    let keptCount = 0;
    for (let i = 0; i < times; i++) {
      const before = { workers: scene.service.workerPids(), primary: scene.service.primaryPid() };
      writer.longestGapMs();
      await scene.inject(scene);
      await settled(scene, before);
      await Promise.all([gets.answered(2000), writer.accepted(5)]);
      writeGapsMs.push(writer.longestGapMs());
      keptCount += scene.service.workerPids().filter((pid) => before.workers.includes(pid)).length;
    }
    const writes = await writer.stop();
    console.log(`${name}, ${times} times, ${workers} workers:`);
    report('GET', await gets.stop());
    report('OFREP bulk', await bulks.stop());
    reportSockets('WebSockets that know goodbye', await polite.stop());
    reportSockets('WebSockets that do not', await blind.stop());
    writeGapsMs.sort((a, b) => a - b);
    const median = writeGapsMs[Math.floor(writeGapsMs.length / 2)] ?? 0;
    console.log(
      `  writes: accepted ${writes.accepted}, refused ${writes.refused}, of unknown outcome ${writes.unknown}; ` +
        `without one for at most ${median.toFixed(0)} ms (median), ${(writeGapsMs.at(-1) ?? 0).toFixed(0)} ms (largest)`,
    );
    for (const reason of writes.reasons) console.log(`    ${reason}`);
    console.log(`  workers: ${keptCount} of ${times * workers} kept`);
  });
}

function report(name: string, record: LoadRecord): void {
  console.log(
    `  ${name}: requests ${record.requests}, failed ${record.failed} (as an idle connection was closed ${record.raced}), ` +
      `longest gap of a client ${record.longestGapMs.toFixed(0)} ms, slowest request ${record.slowestMs.toFixed(0)} ms, ` +
      `reconnects ${record.reconnects}, connections refused ${record.refused}`,
  );
  for (const reason of new Set(record.reasons)) console.log(`    ${reason}`);
}

function reportSockets(name: string, record: SocketRecord): void {
  const closes = [...record.closes].map(([code, count]) => `${code}: ${count}`).join(', ');
  console.log(
    `  ${name}: evaluations ${record.evaluations}, failed ${record.failed} (after a goodbye ${record.raced}), ` +
      `longest gap of a client ${record.longestGapMs.toFixed(0)} ms, slowest ${record.slowestMs.toFixed(0)} ms, ` +
      `goodbyes ${record.goodbyes}, reconnects ${record.reconnects}, closes ${closes === '' ? 'none' : closes}`,
  );
  for (const reason of new Set(record.reasons)) console.log(`    ${reason}`);
}

function environment(metricsPort: number): Record<string, string> {
  return { METRICS_PORT: String(metricsPort), LOG_LEVEL: 'warn' };
}

async function withScene(
  parts: Pick<Scene, 'inject' | 'replacesWorkers'> & { readonly main?: string },
  work: (scene: Scene) => Promise<void>,
): Promise<void> {
  const { main, ...rest } = parts;
  const dataDir = await mkdtemp(join(tmpdir(), 'burgee-replacement-'));
  const metricsPort = await freePort();
  const options = { port: await freePort(), dataDir, ...(main === undefined ? {} : { main }) };
  const service = await startService({ workers, ...options, env: environment(metricsPort) });
  const scene: Scene = { ...rest, service, options, metricsPort };
  try {
    const flag = { flag_id: FLAG_ID, enabled: true, rollout_percentage: 50 };
    await service.api('/api/v1/flags', { method: 'POST', json: flag });
    await work(scene);
  } finally {
    await scene.service.stop();
    await rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Resolves when another primary has all workers, and, where they are to be replaced, none of those from before lives. */
async function settled(
  scene: Scene,
  before: { readonly workers: readonly number[]; readonly primary: number },
): Promise<void> {
  for (;;) {
    const health = await fetch(`http://127.0.0.1:${scene.metricsPort}/healthz`)
      .then((reply) => reply.json() as Promise<{ workers: { serving: number; old: number } }>)
      .catch(() => undefined);
    const isWhole = health !== undefined && health.workers.serving === workers && health.workers.old === 0;
    const isReplaced = !scene.replacesWorkers || !before.workers.some(alive);
    if (isWhole && isReplaced && scene.service.primaryPid() !== before.primary) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Runs the other mode in a network namespace without the setting, and in one with it. */
function compareConnects(): void {
  const self = [...process.execArgv, fileURLToPath(import.meta.url), ...process.argv.slice(2), '--inside'];
  for (const setting of ['0', '1']) {
    const script = `ip link set lo up && echo ${setting} > ${MIGRATE} && exec "$@"`;
    const run = spawnSync('unshare', ['-n', 'sh', '-c', script, 'sh', process.execPath, ...self], { stdio: 'inherit' });
    if (run.status === 0) continue;
    console.log('no network namespace could be made (it takes root, unshare and ip): with the setting of this machine');
    spawnSync(process.execPath, self, { stdio: 'inherit' });
    return;
  }
}

async function connects(times: number): Promise<void> {
  await withScene({ replacesWorkers: true, inject: sighup }, async (scene) => {
    const load = { port: scene.options.port, key: ADMIN_KEY, path: GET_PATH, connectEach: true };
    const clients = startLoad({ ...load, connections: 24, thinkMs: 4 });
    await clients.answered(2000);
    const startedMs = performance.now();
    for (let i = 0; i < times; i++) {
      const before = { workers: scene.service.workerPids(), primary: scene.service.primaryPid() };
      await scene.inject(scene);
      await settled(scene, before);
      await clients.answered(500);
    }
    const seconds = (performance.now() - startedMs) / 1000;
    const record = await clients.stop();
    console.log(
      `A new connection for each request, SIGHUP ${times} times with ${workers} workers (${times * workers} listen sockets ` +
        `closed), tcp_migrate_req ${readFileSync(MIGRATE, 'utf8').trim()}: requests ${record.requests} ` +
        `(${(record.requests / seconds).toFixed(0)} a second), failed ${record.failed}, slowest ${record.slowestMs.toFixed(0)} ms`,
    );
    for (const reason of new Set(record.reasons)) console.log(`    ${reason}`);
  });
}
