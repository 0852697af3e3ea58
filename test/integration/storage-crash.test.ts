import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { test } from 'tap';
import { typescriptArgv } from '../unit/run/fixtures/support.ts';
import { openStore, sumsOf } from './fixtures/storage.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'burgee-crash-'));
const WRITER = fileURLToPath(new URL('./fixtures/storage-writer.ts', import.meta.url));

/** Starts the writer and kills it when `until` says so of a line. Returns all lines that came before it was dead. */
async function killWriter(run: number, until: (line: string, count: number) => boolean): Promise<string[]> {
  const child = spawn(process.execPath, [...typescriptArgv, WRITER, dataDir, String(run)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = new Promise((resolve) => child.once('close', resolve));
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (until(line, lines.length)) child.kill('SIGKILL');
  }
  await closed;
  return lines;
}

test('killed while the database is made, it is made again', async (t) => {
  const lines = await killWriter(0, (line) => line.startsWith('progress creating'));
  t.match(lines[0], /^progress creating/);
});

test('killed five times in a loop of writes, every acknowledged one is there', async (t) => {
  const acknowledged: string[] = [];
  for (const run of [1, 2, 3, 4, 5]) {
    const lines = await killWriter(run, (_, count) => count >= 10 * run);
    acknowledged.push(...lines.filter((line) => line.startsWith('acknowledged')));
  }
  const { store, sql } = await openStore(dataDir);
  const content = await store.readAll();
  const revisions = new Map(content.items.map((item) => [item.id, item.revision]));
  const lost = acknowledged.filter((line) => {
    const [, revision, flagId] = line.split(' ');
    return revisions.get(String(flagId)) !== Number(revision);
  });
  t.same(lost, []);
  t.ok(acknowledged.length >= 140);
  t.match(content.head, sumsOf(content));
  const [outcomes] = await sql.query<{ rows: string }>('SELECT count(*) AS rows FROM idempotency');
  t.equal(Number(outcomes?.rows), content.items.filter((item) => item.kind === 'flag').length);
  await store.close();
  rmSync(dataDir, { recursive: true });
});
