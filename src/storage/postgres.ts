// PostgreSQL behind the Sql seam. Reads and writes have lanes of their own into one pool, so that writes which queue for
// the store's row never keep the sync loop from looking. Nothing waits for ever: a server that does not answer is taken to
// be gone, its connections are thrown away, and until one can be made again everybody is told so at once.
//
//   a write:  | lane, connection, statements: timeoutMs | COMMIT: 3 s |     worker gives up at 10 s
//             '------- nothing was written -------------'-- unknown --'
import { Pool, type PoolClient } from 'pg';
import { limits } from '../limits.ts';
import { type Clock, systemClock } from '../run/clock.ts';
import { connectionConfig, problemOf } from './postgres-connection.ts';
import { createGate } from './postgres-gate.ts';
import { createLane, type Lane } from './postgres-lane.ts';
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

/** Of a pool of ten, three are for reads. */
const READ_SHARE = 0.3;

/** Nothing that an answered COMMIT leaves open: the server said no. Connection, shutdown, and its own failures do. */
const UNKNOWN_AT_COMMIT = /^(?:08|57|58|XX)/;
/** A COMMIT that waited for its replica and was told to wait no longer warns with one of these, and then succeeds. */
const NOT_REPLICATED = /^(?:01|57)/;
/** The connection leads to a server that writes nothing, or to none. */
const LEADS_NOWHERE = /^(?:08|57P|25006|25P03)/;

export interface PostgresOptions {
  /** postgres://user:password@host:port/database, with sslmode, sslrootcert, sslcert and sslkey as libpq has them. */
  readonly url: string;
  /** Connections at most; 2 or more. */
  readonly connectionsMax: number;
  /** In which a write must be ready to commit, and a read hear something, in milliseconds. Default 5,000. */
  readonly timeoutMs?: number;
  /** What is wrong, the same at most once a minute, and that it is over. Never holds the URL or the password. */
  readonly warn?: (fields: object, message: string) => void;
  readonly clock?: Clock;
  readonly random?: () => number;
}

type Row = Record<string, unknown>;

/** One connection, while somebody has it. */
interface Lease {
  readonly client: PoolClient;
  /** It will not be given to anybody again. */
  isBroken: boolean;
}

/** How long a statement is waited for. */
interface Patience {
  /** Of the clock. */
  readonly untilMs: number;
  /** Without a byte of an answer. */
  readonly silentMs: number;
}

