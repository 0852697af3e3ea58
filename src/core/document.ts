// The flag document as text: what the API shows, the store keeps and a snapshot carries.

import { isDateTime } from './date-time.ts';
import { documentLimits } from './document-limits.ts';
import { kindOf, report } from './issues.ts';
import type { FlagDocument, Result } from './model.ts';
import { DEFINITION_FIELDS, READ_ONLY_FIELDS, readDefinition } from './parse.ts';
import { asFields, type Fields, isDeeperThan, own, type Reading, refuseUnknown, startReading } from './reading.ts';
import { definitionMembers } from './render.ts';

/** The document as one JSON object, fields in the order of the API, floats with a decimal point. */
export function renderDocument(document: FlagDocument): string {
  const stored = [
    `"version":${document.version}`,
    `"revision":${document.revision}`,
    `"created_at":${JSON.stringify(document.created_at)}`,
    `"updated_at":${JSON.stringify(document.updated_at)}`,
    `"updated_by":${JSON.stringify(document.updated_by)}`,
  ];
  return `{${[...definitionMembers(document), ...stored].join(',')}}`;
}

/**
 * A document from the text that renderDocument made. Stricter than the API: every field is there, and the ranges of
 * each split fit its rollout. Never throws; rules and prerequisites are fine here.
 */
export function parseDocument(json: string): Result<FlagDocument> {
  const reading = startReading('stored', undefined, false);
  const fields = openStored(reading, json);
  if (fields === undefined) return { ok: false, code: 'INVALID_REQUEST', issues: reading.issues };
  const definition = readDefinition(reading, fields, { flagId: undefined, environment: undefined });
  const document: FlagDocument = {
    ...definition,
    version: readCount(reading, fields, 'version', 1),
    revision: readCount(reading, fields, 'revision', 0),
    created_at: readTime(reading, fields, 'created_at'),
    updated_at: readTime(reading, fields, 'updated_at'),
    updated_by: readActor(reading, fields),
  };
  return reading.issues.length === 0
    ? { ok: true, value: document }
    : { ok: false, code: 'INVALID_REQUEST', issues: reading.issues };
}

function openStored(reading: Reading, json: string): Fields | undefined {
  let raw: unknown;
  try {
    raw = JSON.parse(json);
  } catch {
    report(reading.issues, '', 'is not JSON');
    return undefined;
  }
  const fields = asFields(raw);
  if (fields === undefined) report(reading.issues, '', `must be a JSON object, not ${kindOf(raw)}`);
  else if (isDeeperThan(fields, documentLimits.documentDepthMax)) {
    report(reading.issues, '', `must not be nested deeper than ${documentLimits.documentDepthMax} levels`);
    return undefined;
  } else refuseUnknown(reading, fields, '', [...DEFINITION_FIELDS, ...READ_ONLY_FIELDS]);
  return fields;
}

function readCount(reading: Reading, fields: Fields, name: string, least: number): number {
  const value = own(fields, name);
  if (Number.isSafeInteger(value) && (value as number) >= least) return value as number;
  report(reading.issues, name, `must be an integer from ${least}`);
  return least;
}

/** A key_id, which may have come by SQL and be any text. */
function readActor(reading: Reading, fields: Fields): string {
  const value = own(fields, 'updated_by');
  if (typeof value === 'string') return value;
  report(reading.issues, 'updated_by', 'must be a string');
  return '';
}

function readTime(reading: Reading, fields: Fields, name: string): string {
  const value = own(fields, name);
  if (typeof value === 'string' && isDateTime(value)) return value;
  report(reading.issues, name, 'must be an RFC 3339 time');
  return '';
}
