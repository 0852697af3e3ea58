// The one seam between the service and its database: PGlite in a thread of its own now, `pg` later. Plain SQL with
// $1 parameters that PostgreSQL 14-18 and PGlite both run. bigint and numeric columns come back as strings: read them
// with Number() (revisions) or BigInt() (tags).

export type SqlValue = string | number | bigint | boolean | null | readonly string[] | Uint8Array;

export interface Queryable {
  /** Without values the text may hold several statements; the rows are the last one's. Throws SqlError. */
  query<Row extends Record<string, unknown>>(text: string, values?: readonly SqlValue[]): Promise<Row[]>;
}

export interface Sql extends Queryable {
  readonly kind: 'pglite' | 'postgres';
  /** Runs in BEGIN ... COMMIT; any throw rolls back and is thrown on. Resolves only when the commit is durable. */
  transaction<T>(run: (tx: Queryable) => Promise<T>): Promise<T>;
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
