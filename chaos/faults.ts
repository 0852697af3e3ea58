// What clients on kept connections see when a process dies, hangs or is asked to go.
//
//   npm run chaos:faults

import { startLoad } from '../test/support/load.ts';
import { ADMIN_KEY, type Service, signalQuietly, startService } from '../test/support/service.ts';

const WORKERS = 4;
const CONNECTIONS = 32;
/** Keeps the load constant and the machine short of saturated: about 8,000 requests a second. */
const THINK_MS = 3;
const PATH = '/api/v1/flags/steady/evaluate?user_id=user-1';

await underLoad('SIGKILL a worker', async (service) => {
  signalQuietly(service.workerPids()[0] as number, 'SIGKILL');
  return '';
});
await underLoad('SIGKILL the primary', async (service) => {
  const workersBefore = service.workerPids().sort().join();
  signalQuietly(service.primaryPid(), 'SIGKILL');
  const writeMs = await untilWrite(service);
  const kept = workersBefore === service.workerPids().sort().join();
  return `a write works again after ${writeMs.toFixed(0)} ms, workers ${kept ? 'kept' : 'replaced'}`;
});
await underLoad('SIGSTOP a worker', async (service) => {
  signalQuietly(service.workerPids()[0] as number, 'SIGSTOP');
  return '';
});
await underLoad(
  'SIGTERM the service',
  async (service) => {
    const startedMs = performance.now();
    const code = await service.stop('SIGTERM');
    return `exit code ${code} after ${(performance.now() - startedMs).toFixed(0)} ms`;
  },
  true,
);

async function underLoad(name: string, inject: (service: Service) => Promise<string>, ends = false): Promise<void> {
  const service = await startService({ workers: WORKERS });
  try {
    await service.api('/api/v1/flags', {
      method: 'POST',
      json: { flag_id: 'steady', enabled: true, rollout_percentage: 50 },
    });
    const load = startLoad({
      port: service.port,
      connections: CONNECTIONS,
      path: PATH,
      key: ADMIN_KEY,
      thinkMs: THINK_MS,
    });
    await load.answered(20_000);
    const said = await inject(service);
    if (!ends) await load.answered(60_000);
    const record = await load.stop();
    console.log(
      `${name}: requests ${record.requests}, failed ${record.failed}, longest gap of a client ` +
        `${record.longestGapMs.toFixed(0)} ms, slowest request ${record.slowestMs.toFixed(0)} ms, reconnects ${record.reconnects}${said === '' ? '' : `; ${said}`}`,
    );
    if (record.failed > 0) console.log(`  ${[...new Set(record.reasons)].join('\n  ')}`);
  } finally {
    if (!ends) await service.stop();
  }
}

/** Writes until one is accepted; how long that took, in milliseconds. */
async function untilWrite(service: Service): Promise<number> {
  const startedMs = performance.now();
  for (let i = 1; ; i++) {
    const reply = await service.api('/api/v1/flags/steady', {
      method: 'PATCH',
      json: { rollout_percentage: 50 + i / 100 },
    });
    if (reply.status === 200) return performance.now() - startedMs;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
