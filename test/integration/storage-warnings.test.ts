// Warnings stand in the reply of the write that deserves them, and nowhere else.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import type { CommandOutcome } from '../../src/ipc/messages.ts';
import { archive, bodyOf, create, openStore, patch, restore } from './fixtures/storage.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'burgee-warnings-'));
const { sql, store, ask } = await openStore(dataDir);

const codesOf = (outcome: CommandOutcome): unknown =>
  (bodyOf(outcome)['warnings'] as { readonly code: string }[] | undefined)?.map(({ code }) => code);
const twice = (...ruleIds: string[]): object[] =>
  ruleIds.map((ruleId) => ({
    rule_id: ruleId,
    when: { attribute: 'country', op: 'equals', values: ['PL'] },
    serve: { variant: 'on' },
  }));

/** A segment's row as its writes leave it. */
async function storeSegment(segmentId: string, fields: object): Promise<void> {
  const at = '2026-01-05T09:00:00.000Z';
  const document = {
    ...{ segment_id: segmentId, environment: 'prod', description: '', match_by: 'user_id', excluded_count: 0 },
    ...{ version: 1, revision: 1, created_at: at, updated_at: at, updated_by: 'key_tester' },
    ...fields,
  };
  const none = '{"layers":[],"tail":{"adds":[],"drops":[]},"count":0}';
  await sql.query(
    `INSERT INTO segments (environment, segment_id, document, included, excluded, version, revision, created_at, updated_at, updated_by)
      VALUES ('prod', $1, $2, $3, $3, 1, 1, $4::timestamptz, $4::timestamptz, 'key_tester')
      ON CONFLICT (environment, segment_id) DO UPDATE SET document = excluded.document`,
    [segmentId, JSON.stringify(document), none, at],
  );
}

test('a reply has warnings as its last member, and the stored document has none', async (t) => {
  const outcome = await ask(create('doubtful', { enabled: true, rollout_percentage: 50, rules: twice('a', 'b') }));
  t.match(outcome, {
    status: 201,
    body: /,"updated_by":"key_tester","warnings":\[\{"code":"RULE_UNREACHABLE",.*\}\]\}$/,
  });
  const item = (await store.readAll()).items.find(({ id }) => id === 'doubtful');
  t.notMatch(item?.json, /warnings/);
  t.equal(codesOf(await ask(create('plain', { enabled: true, rollout_percentage: 50 }))), undefined);
});

test('a document can be sent back with its warnings, which are ignored', async (t) => {
  const sent = bodyOf(await ask(patch('doubtful', { description: 'x' })));
  t.ok(sent['warnings']);
  const same = await ask({
    type: 'flag.replace',
    environment: 'prod',
    flagId: 'doubtful',
    body: sent,
    ifMatch: undefined,
  });
  t.match(bodyOf(same), { version: sent['version'] });
  t.same(codesOf(same), ['RULE_UNREACHABLE'], 'a write that changes nothing says so too');
});

test('a percentage is compared with the one before, once', async (t) => {
  t.same(codesOf(await ask(patch('plain', { rollout_percentage: 20 }))), ['ROLLOUT_SHRINKS']);
  t.equal(codesOf(await ask(patch('plain', { rollout_percentage: 20 }))), undefined);
});

test('a repeated write gives the same warnings as the first', async (t) => {
  const idempotency = { key: 'k1', fingerprint: 'f1' };
  const first = await ask(patch('plain', { rollout_percentage: 10 }), { idempotency });
  const again = await ask(patch('plain', { rollout_percentage: 10 }), { idempotency });
  t.same(codesOf(first), ['ROLLOUT_SHRINKS']);
  t.ok(first.ok && again.ok);
  if (first.ok && again.ok) t.equal(again.body, first.body);
});

test('a prerequisite that is off is told, until it is on', async (t) => {
  await ask(create('base', { rollout_percentage: 100 }));
  const prerequisites = [{ flag_id: 'base', variant: 'on' }];
  const made = await ask(create('upper', { enabled: true, rollout_percentage: 50, prerequisites }));
  t.same(codesOf(made), ['PREREQUISITE_NEVER_MET']);
  await ask(patch('base', { enabled: true }));
  t.equal(codesOf(await ask(patch('upper', { description: 'x' }))), undefined);
});

test('a prerequisite beyond the tags of the key is not spoken of', async (t) => {
  const tags = ['mine'];
  await ask(create('hidden', { rollout_percentage: 100, tags: ['theirs'] }));
  const prerequisites = [{ flag_id: 'hidden', variant: 'on' }];
  await ask(create('shared', { enabled: true, rollout_percentage: 50, tags, prerequisites }));
  t.equal(codesOf(await ask(patch('shared', { description: 'x' }), { tags })), undefined);
  t.same(codesOf(await ask(patch('shared', { description: 'y' }))), ['PREREQUISITE_NEVER_MET']);
});

test('an empty segment is told while it is empty', async (t) => {
  await storeSegment('vip', { included_count: 0, when: null });
  const rules = [{ rule_id: 'vip', when: { segment: 'vip' }, serve: { variant: 'on' } }];
  t.same(codesOf(await ask(create('for-vips', { enabled: true, rules }))), ['SEGMENT_EMPTY']);
  await storeSegment('vip', { included_count: 2, when: null });
  t.equal(codesOf(await ask(patch('for-vips', { description: 'x' }))), undefined);
  await storeSegment('vip', { included_count: 0, when: { attribute: 'vip', op: 'exists' } });
  t.equal(codesOf(await ask(patch('for-vips', { description: 'y' }))), undefined);
});

test('what is archived has no warnings, and has them again when it is back', async (t) => {
  t.equal(codesOf(await ask(archive('doubtful'))), undefined);
  t.same(codesOf(await ask(restore('doubtful'))), ['RULE_UNREACHABLE']);
  await store.close();
  rmSync(dataDir, { recursive: true, force: true });
});
