// `burgee store copy`: everything one database holds into another, empty one, row by row: flags, segments and their ids,
// keys, history, audit, replays, epoch and revision. Read in one consistent look and written in one transaction, so that
// the copy is whole or not there; a few megabytes are held at once, however many rows there are. Rows cross as the JSON
// that PostgreSQL makes of them and makes into rows again: no value passes through a JavaScript number or date.
import { createHash } from 'node:crypto';
import { lockMigrations, planMigrations } from './migrate.ts';
import type { Queryable, Sql } from './sql.ts';

/** Every table but schema_migrations, so that what others refer to comes first. */
export const COPIED_TABLES = [
  'store',
  'environments',
  'api_keys',
  'stream_secret',
  'flags',
  'flag_versions',
  'segments',
  'segment_versions',
  'uses',
  'segment_blobs',
  'segment_blob_chunks',
  'changes',
  'audit',
  'idempotency',
] as const;

type CopiedTable = (typeof COPIED_TABLES)[number];

/** What a statement is to carry about, in characters: enough that the way there and back does not count. */
const BATCH_CHARS = 1_000_000;
/** Before anything is known of a table's rows; those of segment_blob_chunks have two million characters. */
const FIRST_ROWS = 4;
const BATCH_ROWS_MAX = 2_000;

/** Of a whole copy, which holds up nobody but whoever waits for it. */
const COPY_MS_MAX = 24 * 3_600_000;

/** Rows of these say that a database is in use; of the others a migrated one has some. */
const EMPTY_WHEN_NEW = {
  flags: 'flags',
  flag_versions: 'versions of flags',
  segments: 'segments',
  segment_versions: 'versions of segments',
  segment_blobs: 'ids of segments',
  api_keys: 'API keys',
  idempotency: 'idempotency keys',
} as const satisfies Partial<Record<CopiedTable, string>>;

/** One database or the other is not as a copy needs it; nothing was written. The message says which and why. */
export class CopyRefused extends Error {
  override readonly name = 'CopyRefused';
}

export interface CopyReport {
  readonly epoch: string;
  readonly revision: number;
  readonly rows: Readonly<Record<CopiedTable, number>>;
}

/**
 * Both must have this version's schema. Resolves when the copy is durable and was compared with the original: the number
 * of rows of each table, and the SHA-256 of each row as the target has it. Throws CopyRefused, and what `Sql` throws.
 * @param onProgress is told, after each batch, how many rows of a table are over
 */
export function copyStore(
  from: Sql,
  to: Sql,
  onProgress: (table: CopiedTable, rows: number, isDone: boolean) => void = () => {},
): Promise<CopyReport> {
  return from.transaction(
    async (source) => {
      await source.query("SET LOCAL TimeZone = 'UTC'");
      await requireSchema(source, 'the source');
      return to.transaction(
        async (target) => {
          await lockTarget(target);
          const rows: Partial<Record<CopiedTable, number>> = {};
          for (const table of COPIED_TABLES) rows[table] = await copyTable(source, target, table, onProgress);
          await setIdentity(target);
          const head = await readIdentity(target);
          await target.query("SELECT pg_notify('burgee', $1)", [String(head.revision)]);
          return { ...head, rows: rows as Record<CopiedTable, number> };
        },
        { msMax: COPY_MS_MAX },
      );
    },
    { isLook: true, msMax: COPY_MS_MAX },
  );
}

/** Throws CopyRefused unless the schema is exactly this version's: what it does not know it would lose. */
async function requireSchema(database: Queryable, which: string): Promise<void> {
  const { applied, missing, edited, unknown } = await planMigrations(database);
  if (applied.length === 0)
    throw new CopyRefused(`${which} is no database of this service: no migration was ever applied`);
  const [found] = [...edited, ...missing, ...unknown];
  if (found === undefined) return;
  const what = unknown.includes(found)
    ? 'is of a newer version; copy with that one'
    : 'differs; run `burgee migrate` on it';
  throw new CopyRefused(`the schema of ${which} is not that of this version: migration ${found} ${what}`);
}

