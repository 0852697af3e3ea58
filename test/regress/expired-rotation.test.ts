// An expired key could be rotated into a living one with its old lifetime again.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import { bodyOf, codeOf, openStore, ROOT } from '../integration/fixtures/storage.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'burgee-expired-'));
let now = new Date('2026-01-05T09:00:00.000Z');
const { store, ask } = await openStore(dataDir, { now: () => now });

test('a key that has expired is not rotated', async (t) => {
  t.teardown(async () => {
    await store.close();
    rmSync(dataDir, { recursive: true });
  });
  const body = { name: 'app', expires_at: '2026-01-05T10:00:00.000Z' };
  const made = bodyOf(await ask({ type: 'key.create', grantor: ROOT, body }));
  now = new Date('2026-01-05T10:00:00.000Z');
  const rotated = await ask({ type: 'key.rotate', grantor: ROOT, keyId: String(made['key_id']), body: undefined });
  t.equal(codeOf(rotated), 'KEY_NOT_FOUND');
});
