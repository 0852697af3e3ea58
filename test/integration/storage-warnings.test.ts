// Warnings stand in the reply of the write that deserves them, and nowhere else.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import type { CommandOutcome } from '../../src/ipc/messages.ts';
import { archive, bodyOf, create, openStore, patch, restore } from './fixtures/storage.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'burgee-warnings-'));
const { store, ask } = await openStore(dataDir);

const codesOf = (outcome: CommandOutcome): unknown =>
  (bodyOf(outcome)['warnings'] as { readonly code: string }[] | undefined)?.map(({ code }) => code);
const twice = (...ruleIds: string[]): object[] =>
  ruleIds.map((ruleId) => ({
    rule_id: ruleId,
    when: { attribute: 'country', op: 'equals', values: ['PL'] },
    serve: { variant: 'on' },
  }));

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

test('what is archived has no warnings, and has them again when it is back', async (t) => {
  t.equal(codesOf(await ask(archive('doubtful'))), undefined);
  t.same(codesOf(await ask(restore('doubtful'))), ['RULE_UNREACHABLE']);
  await store.close();
  rmSync(dataDir, { recursive: true, force: true });
});
