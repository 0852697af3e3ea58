// What clients see under a real PM2 when a process dies or PM2 is told something: one row a case, each on a service of its
// own, with what was left of it after `pm2 delete` and `pm2 kill`.
//
//   npm run chaos:pm2

import { type LoadRecord, startLoad } from '../test/support/load.ts';
import { createPm2Service, isReplaced, type Pm2Service, preparePm2, readyCount, until } from '../test/support/pm2.ts';
import { ADMIN_KEY, alive, signalQuietly } from '../test/support/service.ts';

const WORKERS = 2;
const CONNECTIONS = 16;
const THINK_MS = 5;
/** Answers before and after what happens. */
const ANSWERS = 5000;

interface Case {
  readonly name: string;
  /** Ends when the service serves again, or is gone. */
  readonly act: (service: Pm2Service) => Promise<unknown>;
  /** Nobody answers afterwards. */
  readonly ends?: boolean;
}

const CASES: readonly Case[] = [
  { name: 'pm2 start, then nothing', act: async () => undefined },
  { name: 'pm2 sendSignal SIGHUP', act: hangUp },
  { name: 'pm2 reload', act: (service) => service.pm2('reload', 'burgee') },
  { name: 'SIGKILL the launcher', act: (service) => killAndWait(service, 'launcher') },
  { name: 'SIGKILL the primary', act: (service) => killAndWait(service, 'primary') },
  { name: 'SIGKILL worker 1', act: (service) => killWorker(service, 0) },
  { name: 'SIGKILL worker 2', act: (service) => killWorker(service, 1) },
  { name: 'SIGKILL PM2', act: killDaemon },
  { name: 'pm2 stop', act: (service) => service.pm2('stop', 'burgee'), ends: true },
  { name: 'pm2 delete', act: (service) => service.pm2('delete', 'burgee'), ends: true },
  { name: 'pm2 kill', act: (service) => service.pm2('kill'), ends: true },
];

const prepared = preparePm2();
if ('missing' in prepared) throw new Error(prepared.missing);
console.log('| case | requests | failed | longest gap of a client | reconnects | took | left over |');
console.log('|---|---|---|---|---|---|---|');
for (const each of CASES) console.log(await row(prepared.program, each));

async function row(program: string, { name, act, ends = false }: Case): Promise<string> {
  const service = await createPm2Service(program, WORKERS);
  try {
    const started = await service.start();
    if (started.code !== 0) throw new Error(started.output);
    await service.makeFlag('steady');
    const path = '/api/v1/flags/steady/evaluate?user_id=user-1';
    const load = startLoad({ port: service.port, connections: CONNECTIONS, path, key: ADMIN_KEY, thinkMs: THINK_MS });
    await load.answered(ANSWERS);
    const daemonBefore = service.daemonPid();
    const startedMs = performance.now();
    await act(service);
    const tookMs = performance.now() - startedMs;
    if (!ends) await load.answered(ANSWERS);
    const record = await load.stop();
    // After `pm2 kill` its pid file is gone as well.
    const daemon = ends ? daemonBefore : service.daemonPid();
    if (!ends) await service.pm2('delete', 'burgee');
    await service.pm2('kill');
    // It answers the command a moment before it goes.
    await until(() => !alive(daemon));
    return line(name, record, ends, tookMs, service.processes().length);
  } finally {
    await service.close();
  }
}

function line(name: string, record: LoadRecord, ends: boolean, tookMs: number, left: number): string {
  const gap = ends ? 'for good' : `${record.longestGapMs.toFixed(0)} ms`;
  const reasons = record.failed === 0 ? '' : ` (${[...new Set(record.reasons)].join('; ').slice(0, 200)})`;
  const cells = [
    name,
    record.requests,
    `${record.failed}${reasons}`,
    gap,
    record.reconnects,
    `${tookMs.toFixed(0)} ms`,
    left,
  ];
  return `| ${cells.join(' | ')} |`;
}

async function hangUp(service: Pm2Service): Promise<void> {
  const [primary, workers, readies] = [service.pid('primary'), service.workerPids(), readyCount(service)];
  await service.pm2('sendSignal', 'SIGHUP', 'burgee');
  await until(() => isReplaced(service, 'primary', primary, readies) && !workers.some(alive));
}

async function killAndWait(service: Pm2Service, role: 'launcher' | 'primary'): Promise<void> {
  const [pid, readies] = [service.pid(role), readyCount(service)];
  signalQuietly(pid, 'SIGKILL');
  await until(() => isReplaced(service, role, pid, readies));
}

async function killWorker(service: Pm2Service, index: number): Promise<void> {
  const pid = service.workerPids()[index] as number;
  signalQuietly(pid, 'SIGKILL');
  await until(() => !service.workerPids().includes(pid) && service.workerPids().filter(alive).length === WORKERS);
}

/** And what an operator does then: ends the launcher alone, and has a new PM2 start another one. */
async function killDaemon(service: Pm2Service): Promise<void> {
  const daemon = service.daemonPid();
  signalQuietly(daemon, 'SIGKILL');
  await until(() => !alive(daemon));
  const launcher = service.pid('launcher');
  signalQuietly(launcher, 'SIGKILL');
  await until(() => !alive(launcher));
  await service.pm2('ping');
  await service.start();
}
