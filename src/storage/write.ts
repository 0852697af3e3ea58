// What every write has in common: the locked revision row, one revision for all it changes, the sums, the rows of
// `changes` and `audit`, and outcomes.
import { createHash } from 'node:crypto';
import type { Issue } from '../core/model.ts';
import type { ErrorCode } from '../errors.ts';
import type { CommandOutcome, IfMatch } from '../ipc/messages.ts';
import { isOfKeys } from '../snapshot/checksum.ts';
import type { ItemKind } from '../snapshot/item.ts';
import type { Queryable, Sql } from './sql.ts';

export type Done = Extract<CommandOutcome, { readonly ok: true }>;
export type Failed = Extract<CommandOutcome, { readonly ok: false }>;

/** Thrown inside a transaction to roll it back; the outcome is a value again outside. Not an error of ours. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly outcome: Failed;
  constructor(outcome: Failed) {
    super(outcome.detail);
    this.outcome = outcome;
  }
}

export function refuse(code: ErrorCode, detail: string, more: Pick<Failed, 'issues' | 'dependents'> = {}): never {
  throw new Refusal({ ok: false, code, detail, ...more });
}

/** INVALID_REQUEST and its like: the first issue is the detail. */
export function refuseIssues(code: ErrorCode, issues: readonly Issue[]): never {
  const [first] = issues;
  const detail =
    first === undefined
      ? 'the request is not valid'
      : [first.path, first.message].filter((part) => part !== '').join(': ');
  return refuse(code, detail, { issues });
}

/** Refuses with VERSION_MISMATCH. */
export function requireVersion(what: 'flag' | 'segment', version: number, ifMatch: IfMatch): void {
  if (ifMatch === undefined || ifMatch.includes(version)) return;
  refuse('VERSION_MISMATCH', `the ${what} is at version ${version}`);
}

export interface ItemChange {
  readonly kind: ItemKind;
  /** Empty for keys and environments. */
  readonly environment: string;
  readonly id: string;
  readonly action: string;
  /** The tag of the live row before: undefined when it was not live. */
  readonly tagBefore: bigint | undefined;
  readonly tagAfter: bigint | undefined;
  /** null: there was none, or the kind counts none. */
  readonly versionBefore: number | null;
  readonly versionAfter: number | null;
}

/** One write, inside its transaction, holding the lock. */
export interface Write {
  readonly tx: Queryable;
  readonly kind: Sql['kind'];
  readonly actor: string;
  readonly requestId: string;
  readonly at: Date;
  /** RFC 3339 in UTC with milliseconds. */
  readonly now: string;
  readonly epoch: string;
  /** The store's when the lock was taken. */
  readonly revisionBefore: number;
  /** The revision that this write makes if it changes anything. */
  readonly revision: number;
  readonly changes: ItemChange[];
}

/** Locks the revision row and starts a write. Waits at most 2 s for the lock. */
export async function beginWrite(
  sql: Sql,
  tx: Queryable,
  who: { readonly actor: string; readonly requestId: string; readonly at: Date },
): Promise<Write> {
  // The writer's mark keeps the trigger on api_keys out of it: its work is done here.
  await tx.query("SELECT set_config('lock_timeout', '2s', true), set_config('burgee.writer', 'on', true)");
  const [row] = await tx.query<{ epoch: string; revision: string }>('SELECT epoch, revision FROM store FOR UPDATE');
  if (row === undefined) throw new Error('the table store has lost its row');
  const revisionBefore = Number(row.revision);
  return {
    tx,
    kind: sql.kind,
    actor: who.actor,
    // The column is text, which has no place for NUL.
    requestId: who.requestId.replaceAll('\u0000', ''),
    at: who.at,
    epoch: row.epoch,
    now: who.at.toISOString(),
    revisionBefore,
    revision: revisionBefore + 1,
    changes: [],
  };
}

/** Writes what the changes have in common. Returns the revision made, or the store's when nothing changed. */
export async function finishWrite(write: Write): Promise<number> {
  const { tx, changes, revision } = write;
  if (changes.length === 0) return write.revisionBefore;
  const column = (pick: (change: ItemChange) => string | number | null): (string | null)[] =>
    changes.map((change) => (pick(change) === null ? null : String(pick(change))));
  let sumKeys = 0n;
  let sumRest = 0n;
  for (const { kind, tagBefore = 0n, tagAfter = 0n } of changes) {
    if (isOfKeys(kind)) sumKeys ^= tagBefore ^ tagAfter;
    else sumRest ^= tagBefore ^ tagAfter;
  }
  await tx.query(
    `WITH change AS (
      SELECT * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
        AS c (kind, environment, id, action, before_version, after_version)
    ), logged AS (
      INSERT INTO audit (revision, at, actor, action, kind, environment, id, before_version, after_version, request_id)
        SELECT $1::bigint, $8::timestamptz, $9, action, kind, environment, id,
          nullif(before_version, '')::bigint, nullif(after_version, '')::bigint, $10 FROM change
    ), touched AS (
      UPDATE environments SET changed_at_revision = $1::bigint
        WHERE environment IN (SELECT CASE kind WHEN 'environment' THEN id ELSE environment END FROM change)
    ), told AS (
      INSERT INTO changes (revision, kind, environment, id, at)
        SELECT DISTINCT $1::bigint, kind, environment, id, $8::timestamptz FROM change
    )
    UPDATE store SET revision = $1::bigint, sum_keys = sum_keys # $11::bigint, sum_rest = sum_rest # $12::bigint,
      had_key = had_key OR EXISTS (SELECT FROM change WHERE kind = 'key')`,
    [
      revision,
      column((change) => change.kind) as string[],
      column((change) => change.environment) as string[],
      column((change) => change.id) as string[],
      column((change) => change.action) as string[],
      column((change) => change.versionBefore ?? '') as string[],
      column((change) => change.versionAfter ?? '') as string[],
      write.now,
      write.actor,
      write.requestId,
      signed(sumKeys),
      signed(sumRest),
    ],
  );
  // The embedded database has one user, who knows what he wrote.
  if (write.kind === 'postgres') await tx.query("SELECT pg_notify('burgee', $1)", [String(revision)]);
  return revision;
}

/** A tag as the database gives it, a signed bigint in decimal, as the unsigned number a snapshot carries. */
export function unsigned(tag: string): bigint {
  return BigInt.asUintN(64, BigInt(tag));
}

function signed(tag: bigint): bigint {
  return BigInt.asIntN(64, tag);
}

/** SQL for a timestamptz column as RFC 3339 in UTC with milliseconds: the text every document has. */
export function timeText(column: string): string {
  return `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
}

export function sha256Hex(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
