// What 10,000 flags cost against 100: start, one change to all workers, memory of a worker, evaluations per second.
// Both services run side by side and are measured in turns.
//
//   npm run bench:scale [-- FLAGS]
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openConnection, quantile } from '../chaos/connection.ts';
import { ADMIN_KEY, type Service, startService } from '../test/support/service.ts';

const FEW = 100;
const MANY = Number(process.argv[2] ?? 10_000);
const WORKERS = 1;
const PAIRS = 5;
const SECONDS = 4;

const folder = mkdtempSync(join(tmpdir(), 'burgee-scale-'));
const services: Service[] = [];
try {
  const few = await filled(FEW);
  const many = await filled(MANY);
  compareThroughput(few, many);
} finally {
  for (const service of services) await service.stop();
  rmSync(folder, { recursive: true, force: true });
}

/** A service with that many flags, started again once they are there, so that start and memory are those of a loaded snapshot. */
async function filled(count: number): Promise<Service> {
  const dataDir = join(folder, String(count));
  let service = await startService({ workers: WORKERS, dataDir });
  const connection = await openConnection(service.port, ADMIN_KEY);
  for (let i = 0; i < count; i++) {
    const json = {
      flag_id: `flag-${i}`,
      enabled: true,
      rollout_percentage: (i % 9_999) / 100 + 0.01,
      description: `Flag number ${i}`,
      tags: ['scale'],
    };
    const reply = await connection.request('POST', '/api/v1/flags', { json });
    if (reply.status !== 201) throw new Error(`flag ${i}: ${reply.status} ${JSON.stringify(reply.body)}`);
  }
  connection.close();
  await service.stop();
  const startedMs = performance.now();
  service = await startService({ workers: WORKERS, dataDir });
  services.push(service);
  const readyMs = performance.now() - startedMs;
  const writeMs = await changeTimes(service, count);
  console.log(
    `${count} flags: start to ready ${readyMs.toFixed(0)} ms; one change to all workers p50 ${quantile(writeMs, 0.5).toFixed(1)} ms, ` +
      `p99 ${quantile(writeMs, 0.99).toFixed(1)} ms; worker ${rssMiB(service.workerPids()[0] as number)} MiB resident`,
  );
  return service;
}

async function changeTimes(service: Service, count: number): Promise<number[]> {
  const connection = await openConnection(service.port, ADMIN_KEY);
  const times: number[] = [];
  for (let i = 0; i < 200; i++) {
    const startedMs = performance.now();
    const reply = await connection.request('PATCH', `/api/v1/flags/flag-${i % count}`, {
      json: { description: `change ${i}` },
    });
    if (reply.status !== 200) throw new Error(`change: ${reply.status}`);
    times.push(performance.now() - startedMs);
  }
  connection.close();
  return times;
}

function compareThroughput(few: Service, many: Service): void {
  execFileSync('taskset', ['-cp', '0', String(few.workerPids()[0])]);
  execFileSync('taskset', ['-cp', '0', String(many.workerPids()[0])]);
  const ratios: number[] = [];
  for (let pair = 0; pair < PAIRS; pair++) {
    const [a, b] = [requestsPerSecond(few, FEW), requestsPerSecond(many, MANY)];
    ratios.push(b / a);
    console.log(
      `pair ${pair + 1}: ${FEW} flags ${a.toFixed(0)}/s, ${MANY} flags ${b.toFixed(0)}/s, ratio ${(b / a).toFixed(3)}`,
    );
  }
  console.log(`median ratio ${quantile(ratios, 0.5).toFixed(3)}`);
}

/** wrk asks for every flag and another user each time, so that no cache is kinder than life. */
function requestsPerSecond(service: Service, count: number): number {
  const script = join(folder, 'flags.lua');
  writeFileSync(
    script,
    `local i = 0
request = function()
  i = i + 1
  return wrk.format('GET', '/api/v1/flags/flag-' .. ((i * 7919) % ${count}) .. '/evaluate?user_id=user-' .. i, {['X-API-Key'] = '${ADMIN_KEY}'})
end
`,
  );
  const output = execFileSync(
    'taskset',
    ['-c', '1', 'wrk', '-t1', '-c64', `-d${SECONDS}s`, '-s', script, service.url],
    { encoding: 'utf8' },
  );
  if (/Non-2xx/.test(output)) throw new Error(output);
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(output)?.[1]);
}

function rssMiB(pid: number): string {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return (Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024).toFixed(0);
}
