// A node that starts while PostgreSQL and Redis are both away: from its snapshot file, from the generation before when the
// newest is damaged, and with none at all.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Backends, nodeOptions } from '../../test/support/nodes.ts';
import { ADMIN_KEY, freePort, type Service, type ServiceOptions, startService } from '../../test/support/service.ts';
import { ms, pause } from '../figures.ts';

const FLAGS = 200;
const USERS = 50;

export async function coldStarts(backends: Backends): Promise<void> {
  const { postgres, redis } = backends;
  const dataDir = mkdtempSync(join(tmpdir(), 'burgee-cold-'));
  const given = await nodeOptions(backends, { workers: 2, news: 'redis', database: `cold_${Date.now()}` });
  const options = { ...given, dataDir };
  try {
    const { older, newest } = await fillFiles(options);
    await Promise.all([postgres.stop('immediate'), redis.stop('SIGKILL')]);
    await startFrom('both away, the file is there', options, newest);
    const file = join(dataDir, 'snapshot.brgs');
    const bytes = readFileSync(file);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 0x20;
    writeFileSync(file, bytes);
    await startFrom('both away, the file is damaged', options, older);
    writeFileSync(file, bytes.subarray(0, 100));
    await startFrom('both away, the file is cut', options, older);
    for (const name of ['snapshot.brgs', 'snapshot.previous.brgs']) rmSync(join(dataDir, name), { force: true });
    await startFromNothing(backends, options, newest);
  } finally {
    await Promise.all([postgres.start(), redis.start()]).catch(() => {});
    rmSync(dataDir, { recursive: true, force: true });
  }
}

interface Answers {
  readonly revision: number;
  readonly results: string;
}

/** Two generations of the file, and what a node answers from each. */
async function fillFiles(options: ServiceOptions): Promise<{ readonly older: Answers; readonly newest: Answers }> {
  const first = await startService(options);
  for (let i = 0; i < FLAGS; i++) await first.api('/api/v1/flags', { method: 'POST', json: flag(i) });
  const older = await answersOf(first);
  await first.stop();
  const second = await startService(options);
  await second.api('/api/v1/flags/cold-7', { method: 'PATCH', json: { rollout_percentage: 93 } });
  const newest = await answersOf(second);
  await second.stop();
  if (older.results === newest.results) throw new Error('the generations cannot be told apart');
  return { older, newest };
}

function flag(i: number): Record<string, unknown> {
  const rules = [
    { rule_id: 'poland', when: { attribute: 'country', op: 'in', values: ['PL'] }, serve: { variant: 'on' } },
  ];
  return { flag_id: `cold-${i}`, enabled: true, rollout_percentage: i % 100, rules };
}

async function answersOf(node: Service): Promise<Answers & { readonly staleSeconds: number }> {
  const contexts = Array.from({ length: USERS }, (_, i) => ({
    user_id: `user-${i}`,
    attributes: i % 5 === 0 ? { country: 'PL' } : {},
  }));
  const { status, body, headers } = await node.api('/api/v1/evaluate', { method: 'POST', json: { contexts } });
  if (status !== 200) throw new Error(`answered ${status}: ${JSON.stringify(body)}`);
  return {
    revision: body.revision,
    results: JSON.stringify(body.results),
    staleSeconds: Number(headers.get('x-flags-stale') ?? 0),
  };
}

async function startFrom(name: string, options: ServiceOptions, expected: Answers): Promise<void> {
  const startedMs = performance.now();
  const node = await startService(options);
  const readyMs = performance.now() - startedMs;
  const { revision, results, staleSeconds } = await answersOf(node);
  const ready = await fetch(`${node.url}/readyz`);
  const health = await node.api('/healthz');
  const write = await node.api('/api/v1/flags/cold-7', { method: 'PATCH', json: { rollout_percentage: 1 } });
  const read = await node.api('/api/v1/flags/cold-7');
  console.log(
    `cold start, ${name}: ready after ${ms(readyMs)}, /readyz ${ready.status}, tier ${health.body.tier}, revision ${revision} ` +
      `(expected ${expected.revision}), ${FLAGS * USERS} answers ${results === expected.results ? 'right' : 'WRONG'}, ` +
      `stale ${staleSeconds} s; a flag is read: ${read.status}; a write: ${write.status} ${write.body.code}`,
  );
  await node.stop();
}

async function startFromNothing(
  { postgres, redis }: Backends,
  options: ServiceOptions,
  expected: Answers,
): Promise<void> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const startedMs = performance.now();
  const starting = startService({ ...options, port });
  // Workers may run, and be alive, long before there is something to serve.
  while ((await statusOf(`${url}/livez`)) !== 200) await pause(20);
  const answersMs = performance.now() - startedMs;
  const evaluated = await fetch(`${url}/api/v1/flags/cold-7/evaluate?user_id=u`, {
    headers: { 'x-api-key': ADMIN_KEY },
  });
  const said = (await evaluated.json()) as { readonly code: string };
  const ready = await fetch(`${url}/readyz`);
  await Promise.all([postgres.start(), redis.start()]);
  const backMs = performance.now();
  const node = await starting;
  while ((await statusOf(`${url}/readyz`)) !== 200) await pause(20);
  const readyMs = performance.now() - backMs;
  const { results } = await answersOf(node);
  console.log(
    `cold start, both away, no file: answers after ${ms(answersMs)}, /livez 200, /readyz ${ready.status}, ` +
      `an evaluation ${evaluated.status} ${said.code}; both back: ready after ${ms(readyMs)}, ` +
      `answers ${results === expected.results ? 'right' : 'WRONG'}`,
  );
  await node.stop();
}

async function statusOf(url: string): Promise<number | undefined> {
  try {
    return (await fetch(url)).status;
  } catch {
    return undefined;
  }
}
