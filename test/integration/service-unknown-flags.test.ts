// The whole service: what any worker is asked for in vain is in one list, and a primary that dies takes nothing with it.
import { test } from 'tap';
import { ADMIN_KEY, signalQuietly, startService } from '../support/service.ts';

const ASKS = 40;

test('a typo is counted over all workers, and stays counted under the next primary', {
  timeout: 120_000,
}, async (t) => {
  const service = await startService({ workers: 2 });
  t.teardown(() => service.stop());
  const made = await service.api('/api/v1/flags', { method: 'POST', json: { flag_id: 'new-checkout' } });
  t.equal(made.status, 201);

  // A connection of its own each, so that the kernel spreads them.
  const headers = { connection: 'close', 'x-api-key': ADMIN_KEY };
  for (let i = 0; i < ASKS; i++) {
    const reply = await fetch(`${service.url}/api/v1/flags/new-chekout/evaluate?user_id=u${i}`, { headers });
    t.equal(reply.status, 404);
    await reply.arrayBuffer();
  }
  const contexts = [{ user_id: 'a' }, { user_id: 'b' }];
  await service.api('/api/v1/evaluate', { method: 'POST', json: { contexts, flags: ['new-chekout', 'new-checkout'] } });

  const reportOf = async (count: number): Promise<unknown> => {
    for (;;) {
      const { status, body } = await service.api('/api/v1/reports/unknown');
      if (status === 200 && body.items[0]?.count >= count) return body;
      await new Promise(setImmediate);
    }
  };
  const wanted = {
    items: [{ flag_id: 'new-chekout', environment: 'prod', count: ASKS + 2, suggestion: 'new-checkout' }],
  };
  const report = await reportOf(ASKS + 2);
  t.match(report, { ...wanted, next_cursor: null, other_count: 0 });
  const metrics = await (await fetch(`${service.url}/metrics`, { headers: { 'x-api-key': ADMIN_KEY } })).text();
  t.match(metrics, new RegExp(`^burgee_unknown_flag_evaluations_total ${ASKS + 2}$`, 'm'));

  const primary = service.primaryPid();
  signalQuietly(primary, 'SIGKILL');
  while (service.primaryPid() === primary) await new Promise(setImmediate);
  t.match(await reportOf(ASKS + 2), wanted, 'nothing is lost, and nothing counted twice');

  let status = 503;
  while (status === 503) {
    ({ status } = await service.api('/api/v1/flags', { method: 'POST', json: { flag_id: 'new-chekout' } }));
  }
  t.equal(status, 201);
  t.match(await service.api('/api/v1/reports/unknown'), { body: { items: { length: 0 } } }, 'it exists now');
});
