// API keys: made, listed, revoked, rotated. A key hands on at most what it has: scopes, environments and tags.

import { rankOf, SCOPES, type Scope } from '../core/scopes.ts';
import type { Command, Grantor } from '../ipc/messages.ts';
import { limits } from '../limits.ts';
import { type KeySettings, readKeyBody, readRotateBody } from './key-body.ts';
import { generateKey, generateKeyId, hashKey } from './key-format.ts';
import type { Queryable } from './sql.ts';
import { type Done, refuse, refuseIssues, timeText, unsigned, type Write } from './write.ts';

type KeyCommand = Extract<Command, { readonly type: `key.${string}` }>;
const CLI = 'cli';
/** The last time with four digits of year, which is what RFC 3339 has. */
const YEAR_9999_MS = Date.UTC(9999, 11, 31);

/** A key as the API shows it; never its hash. */
interface KeyView {
  readonly key_id: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly environments: readonly string[] | null;
  readonly tags: readonly string[] | null;
  readonly rate_limit: number;
  readonly expires_at: string | null;
  readonly owner: string;
  readonly created_at: string;
  readonly created_by: string;
  readonly revoked_at: string | null;
}

interface KeyRow extends KeyView, Record<string, unknown> {
  readonly tag: string;
}

const COLUMNS = `key_id, name, scopes, environments, tags, rate_limit, ${timeText('expires_at')} AS expires_at, owner,
  ${timeText('created_at')} AS created_at, created_by, ${timeText('revoked_at')} AS revoked_at`;

export async function runKeyWrite(
  write: Write,
  command: Exclude<KeyCommand, { readonly type: 'key.list' }>,
): Promise<Done> {
  switch (command.type) {
    case 'key.create':
      return create(write, command.grantor, command.body);
    case 'key.revoke':
      return revoke(write, command.grantor, command.keyId);
    case 'key.rotate':
      return rotate(write, command.grantor, command.keyId, command.body);
  }
}

/** Every key that the grantor could have made, revoked ones too, in order of key_id. */
export async function listKeys(
  tx: Queryable,
  { grantor, cursor, limit }: Extract<KeyCommand, { readonly type: 'key.list' }>,
): Promise<string> {
  const after = cursor === undefined ? '' : readCursor(cursor);
  const pageSize = Math.min(Math.max(1, Math.trunc(limit)), limits.listPageMax);
  const rows = await tx.query<KeyRow>(
    `SELECT ${COLUMNS} FROM api_keys WHERE key_id > $1 AND scopes <@ $2::text[]
        AND ($3::text[] IS NULL OR environments <@ $3::text[]) AND ($4::text[] IS NULL OR tags <@ $4::text[])
      ORDER BY key_id LIMIT $5::integer`,
    [after, SCOPES.slice(0, rankOf(grantor.scopes)), grantor.environments ?? null, grantor.tags ?? null, pageSize + 1],
  );
  const items = rows.slice(0, pageSize).map(viewOf);
  const last = rows.length > pageSize ? items.at(-1) : undefined;
  return JSON.stringify({
    items,
    next_cursor: last === undefined ? null : Buffer.from(last.key_id).toString('base64url'),
  });
}

/** Inserts a key and notes the change. Its trigger is off: this transaction is the service's own. */
export async function insertKey(write: Write, settings: KeySettings, hash: string): Promise<KeyView> {
  const view: KeyView = {
    key_id: generateKeyId(write.at.getTime()),
    name: settings.name,
    scopes: settings.scopes,
    environments: settings.environments,
    tags: settings.tags,
    rate_limit: settings.rateLimit,
    expires_at: settings.expiresAt,
    owner: settings.owner,
    created_at: write.now,
    created_by: write.actor,
    revoked_at: null,
  };
  const [row] = await write.tx.query<{ tag: string }>(
    `INSERT INTO api_keys
        (key_id, key_hash, name, rate_limit, scopes, environments, tags, owner, revision, created_at, created_by, expires_at)
      VALUES ($1, $2, $3, $4::integer, $5::text[], $6::text[], $7::text[], $8, $9::bigint, $10::timestamptz, $11, $12::timestamptz)
      RETURNING tag`,
    [
      view.key_id,
      hash,
      view.name,
      view.rate_limit,
      view.scopes,
      view.environments,
      view.tags,
      view.owner,
      write.revision,
      view.created_at,
      view.created_by,
      view.expires_at,
    ],
  );
  note(write, view.key_id, 'key.create', undefined, row?.tag);
  return view;
}

