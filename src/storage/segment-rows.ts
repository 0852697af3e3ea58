// Rows of segments: the newest state of each, and every version. A version keeps what it changed of a list, and some
// keep the whole list by reference, so that the list of any version is that of the last such one with changes applied.
import { hashesOf, type MemberChange, parseChange, parseIdList, withChanges } from '../core/id-list.ts';
import { isFlagId } from '../core/names.ts';
import type { IdListRef, SegmentDefinition, SegmentDocument } from '../core/segment.ts';
import { parseSegmentDocument, renderSegment } from '../core/segment-document.ts';
import type { SegmentList } from '../ipc/messages.ts';
import { requireEnvironment } from './environments.ts';
import type { Queryable } from './sql.ts';
import { type Done, refuse, unsigned, type Write } from './write.ts';

/** Every version whose number is a multiple of this keeps its lists whole: no more changes than that are ever applied. */
const VERSIONS_TO_WHOLE = 1000;
/** How far back a readable document is looked for. */
const VERSIONS_BACK_MAX = 100;

export interface SegmentAddress {
  readonly environment: string;
  readonly segmentId: string;
}

export type SegmentLists = Readonly<Record<SegmentList, IdListRef>>;

/** A segment's row with the newest of its documents that can be read. */
export interface StoredSegment extends SegmentLists {
  readonly document: SegmentDocument;
  /** True: something of the row could not be read and comes from its versions. */
  readonly recovered: boolean;
  readonly version: number;
  readonly tag: bigint;
  readonly archived: boolean;
}

/** What the next version of a segment is. */
export interface SegmentStep {
  readonly action: string;
  readonly archived: boolean;
  readonly definition: SegmentDefinition;
  readonly lists: SegmentLists;
  /** Members that came or went one by one. */
  readonly changed: Readonly<Partial<Record<SegmentList, MemberChange>>>;
  /** Lists that became others as a whole. */
  readonly replaced: readonly SegmentList[];
}

interface SegmentRow extends Record<string, unknown> {
  readonly document: string;
  readonly included: string;
  readonly excluded: string;
  readonly version: string;
  readonly tag: string;
  readonly archived: boolean;
}

/** The segment, archived or not, its row locked against a fold. Refuses with ENVIRONMENT_NOT_FOUND before it looks. */
export async function findSegment(write: Write, address: SegmentAddress): Promise<StoredSegment | undefined> {
  const { environment, segmentId } = address;
  await requireEnvironment(write, environment);
  if (!isFlagId(segmentId)) return undefined;
  const [row] = await write.tx.query<SegmentRow>(
    `SELECT document, included, excluded, version, tag, archived_at IS NOT NULL AS archived FROM segments
      WHERE environment = $1 AND segment_id = $2 FOR UPDATE`,
    [environment, segmentId],
  );
  if (row === undefined) return undefined;
  const version = Number(row.version);
  const parsed = parseSegmentDocument(row.document);
  const document = parsed.ok ? parsed.value : (await newestReadable(write.tx, address))?.document;
  const included = parseIdList(row.included) ?? (await readListAt(write.tx, address, 'included', version));
  const excluded = parseIdList(row.excluded) ?? (await readListAt(write.tx, address, 'excluded', version));
  if (document === undefined || included === undefined || excluded === undefined) {
    return refuse(
      'INTERNAL',
      `no stored version of the segment ${segmentId} in ${environment} can be read; it can only be repaired by SQL`,
    );
  }
  const recovered = !parsed.ok || parseIdList(row.included) === undefined || parseIdList(row.excluded) === undefined;
  return { document, recovered, version, tag: unsigned(row.tag), archived: row.archived, included, excluded };
}

export async function insertSegment(write: Write, step: SegmentStep): Promise<Done> {
  const document = documentOf(write, step, 1, write.now);
  const { environment, segment_id: segmentId } = document;
  const { included, excluded } = step.lists;
  const [row] = await write.tx.query<{ tag: string }>(
    `INSERT INTO segments (environment, segment_id, document, included, excluded, blobs, version, revision,
        created_at, updated_at, updated_by)
      VALUES ($1, $2, $3, $4, $5, $6::text[], 1, $7::bigint, $8::timestamptz, $8::timestamptz, $9) RETURNING tag`,
    [
      environment,
      segmentId,
      renderSegment(document),
      JSON.stringify(included),
      JSON.stringify(excluded),
      hashesOf(included, excluded),
      write.revision,
      write.now,
      write.actor,
    ],
  );
  await record(write, document, { ...step, replaced: ['included', 'excluded'] }, undefined, row?.tag);
  return reply(write.revision, document, 201);
}

