// A node whose PostgreSQL is away: at the start, later, and a store that came back without its newest revisions.
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import { findPostgres, startPostgres } from '../support/postgres.ts';
import { prepareRedis, startRedis } from '../support/redis.ts';
import { freePort, runToEnd, type Service, startService } from '../support/service.ts';

const programs = findPostgres();
const missing = 'missing' in programs ? programs.missing : prepareRedis()?.missing;
const skip = missing !== undefined && process.env['CI'] !== 'true' ? missing : false;

test('a node and its PostgreSQL', { skip }, async (t) => {
  if ('missing' in programs) throw new Error(programs.missing);
  const postgres = await startPostgres(programs);
  const dataDir = mkdtempSync(join(tmpdir(), 'burgee-tiers-'));
  t.teardown(async () => {
    await postgres.close();
    rmSync(dataDir, { recursive: true, force: true });
  });
  const metricsPort = await freePort();
  const redis = await startRedis();
  t.teardown(() => redis.close());
  const env = { DATABASE_URL: postgres.url, REDIS_URL: redis.url, METRICS_PORT: String(metricsPort) };
  const start = (): Promise<Service> => startService({ workers: 1, dataDir, env });
  const file = join(dataDir, 'snapshot.brgs');
  const previous = join(dataDir, 'snapshot.previous.brgs');
  let service = await start();
  t.teardown(() => service.stop());

  const put = (id: string) =>
    service.api('/api/v1/flags', { method: 'POST', json: { flag_id: id, enabled: true, rollout_percentage: 100 } });
  const asked = (id: string) => service.api(`/api/v1/flags/${id}/evaluate?user_id=u1`);
  async function health() {
    return (await (await fetch(`http://127.0.0.1:${metricsPort}/healthz`)).json()) as Record<string, unknown>;
  }
  /** Asks until it is so; the loop that makes it so runs each second. */
  async function until(isSo: () => Promise<boolean>): Promise<void> {
    while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 50));
  }

  await t.test('PostgreSQL stops and starts under a running node', async (t) => {
    t.equal((await put('first')).status, 201);
    await postgres.stop('immediate');
    await until(async () => (await health())['store_away'] !== null);
    t.match(await asked('first'), { status: 200, body: { enabled: true } });
    t.match(await put('never'), { status: 503, body: { code: 'STORAGE_UNAVAILABLE' } });
    t.match(await service.api('/api/v1/keys'), { status: 503, body: { code: 'STORAGE_UNAVAILABLE' } });
    t.match(await service.api('/api/v1/flags/first'), { status: 200, body: { flag_id: 'first' } });
    t.equal((await fetch(`${service.url}/readyz`)).status, 200);
    await until(async () => Number((await asked('first')).headers.get('x-flags-stale')) >= 5);
    await postgres.start();
    await until(async () => (await put('second')).status === 201);
    t.equal((await asked('second')).headers.get('x-flags-stale'), null);
    t.match(await health(), { tier: 'store', store_away: null });
  });

  await t.test('a node starts without PostgreSQL from its file, and follows it again', async (t) => {
    await service.stop();
    t.equal(statSync(file).mode & 0o777, 0o600);
    await postgres.stop();
    service = await start();
    const reply = await asked('second');
    t.match(reply, { status: 200, body: { enabled: true } });
    t.match(await health(), { tier: 'file' });
    t.match(await put('never'), { status: 503, body: { code: 'STORAGE_UNAVAILABLE' } });
    await postgres.start();
    await until(async () => (await health())['tier'] === 'store');
    await until(async () => (await put('third')).status === 201);
  });

  await t.test('a damaged file costs what only it had', async (t) => {
    await service.stop();
    await postgres.stop();
    const bytes = readFileSync(file);
    writeFileSync(file, bytes.subarray(0, bytes.length >> 1));
    service = await start();
    t.match(service.output(), /a snapshot file cannot be used/);
    t.equal((await asked('first')).status, 200, 'the generation before serves');
    await service.stop();
    chmodSync(previous, 0o666);
    service = await start();
    const refused = await fetch(`${service.url}/readyz`);
    t.equal(refused.status, 503);
    t.match(await asked('first'), { status: 503, body: { code: 'NOT_READY' } });
    await postgres.start();
    await until(async () => (await asked('third')).status === 200);
    t.equal((await fetch(`${service.url}/readyz`)).status, 200);
  });

  await t.test('a node that starts takes the hot copy, and hears of the other’s writes', async (t) => {
    await until(async () => redis.cli('--raw', 'keys', 'burgee:*:snapshot:f2') !== '');
    const metricsAt = await freePort();
    const other = await startService({ workers: 1, env: { ...env, METRICS_PORT: String(metricsAt) } });
    t.teardown(() => other.stop());
    const metrics = await (await fetch(`http://127.0.0.1:${metricsAt}/metrics`)).text();
    t.match(metrics, /^burgee_sync_loads_redis_total 1$/m);
    t.equal((await other.api('/api/v1/flags/third/evaluate?user_id=u1')).status, 200);
    const { revision } = (await put('heard')).body;
    t.equal((await other.api(`/api/v1/flags/heard/evaluate?user_id=u1&min_revision=${revision}`)).status, 200);
    t.notMatch(redis.cli('--raw', 'keys', '*'), /key/);
  });

  await t.test('a store that went back takes no write until it is accepted', async (t) => {
    const { revision } = (await asked('third')).body;
    await postgres.query('UPDATE store SET revision = revision - 2');
    await until(async () => (await health())['store_went_back'] !== null);
    t.match(await put('lost'), { status: 503, body: { code: 'STORE_WENT_BACK', detail: /burgee store accept/ } });
    await postgres.query('UPDATE store SET revision = revision + 5');
    t.match(await put('lost'), { status: 503, body: { code: 'STORE_WENT_BACK' } }, 'though it grew past it');
    t.equal((await asked('third')).status, 200);
    const metrics = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
    t.match(metrics, /^burgee_store_went_back 1$/m);
    const accepted = await runToEnd(['store', 'accept'], { ...env, DATA_DIR: dataDir, PORT: String(service.port) });
    t.equal(accepted.code, 0, accepted.stderr);
    t.match(service.output(), /the store was accepted/);
    t.equal((await put('kept')).status, 201);
    t.ok((await asked('kept')).body.revision > revision + 1);
    t.match(await health(), { store_went_back: null });
  });
});