async function create(write: Write, grantor: Grantor, body: unknown): Promise<Done> {
  const { settings, hash } = readKeyBody(body, grantor, write.at, write.actor === CLI);
  requireWithin(grantor, settings);
  await requireEnvironments(write.tx, settings.environments);
  const key = hash === undefined ? generateKey(highestOf(settings.scopes)) : null;
  const keyHash = hash ?? hashKey(key ?? '');
  const [taken] = await write.tx.query<{ total: string; taken: boolean }>(
    'SELECT count(*) AS total, coalesce(bool_or(key_hash = $1), false) AS taken FROM api_keys WHERE revoked_at IS NULL',
    [keyHash],
  );
  if (taken?.taken === true)
    refuseIssues('INVALID_REQUEST', [{ path: 'hash', message: 'belongs to a key that is there already' }]);
  if (Number(taken?.total) >= limits.keysMax)
    refuse('INVALID_REQUEST', `there are ${limits.keysMax} keys, the most there may be; revoke some`);
  return issued(write, await insertKey(write, settings, keyHash), key, {});
}

async function revoke(write: Write, grantor: Grantor, keyId: string): Promise<Done> {
  const row = await findKey(write, grantor, keyId);
  // Wanted and already so.
  if (row.revoked_at !== null) return shown(write.revisionBefore, viewOf(row));
  if (isLiveAdmin(row, write.now)) {
    const others = await write.tx.query(
      `SELECT 1 AS one FROM api_keys WHERE 'admin' = ANY (scopes) AND revoked_at IS NULL AND key_id <> $1
        AND (expires_at IS NULL OR expires_at > $2::timestamptz) LIMIT 1`,
      [keyId, write.now],
    );
    if (others.length === 0) refuse('IN_USE', `${keyId} is the last admin key that is valid; make another one first`);
  }
  await write.tx.query(
    'UPDATE api_keys SET revoked_at = $2::timestamptz, revision = $3::bigint, tag = burgee_tag() WHERE key_id = $1',
    [keyId, write.now, write.revision],
  );
  note(write, keyId, 'key.revoke', row.tag, undefined);
  return shown(write.revision, { ...viewOf(row), revoked_at: write.now });
}

/** A new key with the old one's settings; the old one goes on until the overlap ends. */
async function rotate(write: Write, grantor: Grantor, keyId: string, body: unknown): Promise<Done> {
  const { overlapSeconds } = readRotateBody(body);
  const row = await findKey(write, grantor, keyId);
  if (row.revoked_at !== null) refuse('KEY_NOT_FOUND', `${keyId} is revoked; make a new key`);
  if (row.expires_at !== null && Date.parse(row.expires_at) <= write.at.getTime()) {
    refuse('KEY_NOT_FOUND', `${keyId} has expired; make a new key`);
  }
  await refuseRotated(write, row);
  const settings: KeySettings = {
    name: row.name,
    scopes: row.scopes,
    environments: row.environments,
    tags: row.tags,
    rateLimit: row.rate_limit,
    expiresAt: sameLifetime(row, write.at),
    owner: row.owner,
  };
  const key = generateKey(highestOf(row.scopes));
  const view = await insertKey(write, settings, hashKey(key));
  const end = new Date(write.at.getTime() + overlapSeconds * 1000).toISOString();
  // LEAST ignores NULL; a key that ends sooner is not kept alive by its rotation.
  const [old] = await write.tx.query<{ tag: string }>(
    `UPDATE api_keys SET expires_at = LEAST(expires_at, $2::timestamptz), revision = $3::bigint, tag = burgee_tag()
      WHERE key_id = $1 RETURNING tag`,
    [keyId, end, write.revision],
  );
  note(write, keyId, 'key.rotate', row.tag, old?.tag);
  return issued(write, view, key, { replaces: keyId });
}

/** A second rotation would take the first one's overlap for the key's lifetime, and hand out a key that soon ends. */
async function refuseRotated(write: Write, { key_id, expires_at }: KeyRow): Promise<void> {
  const rotations = await write.tx.query(
    `SELECT 1 AS one FROM audit WHERE kind = 'key' AND environment = '' AND id = $1 AND action = 'key.rotate' LIMIT 1`,
    [key_id],
  );
  if (rotations.length === 0) return;
  refuse(
    'INVALID_REQUEST',
    `${key_id} was rotated before and ends at ${expires_at}; rotate the key that replaced it, or make a new one`,
  );
}

/** As long as the old key was made for; null: for ever. */
function sameLifetime(row: KeyRow, at: Date): string | null {
  if (row.expires_at === null) return null;
  const endMs = at.getTime() + Date.parse(row.expires_at) - Date.parse(row.created_at);
  return new Date(Math.min(endMs, YEAR_9999_MS)).toISOString();
}

