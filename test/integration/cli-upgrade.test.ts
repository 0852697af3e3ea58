import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import { required, skipWithout } from '../support/optional.ts';
import { findPostgres, startPostgres } from '../support/postgres.ts';
import { createReleases } from '../support/releases.ts';
import { runToEnd, type Service, startService } from '../support/service.ts';

const programs = findPostgres();
const title = 'a build runs on while a newer one brings the schema further, and beside it';

/** Asks until the reply is as wanted: another node follows within a poll. */
async function until(ask: () => Promise<{ status: number }>, status: number): Promise<void> {
  while ((await ask()).status !== status);
}

test(title, { skip: skipWithout(programs) }, async (t) => {
  const server = await startPostgres(required(programs));
  const folder = mkdtempSync(join(tmpdir(), 'burgee-cli-'));
  t.teardown(async () => {
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const releases = createReleases(folder);
  releases.make('old');
  releases.make('new', {
    '900_next.sql': `ALTER TABLE flags ADD COLUMN owner text NOT NULL DEFAULT '';
      ALTER TABLE store ADD COLUMN note text; ALTER TABLE audit ADD COLUMN reason text NOT NULL DEFAULT '';
      CREATE TABLE exposures (id bigint PRIMARY KEY);`,
  });
  const url = await server.createDatabase('upgrade');
  const env = { DATABASE_URL: url };
  const old = await startService({ workers: 1, env, main: releases.mainOf('old') });
  t.teardown(() => old.stop());
  const make = (service: Service, flag_id: string): Promise<{ status: number }> =>
    service.api('/api/v1/flags', { method: 'POST', json: { flag_id } });
  t.equal((await make(old, 'before')).status, 201);
  const dry = await runToEnd(
    ['migrate', '--dry-run'],
    { DATABASE_URL: url, DATA_DIR: join(folder, 'none') },
    releases.mainOf('new'),
  );
  t.match(dry, { code: 0, stdout: '900_next.sql\n' });
  const young = await startService({ workers: 1, env, main: releases.mainOf('new') });
  t.teardown(() => young.stop());
  t.match(await make(old, 'by-old'), { status: 201 });
  t.match(await make(young, 'by-new'), { status: 201 });
  await until(() => old.api('/api/v1/flags/by-new'), 200);
  await until(() => young.api('/api/v1/flags/by-old'), 200);
  t.match(await runToEnd(['migrate', '--dry-run'], { DATABASE_URL: url, DATA_DIR: join(folder, 'none') }), {
    code: 0,
    stderr: /900_next\.sql is in the database/,
  });
  await old.stop();
  const again = await startService({ workers: 1, env, main: releases.mainOf('old') });
  t.teardown(() => again.stop());
  t.equal((await make(again, 'started-on-newer')).status, 201, 'and it starts on the newer schema');
  await until(() => young.api('/api/v1/flags/started-on-newer'), 200);
});
