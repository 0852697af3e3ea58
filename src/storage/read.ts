// What the sync loop reads: head, everything, or what changed; each in one consistent look. A row that cannot be read
// never throws: the newest stored version that can be is sent in its place, so that one bad row harms one flag at most.
import { parseDocument } from '../core/document.ts';
import { isOfKeys } from '../snapshot/checksum.ts';
import type {
  DeltaContent,
  ItemAddress,
  ItemKind,
  SecretItem,
  SnapshotContent,
  SnapshotHead,
  SnapshotItem,
} from '../snapshot/item.ts';
import { type SegmentColumns, segmentItemJson } from './segment-read.ts';
import { type Queryable, type Sql, StorageUnavailable } from './sql.ts';
import type { EnvironmentItem, KeyItem } from './store.ts';
import { timeText, unsigned } from './write.ts';

/**
 * Rows made into items before the loop gets a turn: parsing a document costs some tens of microseconds, a segment's
 * lists up to a millisecond.
 */
const ROWS_PER_TURN: Readonly<Record<ItemKind, number>> = {
  environment: 200,
  flag: 200,
  segment: 10,
  key: 200,
  secret: 1,
};
/** Several queries that see one state of the store. */
const ONE_LOOK = { isLook: true };
/** How far back a readable version is looked for. */
const VERSIONS_BACK_MAX = 100;

/** Said once for each flag or segment whose row cannot be read. */
export type OnQuarantine = (item: {
  readonly kind: 'flag' | 'segment';
  readonly environment: string;
  readonly id: string;
  readonly problem: string;
  readonly version: number | undefined;
}) => void;

interface HeadRow extends Record<string, unknown> {
  readonly epoch: string;
  readonly revision: string;
  readonly sum_keys: string;
  readonly sum_rest: string;
  readonly changes_pruned_to: string;
  readonly changed_at: string | null;
  readonly is_standby: boolean;
}

/** One statement, so that its parts belong together. */
export async function readHead(from: Queryable): Promise<SnapshotHead> {
  return headOf(await readHeadRow(from));
}

export function readAll(sql: Sql, onQuarantine: OnQuarantine): Promise<SnapshotContent> {
  return readKinds(sql, KINDS, onQuarantine);
}

/** The head is that of everything all the same. */
export function readKeys(sql: Sql): Promise<SnapshotContent> {
  return readKinds(sql, KINDS.filter(isOfKeys), () => {});
}

function readKinds(sql: Sql, kinds: readonly ItemKind[], onQuarantine: OnQuarantine): Promise<SnapshotContent> {
  return sql.transaction(async (tx) => {
    const head = await readHead(tx);
    const items: SnapshotItem[] = [];
    for (const kind of kinds) {
      const rows = await tx.query<ItemRow>(`SELECT ${SOURCES[kind].columns} FROM ${SOURCES[kind].live}`);
      for (const [i, row] of rows.entries()) {
        if ((i + 1) % ROWS_PER_TURN[kind] === 0) await turn();
        items.push(await toItem(tx, kind, row, onQuarantine));
      }
    }
    return { head, items };
  }, ONE_LOOK);
}

/** Undefined when `changes` no longer reaches back to `revision`, or the store is not there yet. */
export function readSince(sql: Sql, revision: number, onQuarantine: OnQuarantine): Promise<DeltaContent | undefined> {
  return sql.transaction(async (tx) => {
    const row = await readHeadRow(tx);
    const head = headOf(row);
    if (revision < Number(row.changes_pruned_to) || revision > head.revision) return undefined;
    const puts: SnapshotItem[] = [];
    const removes: ItemAddress[] = [];
    const changed = await tx.query<{ kind: string }>('SELECT DISTINCT kind FROM changes WHERE revision > $1::bigint', [
      revision,
    ]);
    for (const kind of KINDS) {
      if (!changed.some((change) => change.kind === kind)) continue;
      for (const [i, item] of (await readChanged(tx, kind, revision)).entries()) {
        if ((i + 1) % ROWS_PER_TURN[kind] === 0) await turn();
        if (item.tag === null) removes.push({ kind, environment: item.changed_environment, id: item.changed_id });
        else puts.push(await toItem(tx, kind, item, onQuarantine));
      }
    }
    return { from: revision, head, puts, removes };
  }, ONE_LOOK);
}

