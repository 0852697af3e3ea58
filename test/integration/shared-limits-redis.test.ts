// Rate limits over nodes on a real Redis: the Lua against its model, and two whole nodes that share a key.
import { test } from 'tap';
import { systemClock } from '../../src/run/clock.ts';
import type { Statement } from '../../src/storage/lease-counter.ts';
import { openRedis } from '../../src/storage/redis/connection.ts';
import { createLeaseCounter } from '../../src/storage/redis/leases.ts';
import { ModelCounter } from '../support/model-lease-counter.ts';
import { createRandom } from '../support/rate-simulator.ts';
import { prepareRedis, startRedis } from '../support/redis.ts';

const missing = prepareRedis()?.missing;
const skip = missing === undefined || process.env['CI'] === 'true' ? false : missing;
const EPOCH = 'e1';

test('rate limits in Redis', { skip }, async (t) => {
  const server = await startRedis();
  const redis = openRedis({ url: server.url, timeoutMs: 5000, info() {}, warn() {}, clock: systemClock });
  const counter = createLeaseCounter(redis, () => EPOCH);
  t.teardown(async () => {
    await redis.close();
    await server.close();
  });
  while (!redis.isUp) await new Promise((resolve) => setImmediate(resolve));

  t.test('answers as the model does, whatever is stated in whatever order', async (t) => {
    const random = createRandom(7);
    const model = new ModelCounter();
    const { nowMs } = await counter.beat('a', false);
    model.beat(nowMs, 'a', false);
    // A window that does not end while we are at it.
    const windowEndMs = Math.ceil(nowMs / 60_000 + 0.2) * 60_000;
    for (const node of ['b', 'c']) {
      await counter.beat(node, true);
      model.beat(nowMs, node, true);
    }
    const upTo = (most: number): number => Math.floor(random() * (most + 1));
    for (let step = 0; step < 1500; step++) {
      const keep = upTo(60);
      const said: Statement = {
        keyId: `k}{${upTo(2)} %`,
        windowEndMs: random() < 0.03 ? windowEndMs - 600_000 : windowEndMs,
        limit: [7, 100, 1_000_000_000][upTo(2)] as number,
        sequence: 1_700_000_000_000 + step - upTo(3),
        answered: random() < 0.01 ? 1_700_000_000_000 + step : 0,
        keep,
        want: upTo(40),
        unused: upTo(keep),
      };
      const node = ['a', 'b', 'c'][upTo(2)] as string;
      const place = `step ${step}, ${node}: ${JSON.stringify(said)}`;
      t.same(await counter.state(node, said), model.state(nowMs, node, said), place);
    }
    for (const key of server.cli('--scan', '--pattern', 'burgee:*').split('\n'))
      t.ok(Number(server.cli('PTTL', key)) > 0, `${key} goes by itself`);
  });

  t.test('an emptied Redis grants nothing of a minute that it did not see begin', async (t) => {
    server.cli('FLUSHALL');
    const { nowMs } = await counter.beat('a', true);
    const windowEndMs = Math.floor(nowMs / 60_000) * 60_000 + 60_000;
    const said = { keyId: 'k', limit: 100, sequence: 5, answered: 0, keep: 10, want: 20, unused: 10 };
    t.match(await counter.state('a', { ...said, windowEndMs }), { total: 10, left: 90, complete: false });
    t.match(await counter.state('a', { ...said, windowEndMs: windowEndMs + 60_000 }), { total: 30, complete: true });
  });

  t.test('a node that says it goes is no longer counted', async (t) => {
    t.equal((await counter.beat('b', true)).nodes, 2);
    await counter.leave('b');
    t.equal((await counter.beat('a', true)).nodes, 1);
  });

  t.test('scripts that Redis has forgotten are sent again', async (t) => {
    server.cli('SCRIPT', 'FLUSH');
    t.ok((await counter.beat('a', true)).nodes >= 1);
  });
});
