// PM2's daemon had died and the service served on; when its primary was later restarted, the launcher died of telling
// a parent that was gone that it was ready.
import { once } from 'node:events';
import { test } from 'tap';
import { alive, signalQuietly, startService } from '../support/service.ts';

test('a launcher whose parent has gone outlives the next time it is ready', async (t) => {
  const service = await startService({ workers: 1 });
  t.teardown(() => (service.launcher.exitCode === null ? service.stop() : service.killAll()));
  const stdout = service.launcher.stdout as NonNullable<typeof service.launcher.stdout>;
  const ready = (): number => service.output().match(/"msg":"ready"/g)?.length ?? 0;

  service.launcher.disconnect();
  signalQuietly(service.primaryPid(), 'SIGKILL');
  while (ready() < 2 && service.launcher.exitCode === null) {
    await Promise.race([once(stdout, 'data'), once(service.launcher, 'exit')]);
  }
  // A round trip through the service gives an error that nobody handles the time to end the launcher.
  t.equal((await fetch(`${service.url}/readyz`)).status, 200);
  t.ok(alive(service.launcher.pid as number));
});
