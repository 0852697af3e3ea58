// The embedded database behind the Sql seam: a client of the thread that owns PGlite. There is one connection, so a
// transaction holds it from BEGIN to COMMIT and everybody else queues.
import { mkdirSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { FromThread, ThreadStart, ToThread } from './pglite-messages.ts';
import {
  createTransaction,
  OutcomeUnknown,
  type Queryable,
  type Sql,
  SqlError,
  type SqlValue,
  StorageUnavailable,
  type TransactionOptions,
} from './sql.ts';

/** A statement without an answer for so long is taken for a hung thread, which is then ended. */
const STATEMENT_MS_MAX = 60_000;
const CLOSE_MS_MAX = 10_000;
/** Ask the thread for upkeep at this much WAL once nobody waits, and at twice as much in any case. */
const UPKEEP_WAL_BYTES = 8 * 1024 * 1024;
/** Single-user PostgreSQL has no autovacuum: after so many commits the next of these tables is vacuumed. */
const VACUUM_COMMITS = 1_000;
const VACUUM_TABLES = [
  'store',
  'environments',
  'flags',
  'api_keys',
  'idempotency',
  'changes',
  'audit',
  'flag_versions',
  'uses',
  'segments',
  'segment_versions',
  'segment_blobs',
  'segment_blob_chunks',
];

export interface PgliteOptions {
  /** The service's data directory; the database lives in `pg` below it. Whoever opens it must be its only owner. */
  readonly dataDir: string;
  /** Lines for whoever waits: making the database takes some seconds. */
  readonly onProgress?: (line: string) => void;
  /** Called once when the thread has died unasked; every later call is refused with StorageUnavailable. */
  readonly onClosed?: (reason: Error) => void;
  /** Default true: fsync as PostgreSQL does. False only to measure what that costs. */
  readonly durable?: boolean;
}

type Row = Record<string, unknown>;
type Request =
  | { readonly type: 'statement'; readonly text: string; readonly values: readonly SqlValue[] | undefined }
  | { readonly type: 'upkeep'; readonly vacuum: string | undefined }
  | { readonly type: 'close' };

interface InFlight {
  readonly resolve: (rows: Row[]) => void;
  readonly reject: (error: Error) => void;
  /** Made when the thread dies meanwhile. */
  readonly onDeath: (reason: Error) => Error;
  readonly timer: NodeJS.Timeout;
}

/** Opens, or makes, the embedded database. Rejects with StorageUnavailable when it cannot be opened. */
export async function openPglite(options: PgliteOptions): Promise<Sql> {
  mkdirSync(options.dataDir, { recursive: true });
  const thread = await startThread(options);
  const queue = createQueue();
  let commits = 0;
  let vacuumed = 0;
  let upkeepQueued = false;
  let closing: Promise<void> | undefined;

  function query<R extends Row>(text: string, values?: readonly SqlValue[]): Promise<R[]> {
    return thread.send({ type: 'statement', text, values }, unavailable) as Promise<R[]>;
  }

  async function transaction<T>(run: (tx: Queryable) => Promise<T>, { isLook }: TransactionOptions): Promise<T> {
    await query(isLook ? 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY' : 'BEGIN');
    const tx = createTransaction(query);
    let value: T;
    try {
      value = await run(tx);
      // PostgreSQL answers COMMIT after an error with a quiet rollback: what the caller swallowed is thrown here.
      if (tx.failure !== undefined) throw tx.failure;
    } catch (error) {
      tx.end();
      await query('ROLLBACK').catch(() => {});
      throw error;
    }
    tx.end();
    // fsync is on: the answer comes when the WAL is on the disk.
    await thread.send({ type: 'statement', text: 'COMMIT', values: undefined }, outcomeUnknown);
    commits += 1;
    considerUpkeep();
    return value;
  }

  function considerUpkeep(): void {
    const vacuumDue = commits >= VACUUM_COMMITS;
    const due = vacuumDue || thread.walBytes >= UPKEEP_WAL_BYTES;
    const urgent = commits >= 2 * VACUUM_COMMITS || thread.walBytes >= 2 * UPKEEP_WAL_BYTES;
    if (upkeepQueued || closing !== undefined || !(urgent || (due && queue.waiting() === 0))) return;
    upkeepQueued = true;
    let vacuum: string | undefined;
    if (vacuumDue) {
      vacuum = VACUUM_TABLES[vacuumed++ % VACUUM_TABLES.length];
      commits = 0;
    }
    // Its failure is no one's: the next statement meets what is wrong with the thread.
    void queue
      .run(() => thread.send({ type: 'upkeep', vacuum }, unavailable))
      .catch(() => {})
      .finally(() => {
        upkeepQueued = false;
      });
  }

  return {
    kind: 'pglite',
    query: (text, values) => queue.run(() => query(text, values)),
    transaction: (run, options = {}) => queue.run(() => transaction(run, options)),
    close() {
      closing ??= queue.run(() => thread.close());
      return closing;
    },
  };
}

function unavailable(reason: Error): Error {
  return new StorageUnavailable('the embedded database is gone', { cause: reason });
}

function outcomeUnknown(reason: Error): Error {
  return new OutcomeUnknown('the embedded database went away during the commit', { cause: reason });
}

interface Queue {
  /** Runs one at a time, in the order of the calls. */
  run<T>(job: () => Promise<T>): Promise<T>;
  waiting(): number;
}

function createQueue(): Queue {
  let last: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  return {
    run(job) {
      waiting += 1;
      const begin = (): ReturnType<typeof job> => {
        waiting -= 1;
        return job();
      };
      const done = last.then(begin);
      last = done.catch(() => {});
      return done;
    },
    waiting: () => waiting,
  };
}

interface Thread {
  readonly walBytes: number;
  send(request: Request, onDeath: (reason: Error) => Error): Promise<Row[]>;
  close(): Promise<void>;
}

/** Resolves when the database is open. */
async function startThread({ dataDir, durable = true, onProgress, onClosed }: PgliteOptions): Promise<Thread> {
  // Compiled, the thread's file lies beside this one as .js; under a test runner that loads TypeScript, as .ts.
  const file = import.meta.url.endsWith('.ts') ? './pglite-thread.ts' : './pglite-thread.js';
  const workerData: ThreadStart = { dataDir, durable };
  const worker = new Worker(new URL(file, import.meta.url), { workerData, name: 'pglite' });
  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  let state: 'opening' | 'open' | 'closing' | 'dead' = 'opening';
  let death = new Error('the database is closed');
  const inFlight = new Map<number, InFlight>();
  let nextId = 1;
  let walBytes = 0;
  let opened: (error: Error | undefined) => void = () => {};
  const open = new Promise<Error | undefined>((resolve) => {
    opened = resolve;
  });

  function die(reason: Error): void {
    if (state === 'dead') return;
    const before = state;
    state = 'dead';
    death = reason;
    for (const id of [...inFlight.keys()]) {
      const lost = settle(id);
      lost?.reject(lost.onDeath(reason));
    }
    if (before === 'opening') opened(reason);
    if (before === 'open') onClosed?.(reason);
    void worker.terminate();
  }

  function settle(id: number): InFlight | undefined {
    const done = inFlight.get(id);
    inFlight.delete(id);
    clearTimeout(done?.timer);
    return done;
  }

  function receive(message: FromThread): void {
    switch (message.type) {
      case 'progress':
        return onProgress?.(message.line);
      case 'open':
        state = 'open';
        return opened(undefined);
      case 'rows':
        walBytes = message.walBytes;
        return settle(message.id)?.resolve(message.rows);
      case 'refused':
        return settle(message.id)?.reject(new SqlError(message.message, message.code));
      case 'broken':
        return die(new Error(message.message));
    }
  }

  worker.on('message', receive);
  worker.on('error', die);
  worker.on('exit', (code) => die(new Error(`the database's thread ended with code ${code}`)));

  function send(request: Request, onDeath: (reason: Error) => Error): Promise<Row[]> {
    return new Promise((resolve, reject) => {
      if (state === 'dead') return reject(new StorageUnavailable('the embedded database is closed', { cause: death }));
      const id = nextId++;
      const timer = setTimeout(() => die(new Error(`no answer in ${STATEMENT_MS_MAX} ms`)), STATEMENT_MS_MAX);
      inFlight.set(id, { resolve, reject, onDeath, timer });
      const message: ToThread = { ...request, id };
      worker.postMessage(message);
    });
  }

  async function close(): Promise<void> {
    if (state === 'dead') return;
    state = 'closing';
    const deadline = setTimeout(() => void worker.terminate(), CLOSE_MS_MAX);
    await send({ type: 'close' }, unavailable).catch(() => {});
    await exited;
    clearTimeout(deadline);
  }

  const failure = await open;
  if (failure !== undefined) {
    throw new StorageUnavailable(`the embedded database in ${dataDir} cannot be opened: ${failure.message}`, {
      cause: failure,
    });
  }
  return {
    get walBytes() {
      return walBytes;
    },
    send,
    close,
  };
}
