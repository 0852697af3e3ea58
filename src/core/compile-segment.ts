// Makes of a segment's item all that an evaluation needs. Reading it and compiling it are two steps, because the ids it
// names have to be loaded in between.
import { compileCondition } from './compile-condition.ts';
import type { CompiledSegment, HashUser, IdSet } from './compiled.ts';
import { documentLimits } from './document-limits.ts';
import { readIdList } from './id-list.ts';
import { report } from './issues.ts';
import { layerIds } from './layered-ids.ts';
import type { Issue, Result } from './model.ts';
import type { PackedIds } from './packed-ids.ts';
import { asFields, isDeeperThan, own, type Reading, startReading } from './reading.ts';
import type { BlobRef, IdLayer, IdListRef, SegmentItem } from './segment.ts';
import { readSegmentDocument, renderSegment } from './segment-document.ts';

/** Where an item stands, which is all that is known of one whose document cannot be read. */
export interface SegmentAddress {
  readonly environment: string;
  readonly id: string;
}

/**
 * A segment's item from its text. Never throws; a document that is broken or names another segment than its address is
 * refused with every issue.
 */
export function readSegmentItem(json: string, address: SegmentAddress): Result<SegmentItem> {
  const reading = startReading('stored', undefined, false);
  const item = readItem(reading, json);
  const { segment_id: id, environment } = item.document;
  if (reading.issues.length === 0 && (id !== address.id || environment !== address.environment))
    report(reading.issues, 'segment_id', 'is not the segment of this address');
  return reading.issues.length === 0
    ? { ok: true, value: item }
    : { ok: false, code: 'INVALID_REQUEST', issues: reading.issues };
}

/** Every blob that the item names. */
export function blobsOf(item: SegmentItem): readonly BlobRef[] {
  return [...item.included.layers, ...item.excluded.layers]
    .flatMap(({ adds, drops }) => [adds, drops])
    .filter((blob) => blob !== null);
}

/**
 * The segment ready to serve.
 * @param item as readSegmentItem returned it
 * @param blob the packed ids of that hash; blobsOf() says which are asked for
 */
export function compileSegment(item: SegmentItem, blob: (hash: string) => PackedIds, hash: HashUser): CompiledSegment {
  const { document } = item;
  const { match_by: matchBy } = document;
  const compiled = (list: IdListRef): IdSet | undefined => layerIds({ ...list, layers: open(list.layers, blob) }, hash);
  return {
    segmentId: document.segment_id,
    environment: document.environment,
    version: document.version,
    revision: document.revision,
    json: renderSegment(document),
    quarantined: undefined,
    matchBy: matchBy === 'user_id' ? undefined : matchBy,
    matchPath: matchBy.includes('.') ? matchBy.split('.') : undefined,
    included: compiled(item.included),
    excluded: compiled(item.excluded),
    when: document.when === null ? undefined : compileCondition(document.when),
  };
}

/** What can be told of a segment that does not compile, so that it can still be listed; flags that ask it are told. */
export function quarantineSegment(json: string, address: SegmentAddress, issues: readonly Issue[]): CompiledSegment {
  const fields = documentFields(json);
  const count = (name: string): number => {
    const value = own(fields, name);
    return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : 0;
  };
  return {
    segmentId: address.id,
    environment: address.environment,
    version: count('version'),
    revision: count('revision'),
    json: JSON.stringify({ ...fields, segment_id: address.id, environment: address.environment }),
    quarantined: issues.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('; '),
    matchBy: undefined,
    matchPath: undefined,
    included: undefined,
    excluded: undefined,
    when: undefined,
  };
}

function open(layers: readonly IdLayer[], blob: (hash: string) => PackedIds) {
  return layers.map(({ adds, drops }) => ({
    adds: adds === null ? undefined : blob(adds.hash),
    drops: drops === null ? undefined : blob(drops.hash),
  }));
}

function readItem(reading: Reading, json: string): SegmentItem {
  const fields = asFields(parse(reading, json)) ?? {};
  const lost = own(fields, 'lost');
  if (lost !== undefined) report(reading.issues, '', typeof lost === 'string' ? lost : 'is lost');
  return {
    document: readSegmentDocument(reading, own(fields, 'document')),
    included: readIdList(reading, own(fields, 'included'), 'included'),
    excluded: readIdList(reading, own(fields, 'excluded'), 'excluded'),
  };
}

function parse(reading: Reading, json: string): unknown {
  let raw: unknown;
  try {
    raw = JSON.parse(json);
  } catch {
    report(reading.issues, '', 'is not JSON');
    return undefined;
  }
  // The document lies one level down.
  if (!isDeeperThan(raw, documentLimits.documentDepthMax + 1)) return raw;
  report(reading.issues, '', `must not be nested deeper than ${documentLimits.documentDepthMax} levels`);
  return undefined;
}

/** The document's fields as far as they can be read; none of anything that is no JSON object of bearable depth. */
function documentFields(json: string): Record<string, unknown> {
  try {
    const raw: unknown = JSON.parse(json);
    if (isDeeperThan(raw, documentLimits.documentDepthMax + 1)) return {};
    return { ...asFields(own(asFields(raw) ?? {}, 'document')) };
  } catch {
    return {};
  }
}
