import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import { EMPTY_LIST } from '../../src/core/id-list.ts';
import type { Command } from '../../src/ipc/messages.ts';
import type { SegmentItem } from '../../src/snapshot/item.ts';
import { pruneBlobs } from '../../src/storage/blobs.ts';
import { readListAt } from '../../src/storage/segment-rows.ts';
import { createStore } from '../../src/storage/sql-store.ts';
import { at, members, openSegmentStore, patchSegment, segment } from './fixtures/segments.ts';
import { bodyOf, codeOf } from './fixtures/storage.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'burgee-members-'));
const { sql, store, ask, item, included, segmentIds, blobs, failures } = await openSegmentStore(dataDir);

const put = (segmentId: string, ids: readonly string[], ifMatch?: number[]): Command => ({
  type: 'segment.replace_members',
  ...at(segmentId, ifMatch),
  list: 'included',
  ...blobs.upload(segmentId, ids),
});
const numbered = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, i) => `user-${from + i}`);
/** Folds happen after their write was answered: wait for the row to have become so. */
async function untilFolded(segmentId: string): Promise<SegmentItem> {
  for (;;) {
    const found = await item(segmentId);
    if (found.included.tail.adds.length + found.included.tail.drops.length <= 4096) return found;
    await sql.query('SELECT 1');
  }
}

test('members: what is there is not put in again, counts are exact, nothing changed is no version', async (t) => {
  await ask(segment('few'));
  t.match(bodyOf(await ask(members('few', { add: ['a', 'b', 'b', 'c'] }))), { version: 2, included_count: 3 });
  t.match(bodyOf(await ask(members('few', { add: ['a', 'd'], remove: ['b', 'z'] }))), {
    version: 3,
    included_count: 3,
  });
  t.same(await included('few'), ['a', 'c', 'd']);
  t.match(await ask(members('few', { add: ['a'], remove: ['z'] })), { ok: true, headers: { ETag: '"3"' } });
  t.match(bodyOf(await ask(members('few', { list: 'excluded', add: ['a'] }))), {
    version: 4,
    included_count: 3,
    excluded_count: 1,
  });
  t.equal(codeOf(await ask(members('few', { add: ['e'] }, [3]))), 'VERSION_MISMATCH');
  t.match(await ask(patchSegment('few', { match_by: 'email' })), { issues: [{ path: 'match_by' }] });
});

test('ids that cannot be members are refused, each by its place', async (t) => {
  const add = ['ok', '', 'two\nlines', 'nul\u0000', '\ud800', 7, 'x'.repeat(65_536), '\ufeffbom'];
  t.match(await ask(members('few', { add, remove: ['ok'], colour: 'red' })), {
    code: 'INVALID_REQUEST',
    issues: [
      { path: 'colour' },
      { path: 'add[1]' },
      { path: 'add[2]' },
      { path: 'add[3]' },
      { path: 'add[4]' },
      { path: 'add[5]' },
      { path: 'add[6]' },
      { path: 'remove[0]', message: '"ok" is in add too' },
    ],
  });
  t.match(await ask(members('few', { list: 'both' })), { issues: [{ path: 'list' }] });
  t.match(await ask(members('few', { add: numbered(0, 6000), remove: numbered(6000, 10_001) })), {
    issues: [{ message: /at most 10000 ids/ }],
  });
  t.match(await ask({ type: 'segment.members', ...at('few'), body: 7 }), { code: 'INVALID_REQUEST' });
});

test('a list is put whole, the same again changes nothing, an empty one takes all away', async (t) => {
  await ask(segment('whole'));
  t.match(bodyOf(await ask(put('whole', numbered(0, 50_000)))), { version: 2, included_count: 50_000 });
  const { included: list } = await item('whole');
  t.match(list, { layers: [{ adds: { count: 50_000 }, drops: null }], tail: { adds: [], drops: [] } });
  t.match(bodyOf(await ask(put('whole', numbered(0, 50_000).reverse()))), { version: 2 });
  // Members are looked up in the packed ids.
  t.match(bodyOf(await ask(members('whole', { add: ['user-7', 'new'], remove: ['user-9', 'nobody'] }))), {
    version: 3,
    included_count: 50_000,
  });
  const { included: changed } = await item('whole');
  t.same(changed.tail, { adds: ['new'], drops: ['user-9'] });
  // The same ids in another form are no change either.
  const same = [...numbered(0, 50_000).filter((id) => id !== 'user-9'), 'new'];
  t.match(bodyOf(await ask(put('whole', same))), { version: 3 });
  t.match(await ask(put('whole', ['fine', 'x'.repeat(70_000)], [9])), {
    code: 'INVALID_REQUEST',
    issues: [{ path: 'line 2' }],
  });
  t.equal(codeOf(await ask(put('whole', ['fine'], [9]))), 'VERSION_MISMATCH');
  t.match(bodyOf(await ask(put('whole', []))), { version: 4, included_count: 0 });
  t.same((await item('whole')).included.layers, []);
  t.equal(codeOf(await ask(put('nobody', ['a']))), 'SEGMENT_NOT_FOUND');
});

