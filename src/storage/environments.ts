// Writes of environments, and what a write within one asks of it.
import { documentLimits } from '../core/document-limits.ts';
import { report } from '../core/issues.ts';
import { ENVIRONMENT_RULE, isEnvironmentName } from '../core/names.ts';
import { own, readObject, readText, startReading } from '../core/reading.ts';
import { limits } from '../limits.ts';
import type { EnvironmentItem } from './store.ts';
import { type Done, refuse, refuseIssues, unsigned, type Write } from './write.ts';

export async function createEnvironment(write: Write, body: unknown): Promise<Done> {
  const { environment, description } = readBody(body);
  const [row] = await write.tx.query<{ total: string; exists: boolean }>(
    'SELECT count(*) AS total, coalesce(bool_or(environment = $1), false) AS exists FROM environments',
    [environment],
  );
  if (row?.exists === true) refuse('ENVIRONMENT_EXISTS', `${environment} exists`);
  if (Number(row?.total) >= limits.environmentsMax) {
    refuse('INVALID_REQUEST', `there are ${limits.environmentsMax} environments, the most there may be`);
  }
  const [made] = await write.tx.query<{ tag: string }>(
    `INSERT INTO environments (environment, description, version, revision, changed_at_revision, created_at, updated_at, updated_by)
      VALUES ($1, $2, 1, $3::bigint, $3::bigint, $4::timestamptz, $4::timestamptz, $5) RETURNING tag`,
    [environment, description, write.revision, write.now, write.actor],
  );
  write.changes.push({
    kind: 'environment',
    environment: '',
    id: environment,
    action: 'environment.create',
    tagBefore: undefined,
    tagAfter: unsigned(made?.tag ?? '0'),
    versionBefore: null,
    versionAfter: 1,
  });
  const item: EnvironmentItem = {
    environment,
    description,
    policy: {},
    version: 1,
    revision: write.revision,
    created_at: write.now,
    updated_at: write.now,
    updated_by: write.actor,
  };
  const headers = { Location: `/api/v1/environments/${environment}`, ETag: '"1"' };
  return { ok: true, status: 201, headers, body: JSON.stringify(item), revision: write.revision };
}

/** Refuses with ENVIRONMENT_NOT_FOUND. */
export async function requireEnvironment(write: Write, environment: string): Promise<void> {
  const known = isEnvironmentName(environment)
    ? await write.tx.query('SELECT 1 AS one FROM environments WHERE environment = $1', [environment])
    : [];
  if (known.length === 0)
    refuse('ENVIRONMENT_NOT_FOUND', 'no environment has this name; GET /api/v1/environments lists them');
}

function readBody(body: unknown): { readonly environment: string; readonly description: string } {
  const reading = startReading('input', undefined, false);
  const fields = readObject(reading, body, '', ['environment', 'description']) ?? {};
  const environment = own(fields, 'environment');
  if (!isEnvironmentName(environment)) {
    report(reading.issues, 'environment', environment === undefined ? 'is required' : `must be ${ENVIRONMENT_RULE}`);
  }
  const rule = { charsMax: documentLimits.descriptionCharsMax, multiline: true };
  const description = readText(reading, own(fields, 'description') ?? '', 'description', rule);
  if (reading.issues.length > 0) refuseIssues('INVALID_REQUEST', reading.issues);
  return { environment: String(environment), description };
}

const LIVE_MAX = { flags: limits.flagsPerEnvironmentMax, segments: limits.segmentsPerEnvironmentMax } as const;

/** Refuses one more where there are as many live ones as there may be. */
export async function requireRoom(write: Write, environment: string, table: 'flags' | 'segments'): Promise<void> {
  const [row] = await write.tx.query<{ live: string }>(
    `SELECT count(*) AS live FROM ${table} WHERE environment = $1 AND archived_at IS NULL`,
    [environment],
  );
  if (Number(row?.live) >= LIVE_MAX[table])
    refuse(
      'INVALID_REQUEST',
      `${environment} has ${LIVE_MAX[table]} live ${table}, the most there may be; archive some`,
    );
}