/** The reply that shows a key, this once. */
function issued(write: Write, view: KeyView, key: string | null, more: { readonly replaces?: string }): Done {
  const { key_id, revoked_at: _, ...rest } = view;
  const body = JSON.stringify({ key_id, key, ...rest, ...more });
  const headers = { Location: `/api/v1/keys/${key_id}`, 'Cache-Control': 'no-store' };
  return { ok: true, status: 201, headers, body, revision: write.revision };
}

function shown(revision: number, view: KeyView): Done {
  return { ok: true, status: 200, headers: {}, body: JSON.stringify(view), revision };
}

/** Refuses with KEY_NOT_FOUND, also for keys that are beyond the grantor. */
async function findKey(write: Write, grantor: Grantor, keyId: string): Promise<KeyRow> {
  const rows = keyId.includes('\u0000')
    ? []
    : await write.tx.query<KeyRow>(`SELECT ${COLUMNS}, tag FROM api_keys WHERE key_id = $1`, [keyId]);
  const [row] = rows;
  if (row === undefined || !isWithin(grantor, row))
    return refuse('KEY_NOT_FOUND', 'no key has this key_id; GET /api/v1/keys lists them');
  return row;
}

type Reach = Pick<KeyView, 'scopes' | 'environments' | 'tags'>;

function isWithin(grantor: Grantor, key: Reach): boolean {
  return (
    rankOf(key.scopes) <= rankOf(grantor.scopes) &&
    isSubset(key.environments, grantor.environments) &&
    isSubset(key.tags, grantor.tags)
  );
}

function requireWithin(grantor: Grantor, key: Reach): void {
  if (rankOf(key.scopes) > rankOf(grantor.scopes)) {
    refuse('SCOPE_REQUIRED', `a key makes only keys within its own scopes: ${grantor.scopes.join(', ')}`);
  }
  if (!isSubset(key.environments, grantor.environments)) {
    refuse(
      'ENVIRONMENT_FORBIDDEN',
      `a key makes only keys within its own environments: ${grantor.environments?.join(', ')}`,
    );
  }
  if (!isSubset(key.tags, grantor.tags))
    refuse('SCOPE_REQUIRED', `a key makes only keys within its own tags: ${grantor.tags?.join(', ')}`);
}

/** null is everything, and so is a bound that is undefined. */
function isSubset(part: readonly string[] | null, whole: readonly string[] | undefined): boolean {
  return whole === undefined || (part?.every((name) => whole.includes(name)) ?? false);
}

async function requireEnvironments(tx: Queryable, names: readonly string[] | null): Promise<void> {
  if (names === null) return;
  const [row] = await tx.query<{ missing: string[] }>(
    `SELECT coalesce(array_agg(name), '{}') AS missing FROM unnest($1::text[]) AS name
      WHERE name NOT IN (SELECT environment FROM environments)`,
    [names],
  );
  const missing = row?.missing ?? [];
  if (missing.length > 0) refuse('ENVIRONMENT_NOT_FOUND', `no such environment: ${missing.join(', ')}`);
}

function isLiveAdmin(row: KeyRow, now: string): boolean {
  return row.scopes.includes('admin') && (row.expires_at === null || row.expires_at > now);
}

function highestOf(scopes: readonly string[]): Scope {
  return SCOPES[rankOf(scopes) - 1] ?? 'evaluate';
}

function note(
  write: Write,
  id: string,
  action: string,
  tagBefore: string | undefined,
  tagAfter: string | undefined,
): void {
  const tag = (text: string | undefined): bigint | undefined => (text === undefined ? undefined : unsigned(text));
  write.changes.push({
    kind: 'key',
    environment: '',
    id,
    action,
    tagBefore: tag(tagBefore),
    tagAfter: tag(tagAfter),
    versionBefore: null,
    versionAfter: null,
  });
}

function viewOf(row: KeyRow): KeyView {
  const {
    key_id,
    name,
    scopes,
    environments,
    tags,
    rate_limit,
    expires_at,
    owner,
    created_at,
    created_by,
    revoked_at,
  } = row;
  return {
    key_id,
    name,
    scopes,
    environments,
    tags,
    rate_limit,
    expires_at,
    owner,
    created_at,
    created_by,
    revoked_at,
  };
}

function readCursor(cursor: string): string {
  const text = Buffer.from(cursor, 'base64url').toString();
  if (text === '' || text.includes('\u0000'))
    refuseIssues('INVALID_REQUEST', [{ path: 'cursor', message: 'is not a cursor of this list' }]);
  return text;
}