test('a blob of several chunks is read back as it was', async (t) => {
  await ask(segment('big'));
  const ids = Array.from({ length: 120_000 }, (_, i) => `member-with-a-long-name-${i}`);
  await ask(put('big', ids));
  const ref = (await item('big')).included.layers[0]?.adds;
  let bytes = 0;
  let chunks = 0;
  for await (const chunk of store.readBlob(ref?.hash ?? '')) {
    bytes += chunk.byteLength;
    chunks += 1;
  }
  t.equal(bytes, ref?.bytes);
  t.ok(chunks > 1, `${chunks} chunks`);
  t.same(await included('big'), ids.sort());
  await t.rejects(store.readBlob('0'.repeat(64))[Symbol.asyncIterator]().next(), /holds no blob/);
});

test('folds keep membership, versions and sums, and layers stay few', async (t) => {
  await ask(segment('grown'));
  const model = new Set<string>();
  let version = 1;
  for (let round = 0; round < 12; round++) {
    const add = numbered(round * 1500, round * 1500 + 2500);
    const remove = [...model].filter((id) => !add.includes(id)).filter((_, i) => i % 7 === round % 7);
    for (const id of add) model.add(id);
    for (const id of remove) model.delete(id);
    t.match(bodyOf(await ask(members('grown', { add, remove }))), { version: ++version, included_count: model.size });
  }
  const folded = await untilFolded('grown');
  t.ok(blobs.folds > 2);
  t.equal(folded.included.layers.length, 2);
  t.equal(folded.included.count, model.size);
  t.same(await blobs.idsOf(folded.included), [...model].sort());
  t.equal(folded.document.version, version);
  const wholes = await sql.query<{ version: string }>(
    "SELECT version FROM segment_versions WHERE segment_id = 'grown' AND included IS NOT NULL AND blobs <> '{}'",
  );
  t.ok(wholes.length > 0, 'a fold to a base is kept with its version');
  for (const { version: whole } of wholes) {
    const list = await readListAt(sql, { environment: 'prod', segmentId: 'grown' }, 'included', Number(whole));
    t.equal((await blobs.idsOf(list ?? EMPTY_LIST)).length, list?.count);
  }
  const last = await readListAt(sql, { environment: 'prod', segmentId: 'grown' }, 'included', version);
  t.same(await blobs.idsOf(last ?? EMPTY_LIST), [...model].sort());
});

test('every version of a list can be had again', async (t) => {
  await ask(segment('past'));
  const states: string[][] = [[]];
  const model = new Set<string>();
  const note = (): unknown => states.push([...model].sort());
  for (let i = 0; i < 5; i++) {
    for (const id of numbered(i * 10, i * 10 + 20)) model.add(id);
    model.delete(`user-${i}`);
    await ask(
      members('past', { add: numbered(i * 10, i * 10 + 20).filter((id) => id !== `user-${i}`), remove: [`user-${i}`] }),
    );
    note();
  }
  await ask(patchSegment('past', { description: 'no list changes' }));
  note();
  model.clear();
  for (const id of numbered(0, 5000)) model.add(id);
  await ask(put('past', [...model]));
  note();
  for (const id of numbered(10_000, 14_500)) model.add(id);
  await ask(members('past', { add: numbered(10_000, 14_500) }));
  note();
  await untilFolded('past');
  for (const id of numbered(20_000, 20_010)) model.add(id);
  model.delete('user-10000');
  await ask(members('past', { add: numbered(20_000, 20_010), remove: ['user-10000'] }));
  note();
  for (const [i, ids] of states.entries()) {
    const list = await readListAt(sql, { environment: 'prod', segmentId: 'past' }, 'included', i + 1);
    t.equal(list?.count, ids.length, `count of version ${i + 1}`);
    t.same(list === undefined ? undefined : await blobs.idsOf(list), ids);
  }
  t.equal(await readListAt(sql, { environment: 'prod', segmentId: 'past' }, 'included', 99), undefined);
});

