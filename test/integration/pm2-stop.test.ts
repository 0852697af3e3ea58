// How a service under a real PM2 is restarted and stopped, and that nothing is left of it. One story, each step goes on
// from the one before. How it starts and what it outlives: pm2.test.ts.
import { test } from 'tap';
import { createPm2Service, preparePm2, until } from '../support/pm2.ts';
import { alive } from '../support/service.ts';

const WORKERS = 2;
const prepared = preparePm2();
const missing = 'missing' in prepared ? prepared.missing : undefined;
// On CI a skipped test is a failed one.
const skip = missing !== undefined && process.env['CI'] !== 'true' ? missing : false;

test('PM2 stops it', { skip }, async (t) => {
  if ('missing' in prepared) throw new Error(prepared.missing);
  const service = await createPm2Service(prepared.program, WORKERS);
  t.teardown(() => service.close());
  t.equal((await service.start()).code, 0);

  await t.test('pm2 reload is a restart, of everything', async (t) => {
    const before = service.processes();
    t.equal((await service.pm2('reload', 'burgee')).code, 0);
    t.equal((await service.seen())?.status, 'online');
    t.same(before.filter(alive), []);
    t.equal((await fetch(`${service.url}/readyz`)).status, 200);
  });

  await t.test('pm2 stop ends every process', async (t) => {
    t.ok(service.processes().length >= WORKERS + 2);
    t.equal((await service.pm2('stop', 'burgee')).code, 0);
    t.same(service.processes(), []);
    t.match(await service.seen(), { status: 'stopped' });
    t.match(service.log(), /"clean":true/);
  });

  await t.test('a wrong configuration is not tried again', async (t) => {
    // An app that PM2 knows keeps the variables it was first started with.
    await service.pm2('delete', 'burgee');
    await service.start({ PORT: 'eighty' });
    const refused = await service.seen();
    // Of the same age, with the same delay, and allowed to start again: when it has, so would the other have.
    await service.pm2(
      'start',
      process.execPath,
      '--name',
      'clock',
      '--interpreter',
      'none',
      '--exp-backoff-restart-delay',
      '100',
      '--',
      '--version',
    );
    await until(async () => ((await service.seen('clock'))?.restarts ?? 0) >= 2);
    await service.pm2('delete', 'clock');
    t.same(await service.seen(), refused);
    t.same(service.processes(), []);
    t.match((await service.pm2('logs', 'burgee', '--nostream', '--err', '--lines', '5')).output, /PORT \("eighty"\)/);
  });

  await t.test('pm2 delete and pm2 kill leave nothing', async (t) => {
    await service.pm2('delete', 'burgee');
    await service.start();
    t.equal((await service.seen())?.status, 'online');
    t.equal((await service.pm2('delete', 'burgee')).code, 0);
    t.same(service.processes(), []);
    await service.start();
    const daemon = service.daemonPid();
    t.equal((await service.pm2('kill')).code, 0);
    t.same(service.processes(), []);
    // It answers the command a moment before it goes.
    await until(() => !alive(daemon));
  });
});
