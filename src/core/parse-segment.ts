// The door of the service for segment documents, as parse.ts and edit.ts are for flags. Members come and go by routes of
// their own; here they only bind `match_by`, since the same ids would mean others under another attribute.
import { documentLimits } from './document-limits.ts';
import { isSame, merge } from './edit.ts';
import { kindOf, quote, report } from './issues.ts';
import type { ConditionNode, Result } from './model.ts';
import { ENVIRONMENT_RULE, FLAG_ID_RULE, isEnvironmentName, isFlagId } from './names.ts';
import { readCondition } from './parse-condition.ts';
import {
  asFields,
  type Fields,
  own,
  type Reading,
  readBody,
  readText,
  refuseUnknown,
  startReading,
} from './reading.ts';
import type { SegmentDefinition, SegmentDocument } from './segment.ts';
import { textProblem, utf8Length } from './text.ts';

export const DEFINITION_FIELDS = ['segment_id', 'environment', 'description', 'match_by', 'when'] as const;

/** May be sent, so that a document that was read can be sent back, and are ignored. */
export const READ_ONLY_FIELDS = [
  'included_count',
  'excluded_count',
  'version',
  'revision',
  'created_at',
  'updated_at',
  'updated_by',
] as const;

const DEFAULT_MATCH_BY = 'user_id';

/**
 * A new segment from the body of a POST. Only `segment_id` is needed; without members and `when` nobody is in it.
 * @param raw parsed JSON of any kind
 * @param environment the request's; a body that names another one is refused
 * @returns INVALID_REQUEST with every issue found
 */
export function createSegment(raw: unknown, environment: string): Result<SegmentDefinition> {
  const reading = startReading('input', undefined, false);
  const fields = openBody(reading, raw);
  if (own(fields, 'segment_id') === undefined) report(reading.issues, 'segment_id', 'is required');
  return conclude(reading, readDefinition(reading, fields, { segmentId: undefined, environment }));
}

/**
 * The definition that a PUT makes of `current`. The description stays when it is not sent; `match_by` and `when` are
 * refused by name when not sending them would drop them.
 */
export function replaceSegment(current: SegmentDocument, raw: unknown): Result<SegmentDefinition> {
  const reading = startReading('input', undefined, false);
  const sent = openBody(reading, raw);
  if (own(sent, 'match_by') === undefined && current.match_by !== DEFAULT_MATCH_BY) {
    report(reading.issues, 'match_by', `would be dropped; send it as it shall be: "${DEFAULT_MATCH_BY}" is without`);
  }
  if (own(sent, 'when') === undefined && current.when !== null)
    report(reading.issues, 'when', 'would be dropped; send it as it shall be: null is without');
  const description = own(sent, 'description') ?? current.description;
  return follow(reading, current, { ...sent, description });
}

/** The definition that an RFC 7396 merge patch makes of `current`: null puts a field back to its default. */
export function patchSegment(current: SegmentDocument, patch: unknown): Result<SegmentDefinition> {
  const reading = startReading('input', undefined, false);
  const sent = openBody(reading, patch);
  for (const name of ['segment_id', 'environment']) {
    if (own(sent, name) === null)
      report(reading.issues, name, 'has no default to go back to; null cannot be merged here');
  }
  return follow(reading, current, asFields(merge(current, sent)) ?? {});
}

/** Whether two definitions say the same; what the store adds to a document does not count, nor the order of names. */
export function sameSegment(a: SegmentDefinition, b: SegmentDefinition): boolean {
  return DEFINITION_FIELDS.every((name) => isSame(a[name], b[name]));
}

