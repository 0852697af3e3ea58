// Changes of a segment's members need megabytes read, packed or folded. All of that is prepared before the revision row
// is locked; the transaction then only checks that what was prepared is about the list as it still is.
import {
  isFoldDue,
  isSameLayers,
  type MemberChange,
  parseIdList,
  realChange,
  tailSize,
  withChanges,
} from '../core/id-list.ts';
import { at, quote, report } from '../core/issues.ts';
import type { Issue } from '../core/model.ts';
import { isFlagId } from '../core/names.ts';
import type { PackedIds } from '../core/packed-ids.ts';
import { memberProblem } from '../core/parse-segment.ts';
import { own, readArray, readChoice, readObject, startReading } from '../core/reading.ts';
import type { BlobRef, IdLayer, IdListRef } from '../core/segment.ts';
import { utf8Length } from '../core/text.ts';
import type { Command, SegmentList } from '../ipc/messages.ts';
import { limits } from '../limits.ts';
import { holdBlobs, putBlob } from './blobs.ts';
import type { Compaction } from './compaction.ts';
import type { SegmentBlobs } from './segment-blobs.ts';
import { readListAt, type StoredSegment } from './segment-rows.ts';
import type { Sql } from './sql.ts';
import { refuseIssues, type Write } from './write.ts';

export type MemberCommand = Extract<Command, { readonly type: 'segment.members' | 'segment.replace_members' }>;

/** The list is no longer the one that was prepared for: prepare again. */
export class StalePreparation extends Error {
  override readonly name = 'StalePreparation';
}

/** What was found out about a list before the lock. */
export interface PreparedMembers {
  readonly list: SegmentList;
  /** What is wrong with the ids, for when the segment was found. */
  readonly issues: readonly Issue[];
  /**
   * Inside the transaction: the list as it will be, and the members that come and go where they do so one by one; the
   * list itself when nothing changes. Throws StalePreparation.
   */
  apply(
    write: Write,
    segment: StoredSegment,
  ): Promise<{ readonly next: IdListRef; readonly change: MemberChange | undefined }>;
  /** After the commit. */
  settle(): void;
}

interface Deps {
  readonly sql: Sql;
  readonly blobs: SegmentBlobs;
  readonly compaction: Compaction;
  readonly now: () => Date;
}

/**
 * Refuses what is malformed whatever the store holds. Each call of the returned function looks at the list anew;
 * undefined: there is no such list to prepare for.
 */
export function startPreparing(deps: Deps, command: MemberCommand): () => Promise<PreparedMembers | undefined> {
  if (command.type === 'segment.members') {
    const wanted = readMemberChange(command.body);
    return () => prepareChange(deps, command, wanted);
  }
  let packed: ReturnType<SegmentBlobs['pack']> | undefined;
  return () =>
    prepareWhole(deps, command, () => {
      packed ??= deps.blobs.pack(command.upload, command.bytes);
      return packed;
    });
}

interface WantedChange extends MemberChange {
  readonly list: SegmentList;
}

function readMemberChange(body: unknown): WantedChange {
  const reading = startReading('input', undefined, false);
  const fields = readObject(reading, body, '', ['list', 'add', 'remove']) ?? {};
  const list = readChoice(reading, own(fields, 'list'), 'list', ['included', 'excluded'] as const) ?? 'included';
  const idsOf = (name: 'add' | 'remove'): readonly string[] => {
    const value = own(fields, name);
    return value === undefined ? [] : (readArray(reading, value, name, limits.memberChangesMax) as readonly string[]);
  };
  const adds = idsOf('add');
  const drops = idsOf('remove');
  if (adds.length + drops.length > limits.memberChangesMax) {
    report(reading.issues, '', `must have at most ${limits.memberChangesMax} ids in add and remove together`);
  }
  const added = new Set<unknown>(adds);
  for (const [name, ids] of [['add', adds] as const, ['remove', drops] as const]) {
    for (const [i, id] of ids.entries()) {
      const problem = memberProblem(id);
      if (problem !== undefined) report(reading.issues, at(name, i), problem);
      else if (name === 'remove' && added.has(id)) report(reading.issues, at(name, i), `${quote(id)} is in add too`);
    }
  }
  if (reading.issues.length > 0) refuseIssues('INVALID_REQUEST', reading.issues);
  return { list, adds, drops };
}

/** Where the ids of a change stand in packed layers, which is exact as long as the layers are the same. */
async function prepareChange(
  deps: Deps,
  command: MemberCommand,
  wanted: WantedChange,
): Promise<PreparedMembers | undefined> {
  const { environment, segmentId } = command;
  const { list } = wanted;
  const address = { environment, segmentId, list };
  let found = await readList(deps.sql, command, list);
  if (found === undefined) return undefined;
  if (isOverfull(found, wanted)) {
    await deps.compaction.fold(address);
    found = await readList(deps.sql, command, list);
    if (found === undefined) return undefined;
  }
  const { layers } = found;
  const inLayers = await lookUp(deps.blobs, layers, [...wanted.adds, ...wanted.drops]);
  let isDue = false;
  return {
    list,
    issues: [],
    async apply(_write, segment) {
      const current = segment[list];
      if (!isSameLayers(current.layers, layers)) throw new StalePreparation('the layers are others');
      const change = realChange(current, wanted, (id) => inLayers.has(id));
      if (change.adds.length + change.drops.length === 0) return { next: current, change };
      const next = withChanges(current, [change]);
      if (next.count > limits.segmentIdsMax) refuseIssues('INVALID_REQUEST', [{ path: 'add', message: TOO_MANY }]);
      if (isOverfull(next, NOTHING)) throw new StalePreparation('the tail is full');
      isDue = isFoldDue(next);
      return { next, change };
    },
    settle() {
      if (isDue) deps.compaction.consider(address);
    },
  };
}

