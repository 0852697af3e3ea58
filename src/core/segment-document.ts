// The segment document as text, as document.ts has it for flags: what the API shows, the store keeps and a snapshot
// carries.
import { readActor, readCount, readTime } from './document.ts';
import { kindOf, report } from './issues.ts';
import type { Result } from './model.ts';
import { DEFINITION_FIELDS, READ_ONLY_FIELDS, readDefinition } from './parse-segment.ts';
import { asFields, own, type Reading, refuseUnknown, startReading } from './reading.ts';
import type { SegmentDocument } from './segment.ts';

/** The document as one JSON object, fields in the order of the API. */
export function renderSegment(document: SegmentDocument): string {
  return JSON.stringify({
    segment_id: document.segment_id,
    environment: document.environment,
    description: document.description,
    match_by: document.match_by,
    included_count: document.included_count,
    excluded_count: document.excluded_count,
    when: document.when,
    version: document.version,
    revision: document.revision,
    created_at: document.created_at,
    updated_at: document.updated_at,
    updated_by: document.updated_by,
  });
}

/** The document from what renderSegment made, parsed. Every field has to be there. */
export function readSegmentDocument(reading: Reading, raw: unknown): SegmentDocument {
  const fields = asFields(raw) ?? {};
  if (asFields(raw) === undefined) report(reading.issues, '', `must be a JSON object, not ${kindOf(raw)}`);
  refuseUnknown(reading, fields, '', [...DEFINITION_FIELDS, ...READ_ONLY_FIELDS]);
  for (const name of DEFINITION_FIELDS) {
    if (own(fields, name) === undefined) report(reading.issues, name, 'is missing');
  }
  return {
    ...readDefinition(reading, fields, { segmentId: undefined, environment: undefined }),
    included_count: readCount(reading, fields, 'included_count', 0),
    excluded_count: readCount(reading, fields, 'excluded_count', 0),
    version: readCount(reading, fields, 'version', 1),
    revision: readCount(reading, fields, 'revision', 0),
    created_at: readTime(reading, fields, 'created_at'),
    updated_at: readTime(reading, fields, 'updated_at'),
    updated_by: readActor(reading, fields),
  };
}

/** A document from the text that renderSegment made. Never throws. */
export function parseSegmentDocument(json: string): Result<SegmentDocument> {
  const reading = startReading('stored', undefined, false);
  let raw: unknown;
  try {
    raw = JSON.parse(json);
  } catch {
    return { ok: false, code: 'INVALID_REQUEST', issues: [{ path: '', message: 'is not JSON' }] };
  }
  const value = readSegmentDocument(reading, raw);
  return reading.issues.length === 0
    ? { ok: true, value }
    : { ok: false, code: 'INVALID_REQUEST', issues: reading.issues };
}
