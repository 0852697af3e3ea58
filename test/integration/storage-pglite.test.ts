// What only the embedded database does.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import { openPglite } from '../../src/storage/pglite.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'burgee-pglite-'));
const progress: string[] = [];
const sql = await openPglite({ dataDir, onProgress: (line) => progress.push(line) });

test('the first opening says that it makes the database', async (t) => {
  t.match(progress[0], /^creating the embedded database in .*pg/);
});

test('transactions run one after another, and a failed one is undone', async (t) => {
  const order: string[] = [];
  const first = sql.transaction(async (tx) => {
    await tx.query('CREATE TABLE undone (a int)');
    order.push('first');
    throw new Error('no');
  });
  const second = sql.query("SELECT to_regclass('undone') AS undone").then((rows) => {
    order.push('second');
    return rows;
  });
  await t.rejects(first, { message: 'no' });
  t.same(await second, [{ undone: null }]);
  t.same(order, ['first', 'second']);
});

test('a folder that holds something else is not touched', async (t) => {
  const folder = t.testdir({ pg: { 'mine.txt': 'x' } });
  await t.rejects(openPglite({ dataDir: folder }), { name: 'StorageUnavailable', message: /holds no database/ });
});

test('the folder is removed', async () => {
  await sql.close();
  rmSync(dataDir, { recursive: true });
});
