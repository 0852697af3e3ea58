// Rotating a key a second time took the first rotation's overlap for the key's lifetime: the new key ended a day later.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import { bodyOf, codeOf, openStore, ROOT } from '../integration/fixtures/storage.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'burgee-rotation-'));
const { store, ask } = await openStore(dataDir);

test('a key that was rotated is not rotated again; the one that replaced it is, and lives on', async (t) => {
  t.teardown(async () => {
    await store.close();
    rmSync(dataDir, { recursive: true });
  });
  const rotate = (keyId: unknown) => ask({ type: 'key.rotate', grantor: ROOT, keyId: String(keyId), body: undefined });
  const first = bodyOf(await ask({ type: 'key.create', grantor: ROOT, body: { name: 'app' } }));
  const second = bodyOf(await rotate(first['key_id']));
  t.equal(codeOf(await rotate(first['key_id'])), 'INVALID_REQUEST');
  t.match(bodyOf(await rotate(second['key_id'])), { replaces: second['key_id'], expires_at: null });
});
