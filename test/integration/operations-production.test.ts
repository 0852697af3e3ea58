// The chapter of docs/operations.md on the production store: its blocks are run as they stand, on a node with a PostgreSQL
// and a Redis of its own. Needs dist (npm test builds it first).
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'tap';
import { endAll, PRODUCTION, readExamples, tryExamples } from '../support/page-examples.ts';
import { findPostgres, startPostgres } from '../support/postgres.ts';
import { prepareRedis, startRedis } from '../support/redis.ts';
import { ADMIN_KEY, freePort, startService } from '../support/service.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const page = readFileSync(join(ROOT, 'docs/operations.md'), 'utf8');
const onCi = process.env['CI'] === 'true';
const programs = findPostgres();
const missing =
  'missing' in programs
    ? programs.missing
    : (prepareRedis()?.missing ?? spawnSync('pg_dump', ['--version']).error?.message);

test(`the examples of docs/operations.md on ${PRODUCTION}`, { skip: onCi ? false : (missing ?? false) }, async (t) => {
  if ('missing' in programs || missing !== undefined) throw new Error(missing);
  const folder = t.testdir({ copies: {} });
  const [postgres, redis] = await Promise.all([startPostgres(programs), startRedis()]);
  t.teardown(() => Promise.all([postgres.close(), redis.close()]));
  const dataDir = join(folder, 'data');
  const metricsPort = String(await freePort());
  const variables = { DATABASE_URL: postgres.url, REDIS_URL: redis.url, METRICS_PORT: metricsPort };
  const service = await startService({ dataDir, env: variables });
  t.teardown(() => endAll(dataDir));
  const env = {
    ...variables,
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    PORT: String(service.port),
    DATA_DIR: dataDir,
    URL: service.url,
    METRICS: `http://127.0.0.1:${metricsPort}`,
    KEY: ADMIN_KEY,
    BACKUP: join(folder, 'copies'),
  };
  const examples = readExamples(page).filter(({ chapter }) => chapter === PRODUCTION);
  t.ok(examples.length >= 4, `${examples.length} examples`);
  await tryExamples(t, examples, ROOT, env, () => service.output());
});