test('what changes while a fold works stays in the tail', async (t) => {
  await ask(segment('busy'));
  await ask(members('busy', { add: numbered(0, 3000) }));
  let writes = 0;
  blobs.meanwhile = async () => {
    if (writes++ > 0) return;
    bodyOf(await ask(members('busy', { add: ['late', 'user-1'], remove: ['user-2', 'user-3500'] })));
  };
  await ask(members('busy', { add: numbered(3000, 5000) }));
  const list = (await untilFolded('busy')).included;
  blobs.meanwhile = async () => undefined;
  t.same(list.tail, { adds: ['late'], drops: ['user-2', 'user-3500'] });
  t.equal(list.count, 4999);
  t.match(bodyOf(await ask(members('busy', { add: ['user-2'], remove: ['late'] }))), { included_count: 4999 });
  t.same((await item('busy')).included.tail, { adds: [], drops: ['user-3500'] });
});

test('a list that is put while another is prepared is seen', async (t) => {
  await ask(segment('race'));
  await ask(put('race', numbered(0, 10)));
  let tries = 0;
  const open = blobs.open;
  blobs.open = async (ref) => {
    const ids = await open(ref);
    // Between the look-up and the lock the list becomes another.
    if (tries++ === 0) bodyOf(await ask(put('race', numbered(5, 20))));
    return ids;
  };
  t.match(bodyOf(await ask(members('race', { add: ['user-3', 'user-12'] }))), { included_count: 16 });
  blobs.open = async (ref) => {
    const ids = await open(ref);
    bodyOf(await ask(put('race', [`other-${tries++}`])));
    return ids;
  };
  await t.rejects(ask(members('race', { add: ['x'] })), /change the same list too fast/);
  blobs.open = open;
});

test('a change that would overfill the tail folds it first', async (t) => {
  await ask(segment('full'));
  const fold = blobs.fold;
  // Nothing folds in its own time here.
  blobs.fold = () => Promise.reject(new Error('not now'));
  await ask(members('full', { add: numbered(0, 10_000) }));
  await ask(members('full', { add: numbered(10_000, 20_000) }));
  blobs.fold = fold;
  t.match(bodyOf(await ask(members('full', { add: numbered(20_000, 20_001) }))), { included_count: 20_001 });
  const { included: list } = await item('full');
  t.match(list, { layers: [{ adds: { count: 20_000 } }], tail: { adds: ['user-20000'] } });
  t.match(failures.splice(0), [/not now/]);
});

test('members with an Idempotency-Key change once', async (t) => {
  const idempotency = { key: 'm', fingerprint: 'f' };
  const first = await ask(members('few', { add: ['once'] }), { idempotency });
  await ask(members('few', { remove: ['once'] }));
  const again = await ask(members('few', { add: ['once'] }), { idempotency });
  t.match(again, { ok: true, headers: { 'Idempotent-Replayed': 'true' }, body: first.ok ? first.body : '' });
  t.notOk((await included('few')).includes('once'));
});

test('blobs that nothing names go an hour after they were wanted, the others stay', async (t) => {
  const hashes = async (): Promise<ReadonlySet<string>> =>
    new Set((await sql.query<{ hash: string }>('SELECT hash FROM segment_blobs')).map(({ hash }) => hash));
  const base = (await item('grown')).included.layers[0]?.adds?.hash ?? '';
  const young = (await item('grown')).included.layers[1]?.adds?.hash ?? '';
  const count = (await hashes()).size;
  await pruneBlobs(sql, new Date(), '');
  t.equal((await hashes()).size, count, 'an hour has not passed');
  const later = new Date(Date.now() + 3_700_000);
  for (let after = ''; ; ) {
    after = await pruneBlobs(sql, later, after);
    if (after === '') break;
  }
  const left = await hashes();
  t.ok(left.size < count, `${count - left.size} of ${count} went`);
  t.ok(left.has(base) && left.has(young));
  const orphans = await sql.query(
    'SELECT 1 AS one FROM segment_blob_chunks WHERE hash NOT IN (SELECT hash FROM segment_blobs)',
  );
  t.same(orphans, []);
  for (const segmentId of segmentIds()) {
    const list = (await item(segmentId)).included;
    t.equal((await blobs.idsOf(list)).length, list.count, segmentId);
  }
});

test('without anybody to work on blobs, members cannot be changed', async (t) => {
  const bare = createStore(sql);
  const outcome = bare.run({
    id: 1,
    actor: 'cli',
    requestId: '',
    idempotency: undefined,
    command: members('whole', { add: ['x'] }),
  });
  t.equal(codeOf(await outcome), 'ok', 'a list without layers needs none');
  await t.rejects(
    bare.run({ id: 2, actor: 'cli', requestId: '', idempotency: undefined, command: members('big', { add: ['x'] }) }),
    /running service/,
  );
});

test('nothing failed that should not have', async (t) => {
  t.same(failures, []);
  await store.close();
  rmSync(dataDir, { recursive: true });
});
