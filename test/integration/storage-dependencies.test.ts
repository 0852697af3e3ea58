import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import type { CommandOutcome, CommandRequest } from '../../src/ipc/messages.ts';
import { createSnapshotState } from '../../src/snapshot/state.ts';
import { archive, bodyOf, codeOf, create, openStore, patch, restore } from './fixtures/storage.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'burgee-dependencies-'));
const failures: unknown[] = [];
const { sql, store, ask } = await openStore(dataDir, { onError: (error) => failures.push(error) });

const needs = (...flagIds: string[]): object => ({
  prerequisites: flagIds.map((flagId) => ({ flag_id: flagId, variant: 'on' })),
});
const made = async (flagId: string, more: object = {}, request: Partial<CommandRequest> = {}): Promise<void> => {
  bodyOf(await ask(create(flagId, more), request));
};
const usesOf = (flagId: string): Promise<Record<string, unknown>[]> =>
  sql.query('SELECT used_kind, used_id, variant, times FROM uses WHERE user_id = $1 ORDER BY used_kind, used_id', [
    flagId,
  ]);
const detailOf = (outcome: CommandOutcome): string => (outcome.ok ? 'ok' : outcome.detail);

test('a prerequisite must name a live flag of the environment and one of its variants', async (t) => {
  await made('base');
  await made('colour', { type: 'string', variants: { red: 'r', blue: 'b' }, off_variant: 'red' });
  bodyOf(await ask(create('elsewhere', {}, 'dev')));
  await made('gone');
  bodyOf(await ask(archive('gone')));
  const prerequisites = [
    { flag_id: 'base', variant: 'on' },
    { flag_id: 'nobody', variant: 'on' },
    { flag_id: 'colour', variant: 'on' },
    { flag_id: 'elsewhere', variant: 'on' },
    { flag_id: 'gone', variant: 'on' },
  ];
  t.match(await ask(create('leaf', { prerequisites })), {
    code: 'INVALID_REQUEST',
    issues: [
      { path: 'prerequisites[1].flag_id', message: /must be the flag_id of a live flag of prod; "nobody" is none/ },
      { path: 'prerequisites[2].variant', message: /"on" is not a variant of colour; it has red, blue/ },
      { path: 'prerequisites[3].flag_id' },
      { path: 'prerequisites[4].flag_id' },
    ],
  });
  await made('leaf', { prerequisites: [prerequisites[0], { flag_id: 'colour', variant: 'blue' }] });
  t.same(await usesOf('leaf'), [
    { used_kind: 'flag', used_id: 'base', variant: 'on', times: 1 },
    { used_kind: 'flag', used_id: 'colour', variant: 'blue', times: 1 },
  ]);
});

test('what is malformed or unknown comes before the version, the version before what conflicts', async (t) => {
  await made('order');
  await made('order-user', needs('order'));
  t.match(await ask(patch('order', needs('nobody'), [9])), { code: 'INVALID_REQUEST' });
  t.match(await ask(patch('order', needs('order-user'), [9])), { code: 'VERSION_MISMATCH' });
  t.match(await ask(patch('order', needs('order-user'), [1])), { code: 'CYCLE' });
  t.match(await ask({ type: 'flag.archive', environment: 'prod', flagId: 'order', ifMatch: [9] }), {
    code: 'VERSION_MISMATCH',
  });
});

test('a segment in a rule must be there, and the refusal has the whole path', async (t) => {
  const when = { all: [{ attribute: 'a', op: 'exists' }, { any: [{ segment: 'staff' }] }] };
  t.match(await ask(create('with-rule', { rules: [{ rule_id: 'r', when, serve: { variant: 'on' } }] })), {
    code: 'INVALID_REQUEST',
    issues: [{ path: 'rules[0].when.all[1].any[0].segment', message: /live segment of prod; "staff" is none/ }],
  });
});

test('a flag that others need is not archived, and its dependents are named', async (t) => {
  t.match(await ask(archive('base')), { code: 'IN_USE', dependents: ['leaf'], detail: /needed by leaf; change/ });
  bodyOf(await ask(patch('leaf', { prerequisites: [{ flag_id: 'colour', variant: 'blue' }] })));
  t.equal(codeOf(await ask(archive('base'))), 'ok');
});

test('a variant that a prerequisite names stays, the others may go', async (t) => {
  const variants = { red: 'r', blue: 'b', green: 'g' };
  bodyOf(await ask(patch('colour', { variants })));
  t.match(await ask(patch('colour', { variants: { blue: null } })), {
    code: 'IN_USE',
    dependents: ['leaf'],
    detail: 'colour with "blue" is needed by leaf; change those first',
  });
  t.equal(codeOf(await ask(patch('colour', { variants: { green: null } }))), 'ok');
});