const NOTHING: MemberChange = { adds: [], drops: [] };
const TOO_MANY = `would be more than the ${limits.segmentIdsMax} ids that a list may have`;

function isOverfull(list: IdListRef, more: MemberChange): boolean {
  const { ids, bytes } = tailSize(list);
  const moreBytes = [...more.adds, ...more.drops].reduce((sum, id) => sum + utf8Length(id), 0);
  return (
    ids + more.adds.length + more.drops.length > limits.segmentTailIdsMax ||
    bytes + moreBytes > limits.segmentTailBytesMax
  );
}

/** Some tens of milliseconds for the most ids there may be, so the loop gets its turns. */
const LOOKUPS_PER_TURN = 1000;

async function lookUp(
  blobs: SegmentBlobs,
  layers: readonly IdLayer[],
  ids: readonly string[],
): Promise<ReadonlySet<string>> {
  const opened = await Promise.all(
    layers.map(async ({ adds, drops }) => ({ adds: await openOne(blobs, adds), drops: await openOne(blobs, drops) })),
  );
  const found = new Set<string>();
  for (const [i, id] of ids.entries()) {
    if (i % LOOKUPS_PER_TURN === LOOKUPS_PER_TURN - 1) await new Promise((resolve) => setImmediate(resolve));
    const decisive = opened.findLast(({ adds, drops }) => adds?.has(id) === true || drops?.has(id) === true);
    if (decisive?.adds?.has(id) === true) found.add(id);
  }
  return found;
}

function openOne(blobs: SegmentBlobs, ref: BlobRef | null): Promise<PackedIds> | undefined {
  return ref === null ? undefined : blobs.open(ref);
}

/** The whole list as a blob that the store holds by now. */
async function prepareWhole(
  deps: Deps,
  command: Extract<MemberCommand, { readonly type: 'segment.replace_members' }>,
  pack: () => ReturnType<SegmentBlobs['pack']>,
): Promise<PreparedMembers | undefined> {
  const { list } = command;
  const found = await readList(deps.sql, command, list);
  if (found === undefined) return undefined;
  const packed = await pack();
  const blob = packed.ok ? packed.blob : null;
  const isTooMany = (blob?.ref.count ?? 0) > limits.segmentIdsMax;
  const issues = packed.ok ? (isTooMany ? [{ path: '', message: TOO_MANY }] : []) : packed.issues;
  const next: IdListRef = {
    layers: blob === null ? [] : [{ adds: blob.ref, drops: null }],
    tail: { adds: [], drops: [] },
    count: blob?.ref.count ?? 0,
  };
  let isEqual = false;
  if (issues.length === 0) {
    if (blob !== null) await putBlob(deps.sql, blob, deps.now());
    isEqual = await hasSameIds(deps.blobs, found, next);
  }
  return {
    list,
    issues,
    async apply(write, segment) {
      const current = segment[list];
      // What was equal is compared again in full: its tail may have changed since.
      if (isEqual && JSON.stringify(current) === JSON.stringify(found)) return { next: current, change: undefined };
      if (!(await holdBlobs(write.tx, blob === null ? [] : [blob.ref.hash])))
        throw new StalePreparation('the blob is gone');
      return { next, change: undefined };
    },
    settle() {},
  };
}

/** Folded to one base, lists of the same ids are the same bytes. */
async function hasSameIds(blobs: SegmentBlobs, current: IdListRef, next: IdListRef): Promise<boolean> {
  if (current.count !== next.count) return false;
  const hash = next.layers[0]?.adds?.hash;
  const isPlain = current.layers.length <= 1 && current.tail.adds.length + current.tail.drops.length === 0;
  if (isPlain) return current.layers[0]?.adds?.hash === hash;
  return (await blobs.fold(current, true)).adds?.ref.hash === hash;
}

/** As the transaction will see it: a row that cannot be read has the list of its version. */
async function readList(
  sql: Sql,
  { environment, segmentId }: MemberCommand,
  list: SegmentList,
): Promise<IdListRef | undefined> {
  if (!isFlagId(segmentId)) return undefined;
  const [row] = await sql.query<{ list: string; version: string }>(
    `SELECT ${list} AS list, version FROM segments WHERE environment = $1 AND segment_id = $2 AND archived_at IS NULL`,
    [environment, segmentId],
  );
  if (row === undefined) return undefined;
  return parseIdList(row.list) ?? (await readListAt(sql, { environment, segmentId }, list, Number(row.version)));
}
