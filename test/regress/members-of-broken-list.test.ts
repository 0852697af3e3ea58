// A list that was broken by SQL is served from the segment's versions, and a change of its members was 503 "others change
// the same list too fast", for ever: the change was prepared for the broken row, and made for the list of the version.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import { members, openSegmentStore, segment } from '../integration/fixtures/segments.ts';

test('the members of a list that cannot be read are changed, and the list is whole again', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'burgee-broken-list-'));
  const { ask, sql, store, included } = await openSegmentStore(dataDir);
  t.teardown(async () => {
    await store.close();
    rmSync(dataDir, { recursive: true });
  });
  await ask(segment('beta'));
  await ask(members('beta', { add: ['ann', 'bob'] }));
  await sql.query("UPDATE segments SET included = '{bad' WHERE segment_id = 'beta'");
  const outcome = await ask(members('beta', { add: ['eve'], remove: ['ann'] }));
  t.match(outcome, { ok: true });
  t.same((await included('beta')).toSorted(), ['bob', 'eve']);
});
