import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import type { Command } from '../../src/ipc/messages.ts';
import { at, members, openSegmentStore, patchSegment, segment } from './fixtures/segments.ts';
import { archive, bodyOf, codeOf, create, patch, restore } from './fixtures/storage.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'burgee-segments-'));
const { sql, store, ask, item, quarantined, failures } = await openSegmentStore(dataDir);

const archiveSegment = (segmentId: string): Command => ({ type: 'segment.archive', ...at(segmentId) });
const restoreSegment = (segmentId: string): Command => ({ type: 'segment.restore', ...at(segmentId) });
const named = (...segmentIds: string[]): object => ({
  when: { all: segmentIds.map((segmentId) => ({ segment: segmentId })) },
});
const rulesOn = (segmentId: string): object => ({
  rules: [{ rule_id: 'r', when: { segment: segmentId }, serve: { variant: 'on' } }],
});

test('a segment is created at version 1 and is in the snapshot as its document and lists', async (t) => {
  const outcome = await ask(segment('staff', { description: 'us', when: { attribute: 'staff', op: 'exists' } }));
  t.match(outcome, {
    ok: true,
    status: 201,
    headers: { ETag: '"1"', Location: '/api/v1/segments/staff?environment=prod' },
  });
  const document = bodyOf(outcome);
  t.match(document, { segment_id: 'staff', match_by: 'user_id', included_count: 0, excluded_count: 0, version: 1 });
  const list = { layers: [], tail: { adds: [], drops: [] }, count: 0 };
  t.same(await item('staff'), { document, included: list, excluded: list });
  t.match((await store.readHead()).changedAt, { prod: outcome.ok ? outcome.revision : 0 });
  t.equal(codeOf(await ask(segment('staff'))), 'SEGMENT_EXISTS');
  t.match(await ask(segment('a b')), { code: 'INVALID_REQUEST', issues: [{ path: 'segment_id' }] });
  t.equal(
    codeOf(await ask({ type: 'segment.create', environment: 'mars', body: { segment_id: 'x' } })),
    'ENVIRONMENT_NOT_FOUND',
  );
});

test('patch, replace, If-Match, archive and restore count versions as flags do', async (t) => {
  t.match(bodyOf(await ask(patchSegment('staff', { description: 'them' }, [1]))), { version: 2, description: 'them' });
  t.match(bodyOf(await ask(patchSegment('staff', { description: 'them' }))), { version: 2 });
  t.equal(codeOf(await ask(patchSegment('staff', { description: 'us' }, [1]))), 'VERSION_MISMATCH');
  t.equal(codeOf(await ask(patchSegment('staff', { colour: 'red' }, [1]))), 'INVALID_REQUEST');
  t.match(await ask({ type: 'segment.replace', ...at('staff'), body: {} }), { issues: [{ path: 'when' }] });
  t.match(bodyOf(await ask({ type: 'segment.replace', ...at('staff'), body: { when: null } })), {
    version: 3,
    description: 'them',
    when: null,
  });
  t.match(bodyOf(await ask(archiveSegment('staff'))), { version: 4 });
  await t.rejects(item('staff'), /not in the snapshot/);
  t.equal(codeOf(await ask(patchSegment('staff', {}))), 'SEGMENT_NOT_FOUND');
  t.equal(codeOf(await ask(members('staff', { add: ['a'] }))), 'SEGMENT_NOT_FOUND');
  t.equal(codeOf(await ask(segment('staff'))), 'SEGMENT_EXISTS');
  t.match(bodyOf(await ask(restoreSegment('staff'))), { version: 5 });
  t.match(bodyOf(await ask(restoreSegment('staff'))), { version: 5 });
  t.match((await item('staff')).document, { version: 5 });
  t.equal(codeOf(await ask(restoreSegment('nobody'))), 'SEGMENT_NOT_FOUND');
  t.equal(codeOf(await ask(patchSegment('\u0000', {}))), 'SEGMENT_NOT_FOUND');
});

