// Writes of segments. What a document may say is core's; here are the rules between rows, as flags.ts has them for flags.
import { referencesOfSegment } from '../core/dependencies.ts';
import { EMPTY_LIST } from '../core/id-list.ts';
import type { Result } from '../core/model.ts';
import { createSegment, patchSegment, replaceSegment, sameSegment } from '../core/parse-segment.ts';
import type { SegmentDefinition, SegmentDocument } from '../core/segment.ts';
import type { Command } from '../ipc/messages.ts';
import {
  checkReferences,
  type ItemName,
  type KeyTags,
  refuseCircle,
  refuseInUse,
  saveReferences,
} from './dependencies.ts';
import { requireEnvironment, requireRoom } from './environments.ts';
import { type MemberCommand, type PreparedMembers, StalePreparation } from './segment-members.ts';
import {
  findSegment,
  insertSegment,
  reply,
  type SegmentAddress,
  type StoredSegment,
  updateSegment,
} from './segment-rows.ts';
import { type Done, refuse, refuseIssues, requireVersion, type Write } from './write.ts';

export type SegmentCommand = Extract<Command, { readonly type: `segment.${string}` }>;
type ArchiveCommand = Extract<SegmentCommand, { readonly type: 'segment.archive' | 'segment.restore' }>;

/** Segments have no tags and reach every flag that names them: a key that sees only some flags may not write them. */
export function requireNoTags(keyTags: KeyTags): void {
  if (keyTags !== undefined)
    refuse('SCOPE_REQUIRED', 'this key is restricted to tags, and a segment reaches flags beyond them');
}

/** @param prepared for commands on members: what startPreparing made of it */
export async function runSegmentCommand(
  write: Write,
  command: SegmentCommand,
  prepared: PreparedMembers | undefined,
): Promise<Done> {
  switch (command.type) {
    case 'segment.create':
      return create(write, command.environment, command.body);
    case 'segment.replace':
      return change(write, command, (current) => replaceSegment(current, command.body));
    case 'segment.patch':
      return change(write, command, (current) => patchSegment(current, command.body));
    case 'segment.archive':
      return archive(write, command);
    case 'segment.restore':
      return restore(write, command);
    case 'segment.members':
    case 'segment.replace_members':
      return changeMembers(write, command, prepared);
  }
}

async function create(write: Write, environment: string, body: unknown): Promise<Done> {
  const result = createSegment(body, environment);
  if (!result.ok) refuseIssues(result.code, result.issues);
  await requireEnvironment(write, environment);
  const definition = result.value;
  const item = itemOf(definition);
  const references = referencesOfSegment(definition.when);
  const circle = await checkReferences(write, { item, references, before: [], keyTags: undefined });
  const known = await write.tx.query('SELECT 1 AS one FROM segments WHERE environment = $1 AND segment_id = $2', [
    environment,
    definition.segment_id,
  ]);
  if (known.length > 0) {
    refuse(
      'SEGMENT_EXISTS',
      `${definition.segment_id} exists in ${environment}; if it is archived, POST .../restore brings it back`,
    );
  }
  refuseCircle(circle);
  await requireRoom(write, environment, 'segments');
  if (references.length > 0) await saveReferences(write, item, references);
  return insertSegment(write, {
    action: 'segment.create',
    archived: false,
    definition,
    lists: { included: EMPTY_LIST, excluded: EMPTY_LIST },
    changed: {},
    replaced: [],
  });
}

async function change(
  write: Write,
  command: Extract<SegmentCommand, { readonly type: 'segment.replace' | 'segment.patch' }>,
  edit: (current: SegmentDocument) => Result<SegmentDefinition>,
): Promise<Done> {
  const current = await findLive(write, command);
  const result = edit(current.document);
  if (!result.ok) return refuseIssues(result.code, result.issues);
  const item = itemOf(current.document);
  const references = referencesOfSegment(result.value.when);
  const before = referencesOfSegment(current.document.when);
  const circle = await checkReferences(write, { item, references, before, keyTags: undefined });
  requireVersion('segment', current.version, command.ifMatch);
  if (!current.recovered && sameSegment(current.document, result.value))
    return reply(write.revisionBefore, current.document, 200);
  refuseCircle(circle);
  if (current.recovered || references.length + before.length > 0) await saveReferences(write, item, references);
  return updateSegment(write, current, { ...stepOf(current, command.type), definition: result.value });
}

async function archive(write: Write, command: ArchiveCommand): Promise<Done> {
  const current = await findLive(write, command);
  requireVersion('segment', current.version, command.ifMatch);
  const item = itemOf(current.document);
  await refuseInUse(write, item, undefined);
  await saveReferences(write, item, []);
  return updateSegment(write, current, { ...stepOf(current, command.type), archived: true });
}

async function restore(write: Write, command: ArchiveCommand): Promise<Done> {
  const current = await findSegment(write, command);
  if (current === undefined) return refuseUnknown(command);
  const item = itemOf(current.document);
  const references = referencesOfSegment(current.document.when);
  const circle = current.archived
    ? await checkReferences(write, { item, references, before: [], keyTags: undefined })
    : undefined;
  requireVersion('segment', current.version, command.ifMatch);
  if (!current.archived) return reply(write.revisionBefore, current.document, 200);
  refuseCircle(circle);
  await requireRoom(write, command.environment, 'segments');
  if (references.length > 0) await saveReferences(write, item, references);
  return updateSegment(write, current, stepOf(current, command.type));
}

async function changeMembers(
  write: Write,
  command: MemberCommand,
  prepared: PreparedMembers | undefined,
): Promise<Done> {
  const current = await findLive(write, command);
  // It was not there, or could not be read, a moment ago.
  if (prepared === undefined) throw new StalePreparation('the segment is there now');
  if (prepared.issues.length > 0) refuseIssues('INVALID_REQUEST', prepared.issues);
  const { list } = prepared;
  const { next, change } = await prepared.apply(write, current);
  requireVersion('segment', current.version, command.ifMatch);
  if (next === current[list]) return reply(write.revisionBefore, current.document, 200);
  return updateSegment(write, current, {
    ...stepOf(current, command.type),
    lists: { included: current.included, excluded: current.excluded, [list]: next },
    changed: change === undefined ? {} : { [list]: change },
    replaced: change === undefined ? [list] : [],
  });
}

/** The next version as it is when nothing changes. */
function stepOf(current: StoredSegment, action: string) {
  const { document: definition, included, excluded } = current;
  return { action, archived: false, definition, lists: { included, excluded }, changed: {}, replaced: [] } as const;
}

async function findLive(write: Write, address: SegmentAddress): Promise<StoredSegment> {
  const current = await findSegment(write, address);
  return current === undefined || current.archived ? refuseUnknown(address) : current;
}

function refuseUnknown({ environment, segmentId }: SegmentAddress): never {
  return refuse('SEGMENT_NOT_FOUND', `no segment ${JSON.stringify(segmentId.slice(0, 128))} in ${environment}`);
}

function itemOf(definition: SegmentDefinition): ItemName {
  return { kind: 'segment', environment: definition.environment, id: definition.segment_id };
}