/** Why this cannot be a member of a list; undefined when it can. Lists are sent and read one id a line. */
export function memberProblem(id: unknown): string | undefined {
  if (typeof id !== 'string') return `must be a string, not ${kindOf(id)}`;
  if (id === '') return 'must not be empty';
  if (id.includes('\n') || id.includes('\r')) return 'must not contain a line break: lists have one id a line';
  if (id.length * 3 > documentLimits.userIdBytesMax) {
    const bytes = utf8Length(id);
    if (bytes > documentLimits.userIdBytesMax)
      return `must have at most ${documentLimits.userIdBytesMax} bytes as UTF-8, not ${bytes}`;
  }
  return textProblem(id);
}

function follow(reading: Reading, current: SegmentDocument, fields: Fields): Result<SegmentDefinition> {
  const { segment_id: segmentId, environment } = current;
  const next = readDefinition(reading, fields, { segmentId, environment });
  const members = current.included_count + current.excluded_count;
  if (members > 0 && next.match_by !== current.match_by && reading.issues.length === 0) {
    report(
      reading.issues,
      'match_by',
      `is ${quote(current.match_by)} and cannot change while the lists have members (${members}); empty them first`,
    );
  }
  return conclude(reading, next);
}

function openBody(reading: Reading, raw: unknown): Fields {
  const { included, excluded, ...rest } = readBody(reading, raw);
  for (const [name, list] of Object.entries({ included, excluded })) {
    if (list !== undefined)
      report(reading.issues, name, 'is not part of the document; members have routes of their own, below /members');
  }
  refuseUnknown(reading, rest, '', [...DEFINITION_FIELDS, ...READ_ONLY_FIELDS]);
  return rest;
}

/** What must be equal when it is sent; undefined where the address does not say. */
export interface Address {
  readonly segmentId: string | undefined;
  readonly environment: string | undefined;
}

/** Every field of a definition. Unless the reading has issues afterwards, the result is complete. */
export function readDefinition(reading: Reading, fields: Fields, address: Address): SegmentDefinition {
  const { segmentId, environment } = address;
  const description = own(fields, 'description');
  const matchBy = own(fields, 'match_by');
  return {
    segment_id: readName(reading, own(fields, 'segment_id'), 'segment_id', segmentId),
    environment: readName(reading, own(fields, 'environment'), 'environment', environment),
    description:
      description === undefined
        ? ''
        : readText(reading, description, 'description', {
            charsMax: documentLimits.descriptionCharsMax,
            multiline: true,
          }),
    match_by:
      matchBy === undefined
        ? DEFAULT_MATCH_BY
        : readText(reading, matchBy, 'match_by', { charsMin: 1, charsMax: documentLimits.attributeCharsMax }),
    when: readWhen(reading, own(fields, 'when')),
  };
}

function readWhen(reading: Reading, when: unknown): ConditionNode | null {
  return when === undefined || when === null ? null : readCondition(reading, when, 'when', 0);
}

function readName(
  reading: Reading,
  value: unknown,
  path: 'segment_id' | 'environment',
  expected: string | undefined,
): string {
  if (value === undefined) return expected ?? '';
  const name = path === 'segment_id' ? asName(value, isFlagId) : asName(value, isEnvironmentName);
  if (name === undefined)
    report(reading.issues, path, `must be ${path === 'segment_id' ? FLAG_ID_RULE : ENVIRONMENT_RULE}`);
  else if (expected !== undefined && name !== expected)
    report(reading.issues, path, `must equal the address: ${quote(expected)}, not ${quote(name)}`);
  return name ?? expected ?? '';
}

function asName(value: unknown, isName: (value: unknown) => value is string): string | undefined {
  return isName(value) ? value : undefined;
}

function conclude(reading: Reading, definition: SegmentDefinition): Result<SegmentDefinition> {
  const { issues } = reading;
  if (issues.length === 0) {
    const bytes = utf8Length(JSON.stringify(definition));
    if (bytes > documentLimits.documentBytesMax)
      report(issues, '', `must be at most ${documentLimits.documentBytesMax} bytes as JSON, not ${bytes}`);
  }
  return issues.length === 0 ? { ok: true, value: definition } : { ok: false, code: 'INVALID_REQUEST', issues };
}
