// The shared vectors through the whole service. Needs dist (npm test builds it first).
import { readFileSync } from 'node:fs';
import { test } from 'tap';
import { flagWith, startService } from '../support/service.ts';

const VECTORS = new URL('../vectors/murmur3/buckets.json', import.meta.url);

test('puts users of the shared vectors exactly where their bucket says', async (t) => {
  const service = await startService({ workers: 1 });
  t.teardown(() => service.stop());
  const vectors = JSON.parse(readFileSync(VECTORS, 'utf8')) as { user: string; flag: string; bucket: number }[];
  const legal = vectors.filter(({ user, flag }) => user !== '' && /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(flag));
  t.ok(legal.length > 100, `${legal.length} vectors have a user and a legal flag_id`);
  const made = new Set<string>();
  let wrong = 0;
  for (const { user, flag, bucket } of legal) {
    if (!made.has(flag)) await flagWith(service, { flag_id: flag, enabled: true });
    made.add(flag);
    for (const [edge, expected] of [
      [bucket, false],
      [bucket + 1, true],
    ] as const) {
      const patched = await service.api(`/api/v1/flags/${flag}`, {
        method: 'PATCH',
        json: { rollout_percentage: edge / 100 },
      });
      const asked = await service.api(`/api/v1/flags/${flag}/evaluate`, { method: 'POST', json: { user_id: user } });
      if (patched.status !== 200 || asked.status !== 200 || asked.body.enabled !== expected) wrong++;
      if (user.length < 2000) {
        const got = await service.api(`/api/v1/flags/${flag}/evaluate?user_id=${encodeURIComponent(user)}`);
        if (got.status !== 200 || got.body.enabled !== expected || got.body.user_id !== user) wrong++;
      }
    }
  }
  t.equal(wrong, 0, `of ${legal.length} vectors, each at both sides of its edge`);
});
