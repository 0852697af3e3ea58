// The thread that owns PGlite: PostgreSQL in WASM runs on whoever calls it, and the primary's loop never runs SQL.
import * as fs from 'node:fs';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import type { PGlite } from '@electric-sql/pglite';
import { DurableFs, startPglite, syncPath, syncTree } from './pglite-files.ts';
import { type FromThread, NOT_A_THREAD, type ThreadStart, type ToThread } from './pglite-messages.ts';
import type { SqlValue } from './sql.ts';

// A checkpoint runs on the one connection, so it is kept small: at 8 MiB of WAL it takes some tens of milliseconds
// (npm run bench:storage). Nothing else asks for one: a single-user PostgreSQL has no checkpointer.
const CHECKPOINT_WAL_BYTES = 8 * 1024 * 1024;

/** A line of PostgreSQL's log after which its process would be gone, or Emscripten's own word for it. */
const BEYOND_USE = /^\S+ \S+ UTC \[\d+\] (?:PANIC|FATAL):|^Aborted\(/;

interface Database {
  readonly pg: PGlite;
  readonly files: DurableFs;
}

const port = parentPort;
const start = workerData as ThreadStart;
/** PostgreSQL's last words, for the reason of a death. */
const lastLines: string[] = [];
let database: Database | undefined;
let walBytesAtCheckpoint = 0;
let broken = false;

if (port === null) throw new Error(NOT_A_THREAD);
port.on('message', (message: ToThread) => void handle(message));
try {
  database = await openDatabase(start);
  post({ type: 'open' });
} catch (error) {
  breakDown(error);
}

function post(message: FromThread): void {
  port?.postMessage(message);
}

/** Tells the client, who ends this thread: what is left of the WASM may spin for ever. */
function breakDown(error: unknown): void {
  if (broken) return;
  broken = true;
  const text = error instanceof Error ? error.message : String(error);
  post({ type: 'broken', message: [text, ...lastLines].join(' | ') });
}

/** Opens `DATA_DIR/pg`, making it first where there is none: aside, synced and renamed, so that it is whole or absent. */
async function openDatabase({ dataDir, durable }: ThreadStart): Promise<Database> {
  const home = join(dataDir, 'pg');
  if (!fs.existsSync(join(home, 'PG_VERSION'))) {
    if (fs.existsSync(home) && fs.readdirSync(home).length > 0) {
      throw new Error(`${home} is not empty and holds no database (PG_VERSION is missing)`);
    }
    const aside = join(dataDir, 'pg.creating');
    fs.rmSync(aside, { recursive: true, force: true });
    fs.mkdirSync(aside, { recursive: true, mode: 0o700 });
    post({ type: 'progress', line: `creating the embedded database in ${home}, some seconds, only this once ...` });
    const { pg } = await openIn(aside, false);
    await pg.exec('CHECKPOINT');
    await pg.close();
    if (durable) syncTree(aside);
    fs.renameSync(aside, home);
    syncPath(dataDir);
    post({ type: 'progress', line: 'the embedded database is made' });
  }
  return openIn(home, durable);
}

async function openIn(folder: string, durable: boolean): Promise<Database> {
  const files = new DurableFs(folder);
  return { files, pg: await startPglite(files, durable, remember) };
}

/** Keeps a line of PostgreSQL's log; true would also print it. */
function remember(line: string): boolean {
  lastLines.push(line);
  if (lastLines.length > 4) lastLines.shift();
  // The statement that panicked may never return, or may return as if all were well.
  if (BEYOND_USE.test(line)) breakDown('PostgreSQL ended');
  return false;
}

async function handle(message: ToThread): Promise<void> {
  if (database === undefined) return;
  try {
    const rows = await perform(message, database);
    if (broken) return;
    post({ type: 'rows', id: message.id, rows, walBytes: database.files.walBytes - walBytesAtCheckpoint });
    if (message.type === 'close') port?.close();
  } catch (error) {
    const { severity, code, name, message: text } = error as Error & { severity?: unknown; code?: unknown };
    // A WASM trap is a RuntimeError, an exit an ExitStatus; after any of them the next call would hang.
    const fatal = severity === 'PANIC' || severity === 'FATAL' || name === 'RuntimeError' || name === 'ExitStatus';
    if (fatal) return breakDown(error);
    post({ type: 'refused', id: message.id, message: text, code: typeof code === 'string' ? code : '' });
  }
}

async function perform(message: ToThread, { pg, files }: Database): Promise<Record<string, unknown>[]> {
  switch (message.type) {
    case 'statement':
      return statement(pg, message.text, message.values);
    case 'upkeep':
      if (message.vacuum !== undefined) await pg.exec(`VACUUM ${message.vacuum}`);
      if (files.walBytes - walBytesAtCheckpoint >= CHECKPOINT_WAL_BYTES) await checkpoint(pg, files);
      return [];
    case 'close':
      await checkpoint(pg, files);
      await pg.close();
      return [];
  }
}

async function statement(
  pg: PGlite,
  text: string,
  values: readonly SqlValue[] | undefined,
): Promise<Record<string, unknown>[]> {
  if (values === undefined) {
    const results = await pg.exec(text);
    return (results.at(-1)?.rows ?? []) as Record<string, unknown>[];
  }
  const { rows } = await pg.query<Record<string, unknown>>(text, [...values]);
  return rows;
}

async function checkpoint(pg: PGlite, files: DurableFs): Promise<void> {
  await pg.exec('CHECKPOINT');
  walBytesAtCheckpoint = files.walBytes;
}
