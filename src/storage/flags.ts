// Writes of flags. What a document may say is core's; here are the rules between rows: addresses, versions, types across
// environments, dependents.
import { referencesOfFlag } from '../core/dependencies.ts';
import { parseDocument, renderDocument } from '../core/document.ts';
import { patchFlag, replaceFlag, sameDefinition } from '../core/edit.ts';
import type { FlagDefinition, FlagDocument, Result } from '../core/model.ts';
import { isFlagId } from '../core/names.ts';
import { createFlag } from '../core/parse.ts';
import type { Command } from '../ipc/messages.ts';
import {
  carriesOne,
  checkReferences,
  type ItemName,
  type KeyTags,
  refuseCircle,
  refuseInUse,
  saveReferences,
  variantsOf,
} from './dependencies.ts';
import { requireEnvironment, requireRoom } from './environments.ts';
import { withWarnings } from './warnings.ts';
import { type Done, refuse, refuseIssues, requireVersion, unsigned, type Write } from './write.ts';

type FlagCommand = Extract<Command, { readonly type: `flag.${string}` }>;

/** A flag's row with the newest of its documents that can be read. */
interface StoredFlag {
  readonly document: FlagDocument;
  /** True: `document` is an older version, because the row's own cannot be read. */
  readonly recovered: boolean;
  readonly version: number;
  readonly tag: bigint;
  readonly archived: boolean;
  readonly createdAt: string;
}

export async function runFlagCommand(write: Write, command: FlagCommand, keyTags: KeyTags): Promise<Done> {
  switch (command.type) {
    case 'flag.create':
      return create(write, command.environment, command.body, keyTags);
    case 'flag.replace':
      return change(write, command, keyTags, (current) => replaceFlag(current, command.body));
    case 'flag.patch':
      return change(write, command, keyTags, (current) => patchFlag(current, command.body));
    case 'flag.archive':
      return archive(write, command, keyTags);
    case 'flag.restore':
      return restore(write, command, keyTags);
  }
}

async function create(write: Write, environment: string, body: unknown, keyTags: KeyTags): Promise<Done> {
  const result = createFlag(body, environment);
  if (!result.ok && result.code === 'INVALID_REQUEST') refuseIssues(result.code, result.issues);
  await requireEnvironment(write, environment);
  if (!result.ok) refuseIssues(result.code, result.issues);
  const definition = result.value;
  requireOwnTag(definition, keyTags);
  const references = referencesOfFlag(definition);
  const item = itemOf(definition);
  const circle = await checkReferences(write, { item, references, before: [], keyTags });
  const rows = await write.tx.query<{ environment: string; type: string }>(
    'SELECT environment, type FROM flags WHERE flag_id = $1 ORDER BY environment',
    [definition.flag_id],
  );
  if (rows.some((row) => row.environment === environment)) {
    refuse(
      'FLAG_EXISTS',
      `${definition.flag_id} exists in ${environment}; if it is archived, POST .../restore brings it back`,
    );
  }
  const other = rows.find((row) => row.type !== definition.type);
  if (other !== undefined) {
    refuse(
      'TYPE_CONFLICT',
      `${definition.flag_id} is of type ${other.type} in ${other.environment}, not ${definition.type}`,
    );
  }
  refuseCircle(circle);
  await requireRoom(write, environment, 'flags');
  const document = documentOf(write, definition, 1, write.now);
  const [row] = await write.tx.query<{ tag: string }>(
    `INSERT INTO flags (environment, flag_id, type, document, version, revision, created_at, updated_at, updated_by)
      VALUES ($1, $2, $3, $4, 1, $5::bigint, $6::timestamptz, $6::timestamptz, $7) RETURNING tag`,
    [
      environment,
      definition.flag_id,
      definition.type,
      renderDocument(document),
      write.revision,
      write.now,
      write.actor,
    ],
  );
  await record(write, document, {
    action: 'flag.create',
    archived: false,
    versionBefore: null,
    tagBefore: undefined,
    tagAfter: row?.tag,
  });
  if (references.length > 0) await saveReferences(write, item, references);
  return withWarnings(write, reply(write.revision, document, 201), { flag: document, previous: undefined, keyTags });
}

