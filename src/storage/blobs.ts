// Packed ids as rows: immutable, named by the SHA-256 of their bytes, cut into chunks so that no statement carries more
// than one. Written in transactions of their own before anything names them; what nothing names goes after a while.
import type { MadeBlob } from './segment-blobs.ts';
import type { Queryable, Sql } from './sql.ts';
import { StorageUnavailable } from './sql.ts';

// The embedded database's client turns bytes into text and back by loops of its own, eleven times slower than native
// code does: chunks cross as hex in both directions.

/** Small enough that a commit between two of them holds nobody up; the embedded database copies each a few times. */
const CHUNK_BYTES = 1_048_576;
/** A blob that no row names is kept so long: a follower may just have read the row that named it. */
const UNNAMED_KEPT_MS = 3_600_000;
/** Looked at in one turn of pruning; the next one goes on behind them. */
const PRUNED_AT_ONCE = 64;

/** Keeps a blob, or finds it kept, and marks it as wanted now: for an hour nothing takes it away. */
export async function putBlob(sql: Sql, { ref, bytes }: MadeBlob, at: Date): Promise<void> {
  const [row] = await sql.transaction((tx) =>
    tx.query<{ complete: boolean }>(
      `INSERT INTO segment_blobs (hash, bytes, wanted_at) VALUES ($1, $2::bigint, $3::timestamptz)
        ON CONFLICT (hash) DO UPDATE SET wanted_at = greatest(segment_blobs.wanted_at, excluded.wanted_at)
        RETURNING complete`,
      [ref.hash, ref.bytes, at.toISOString()],
    ),
  );
  if (row?.complete === true) return;
  const chunks = Math.ceil(bytes.byteLength / CHUNK_BYTES);
  for (let chunk = 0; chunk < chunks; chunk++) {
    const part = Buffer.from(
      bytes.buffer,
      bytes.byteOffset + chunk * CHUNK_BYTES,
      Math.min(CHUNK_BYTES, bytes.byteLength - chunk * CHUNK_BYTES),
    );
    await sql.transaction((tx) =>
      tx.query(
        `INSERT INTO segment_blob_chunks (hash, chunk, bytes) VALUES ($1, $2::integer, decode($3, 'hex'))
          ON CONFLICT (hash, chunk) DO UPDATE SET bytes = excluded.bytes`,
        [ref.hash, chunk, part.toString('hex')],
      ),
    );
  }
  await sql.transaction(async (tx) => {
    // Chunks of another size may be left of an attempt that another version made.
    await tx.query('DELETE FROM segment_blob_chunks WHERE hash = $1 AND chunk >= $2::integer', [ref.hash, chunks]);
    await tx.query('UPDATE segment_blobs SET complete = true WHERE hash = $1', [ref.hash]);
  });
}

/** Whether all of these are kept; they stay until the transaction ends, whatever prunes. */
export async function holdBlobs(tx: Queryable, hashes: readonly string[]): Promise<boolean> {
  if (hashes.length === 0) return true;
  const rows = await tx.query(
    'SELECT hash FROM segment_blobs WHERE hash = ANY($1::text[]) AND complete ORDER BY hash FOR KEY SHARE',
    [hashes],
  );
  return rows.length === hashes.length;
}

/** The bytes of a blob in order. Rejects with StorageUnavailable when it is not there, or no longer. */
export async function* readBlob(sql: Queryable, hash: string): AsyncGenerator<Uint8Array, void, undefined> {
  const [blob] = await sql.query<{ bytes: string }>('SELECT bytes FROM segment_blobs WHERE hash = $1 AND complete', [
    hash,
  ]);
  if (blob === undefined) throw new StorageUnavailable(`the store holds no blob ${hash}`);
  let left = Number(blob.bytes);
  for (let chunk = 0; left > 0; chunk++) {
    const [row] = await sql.query<{ hex: string }>(
      "SELECT encode(bytes, 'hex') AS hex FROM segment_blob_chunks WHERE hash = $1 AND chunk = $2::integer",
      [hash, chunk],
    );
    if (row === undefined) throw new StorageUnavailable(`chunk ${chunk} of blob ${hash} is not there`);
    const bytes = Buffer.from(row.hex, 'hex');
    left -= bytes.byteLength;
    yield bytes;
  }
}

/**
 * Forgets blobs that nothing names and nobody wanted for an hour. One turn looks at a few.
 * @param after where the last turn stopped; "" at first
 * @returns where this one did; "" when it reached the end
 */
export async function pruneBlobs(sql: Sql, at: Date, after: string): Promise<string> {
  const oldest = new Date(at.getTime() - UNNAMED_KEPT_MS).toISOString();
  const looked = await sql.query<{ hash: string }>(
    `SELECT hash FROM segment_blobs WHERE hash > $1 AND wanted_at < $2::timestamptz ORDER BY hash LIMIT ${PRUNED_AT_ONCE}`,
    [after, oldest],
  );
  if (looked.length === 0) return '';
  const gone = await sql.transaction(async (tx) => {
    await tx.query("SELECT set_config('lock_timeout', '2s', true)");
    // Who names a blob marks it as wanted first, in a transaction of its own: its row, once it is had, is judged anew.
    const rows = await tx.query<{ hash: string }>(
      `DELETE FROM segment_blobs WHERE hash = ANY($1::text[]) AND wanted_at < $2::timestamptz
        AND NOT EXISTS (SELECT FROM segments WHERE blobs @> ARRAY[hash])
        AND NOT EXISTS (SELECT FROM segment_versions WHERE blobs <> '{}' AND blobs @> ARRAY[hash]) RETURNING hash`,
      [looked.map(({ hash }) => hash), oldest],
    );
    await tx.query('DELETE FROM segment_blob_chunks WHERE hash = ANY($1::text[])', [rows.map(({ hash }) => hash)]);
    return rows.length;
  });
  // The embedded database has nobody else to make the room of megabytes usable again.
  if (gone > 0 && sql.kind === 'pglite') await sql.query('VACUUM segment_blob_chunks');
  return looked.at(-1)?.hash ?? '';
}
