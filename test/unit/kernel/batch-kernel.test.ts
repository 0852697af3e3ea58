// One suite for both kernels: what core answers is the truth.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { test } from 'tap';
import { makeColumns } from '../../../src/kernel/batch-columns.ts';
import { createBatchKernel } from '../../../src/kernel/create-batch-kernel.ts';
import { createJsKernel } from '../../../src/kernel/js-kernel.ts';
import { compiled } from '../core/support.ts';
import { expected, given, scanned, someFlags, someUsers } from './support.ts';

const kernels = [createJsKernel(), createBatchKernel().kernel];

for (const kernel of kernels) {
  test(`${kernel.name}: cells of any flags and users are what core answers`, (t) => {
    fc.assert(
      fc.property(someFlags, someUsers, (flags, users) => {
        const columns = makeColumns(flags);
        scanned(kernel, users);
        assert.deepEqual(given(kernel, columns, 0, users.length), expected(flags, columns, users));
      }),
      { seed: 5, numRuns: 300 },
    );
    t.end();
  });

  test(`${kernel.name}: every shared bucket is on the right side of both edges next to it`, (t) => {
    const file = new URL('../../vectors/murmur3/buckets.json', import.meta.url);
    const cases = JSON.parse(readFileSync(file, 'utf8')) as { user: string; flag: string; bucket: number }[];
    let judged = 0;
    for (const { user, flag, bucket } of cases) {
      const bytes = Buffer.byteLength(user);
      if (bytes === 0 || bytes > 65_535) continue;
      const hashSuffix = new TextEncoder().encode(`:${flag}`);
      const flags = [bucket, bucket + 1]
        .filter((edge) => edge > 0 && edge < 10_000)
        .map((edge) => ({ ...compiled({ flag_id: 'f', enabled: true, rollout_percentage: edge / 100 }), hashSuffix }));
      const columns = makeColumns(flags);
      scanned(kernel, [{ id: user }]);
      t.same(
        [...kernel.variants(columns, 0, 1)],
        flags.map((each) => (each.split?.edges[0] === bucket ? 0 : 1)),
      );
      judged++;
    }
    t.ok(judged > 800, `${judged} of ${cases.length}`);
    t.end();
  });
}