/** Nobody writes to the target from here on, nor starts on it; and it loses the rows that every new database has. */
async function lockTarget(target: Queryable): Promise<void> {
  // The mark keeps the trigger on api_keys out of it.
  await target.query(
    "SELECT set_config('lock_timeout', '5s', true), set_config('burgee.writer', 'on', true), set_config('TimeZone', 'UTC', true)",
  );
  await lockMigrations(target);
  await requireSchema(target, 'the target');
  await target.query('SELECT FROM store FOR UPDATE');
  const found: string[] = [];
  for (const [table, what] of Object.entries(EMPTY_WHEN_NEW)) {
    const [row] = await target.query<{ is_used: boolean }>(`SELECT EXISTS (SELECT FROM ${table}) AS is_used`);
    if (row?.is_used === true) found.push(what);
  }
  const [made] = await target.query<{ is_used: boolean }>(
    "SELECT EXISTS (SELECT FROM audit WHERE actor <> 'service' OR kind = 'key') AS is_used",
  );
  if (found.length === 0 && made?.is_used === true) found.push('a history');
  if (found.length > 0) {
    throw new CopyRefused(
      `the target is not empty: it has ${found.join(', ')}. Copy into a new database; nothing was changed`,
    );
  }
  for (const table of [...COPIED_TABLES].reverse()) await target.query(`DELETE FROM ${table}`);
}

async function copyTable(
  source: Queryable,
  target: Queryable,
  table: CopiedTable,
  onProgress: (table: CopiedTable, rows: number, isDone: boolean) => void,
): Promise<number> {
  const columns = (await columnsOf(source, table)).join(', ');
  let rows = 0;
  for await (const batch of readBatches(source, table, columns)) {
    const [kept] = await target.query<{ sum: string; rows: string }>(
      `WITH put AS (
        INSERT INTO ${table} (${columns}) OVERRIDING SYSTEM VALUE
          SELECT ${columns} FROM json_populate_recordset(NULL::${table}, $1::json) RETURNING ${columns}
      ), hashed AS (
        SELECT encode(sha256(convert_to(row_to_json(put)::text, 'UTF8')), 'hex') COLLATE "C" AS hash FROM put
      ) SELECT count(*) AS rows, string_agg(hash, '' ORDER BY hash) AS sum FROM hashed`,
      [`[${batch.join(',')}]`],
    );
    if (Number(kept?.rows) !== batch.length || kept?.sum !== sumOf(batch)) {
      throw new CopyRefused(`rows of ${table} did not come over as they were; nothing was changed`);
    }
    rows += batch.length;
    onProgress(table, rows, false);
  }
  const [counted] = await target.query<{ rows: string }>(`SELECT count(*) AS rows FROM ${table}`);
  if (Number(counted?.rows) !== rows) {
    throw new CopyRefused(`the target has ${counted?.rows} rows of ${table}, not ${rows}; nothing was changed`);
  }
  onProgress(table, rows, true);
  return rows;
}

/** Rows as JSON, some at a time: as many as make about BATCH_CHARS. */
async function* readBatches(source: Queryable, table: CopiedTable, columns: string): AsyncGenerator<readonly string[]> {
  await source.query(
    `DECLARE copied NO SCROLL CURSOR FOR SELECT row_to_json(item)::text AS item FROM (SELECT ${columns} FROM ${table}) AS item`,
  );
  for (let count = FIRST_ROWS; ; ) {
    const batch = (await source.query<{ item: string }>(`FETCH ${count} FROM copied`)).map(({ item }) => item);
    if (batch.length === 0) break;
    yield batch;
    const chars = batch.reduce((sum, item) => sum + item.length, 0) / batch.length;
    // Rows differ: not more than four times as many as went well.
    count = Math.max(1, Math.min(BATCH_ROWS_MAX, 4 * count, Math.floor(BATCH_CHARS / chars)));
  }
  await source.query('CLOSE copied');
}

async function columnsOf(source: Queryable, table: CopiedTable): Promise<readonly string[]> {
  const rows = await source.query<{ name: string }>(
    `SELECT quote_ident(attname) AS name FROM pg_attribute
      WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
    [table],
  );
  return rows.map(({ name }) => name);
}

/** In an order that both sides come to. */
function sumOf(batch: readonly string[]): string {
  return batch
    .map((item) => createHash('sha256').update(item).digest('hex'))
    .sort()
    .join('');
}

/** So that the next row takes the number after the last one's. */
async function setIdentity(target: Queryable): Promise<void> {
  await target.query(
    `SELECT setval(pg_get_serial_sequence('audit', 'audit_id'), coalesce(max(audit_id), 1), max(audit_id) IS NOT NULL) FROM audit`,
  );
}

async function readIdentity(target: Queryable): Promise<{ readonly epoch: string; readonly revision: number }> {
  const [row] = await target.query<{ epoch: string; revision: string }>(
    'SELECT epoch::text AS epoch, revision FROM store',
  );
  if (row === undefined) throw new CopyRefused('the source has lost the row of its table store; nothing was changed');
  return { epoch: row.epoch, revision: Number(row.revision) };
}
