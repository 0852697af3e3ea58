import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PGlite } from '@electric-sql/pglite';
import { test } from 'tap';
import { startPglite } from '../../src/storage/pglite-files.ts';
import type { Queryable, Sql, SqlValue } from '../../src/storage/sql.ts';
import { createStore } from '../../src/storage/sql-store.ts';
import { PowerLossFs } from './fixtures/power-loss.ts';
import { openStore, sumsOf } from './fixtures/storage.ts';

const WRITES = 40;
const folder = mkdtempSync(join(tmpdir(), 'burgee-power-'));
const origin = join(folder, 'origin');
await (await openStore(origin)).store.close();
const files = new PowerLossFs(join(origin, 'pg'));
const pg = await startPglite(files, true, () => false);
const store = createStore(sqlOn(pg));
const acknowledged: string[] = [];
for (let i = 0; i < WRITES; i++) {
  const body = { flag_id: `f${i}`, description: 'x'.repeat(500 * (i % 9)) };
  const outcome = await store.run({
    id: i,
    actor: 'w',
    requestId: '',
    idempotency: undefined,
    command: { type: 'flag.create', environment: 'prod', body },
  });
  if (outcome.ok) acknowledged.push(body.flag_id);
  // Data files, and their order after the WAL, come into it with checkpoints; new segments with a switch.
  if (i % 13 === 5) await pg.exec('CHECKPOINT');
  if (i % 17 === 9) await pg.exec('SELECT pg_switch_wal()');
}
// Written and not committed: must not come back.
await pg.exec("BEGIN; UPDATE flags SET document = 'uncommitted'");

test('every commit was synced', async (t) => {
  t.equal(acknowledged.length, WRITES);
  t.ok(files.syncs >= WRITES, `${files.syncs} syncs`);
});

const disks = {
  'nothing that was not synced': () => false,
  'everything that was written': () => true,
  'every second of the files that were written': alternately(),
};
for (const [what, survives] of Object.entries(disks)) {
  test(`after the power went and ${what} was kept, every acknowledged write is there`, async (t) => {
    const dataDir = join(folder, what.replaceAll(' ', '-'));
    mkdirSync(dataDir);
    files.lose(join(dataDir, 'pg'), survives);
    const after = await openStore(dataDir);
    const content = await after.store.readAll();
    t.same(
      content.items
        .filter((item) => item.kind === 'flag')
        .map((item) => item.id)
        .sort(),
      [...acknowledged].sort(),
    );
    t.notOk(content.items.some((item) => item.json === 'uncommitted'));
    t.match(content.head, sumsOf(content));
    await after.store.close();
  });
}

test('the folders are removed', async () => {
  await pg.close();
  rmSync(folder, { recursive: true });
});

function alternately(): () => boolean {
  let turn = 0;
  return () => turn++ % 2 === 0;
}

/** The Sql seam on this thread, for one caller at a time: the thread of its own would hide the file system. */
function sqlOn(database: PGlite): Sql {
  const query: Queryable['query'] = async <Row extends Record<string, unknown>>(
    text: string,
    values?: readonly SqlValue[],
  ) =>
    (values === undefined
      ? ((await database.exec(text)).at(-1)?.rows ?? [])
      : (await database.query(text, [...values])).rows) as Row[];
  return {
    kind: 'pglite',
    query,
    async transaction(run) {
      await query('BEGIN');
      const value = await run({ query });
      await query('COMMIT');
      return value;
    },
    close: () => database.close(),
  };
}