test('a key with tags writes no segment', async (t) => {
  for (const command of [segment('tagged'), members('staff', { add: ['a'] }), archiveSegment('staff')])
    t.equal(codeOf(await ask(command, { tags: ['shop'] })), 'SCOPE_REQUIRED');
});

test('segments need segments in no circle, five in a chain at most', async (t) => {
  const code = async (command: Command): Promise<string> => codeOf(await ask(command));
  t.match(await ask(segment('s1', named('nobody'))), {
    code: 'INVALID_REQUEST',
    issues: [{ path: 'when.all[0].segment' }],
  });
  t.match(await ask(segment('self', named('self'))), { code: 'CYCLE', detail: /^self needs self: / });
  await ask(segment('s1'));
  for (let i = 2; i <= 5; i++) t.equal(await code(segment(`s${i}`, named(`s${i - 1}`))), 'ok');
  t.match(await ask(segment('s6', named('s5'))), {
    code: 'INVALID_REQUEST',
    issues: [{ path: 'when', message: /a chain of 5 segments below s6, of at most 4: s6 needs s5 needs s4/ }],
  });
  t.match(await ask(patchSegment('s1', named('s3'))), { code: 'CYCLE', detail: /^s1 needs s3 needs s2 needs s1: / });
  t.match(await ask(patchSegment('s1', named('s1'))), { code: 'CYCLE' });
  t.match(await ask(archiveSegment('s1')), { code: 'IN_USE', dependents: ['segment/s2'] });
  await ask(segment('wide'));
  t.equal(await code(segment('wide-2', named(...Array<string>(128).fill('wide')))), 'ok');
  t.match(await ask(segment('wide-3', named('wide-2', 'wide-2'))), { issues: [{ message: /258 evaluations/ }] });
});

test('a segment that a flag names is not archived, and a flag comes back only to segments that are there', async (t) => {
  await ask(segment('used'));
  bodyOf(await ask(create('user-of-it', rulesOn('used'))));
  t.match(await ask(archiveSegment('used')), { code: 'IN_USE', dependents: ['user-of-it'] });
  bodyOf(await ask(archive('user-of-it')));
  t.equal(codeOf(await ask(archiveSegment('used'))), 'ok');
  t.match(await ask(restore('user-of-it')), { code: 'INVALID_REQUEST', issues: [{ path: 'rules[0].when.segment' }] });
  t.match(await ask(patch('user-of-it', rulesOn('used'))), { code: 'FLAG_NOT_FOUND' });
  t.equal(codeOf(await ask(restoreSegment('used'))), 'ok');
  t.equal(codeOf(await ask(restore('user-of-it'))), 'ok');
});

test('a row that cannot be read is served from its versions, one without any goes out as it is', async (t) => {
  await ask(segment('few'));
  await ask(members('few', { add: ['a', 'b'] }));
  const before = await item('few');
  await sql.query("UPDATE segments SET document = '{' WHERE segment_id = 'few'");
  t.same(await item('few'), before);
  t.ok(quarantined.includes(`segment/prod/few@${before.document.version}`));
  await sql.query("UPDATE segments SET included = '[]' WHERE segment_id = 'few'");
  t.same(await item('few'), before);
  t.match(bodyOf(await ask(members('few', { list: 'excluded', add: ['mended'] }))), {
    version: before.document.version + 1,
  });
  t.same((await item('few')).included.count, before.included.count);
  await ask(segment('lost'));
  await sql.query(
    "UPDATE segments SET document = 'null' WHERE segment_id = 'lost'; UPDATE segment_versions SET document = '' WHERE segment_id = 'lost'",
  );
  t.equal((await item('lost')).document, null);
  t.equal(codeOf(await ask(patchSegment('lost', { description: 'x' }))), 'INTERNAL');
});

test('nothing failed that should not have', async (t) => {
  t.same(failures, []);
  await store.close();
  rmSync(dataDir, { recursive: true });
});