const KINDS = ['environment', 'flag', 'segment', 'key', 'secret'] as const satisfies readonly ItemKind[];

/** For each kind: its live rows, how they are addressed, and what an item needs of them. */
const SOURCES: Readonly<
  Record<ItemKind, { readonly live: string; readonly address: string; readonly columns: string }>
> = {
  environment: {
    live: 'environments AS item',
    address: `item.environment = changed.id`,
    columns: `'' AS environment, item.environment AS id, revision, tag, description, policy, version,
      ${timeText('created_at')} AS created_at, ${timeText('updated_at')} AS updated_at, updated_by`,
  },
  flag: {
    live: '(SELECT * FROM flags WHERE archived_at IS NULL) AS item',
    address: 'item.environment = changed.environment AND item.flag_id = changed.id',
    columns: 'item.environment, flag_id AS id, revision, tag, document, type',
  },
  segment: {
    live: '(SELECT * FROM segments WHERE archived_at IS NULL) AS item',
    address: 'item.environment = changed.environment AND item.segment_id = changed.id',
    columns: 'item.environment, segment_id AS id, revision, tag, document, included, excluded, version',
  },
  key: {
    live: '(SELECT * FROM api_keys WHERE revoked_at IS NULL) AS item',
    address: 'item.key_id = changed.id',
    columns: `'' AS environment, key_id AS id, revision, tag, key_hash, name, scopes, environments, tags, rate_limit,
      ${timeText('expires_at')} AS expires_at`,
  },
  secret: {
    live: 'stream_secret AS item',
    address: `changed.id = 'stream'`,
    columns: `'' AS environment, 'stream' AS id, revision, tag, secret`,
  },
};

interface ItemRow extends Record<string, unknown> {
  readonly environment: string;
  readonly id: string;
  readonly revision: string;
  readonly tag: string;
}

interface ChangedRow extends Omit<ItemRow, 'tag'> {
  readonly changed_environment: string;
  readonly changed_id: string;
  /** null: no live row. */
  readonly tag: string | null;
}

function readChanged(tx: Queryable, kind: ItemKind, revision: number): Promise<(ChangedRow & ItemRow)[]> {
  const { live, address, columns } = SOURCES[kind];
  return tx.query<ChangedRow & ItemRow>(
    `SELECT changed.environment AS changed_environment, changed.id AS changed_id, ${columns}
      FROM (SELECT DISTINCT environment, id FROM changes WHERE revision > $1::bigint AND kind = '${kind}') AS changed
      LEFT JOIN ${live} ON ${address}`,
    [revision],
  );
}

async function toItem(tx: Queryable, kind: ItemKind, row: ItemRow, onQuarantine: OnQuarantine): Promise<SnapshotItem> {
  const { environment, id } = row;
  const json = await itemJson(tx, kind, row, onQuarantine);
  return { kind, environment, id, revision: Number(row.revision), tag: unsigned(row.tag), json };
}

function itemJson(tx: Queryable, kind: ItemKind, row: ItemRow, onQuarantine: OnQuarantine): string | Promise<string> {
  const { environment, id } = row;
  switch (kind) {
    case 'flag':
      return readableDocument(tx, row as ItemRow & FlagColumns, onQuarantine);
    case 'segment':
      return segmentItemJson(tx, { environment, segmentId: id }, row as ItemRow & SegmentColumns, (problem, version) =>
        onQuarantine({ kind, environment, id, problem, version }),
      );
    case 'key':
      return JSON.stringify(keyItem(row as ItemRow & KeyColumns));
    case 'environment':
      return JSON.stringify(environmentItem(row as ItemRow & EnvironmentColumns));
    case 'secret':
      return JSON.stringify({ secret: (row as ItemRow & SecretItem).secret } satisfies SecretItem);
  }
}

