// The whole service: a socket hears of a change, loses its key, and is told when its worker stops.
import { once } from 'node:events';
import { test } from 'tap';
import { ADMIN_KEY, startService } from '../support/service.ts';
import { openSocket } from '../support/socket-client.ts';

test('a change, a revoked key and a drain reach the sockets of every worker', { timeout: 120_000 }, async (t) => {
  const service = await startService({ workers: 2 });
  t.teardown(() => service.stop());
  await service.api('/api/v1/flags', { method: 'POST', json: { flag_id: 'new', enabled: true } });
  const made = await service.api('/api/v1/keys', { method: 'POST', json: { name: 'app', scopes: ['evaluate'] } });
  const { key, key_id: keyId } = made.body as { readonly key: string; readonly key_id: string };
  const min = Number(made.headers.get('x-flags-revision'));

  const clients = await Promise.all(Array.from({ length: 8 }, () => openSocket(service.port, { key: ADMIN_KEY })));
  for (const client of clients) {
    client.send({ type: 'evaluate', id: 2, user_id: 'u', flags: ['new'], min_revision: min });
    t.match(await client.nextOf('result', 2), { results: { new: { enabled: false } } });
    client.send({ type: 'subscribe', id: 1, user_id: 'u', flags: ['new'] });
    t.match(await client.nextOf('result', 1), { results: { new: { enabled: false } } });
  }
  await service.api('/api/v1/flags/new', { method: 'PATCH', json: { rollout_percentage: 100 } });
  for (const client of clients) t.match(await client.nextOf('change', 1), { results: { new: { enabled: true } } });

  const others = await Promise.all(Array.from({ length: 8 }, () => openSocket(service.port, { key })));
  await service.api(`/api/v1/keys/${keyId}`, { method: 'DELETE' });
  for (const other of others) t.match(await other.closed, { code: 4401 });

  const exited = once(service.launcher, 'exit');
  service.launcher.kill('SIGTERM');
  for (const client of clients) {
    t.match(await client.nextOf('goodbye'), { reconnect_after_ms: Number });
    t.match(await client.closed, { code: 1001, reason: /stopping/ });
  }
  t.match(await exited, [0]);
});
