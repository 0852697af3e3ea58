// What POST /keys and POST /keys/{key_id}/rotate may say.
import { isDateTime } from '../core/date-time.ts';
import { documentLimits } from '../core/document-limits.ts';
import { at as pathAt, report } from '../core/issues.ts';
import {
  type Fields,
  own,
  type Reading,
  readArray,
  readChoice,
  readObject,
  readText,
  startReading,
} from '../core/reading.ts';
import { SCOPES } from '../core/scopes.ts';
import type { Grantor } from '../ipc/messages.ts';
import { limits } from '../limits.ts';
import { refuseIssues } from './write.ts';

export interface KeySettings {
  readonly name: string;
  readonly scopes: readonly string[];
  /** null: every one. */
  readonly environments: readonly string[] | null;
  readonly tags: readonly string[] | null;
  /** Requests a minute; 0: no limit. */
  readonly rateLimit: number;
  readonly expiresAt: string | null;
  readonly owner: string;
}

const RATE_LIMIT_DEFAULT = 1000;
const OVERLAP_SECONDS_DEFAULT = 86_400;
const EXPIRY_MS_MAX = Date.UTC(9999, 11, 31, 23, 59, 59, 999);
const CREATE_FIELDS = ['name', 'scopes', 'environments', 'tags', 'rate_limit', 'expires_at', 'owner'] as const;

/**
 * What is left out comes from the grantor (environments, tags: a bound key makes bound keys) or is the default.
 * `mayBringHash`: the body may carry `hash`, the SHA-256 of a key that was made elsewhere. Refuses with INVALID_REQUEST.
 */
export function readKeyBody(
  body: unknown,
  grantor: Grantor,
  now: Date,
  mayBringHash: boolean,
): { readonly settings: KeySettings; readonly hash: string | undefined } {
  const reading = startReading('input', undefined, false);
  const fields = readObject(reading, body, '', mayBringHash ? [...CREATE_FIELDS, 'hash'] : CREATE_FIELDS) ?? {};
  const scopes = readScopes(reading, own(fields, 'scopes') ?? ['evaluate']);
  const settings: KeySettings = {
    name: readText(reading, own(fields, 'name'), 'name', { charsMin: 1, charsMax: limits.keyNameCharsMax }),
    scopes,
    environments: readNames(reading, fields, 'environments', limits.keyEnvironmentsMax) ?? grantor.environments ?? null,
    tags: readNames(reading, fields, 'tags', limits.keyTagsMax) ?? grantor.tags ?? null,
    rateLimit: readRateLimit(reading, own(fields, 'rate_limit') ?? (scopes.includes('admin') ? 0 : RATE_LIMIT_DEFAULT)),
    expiresAt: readExpiry(reading, own(fields, 'expires_at') ?? null, now),
    owner: readText(reading, own(fields, 'owner') ?? '', 'owner', { charsMax: documentLimits.ownerCharsMax }),
  };
  const hash = mayBringHash ? readHash(reading, own(fields, 'hash')) : undefined;
  if (reading.issues.length > 0) refuseIssues('INVALID_REQUEST', reading.issues);
  return { settings, hash };
}

/** The body may be absent. Refuses with INVALID_REQUEST. */
export function readRotateBody(body: unknown): { readonly overlapSeconds: number } {
  const reading = startReading('input', undefined, false);
  const fields = readObject(reading, body ?? {}, '', ['overlap_seconds']) ?? {};
  const overlap = own(fields, 'overlap_seconds') ?? OVERLAP_SECONDS_DEFAULT;
  const secondsMax = limits.rotationOverlapMsMax / 1000;
  if (!isWhole(overlap, secondsMax))
    report(reading.issues, 'overlap_seconds', `must be a whole number from 0 to ${secondsMax}`);
  if (reading.issues.length > 0) refuseIssues('INVALID_REQUEST', reading.issues);
  return { overlapSeconds: Number(overlap) };
}

function readScopes(reading: Reading, value: unknown): string[] {
  const names = readArray(reading, value, 'scopes', SCOPES.length).map((scope, i) =>
    readChoice(reading, scope, pathAt('scopes', i), SCOPES),
  );
  if (Array.isArray(value) && value.length === 0) report(reading.issues, 'scopes', 'must name at least one scope');
  return SCOPES.filter((scope) => names.includes(scope));
}

/** undefined: not sent, or null. */
function readNames(reading: Reading, fields: Fields, name: string, countMax: number): string[] | undefined {
  const value = own(fields, name) ?? undefined;
  if (value === undefined) return undefined;
  const rule = { charsMin: 1, charsMax: documentLimits.tagCharsMax };
  const names = readArray(reading, value, name, countMax).map((entry, i) =>
    readText(reading, entry, pathAt(name, i), rule),
  );
  if (Array.isArray(value) && value.length === 0)
    report(reading.issues, name, 'must not be empty; leave it out for no bound');
  return [...new Set(names)];
}

function readRateLimit(reading: Reading, value: unknown): number {
  if (isWhole(value, limits.rateLimitMax)) return value;
  report(
    reading.issues,
    'rate_limit',
    `must be a whole number of requests a minute from 0 (no limit) to ${limits.rateLimitMax}`,
  );
  return 0;
}

function readExpiry(reading: Reading, value: unknown, now: Date): string | null {
  if (value === null) return null;
  const ms = typeof value === 'string' && isDateTime(value) ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(ms)) report(reading.issues, 'expires_at', 'must be an RFC 3339 time such as 2027-01-01T00:00:00Z');
  // With an offset the last hours of 9999 are in a year that RFC 3339 cannot write and the database does not read.
  else if (ms > EXPIRY_MS_MAX) report(reading.issues, 'expires_at', 'must lie before the year 10000, in UTC');
  else if (ms <= now.getTime()) report(reading.issues, 'expires_at', 'must lie in the future');
  else return new Date(ms).toISOString();
  return null;
}

function readHash(reading: Reading, value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)) return value;
  report(reading.issues, 'hash', 'must be the SHA-256 of the key, 64 lower-case hex digits');
  return undefined;
}

function isWhole(value: unknown, most: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= most;
}