async function change(
  write: Write,
  command: Extract<FlagCommand, { readonly type: 'flag.replace' | 'flag.patch' }>,
  keyTags: KeyTags,
  edit: (current: FlagDefinition) => Result<FlagDefinition>,
): Promise<Done> {
  const current = await findFlag(write, command);
  if (current === undefined || current.archived || !carriesOne(current.document, keyTags))
    return refuseUnknown(command);
  // The order of refusal: what is malformed (400) before the version (412) before what conflicts (409).
  const result = edit(current.document);
  if (!result.ok && result.code === 'INVALID_REQUEST') refuseIssues(result.code, result.issues);
  // Else the key could put a flag out of its own sight, and never get it back.
  if (result.ok) requireOwnTag(result.value, keyTags);
  const next = result.ok ? result.value : current.document;
  const item = itemOf(current.document);
  const before = referencesOfFlag(current.document);
  const circle = await checkReferences(write, { item, references: referencesOfFlag(next), before, keyTags });
  requireVersion('flag', current.version, command.ifMatch);
  if (!result.ok) return refuseIssues(result.code, result.issues);
  if (!current.recovered && sameDefinition(current.document, next)) {
    return unchanged(write, current, keyTags);
  }
  refuseCircle(circle);
  const kept = variantsOf(next);
  const lost = variantsOf(current.document).filter((variant) => !kept.includes(variant));
  if (lost.length > 0) await refuseInUse(write, item, keyTags, lost);
  const done = await store(write, current, next, command.type, false);
  return withWarnings(write, done, { flag: next, previous: current.document, keyTags });
}

async function archive(
  write: Write,
  command: Extract<FlagCommand, { readonly type: 'flag.archive' }>,
  keyTags: KeyTags,
): Promise<Done> {
  const current = await findFlag(write, command);
  if (current === undefined || current.archived || !carriesOne(current.document, keyTags))
    return refuseUnknown(command);
  requireVersion('flag', current.version, command.ifMatch);
  await refuseInUse(write, itemOf(current.document), keyTags);
  return store(write, current, current.document, command.type, true);
}

async function restore(
  write: Write,
  command: Extract<FlagCommand, { readonly type: 'flag.restore' }>,
  keyTags: KeyTags,
): Promise<Done> {
  const current = await findFlag(write, command);
  if (current === undefined || !carriesOne(current.document, keyTags)) return refuseUnknown(command);
  // While it was archived nothing kept what it names in its place. Names that it has already tell the key nothing new.
  const item = itemOf(current.document);
  const references = referencesOfFlag(current.document);
  const circle = current.archived
    ? await checkReferences(write, { item, references, before: [], keyTags, isRestored: true })
    : undefined;
  requireVersion('flag', current.version, command.ifMatch);
  // Wanted and already so: nothing to do, like a patch that changes nothing.
  if (!current.archived) return unchanged(write, current, keyTags);
  refuseCircle(circle);
  await requireRoom(write, command.environment, 'flags');
  const done = await store(write, current, current.document, command.type, false);
  return withWarnings(write, done, { flag: current.document, previous: undefined, keyTags });
}

function unchanged(write: Write, { document }: StoredFlag, keyTags: KeyTags): Promise<Done> {
  const done = reply(write.revisionBefore, document, 200);
  return withWarnings(write, done, { flag: document, previous: undefined, keyTags });
}

/** Makes the next version of a flag that is there. */
async function store(
  write: Write,
  current: StoredFlag,
  definition: FlagDefinition,
  action: string,
  archived: boolean,
): Promise<Done> {
  const document = documentOf(write, definition, current.version + 1, current.createdAt);
  const [row] = await write.tx.query<{ tag: string }>(
    `UPDATE flags SET document = $3, version = $4::bigint, revision = $5::bigint, tag = burgee_tag(),
        archived_at = CASE WHEN $6::boolean THEN $7::timestamptz END, updated_at = $7::timestamptz, updated_by = $8
      WHERE environment = $1 AND flag_id = $2 RETURNING tag`,
    [
      document.environment,
      document.flag_id,
      renderDocument(document),
      document.version,
      write.revision,
      archived,
      write.now,
      write.actor,
    ],
  );
  await record(write, document, {
    action,
    archived,
    versionBefore: current.version,
    tagBefore: current.archived ? undefined : current.tag,
    tagAfter: archived ? undefined : row?.tag,
  });
  const references = archived ? [] : referencesOfFlag(definition);
  if (current.recovered || references.length > 0 || referencesOfFlag(current.document).length > 0)
    await saveReferences(write, itemOf(definition), references);
  return reply(write.revision, document, 200);
}