/** Makes no connection yet: a store that is away is found out by the first statement. */
export function openPostgres(options: PostgresOptions): Sql {
  const {
    url,
    connectionsMax,
    timeoutMs = 5_000,
    warn = () => {},
    clock = systemClock,
    random = Math.random,
  } = options;
  const gate = createGate({ clock, random, warn });
  const pool = new Pool({
    ...connectionConfig(url, 'burgee'),
    connectionTimeoutMillis: Math.min(limits.databaseConnectMsMax, timeoutMs),
    max: connectionsMax,
    idleTimeoutMillis: limits.databaseIdleMsMax,
    maxLifetimeSeconds: limits.databaseLifetimeMsMax / 1_000,
  });
  pool.on('error', (error) => gate.tell(error));
  // One that somebody uses breaks too, and an error that nobody hears would end the process: the statement tells of it.
  pool.on('connect', (client) => client.on('error', () => {}));
  const readers = Math.max(1, Math.round(connectionsMax * READ_SHARE));
  const reads = createLane(readers, clock);
  const writes = createLane(connectionsMax - readers, clock);
  const primaries = new WeakSet<PoolClient>();
  const leases = new Set<Lease>();
  let closing: Promise<void> | undefined;

  /** Runs `use` with a connection of its own. Rejects with StorageUnavailable when none is to be had. */
  async function withConnection<T>(lane: Lane, use: (lease: Lease) => Promise<T>): Promise<T> {
    const startMs = clock.nowMs();
    if (pool.idleCount === 0 && !gate.isOpen) gate.pass();
    const leave = await lane.enter(timeoutMs);
    if (leave === undefined) throw new StorageUnavailable(`no connection to PostgreSQL was free for ${timeoutMs} ms`);
    let lease: Lease | undefined;
    try {
      lease = { client: await connect(), isBroken: false };
      leases.add(lease);
      if (clock.nowMs() - startMs >= timeoutMs) throw new StorageUnavailable('PostgreSQL was had too late');
      return await use(lease);
    } finally {
      if (lease !== undefined) {
        leases.delete(lease);
        lease.client.release(lease.isBroken);
      }
      leave();
    }
  }

  async function connect(): Promise<PoolClient> {
    if (closing !== undefined) throw new StorageUnavailable('the store is closed');
    const attempt = pool.idleCount > 0 ? undefined : gate.pass();
    let client: PoolClient | undefined;
    try {
      client = await pool.connect();
      if (!primaries.has(client)) await requirePrimary(client);
      attempt?.succeeded();
      return client;
    } catch (error) {
      client?.release(true);
      throw attempt?.failed(error) ?? gate.lost(error);
    }
  }

  /** A standby would be read as a store that went back. A server never becomes one without cutting its connections. */
  async function requirePrimary(client: PoolClient): Promise<void> {
    const patience = { untilMs: clock.nowMs() + limits.databaseConnectMsMax, silentMs: limits.databaseConnectMsMax };
    const { rows } = await answerOf(client, patience, 'SELECT pg_is_in_recovery() AS is_standby');
    if (rows[0]?.['is_standby'] === true) throw new SqlError('a standby', '25006');
    primaries.add(client);
  }

  /** The server's answer, or a rejection in time: a connection that is silent for too long is cut. */
  async function answerOf(
    client: PoolClient,
    { untilMs, silentMs }: Patience,
    text: string,
    values?: readonly SqlValue[],
  ): Promise<{ readonly rows: readonly Row[]; readonly command: string }> {
    // Bytes that are read are the only sign of life; with TLS this counts what came out of it.
    const stream = client.connection.stream as { readonly bytesRead?: number; destroy(): void };
    let bytesBefore = stream.bytesRead;
    let isSilent = false;
    let cancel = watch();

    function watch(): () => void {
      return clock.after(Math.max(0, Math.min(silentMs, untilMs - clock.nowMs())), () => {
        if (clock.nowMs() < untilMs && stream.bytesRead !== bytesBefore) {
          bytesBefore = stream.bytesRead;
          cancel = watch();
          return;
        }
        isSilent = true;
        stream.destroy();
      });
    }

    try {
      const result = await client.query<Row>(text, values === undefined ? undefined : [...values]);
      // Several statements in one text have a result each.
      return Array.isArray(result) ? ((result as (typeof result)[]).at(-1) ?? { rows: [], command: '' }) : result;
    } catch (error) {
      throw isSilent ? new Error('no answer in time', { cause: error }) : error;
    } finally {
      cancel();
    }
  }

  async function ask<R extends Row>(
    lease: Lease,
    patience: Patience,
    text: string,
    values?: readonly SqlValue[],
  ): Promise<R[]> {
    try {
      return (await answerOf(lease.client, patience, text, values)).rows as R[];
    } catch (error) {
      if (isRefusal(error)) {
        if (LEADS_NOWHERE.test(error.code)) lease.isBroken = true;
        throw refusal(error);
      }
      throw giveUp(lease, error);
    }
  }

  function giveUp(lease: Lease, error: unknown): StorageUnavailable {
    lease.isBroken = true;
    if (!(error instanceof Error && error.message === 'no answer in time')) {
      return new StorageUnavailable(`PostgreSQL cannot be used: ${problemOf(error).text}`, { cause: error });
    }
    dropIdle();
    return gate.lost(error);
  }

  /** Where one connection fell silent the others have too, and each would be waited for. */
  function dropIdle(): void {
    for (let i = pool.idleCount; i > 0; i--) {
      void pool.connect().then(
        (client) => client.release(true),
        () => {},
      );
    }
  }

  function transaction<T>(run: (tx: Queryable) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    const { isLook = false, msMax = isLook ? limits.databaseReadMsMax : timeoutMs } = options;
    const untilMs = clock.nowMs() + msMax;
    return withConnection(isLook ? reads : writes, async (lease) => {
      const patience = { untilMs, silentMs: options.msMax ?? timeoutMs };
      const tx = createTransaction((text, values) => ask(lease, patience, text, values));
      try {
        await ask(lease, patience, beginning(isLook, msMax));
        const value = await run(tx);
        // PostgreSQL answers COMMIT after an error with a quiet rollback: what the caller swallowed is thrown here.
        if (tx.failure !== undefined) throw tx.failure;
        tx.end();
        await commit(lease, options.msMax ?? limits.databaseCommitMsMax);
        return value;
      } catch (error) {
        tx.end();
        if (!(error instanceof OutcomeUnknown)) await rollBack(lease);
        throw error;
      }
    });
  }

  async function commit(lease: Lease, msMax: number): Promise<void> {
    const { client } = lease;
    // Lost before it was sent: nothing was written.
    if (client.connection.stream.destroyed) throw giveUp(lease, new Error('the connection was closed'));
    let isReplicated = true;
    const onNotice = ({ code = '' }: { code?: string | undefined }): void => {
      if (NOT_REPLICATED.test(code)) isReplicated = false;
    };
    client.on('notice', onNotice);
    try {
      const { command } = await answerOf(client, { untilMs: clock.nowMs() + msMax, silentMs: msMax }, 'COMMIT');
      if (command !== 'COMMIT') throw new StorageUnavailable('PostgreSQL rolled the transaction back');
    } catch (error) {
      if (error instanceof StorageUnavailable) throw error;
      if (isRefusal(error) && !UNKNOWN_AT_COMMIT.test(error.code)) throw refusal(error);
      const { message } = giveUp(lease, error);
      throw new OutcomeUnknown(`${message}; it had been asked to commit`, { cause: error });
    } finally {
      client.removeListener('notice', onNotice);
    }
    if (!isReplicated) throw new OutcomeUnknown('PostgreSQL committed, but was kept from waiting for its replicas');
  }

  async function rollBack(lease: Lease): Promise<void> {
    if (lease.isBroken) return;
    await ask(
      lease,
      { untilMs: clock.nowMs() + limits.databaseCommitMsMax, silentMs: limits.databaseCommitMsMax },
      'ROLLBACK',
    ).catch(() => {
      lease.isBroken = true;
    });
  }

  async function close(): Promise<void> {
    const cancel = clock.after(limits.databaseCloseMsMax, () => {
      for (const { client } of leases) client.connection.stream.destroy();
    });
    await pool.end();
    cancel();
  }

  return {
    kind: 'postgres',
    query: (text, values) =>
      withConnection(reads, (lease) =>
        ask(lease, { untilMs: clock.nowMs() + limits.databaseReadMsMax, silentMs: timeoutMs }, text, values),
      ),
    transaction,
    get standing() {
      return { connections: pool.totalCount, waiting: reads.waiting + writes.waiting, isUp: gate.isUp };
    },
    close() {
      closing ??= close();
      return closing;
    },
  };
}

/**
 * In one message. The server's own bounds are for a client that is frozen or cut off: what it holds, above all the store's
 * row, it holds no longer than this.
 */
function beginning(isLook: boolean, msMax: number): string {
  const level = isLook ? 'REPEATABLE READ READ ONLY' : 'READ COMMITTED';
  return `BEGIN ISOLATION LEVEL ${level}; SET LOCAL statement_timeout = ${msMax}; SET LOCAL idle_in_transaction_session_timeout = ${msMax}`;
}

interface PostgresError extends Error {
  readonly code: string;
}

/** The server's own word, with a SQLSTATE, and not a broken connection. */
function isRefusal(error: unknown): error is PostgresError {
  return error instanceof Error && 'severity' in error && 'code' in error;
}

function refusal(error: PostgresError): SqlError {
  return new SqlError(error.message, error.code);
}
