// The one seam between the service and its database: PGlite in a thread of its own, or `pg`. Plain SQL with
// $1 parameters that PostgreSQL 14-18 and PGlite both run. bigint and numeric columns come back as strings: read them
// with Number() (revisions) or BigInt() (tags).

export type SqlValue = string | number | bigint | boolean | null | readonly string[] | Uint8Array;

export interface Queryable {
  /** Without values the text may hold several statements; the rows are the last one's. Throws SqlError. */
  query<Row extends Record<string, unknown>>(text: string, values?: readonly SqlValue[]): Promise<Row[]>;
}

export interface TransactionOptions {
  /** Reads only, all of one state of the store, and never waits for writers. Default false. */
  readonly isLook?: boolean;
  /** What takes longer is given up, in milliseconds. Only PostgreSQL heeds it; its default is that of a request. */
  readonly msMax?: number;
}

export interface SqlStanding {
  /** Open to the server. */
  readonly connections: number;
  /** Reads and writes that wait for one. */
  readonly waiting: number;
  /** False: the last attempt to reach it failed. */
  readonly isUp: boolean;
}

export interface Sql extends Queryable {
  readonly kind: 'pglite' | 'postgres';
  /** Undefined: the embedded database. */
  readonly standing?: SqlStanding;
  /** Runs in BEGIN ... COMMIT; any throw rolls back and is thrown on. Resolves only when the commit is durable. */
  transaction<T>(run: (tx: Queryable) => Promise<T>, options?: TransactionOptions): Promise<T>;
  close(): Promise<void>;
}

/** The database refused a statement. `code` is PostgreSQL's SQLSTATE, "" when there is none. */
export class SqlError extends Error {
  override readonly name = 'SqlError';
  readonly code: string;
  constructor(message: string, code: string) {
    super(message);
    this.code = code;
  }
}

/** The store could not be reached, or broke before the transaction's commit was sent: nothing was written. */
export class StorageUnavailable extends Error {
  override readonly name = 'StorageUnavailable';
}

/** The commit was sent and its answer lost: it may or may not have happened. */
export class OutcomeUnknown extends Error {
  override readonly name = 'OutcomeUnknown';
}

/** A transaction's own view of its connection. */
export interface Transaction extends Queryable {
  /** The first error of a statement, which the caller may have swallowed: PostgreSQL undoes the whole all the same. */
  readonly failure: Error | undefined;
  /** Refuses statements from now on: the connection is another's. */
  end(): void;
}

export function createTransaction(query: Queryable['query']): Transaction {
  let failure: Error | undefined;
  let ended = false;
  return {
    get failure() {
      return failure;
    },
    end() {
      ended = true;
    },
    async query(text, values) {
      if (ended) throw new Error('this transaction has ended');
      try {
        return await query(text, values);
      } catch (error) {
        failure ??= error as Error;
        throw error;
      }
    },
  };
}