async function record(
  write: Write,
  document: FlagDocument,
  what: {
    readonly action: string;
    readonly archived: boolean;
    readonly versionBefore: number | null;
    readonly tagBefore: bigint | undefined;
    readonly tagAfter: string | undefined;
  },
): Promise<void> {
  const { environment, flag_id: flagId, version } = document;
  await write.tx.query(
    `INSERT INTO flag_versions (environment, flag_id, version, revision, document, archived, created_at, created_by)
      VALUES ($1, $2, $3::bigint, $4::bigint, $5, $6::boolean, $7::timestamptz, $8)`,
    [environment, flagId, version, write.revision, renderDocument(document), what.archived, write.now, write.actor],
  );
  write.changes.push({
    kind: 'flag',
    environment,
    id: flagId,
    action: what.action,
    tagBefore: what.tagBefore,
    tagAfter: what.tagAfter === undefined ? undefined : unsigned(what.tagAfter),
    versionBefore: what.versionBefore,
    versionAfter: version,
  });
}

function documentOf(write: Write, definition: FlagDefinition, version: number, createdAt: string): FlagDocument {
  return {
    ...definition,
    version,
    revision: write.revision,
    created_at: createdAt,
    updated_at: write.now,
    updated_by: write.actor,
  };
}

function reply(revision: number, document: FlagDocument, status: 200 | 201): Done {
  const headers: Record<string, string> = { ETag: `"${document.version}"` };
  if (status === 201) headers['Location'] = `/api/v1/flags/${document.flag_id}?environment=${document.environment}`;
  return { ok: true, status, headers, body: renderDocument(document), revision };
}

interface FlagRow extends Record<string, unknown> {
  readonly document: string | null;
  readonly version: string;
  readonly tag: string;
  readonly archived: boolean;
}

/** The flag, archived or not. Refuses with ENVIRONMENT_NOT_FOUND before it looks. */
async function findFlag(
  write: Write,
  { environment, flagId }: { readonly environment: string; readonly flagId: string },
): Promise<StoredFlag | undefined> {
  await requireEnvironment(write, environment);
  if (!isFlagId(flagId)) return undefined;
  const [row] = await write.tx.query<FlagRow>(
    'SELECT document, version, tag, archived_at IS NOT NULL AS archived FROM flags WHERE environment = $1 AND flag_id = $2',
    [environment, flagId],
  );
  if (row === undefined) return undefined;
  const parsed = parseDocument(row.document ?? '');
  const document = parsed.ok ? parsed.value : await newestReadable(write, environment, flagId);
  const version = Number(row.version);
  return {
    document,
    recovered: !parsed.ok,
    version,
    tag: unsigned(row.tag),
    archived: row.archived,
    createdAt: document.created_at,
  };
}

/** The newest version of a flag whose row cannot be read: the one that is served meanwhile, and edited. */
async function newestReadable(write: Write, environment: string, flagId: string): Promise<FlagDocument> {
  const rows = await write.tx.query<{ document: string }>(
    'SELECT document FROM flag_versions WHERE environment = $1 AND flag_id = $2 ORDER BY version DESC LIMIT 100',
    [environment, flagId],
  );
  for (const row of rows) {
    const parsed = parseDocument(row.document);
    if (parsed.ok) return parsed.value;
  }
  return refuse(
    'INTERNAL',
    `no stored version of ${flagId} in ${environment} can be read; it can only be repaired by SQL`,
  );
}

function refuseUnknown({ environment, flagId }: { readonly environment: string; readonly flagId: string }): never {
  return refuse('FLAG_NOT_FOUND', `no flag ${JSON.stringify(flagId.slice(0, 128))} in ${environment}`);
}

function requireOwnTag(definition: FlagDefinition, keyTags: KeyTags): void {
  if (carriesOne(definition, keyTags)) return;
  refuseIssues('INVALID_REQUEST', [
    { path: 'tags', message: `must name one of the key's own tags: ${keyTags?.join(', ')}` },
  ]);
}

function itemOf(definition: FlagDefinition): ItemName {
  return { kind: 'flag', environment: definition.environment, id: definition.flag_id };
}
