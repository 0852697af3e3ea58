// What good clients notice while others try to take the service down: each attack for some seconds from an address of
// its own, beside 20 clients at a known rate that are timed. Says their times with and without, what the workers held,
// what was refused or cut, and how long it took until everything was as before.
//
//   npm run chaos:flood                     all attacks, 10 s each
//   npm run chaos:flood -- 5 slow-headers   one of them, 5 s
//
// The clients, the attacker and the service share the machine's cores: a part of what is measured is that.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ATTACKS, type AttackKind } from '../test/support/attacks.ts';
import { ADMIN_KEY, flagWith, type Service, startService } from '../test/support/service.ts';
import { type GoodClients, startGoodClients, type Timings } from './flood/good-clients.ts';

const ATTACKER = fileURLToPath(new URL('flood/attacker.ts', import.meta.url));
const PAGE_BYTES = 4096;
const CLIENTS = { clients: 20, perSecond: 400 };
const COUNTS: { readonly [Kind in AttackKind]: number } = {
  'slow-headers': 5000,
  'slow-bodies': 2000,
  'slow-readers': 200,
  connections: 64,
  garbage: 64,
  handshakes: 2000,
  'partial-frames': 400,
};
/** Recovered: the good clients' p99 of half a second is no more than this above what it was alone. */
const RECOVERED_ABOVE_MS = 5;
const RECOVERY_MS_MAX = 30_000;
const COUNTERS = [
  'burgee_connections_refused_address_total',
  'burgee_connections_refused_full_total',
  'burgee_slow_readers_cut_total',
  'burgee_shed_total',
] as const;

const [seconds = '10', ...only] = process.argv.slice(2);
const attackMs = 1000 * Number(seconds);
const chosen = only.length === 0 ? ATTACKS : ATTACKS.filter((kind) => only.includes(kind));

const service = await startService({ env: { CONNECTIONS_PER_ADDRESS: '6000', LOG_LEVEL: 'warn' } });
try {
  // All of them for 1,000 users are a reply of 10 MB.
  for (let i = 0; i < 100; i++)
    await flagWith(service, { flag_id: `flag-${String(i).padStart(3, '0')}`, enabled: true, rollout_percentage: 50 });
  const path = '/api/v1/flags/flag-000/evaluate?user_id=user-1';
  const clients = startGoodClients({ port: service.port, key: ADMIN_KEY, path, ...CLIENTS });
  await pause(2000);
  clients.take();
  console.log(
    `${CLIENTS.clients} good clients, ${CLIENTS.perSecond} requests a second, ${service.workerPids().length} workers`,
  );
  for (const [index, kind] of chosen.entries()) await attack(service, clients, kind, `127.0.0.${2 + index}`);
  clients.stop();
} finally {
  await service.stop();
}

async function attack(running: Service, clients: GoodClients, kind: AttackKind, localAddress: string): Promise<void> {
  clients.take();
  await pause(attackMs / 2);
  const alone = clients.take();
  const before = await counters(running);
  const residentBefore = residentMb(running);
  const child = await startAttacker(running, kind, localAddress);
  const resident: number[] = [];
  const endMs = performance.now() + attackMs;
  while (performance.now() < endMs) {
    await pause(250);
    resident.push(residentMb(running));
  }
  const beside = clients.take();
  const record = await stopAttacker(child);
  const recoveryMs = await recover(clients, alone.p99Ms + RECOVERED_ABOVE_MS);
  const after = await counters(running);
  const { opened, closed } = record;
  console.log(`\n${kind}: ${COUNTS[kind]} at once from ${localAddress}; opened ${opened}, closed ${closed}`);
  console.log(`  alone     ${timingsText(alone)}`);
  console.log(`  beside    ${timingsText(beside)}`);
  console.log(
    `  recovered ${recoveryMs === undefined ? `not in ${RECOVERY_MS_MAX} ms` : `${recoveryMs.toFixed(0)} ms`} after its end`,
  );
  const series = resident.filter((_, i) => i % 4 === 3).join(' ');
  console.log(`  workers   ${residentBefore} MB before, each second ${series}, ${residentMb(running)} MB after`);
  const told = COUNTERS.map(
    (name) => `${name.slice('burgee_'.length, -'_total'.length)} ${(after.get(name) ?? 0) - (before.get(name) ?? 0)}`,
  );
  console.log(`  refused   ${told.join(', ')}`);
}

async function startAttacker(running: Service, kind: AttackKind, localAddress: string): Promise<ChildProcess> {
  const child = fork(ATTACKER, { execArgv: process.execArgv });
  await once(child, 'spawn');
  child.send({ kind, options: { port: running.port, key: ADMIN_KEY, count: COUNTS[kind], localAddress } });
  return child;
}

async function stopAttacker(child: ChildProcess): Promise<{ readonly opened: number; readonly closed: number }> {
  const told = once(child, 'message');
  child.send('stop');
  const [record] = await told;
  return record;
}

/** Milliseconds until half a second of the good clients is as good as alone; undefined: it did not come. */
async function recover(clients: GoodClients, p99MsMax: number): Promise<number | undefined> {
  const startedMs = performance.now();
  clients.take();
  while (performance.now() - startedMs < RECOVERY_MS_MAX) {
    const lookedMs = performance.now();
    await pause(500);
    const { p99Ms, failed, requests } = clients.take();
    if (failed === 0 && requests > 0 && p99Ms <= p99MsMax) return lookedMs - startedMs;
  }
  return undefined;
}

function timingsText({ requests, failed, p50Ms, p99Ms, maxMs }: Timings): string {
  return `${requests} requests, ${failed} failed, p50 ${p50Ms.toFixed(2)} p99 ${p99Ms.toFixed(2)} max ${maxMs.toFixed(1)} ms`;
}

async function counters(running: Service): Promise<ReadonlyMap<string, number>> {
  const reply = await fetch(`${running.url}/metrics`, { headers: { 'X-API-Key': ADMIN_KEY } });
  const lines = (await reply.text()).split('\n');
  return new Map(
    COUNTERS.map((name) => [name, Number(lines.find((line) => line.startsWith(`${name} `))?.split(' ')[1] ?? 0)]),
  );
}

/** Of all workers, in MB. */
function residentMb(running: Service): number {
  const pages = running
    .workerPids()
    .map((pid) => Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]))
    .reduce((sum, each) => sum + each, 0);
  return Math.round((pages * PAGE_BYTES) / 1e6);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
