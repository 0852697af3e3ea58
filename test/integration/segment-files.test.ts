// A segment's whole way in one process: command, store, fold, publication, file, worker. Only the sockets are missing.
import { mkdirSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { evaluate } from '../../src/core/evaluate.ts';
import { hashUser } from '../../src/kernel/murmur3.ts';
import { createBlobFiles } from '../../src/primary/blob-files.ts';
import { createPacking } from '../../src/primary/jobs/packing.ts';
import { createPublisher } from '../../src/primary/publisher.ts';
import { createSegmentBlobs } from '../../src/primary/segment-blobs.ts';
import { createSyncLoop } from '../../src/primary/sync.ts';
import { createReadBlob } from '../../src/snapshot/blob-file.ts';
import { createHashBytes } from '../../src/snapshot/checksum.ts';
import { createHolder, type Holder } from '../../src/worker/holder.ts';
import { withoutTiers } from '../support/tiers.ts';
import { at, members, segment } from './fixtures/segments.ts';
import { bodyOf, create, openStore } from './fixtures/storage.ts';

const PEOPLE = 30_000;
const idOf = (i: number): string => `person-${i}`;
const hash = await createHashBytes();

async function startNode(root: string) {
  const [folder, uploads] = [join(root, 'run', 'blobs'), join(root, 'run', 'uploads')];
  for (const path of [folder, uploads]) mkdirSync(path, { recursive: true });
  const warnings: string[] = [];
  const warn = (_fields: object, message: string) => warnings.push(message);
  const now = () => performance.now();
  const readFile = createReadBlob(folder, hashUser);
  const blobs = createBlobFiles({
    folder,
    uploads,
    readFile,
    now,
    warn,
    wallClock: Date.now,
    rest: async () => {},
    readFromStore: (name) => opened.store.readBlob(name),
  });
  const packing = createPacking();
  const opened = await openStore(root, {
    blobs: createSegmentBlobs({ folder, uploads, files: blobs, readFile, packing, idsMax: 1_000_000 }),
  });
  const publisher = createPublisher({ hash, now, fence: () => {}, kill: () => {} });
  const sync = createSyncLoop({
    store: opened.store,
    publisher,
    blobs,
    ...withoutTiers,
    random: () => 0.5,
    onConfirmed: () => {},
    warn,
  });
  await sync.start();
  function joinWorker(pid: number): Holder {
    const holder = createHolder({
      hash,
      now,
      warn,
      faultCompileMs: 0,
      compile: { readBlob: readFile, hashUser },
      send: (message) => {
        if (message.type === 'ack') publisher.acked(pid, message.epoch, message.revision);
        if (message.type === 'resend') void blobs.recheck().then(() => publisher.resend(pid));
      },
    });
    publisher.joined(pid, '', 0, (message) => {
      if (message.type === 'snapshot' || message.type === 'delta') holder.receive(message);
    });
    return holder;
  }
  return {
    folder,
    warnings,
    join: joinWorker,
    async write(command: Parameters<typeof opened.ask>[0]) {
      const outcome = await opened.ask(command);
      const body = bodyOf(outcome);
      const revision = outcome.ok ? outcome.revision : 0;
      await sync.reach(revision);
      await publisher.served(revision);
      return body;
    },
    replace(lines: readonly string[]) {
      const text = lines.join('\n');
      writeFileSync(join(uploads, 'upload-1'), text);
      return this.write({
        type: 'segment.replace_members',
        ...at('beta'),
        list: 'included',
        upload: 'upload-1',
        bytes: Buffer.byteLength(text),
      });
    },
    async stop() {
      sync.close();
      await opened.store.close();
      await packing.close();
    },
  };
}

/** How many of the people the flag answers differently than the set does. */
function differences(holder: Holder, set: ReadonlySet<string>): number {
  const scope = holder.current?.environments.get('prod');
  const flag = scope?.flags.get('f');
  if (scope === undefined || flag === undefined) throw new Error('the flag is not served');
  let wrong = 0;
  for (let i = 0; i < PEOPLE * 2; i++) {
    const userId = idOf(i);
    const { reason } = evaluate(flag, { userId, attributes: undefined }, scope, hashUser);
    if (reason !== (set.has(userId) ? 'RULE_MATCH' : 'STATIC')) wrong++;
  }
  return wrong;
}

function folderOf(t: Test): string {
  const root = mkdtempSync(join(tmpdir(), 'burgee-segment-'));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  return root;
}

test('a list that is sent, changed and folded is served exactly, and again after a restart', async (t) => {
  const root = folderOf(t);
  const node = await startNode(root);
  const holder = node.join(1);
  await node.write(segment('beta'));
  const rule = { rule_id: 'r', when: { segment: 'beta' }, serve: { variant: 'on' } };
  await node.write(create('f', { enabled: true, rules: [rule] }));
  const set = new Set(Array.from({ length: PEOPLE }, (_, i) => idOf(i * 2)));
  t.match(await node.replace([...set]), { included_count: PEOPLE });
  t.equal(differences(holder, set), 0, 'sent whole');

  for (const [add, remove] of [
    [idOf(1), idOf(0)],
    [idOf(0), idOf(1)],
    [idOf(3), idOf(4)],
  ] as const) {
    set.add(add).delete(remove);
    t.match(await node.write(members('beta', { add: [add], remove: [remove] })), { included_count: PEOPLE });
    t.equal(differences(holder, set), 0, 'one in and one out');
  }
  // Past 4,096 the tail is folded; the write after it is published with the new layers.
  const many = Array.from({ length: 9000 }, (_, i) => idOf(i * 2 + 5));
  for (const id of many) set.add(id);
  await node.write(members('beta', { add: many }));
  for (let turn = 0; readdirSync(node.folder).length === 1 && turn < 100; turn++) {
    set.delete(idOf(turn * 2 + 100));
    await node.write(members('beta', { remove: [idOf(turn * 2 + 100)] }));
  }
  t.ok(readdirSync(node.folder).length > 1, 'the tail was folded into a blob');
  t.match(await node.write(members('beta', { add: [idOf(7)] })), { included_count: set.size });
  t.equal(differences(holder, set), 0, 'folded');
  await node.stop();

  rmSync(node.folder, { recursive: true });
  const next = await startNode(root);
  const again = next.join(1);
  await again.first;
  t.equal(differences(again, set), 0, 'the files came back from the store');
  t.same([...node.warnings, ...next.warnings], []);
  await next.stop();
});

test('a damaged file is mended before a wrong answer is given', async (t) => {
  const node = await startNode(folderOf(t));
  const holder = node.join(1);
  await node.write(segment('beta'));
  const rule = { rule_id: 'r', when: { segment: 'beta' }, serve: { variant: 'on' } };
  await node.write(create('f', { enabled: true, rules: [rule] }));
  const set = new Set([idOf(1), idOf(2)]);
  await node.replace([...set]);
  const [name = ''] = readdirSync(node.folder);
  truncateSync(join(node.folder, name), 20);
  const late = node.join(2);
  await late.first;
  t.equal(differences(late, set), 0);
  t.equal(differences(holder, set), 0);
  t.same(node.warnings, ['snapshot refused; asked for a whole one']);
  await node.stop();
});
