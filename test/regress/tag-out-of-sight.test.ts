// A key bound to tags could patch its tag away, and with it the flag out of its own sight.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import { openStore } from '../integration/fixtures/storage.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'burgee-tags-'));
const { store, ask } = await openStore(dataDir);

test('a patch by a key with tags leaves the flag one of them', async (t) => {
  t.teardown(async () => {
    await store.close();
    rmSync(dataDir, { recursive: true });
  });
  const flag = { environment: 'prod', flagId: 'checkout' };
  const tags = ['shop'];
  const made = { flag_id: 'checkout', tags: ['shop', 'web'] };
  await ask({ type: 'flag.create', environment: 'prod', body: made }, { tags });
  const patch = (body: object) => ask({ type: 'flag.patch', ...flag, ifMatch: undefined, body }, { tags });
  t.match(await patch({ tags: ['web'] }), { ok: false, code: 'INVALID_REQUEST', issues: [{ path: 'tags' }] });
  t.match(await patch({ tags: ['shop'] }), { ok: true, status: 200 });
});