interface FlagColumns {
  readonly document: string;
  readonly type: string;
}

/** The row's document, or the newest version that can be read, or else the document as it is: compiling answers for it. */
async function readableDocument(
  tx: Queryable,
  row: ItemRow & FlagColumns,
  onQuarantine: OnQuarantine,
): Promise<string> {
  const problem = problemOf(row.document, row);
  if (problem === undefined) return row.document;
  const versions = await tx.query<{ version: string; document: string }>(
    `SELECT version, document FROM flag_versions WHERE environment = $1 AND flag_id = $2 ORDER BY version DESC LIMIT ${VERSIONS_BACK_MAX}`,
    [row.environment, row.id],
  );
  const readable = versions.find((version) => problemOf(version.document, row) === undefined);
  onQuarantine({
    kind: 'flag',
    environment: row.environment,
    id: row.id,
    problem,
    version: readable === undefined ? undefined : Number(readable.version),
  });
  return readable?.document ?? row.document;
}

function problemOf(document: string, row: ItemRow & FlagColumns): string | undefined {
  const parsed = parseDocument(document);
  if (!parsed.ok) return parsed.issues.map(({ path, message }) => `${path} ${message}`.trim()).join('; ');
  const { environment, flag_id, type } = parsed.value;
  if (environment === row.environment && flag_id === row.id && type === row.type) return undefined;
  return `the document is that of ${flag_id} (${type}) in ${environment}`;
}

type KeyColumns = Omit<KeyItem, 'key_id'>;

function keyItem(row: ItemRow & KeyColumns): KeyItem {
  const { id, key_hash, name, scopes, environments, tags, rate_limit, expires_at } = row;
  return { key_id: id, key_hash, name, scopes, environments, tags, rate_limit, expires_at };
}

interface EnvironmentColumns {
  readonly description: string;
  readonly policy: string;
  readonly version: string;
  readonly created_at: string;
  readonly updated_at: string;
  readonly updated_by: string;
}

function environmentItem(row: ItemRow & EnvironmentColumns): EnvironmentItem {
  const { id: environment, description, created_at, updated_at, updated_by } = row;
  const policy = readPolicy(row.policy);
  return {
    environment,
    description,
    policy,
    version: Number(row.version),
    revision: Number(row.revision),
    created_at,
    updated_at,
    updated_by,
  };
}

function readPolicy(json: string): EnvironmentItem['policy'] {
  try {
    const policy: unknown = JSON.parse(json);
    return typeof policy === 'object' && policy !== null && !Array.isArray(policy)
      ? (policy as EnvironmentItem['policy'])
      : {};
  } catch {
    return {};
  }
}

async function readHeadRow(from: Queryable): Promise<HeadRow> {
  const [row] = await from.query<HeadRow>(
    `SELECT epoch::text AS epoch, revision, sum_keys, sum_rest, changes_pruned_to, pg_is_in_recovery() AS is_standby,
      (SELECT json_object_agg(environment, changed_at_revision)::text FROM environments) AS changed_at FROM store`,
  );
  if (row === undefined) throw new Error('the table store has lost its row');
  // A pooler may lead to another server from one transaction to the next. A standby is behind: it would look like a store
  // that went back.
  if (row.is_standby) throw new StorageUnavailable('PostgreSQL cannot be used: it is a standby');
  return row;
}

function headOf(row: HeadRow): SnapshotHead {
  return {
    epoch: row.epoch,
    revision: Number(row.revision),
    sumKeys: unsigned(row.sum_keys),
    sumRest: unsigned(row.sum_rest),
    changedAt: JSON.parse(row.changed_at ?? '{}') as Record<string, number>,
  };
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
