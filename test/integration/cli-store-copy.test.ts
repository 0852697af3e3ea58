import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import { required, skipWithout } from '../support/optional.ts';
import { findPostgres, startPostgres } from '../support/postgres.ts';
import { ADMIN_KEY, runToEnd, type Service, startService } from '../support/service.ts';

const programs = findPostgres();
const title = 'an embedded store goes on in PostgreSQL: same keys, answers and revision';

test(title, { skip: skipWithout(programs) }, async (t) => {
  const server = await startPostgres(required(programs));
  const folder = mkdtempSync(join(tmpdir(), 'burgee-cli-'));
  t.teardown(async () => {
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const dataDir = join(folder, 'embedded');
  const before = await startService({ workers: 1, dataDir });
  for (let i = 0; i < 6; i++) {
    const flag = { flag_id: `f${i}`, enabled: true, rollout_percentage: 50 };
    t.equal((await before.api('/api/v1/flags', { method: 'POST', json: flag })).status, 201);
  }
  await before.api('/api/v1/segments', { method: 'POST', json: { segment_id: 'team' } });
  const add = { list: 'included', add: ['user-1', 'user-2'] };
  t.equal((await before.api('/api/v1/segments/team/members', { method: 'POST', json: add })).status, 200);
  const ruled = await before.api('/api/v1/flags/f0', {
    method: 'PATCH',
    json: { rules: [{ rule_id: 'team', when: { segment: 'team' }, serve: { variant: 'on' } }] },
  });
  t.equal(ruled.status, 200);
  await before.api('/api/v1/flags/f1', { method: 'DELETE' });
  const answers = async (service: Service): Promise<unknown> => {
    const contexts = Array.from({ length: 9 }, (_, i) => ({ user_id: `user-${i}` }));
    const evaluated = await service.api('/api/v1/evaluate', { method: 'POST', json: { contexts } });
    t.equal(evaluated.status, 200);
    const headers = { 'x-api-key': ADMIN_KEY };
    const members = await fetch(`${service.url}/api/v1/segments/team/members/included`, { headers });
    const { evaluated_at, ...answered } = evaluated.body;
    t.type(evaluated_at, 'string');
    return [answered, (await service.api('/api/v1/flags')).body, await members.text()];
  };
  const expected = await answers(before);
  const to = await server.createDatabase('copied');
  const busy = await runToEnd(['store', 'copy', '--to', to], { DATA_DIR: dataDir });
  t.match(busy, { code: 3, stdout: '', stderr: /pid \d+/ }, 'not while the service runs');
  await before.stop();

  const copied = await runToEnd(['store', 'copy'], { DATA_DIR: dataDir, DATABASE_URL: to });
  t.match(copied, {
    code: 0,
    stderr: /flags: 6 rows[^]*copied and compared, revision \d+[^]*start the nodes with DATABASE_URL/,
  });
  const { revision } = JSON.parse(copied.stdout) as { revision: number };
  const after = await startService({ workers: 1, env: { DATABASE_URL: to } });
  t.teardown(() => after.stop());
  t.same(await answers(after), expected);
  t.match(await after.api(`/api/v1/flags/f2?min_revision=${revision}`), { status: 200 });
  const next = await after.api('/api/v1/flags', { method: 'POST', json: { flag_id: 'next' } });
  t.match(next, { status: 201, body: { revision: revision + 1 } });

  const again = await runToEnd(['store', 'copy', '--to', to], { DATA_DIR: dataDir });
  t.match(again, {
    code: 1,
    stdout: '',
    stderr: /\nburgee: the target is not empty: it has flags, .*API keys.*\n$|^burgee: the target is not empty/,
  });
  const third = await server.createDatabase('third');
  t.match(await runToEnd(['store', 'copy', '--from', to, '--to', third], { DATA_DIR: join(folder, 'none') }), {
    code: 0,
  });
  const nothing = await runToEnd(['store', 'copy', '--to', third], { DATA_DIR: join(folder, 'wrong') });
  t.match(nothing, { code: 1, stderr: /^burgee: there is no embedded database in DATA_DIR .*wrong\n$/ });
});
