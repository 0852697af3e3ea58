// docs/operations.md tells the truth: its blocks `sh` are run as they stand, in order, against a service behind a release
// link, and what they print is compared with the block `output` below them. Needs dist (npm test builds it first).
// Those of the production store: operations-production.test.ts.
import { readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'tap';
import { endAll, PRODUCTION, readExamples, tryExamples } from '../support/page-examples.ts';
import { createReleases } from '../support/releases.ts';
import { ADMIN_KEY, freePort, startService } from '../support/service.ts';

const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');
const DEPLOY = fileURLToPath(new URL('../../deploy', import.meta.url));

test('the examples of docs/operations.md, run in order', { timeout: 300_000 }, async (t) => {
  const folder = t.testdir({ copies: {} });
  const releases = createReleases(folder);
  for (const name of ['0.4.0', '0.5.0']) {
    releases.make(name);
    symlinkSync(DEPLOY, join(folder, 'releases', name, 'deploy'));
  }
  releases.use('0.4.0');
  const metricsPort = String(await freePort());
  const dataDir = t.testdirName.concat('/data');
  // auto: what the page prints is of the first transport, whichever the suite is run on.
  const service = await startService({
    dataDir,
    main: releases.main,
    env: { METRICS_PORT: metricsPort, TRANSPORT: 'auto' },
  });
  // Whichever launcher the page has started last.
  t.teardown(() => endAll(dataDir));
  const env = {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    HOST: '127.0.0.1',
    PORT: String(service.port),
    METRICS_PORT: metricsPort,
    DATA_DIR: dataDir,
    WORKERS: '2',
    OPT: folder,
    URL: service.url,
    METRICS: `http://127.0.0.1:${metricsPort}`,
    KEY: ADMIN_KEY,
    LOG: join(folder, 'log'),
    BACKUP: join(folder, 'copies'),
  };
  const examples = readExamples(page).filter(({ chapter }) => chapter !== PRODUCTION);
  t.ok(examples.length > 10, `${examples.length} examples`);
  await tryExamples(t, examples, join(folder, 'current'), env, () => service.output());
});