test('an archived flag needs nothing, and is checked again when it is restored', async (t) => {
  await made('r-base');
  await made('r-user', needs('r-base'));
  bodyOf(await ask(archive('r-user')));
  t.same(await usesOf('r-user'), []);
  bodyOf(await ask(archive('r-base')));
  t.match(await ask(restore('r-user')), { code: 'INVALID_REQUEST', issues: [{ path: 'prerequisites[0].flag_id' }] });
  bodyOf(await ask(restore('r-base')));
  bodyOf(await ask(restore('r-user')));
  t.equal((await usesOf('r-user')).length, 1);
  // r-base is restored into what would be a circle.
  bodyOf(await ask(archive('r-user')));
  bodyOf(await ask(patch('r-base', { prerequisites: [] })));
  await made('r-top');
  bodyOf(await ask(patch('r-base', needs('r-top'))));
  t.equal(codeOf(await ask(restore('r-user'))), 'ok');
  t.match(await ask(patch('r-top', needs('r-user'))), {
    code: 'CYCLE',
    detail: /^r-top needs r-user needs r-base needs r-top: /,
  });
});

test('circles of one, two and three flags are refused by name, in order', async (t) => {
  for (const flagId of ['c1', 'c2', 'c3']) await made(flagId);
  t.match(await ask(patch('c1', needs('c1'))), {
    code: 'INVALID_REQUEST',
    issues: [{ path: 'prerequisites[0].flag_id', message: /another flag/ }],
  });
  bodyOf(await ask(patch('c1', needs('c2'))));
  t.match(await ask(patch('c2', needs('c1'))), { code: 'CYCLE', detail: /^c2 needs c1 needs c2: / });
  bodyOf(await ask(patch('c2', needs('c3'))));
  t.match(await ask(patch('c3', needs('c1'))), { code: 'CYCLE', detail: /^c3 needs c1 needs c2 needs c3: / });
});

test('of two writers that together would close a circle one is refused', async (t) => {
  await made('w1');
  await made('w2');
  const both = await Promise.all([ask(patch('w1', needs('w2'))), ask(patch('w2', needs('w1')))]);
  t.same(both.map(codeOf).sort(), ['CYCLE', 'ok']);
});

test('ten flags in a chain are served, an eleventh is refused at either end', async (t) => {
  await made('d0');
  for (let i = 1; i <= 10; i++) await made(`d${i}`, needs(`d${i - 1}`));
  t.match(await ask(create('d11', needs('d10'))), {
    code: 'INVALID_REQUEST',
    issues: [
      { path: 'prerequisites', message: /a chain of 11 flags below d11, of at most 10: d11 needs d10 needs d9/ },
    ],
  });
  await made('below');
  t.match(await ask(patch('d0', needs('below'))), { code: 'INVALID_REQUEST', issues: [{ message: /below d10/ }] });
  bodyOf(await ask(patch('d5', { prerequisites: [] })));
  t.equal(codeOf(await ask(create('d11', needs('d10')))), 'ok');
});

test('evaluations are counted as they are spent: what is asked twice counts twice', async (t) => {
  await made('e0-0');
  await made('e0-1');
  // Each level asks both of the level below: 2, 6, 14, 30, 62, 126, 254 evaluations.
  for (let level = 1; level <= 7; level++) {
    for (const side of [0, 1]) await made(`e${level}-${side}`, needs(`e${level - 1}-0`, `e${level - 1}-1`));
  }
  t.match(await ask(create('e8', needs('e7-0'))), { ok: true });
  t.match(await ask(patch('e8', needs('e7-0', 'e0-0'))), { ok: true });
  t.match(await ask(patch('e8', needs('e7-0', 'e0-0', 'e0-1'))), {
    code: 'INVALID_REQUEST',
    issues: [{ path: 'prerequisites', message: /e8 need 257 evaluations of other flags, of at most 256/ }],
  });
});

test('a key with tags hears nothing of flags beyond them', async (t) => {
  const tags = ['shop'];
  await made('hidden');
  await made('seen', { tags });
  await made('mine', { tags });
  t.match(await ask(patch('mine', needs('hidden')), { tags }), {
    code: 'INVALID_REQUEST',
    issues: [
      { path: 'prerequisites[0].flag_id', message: 'must be the flag_id of a live flag of prod; "hidden" is none' },
    ],
  });
  bodyOf(await ask(patch('mine', needs('hidden'))));
  t.equal(codeOf(await ask(patch('mine', needs('hidden', 'seen')), { tags })), 'ok', 'what is there may stay');
  await made('hidden-user', needs('seen'));
  t.match(await ask(archive('seen'), { tags }), {
    code: 'IN_USE',
    dependents: ['mine'],
    detail: 'seen is needed by mine and 1 more; change those first',
  });
  t.match(await ask(archive('seen')), { dependents: ['hidden-user', 'mine'] });
  bodyOf(await ask(patch('hidden', { tags })));
  bodyOf(await ask(patch('hidden-user', { ...needs('mine') })));
  bodyOf(await ask(patch('seen', needs('hidden'))));
  bodyOf(await ask(patch('mine', needs('hidden'))));
  bodyOf(await ask(create('middle', needs('mine'))));
  bodyOf(await ask(patch('seen', needs('middle'))));
  const circle = detailOf(await ask(patch('mine', needs('seen')), { tags }));
  t.match(circle, /^mine needs seen needs a flag beyond this key's tags needs mine: /);
  t.match(await ask(archive('mine'), { tags }), { dependents: [], detail: /2 beyond this key's tags/ });
});

test('the sums are right and nothing failed that should not have', async (t) => {
  const content = await store.readAll();
  // Throws when the sums are not those of the items.
  t.equal(createSnapshotState(content).items.size, content.items.length);
  t.same(failures, []);
  await store.close();
  rmSync(dataDir, { recursive: true });
});