/** Makes the next version of a segment that is there. */
export async function updateSegment(write: Write, current: StoredSegment, step: SegmentStep): Promise<Done> {
  const document = documentOf(write, step, current.version + 1, current.document.created_at);
  const { included, excluded } = step.lists;
  const [row] = await write.tx.query<{ tag: string }>(
    `UPDATE segments SET document = $3, included = $4, excluded = $5, blobs = $6::text[], version = $7::bigint,
        revision = $8::bigint, tag = burgee_tag(), archived_at = CASE WHEN $9::boolean THEN $10::timestamptz END,
        updated_at = $10::timestamptz, updated_by = $11
      WHERE environment = $1 AND segment_id = $2 RETURNING tag`,
    [
      document.environment,
      document.segment_id,
      renderSegment(document),
      JSON.stringify(included),
      JSON.stringify(excluded),
      hashesOf(included, excluded),
      document.version,
      write.revision,
      step.archived,
      write.now,
      write.actor,
    ],
  );
  const isWhole = current.recovered || document.version % VERSIONS_TO_WHOLE === 0;
  await record(
    write,
    document,
    isWhole ? { ...step, replaced: ['included', 'excluded'] } : step,
    current,
    step.archived ? undefined : row?.tag,
  );
  return reply(write.revision, document, 200);
}

async function record(
  write: Write,
  document: SegmentDocument,
  step: SegmentStep,
  before: StoredSegment | undefined,
  tagAfter: string | undefined,
): Promise<void> {
  const { environment, segment_id: segmentId, version } = document;
  const wholeOf = (list: SegmentList): string | null =>
    step.replaced.includes(list) ? JSON.stringify(step.lists[list]) : null;
  const changeOf = (list: SegmentList): string | null =>
    step.changed[list] === undefined ? null : JSON.stringify(step.changed[list]);
  await write.tx.query(
    `INSERT INTO segment_versions (environment, segment_id, version, revision, document, archived, included_change,
        excluded_change, included, excluded, blobs, created_at, created_by)
      VALUES ($1, $2, $3::bigint, $4::bigint, $5, $6::boolean, $7, $8, $9, $10, $11::text[], $12::timestamptz, $13)`,
    [
      environment,
      segmentId,
      version,
      write.revision,
      renderSegment(document),
      step.archived,
      changeOf('included'),
      changeOf('excluded'),
      wholeOf('included'),
      wholeOf('excluded'),
      hashesOf(...step.replaced.map((list) => step.lists[list])),
      write.now,
      write.actor,
    ],
  );
  write.changes.push({
    kind: 'segment',
    environment,
    id: segmentId,
    action: step.action,
    tagBefore: before === undefined || before.archived ? undefined : before.tag,
    tagAfter: tagAfter === undefined ? undefined : unsigned(tagAfter),
    versionBefore: before?.version ?? null,
    versionAfter: version,
  });
}

function documentOf(
  write: Write,
  { definition, lists }: SegmentStep,
  version: number,
  createdAt: string,
): SegmentDocument {
  return {
    segment_id: definition.segment_id,
    environment: definition.environment,
    description: definition.description,
    match_by: definition.match_by,
    when: definition.when,
    included_count: lists.included.count,
    excluded_count: lists.excluded.count,
    version,
    revision: write.revision,
    created_at: createdAt,
    updated_at: write.now,
    updated_by: write.actor,
  };
}

export function reply(revision: number, document: SegmentDocument, status: 200 | 201): Done {
  const headers: Record<string, string> = { ETag: `"${document.version}"` };
  if (status === 201)
    headers['Location'] = `/api/v1/segments/${document.segment_id}?environment=${document.environment}`;
  return { ok: true, status, headers, body: renderSegment(document), revision };
}

/** The newest version whose document can be read. */
export async function newestReadable(
  tx: Queryable,
  { environment, segmentId }: SegmentAddress,
): Promise<{ readonly document: SegmentDocument; readonly version: number } | undefined> {
  const rows = await tx.query<{ version: string; document: string }>(
    `SELECT version, document FROM segment_versions WHERE environment = $1 AND segment_id = $2
      ORDER BY version DESC LIMIT ${VERSIONS_BACK_MAX}`,
    [environment, segmentId],
  );
  for (const row of rows) {
    const parsed = parseSegmentDocument(row.document);
    if (parsed.ok) return { document: parsed.value, version: Number(row.version) };
  }
  return undefined;
}

/** A list as it was in a version; undefined when there is no such version, or it cannot be read. */
export async function readListAt(
  tx: Queryable,
  { environment, segmentId }: SegmentAddress,
  list: SegmentList,
  version: number,
): Promise<IdListRef | undefined> {
  const rows = await tx.query<{ version: string; whole: string | null; change: string | null }>(
    `SELECT version, ${list} AS whole, ${list}_change AS change FROM segment_versions
      WHERE environment = $1 AND segment_id = $2 AND version <= $3::bigint AND version >= (
        SELECT max(version) FROM segment_versions
          WHERE environment = $1 AND segment_id = $2 AND version <= $3::bigint AND ${list} IS NOT NULL)
      ORDER BY version`,
    [environment, segmentId, version],
  );
  if (Number(rows.at(-1)?.version) !== version) return undefined;
  const [first, ...later] = rows;
  const whole = parseIdList(first?.whole ?? '');
  if (whole === undefined) return undefined;
  const changes = later.flatMap(({ change }) => (change === null ? [] : [parseChange(change)]));
  return changes.some((change) => change === undefined)
    ? undefined
    : withChanges(whole, changes as readonly MemberChange[]);
}
