// PostgreSQL behind the Sql seam. Two pools, so that writes which queue for the store's row never keep the sync loop from
// looking: one for transactions of writers, one for everything that reads.
import { Pool, type PoolClient, type PoolConfig } from 'pg';
import { OutcomeUnknown, type Queryable, type Sql, SqlError, type SqlValue, StorageUnavailable } from './sql.ts';

/** A connection that is not had within this, in milliseconds, is not to be had. */
const CONNECT_MS_MAX = 3_000;
/** A statement without an answer for so long has a server, or a network, that is gone. */
const STATEMENT_MS_MAX = 10_000;

export interface PostgresOptions {
  /** postgres://user:password@host:port/database, with the parameters of libpq that `pg` knows (sslmode, sslrootcert). */
  readonly url: string;
  /** Connections at most. */
  readonly connectionsMax: number;
  /** A connection that nobody uses broke: for the log. */
  readonly onProblem?: (error: Error) => void;
}

type Row = Record<string, unknown>;

/** Makes no connection yet: a store that is away is found out by the first statement. */
export function openPostgres({ url, connectionsMax, onProblem }: PostgresOptions): Sql {
  const config: PoolConfig = {
    connectionString: url,
    max: connectionsMax,
    connectionTimeoutMillis: CONNECT_MS_MAX,
    query_timeout: STATEMENT_MS_MAX,
    keepAlive: true,
    application_name: 'burgee',
  };
  const pool = new Pool(config);
  pool.on('error', (error) => onProblem?.(error));

  async function connect(): Promise<PoolClient> {
    try {
      return await pool.connect();
    } catch (error) {
      throw new StorageUnavailable('PostgreSQL cannot be reached', { cause: error });
    }
  }

  async function transaction<T>(run: (tx: Queryable) => Promise<T>): Promise<T> {
    const client = await connect();
    let broken: Error | boolean = false;
    try {
      await ask(client, 'BEGIN', undefined);
      const value = await run({ query: (text, values) => ask(client, text, values) });
      await client.query('COMMIT').catch((error: unknown) => {
        broken = true;
        if (isRefusal(error)) throw refusal(error);
        throw new OutcomeUnknown('PostgreSQL went away during the commit', { cause: error });
      });
      return value;
    } catch (error) {
      if (!(error instanceof OutcomeUnknown)) {
        await client.query('ROLLBACK').catch(() => {
          broken = true;
        });
      }
      throw error;
    } finally {
      client.release(broken);
    }
  }

  return {
    kind: 'postgres',
    async query<R extends Row>(text: string, values?: readonly SqlValue[]): Promise<R[]> {
      const client = await connect();
      let broken = false;
      try {
        return await ask<R>(client, text, values);
      } catch (error) {
        broken = !(error instanceof SqlError);
        throw error;
      } finally {
        client.release(broken);
      }
    },
    transaction,
    close: () => pool.end(),
  };
}

async function ask<R extends Row>(
  client: PoolClient,
  text: string,
  values: readonly SqlValue[] | undefined,
): Promise<R[]> {
  try {
    const result = await client.query<R>(text, values === undefined ? undefined : [...values]);
    // Several statements in one text have a result each.
    const last = Array.isArray(result) ? (result as (typeof result)[]).at(-1) : result;
    return last?.rows ?? [];
  } catch (error) {
    if (isRefusal(error)) throw refusal(error);
    throw new StorageUnavailable('PostgreSQL cannot be reached', { cause: error });
  }
}

interface PostgresError extends Error {
  readonly code: string;
  readonly severity: string;
}

/** The server's own word, with a SQLSTATE, and not a broken connection. */
function isRefusal(error: unknown): error is PostgresError {
  return error instanceof Error && 'severity' in error && 'code' in error;
}

function refusal(error: PostgresError): SqlError {
  return new SqlError(error.message, error.code);
}
