// The rules between the rows of one environment: what a definition names must be there, in no circle, within the limits,
// and stay while it is named. `uses` has one row for each pair of live items of which one names the other.
import {
  type ChainProblem,
  chainProblem,
  circleThrough,
  type Graph,
  type Needs,
  needsOf,
  PREREQUISITE_CHAIN,
  type Reference,
  SEGMENT_CHAIN,
} from '../core/dependencies.ts';
import { parseDocument } from '../core/document.ts';
import { at, quote, report } from '../core/issues.ts';
import type { FlagDefinition, Issue } from '../core/model.ts';
import { limits } from '../limits.ts';
import { refuse, refuseIssues, type Write } from './write.ts';

/** The asking key's tags; undefined: it sees every flag. */
export type KeyTags = readonly string[] | undefined;

export interface ItemName {
  readonly kind: Reference['kind'];
  readonly environment: string;
  readonly id: string;
}

/** Whether a key with these tags sees the flag. */
export function carriesOne(definition: Pick<FlagDefinition, 'tags'>, keyTags: KeyTags): boolean {
  return keyTags === undefined || definition.tags.some((tag) => keyTags.includes(tag));
}

/** What an item is about to name, and who asks for it. */
export interface Naming {
  readonly item: ItemName;
  readonly references: readonly Reference[];
  /** What it named until now: that was checked when it was written, and stays in its place while it is named. */
  readonly before: readonly Reference[];
  readonly keyTags: KeyTags;
  /** True: the names are the document's own, so that a flag which the key cannot see may be among them. */
  readonly isRestored?: boolean;
}

/**
 * Refuses with INVALID_REQUEST what names nothing that is live, or a variant that is not there, or makes too much hang
 * below one item. A flag that the key cannot see is refused as if it were not there.
 * @returns the text of a circle, which the caller refuses when it is the turn of what conflicts
 */
export async function checkReferences(write: Write, naming: Naming): Promise<string | undefined> {
  const { item, references, before, keyTags, isRestored = false } = naming;
  const known = new Set(before.map(addressOf));
  const fresh = references.filter((reference) => !known.has(addressOf(reference)));
  const issues: Issue[] = [];
  await checkFlags(write, item.environment, fresh, isRestored ? undefined : keyTags, issues);
  await checkSegments(write, item, fresh, issues);
  if (issues.length > 0) refuseIssues('INVALID_REQUEST', issues);
  // Taking a reference away can neither close a circle nor lengthen a chain.
  const needs = needsOf(references, item.kind);
  if (!isMore(needs, needsOf(before, item.kind))) return undefined;
  const { graph, above } = await readGraph(write, item, needs);
  const circle = circleThrough(item.id, graph);
  if (circle !== undefined) return (await namesFor(write, item, circle, keyTags)).join(' needs ');
  const problem = chainProblem(above, graph, item.kind === 'flag' ? PREREQUISITE_CHAIN : SEGMENT_CHAIN);
  if (problem !== undefined) await refuseChain(write, item, problem, keyTags);
  return undefined;
}

export function refuseCircle(circle: string | undefined): void {
  if (circle !== undefined) refuse('CYCLE', `${circle}: nothing in this circle could be decided`);
}

/** Makes `uses` say what the item names from now on; nothing when it is not live. */
export async function saveReferences(write: Write, item: ItemName, references: readonly Reference[]): Promise<void> {
  const { environment, kind, id } = item;
  await write.tx.query('DELETE FROM uses WHERE environment = $1 AND user_kind = $2 AND user_id = $3', [
    environment,
    kind,
    id,
  ]);
  if (references.length === 0) return;
  const rows = (['flag', 'segment'] as const).flatMap((usedKind) =>
    [...needsOf(references, usedKind)].map(([usedId, times]) => ({ usedKind, usedId, times })),
  );
  const variants = new Map(
    references.map(({ kind: usedKind, id: usedId, variant }) => [`${usedKind}/${usedId}`, variant]),
  );
  await write.tx.query(
    `INSERT INTO uses (environment, user_kind, user_id, used_kind, used_id, variant, times)
      SELECT $1, $2, $3, used_kind, used_id, variant, times::integer
        FROM unnest($4::text[], $5::text[], $6::text[], $7::text[]) AS used (used_kind, used_id, variant, times)`,
    [
      environment,
      kind,
      id,
      rows.map(({ usedKind }) => usedKind),
      rows.map(({ usedId }) => usedId),
      rows.map(({ usedKind, usedId }) => variants.get(`${usedKind}/${usedId}`) ?? ''),
      rows.map(({ times }) => String(times)),
    ],
  );
}

/**
 * Refuses with IN_USE when live items name this one.
 * @param variants only those that ask for one of these variants; undefined: all
 */
export async function refuseInUse(
  write: Write,
  item: ItemName,
  keyTags: KeyTags,
  variants?: readonly string[],
): Promise<void> {
  const rows = await write.tx.query<{ user_kind: 'flag' | 'segment'; user_id: string }>(
    `SELECT user_kind, user_id FROM uses WHERE environment = $1 AND used_kind = $2 AND used_id = $3
      AND NOT (user_kind = $2 AND user_id = $3) AND ($4::text[] IS NULL OR variant = ANY($4::text[]))
      ORDER BY user_kind, user_id`,
    [item.environment, item.kind, item.id, variants ?? null],
  );
  if (rows.length === 0) return;
  const shown = rows.slice(0, limits.dependentsShownMax);
  const flagIds = shown.filter((row) => row.user_kind === 'flag').map((row) => row.user_id);
  const visible = await visibleFlags(write, item.environment, flagIds, keyTags);
  const dependents = shown
    .filter((row) => row.user_kind === 'segment' || visible.has(row.user_id))
    .map((row) => (row.user_kind === 'flag' ? row.user_id : `segment/${row.user_id}`));
  const what = variants === undefined ? item.id : `${item.id} with ${variants.map(quote).join(', ')}`;
  refuse('IN_USE', `${what} is needed by ${tell(dependents, rows.length)}; change those first`, { dependents });
}

/** "a, b and 2 more". */
function tell(names: readonly string[], total: number): string {
  const told = names.slice(0, DEPENDENTS_TOLD);
  const more = total - told.length;
  if (more === 0) return told.join(', ');
  if (told.length > 0) return `${told.join(', ')} and ${more} more`;
  return more === 1 ? "one beyond this key's tags" : `${more} beyond this key's tags`;
}

/** Names in a sentence; the list beside it has more. */
const DEPENDENTS_TOLD = 10;

function addressOf({ kind, id, variant }: Reference): string {
  // Ids have no slash; a variant may have anything.
  return `${kind}/${id}/${variant}`;
}

function isMore(needs: Needs, before: Needs): boolean {
  return [...needs].some(([id, times]) => times > (before.get(id) ?? 0));
}

async function checkFlags(
  write: Write,
  environment: string,
  fresh: readonly Reference[],
  keyTags: KeyTags,
  issues: Issue[],
): Promise<void> {
  const named = fresh.filter(({ kind }) => kind === 'flag');
  if (named.length === 0) return;
  const rows = await write.tx.query<{ flag_id: string; document: string }>(
    'SELECT flag_id, document FROM flags WHERE environment = $1 AND flag_id = ANY($2::text[]) AND archived_at IS NULL',
    [environment, named.map(({ id }) => id)],
  );
  const documents = new Map(rows.map((row) => [row.flag_id, row.document]));
  for (const { id, variant, path } of named) {
    const parsed = parseDocument(documents.get(id) ?? '');
    if (documents.has(id) && !parsed.ok && keyTags === undefined) {
      report(issues, at(path, 'flag_id'), `${quote(id)} is stored in a form that cannot be read; mend that flag first`);
    } else if (!parsed.ok || !carriesOne(parsed.value, keyTags)) {
      report(issues, at(path, 'flag_id'), `must be the flag_id of a live flag of ${environment}; ${quote(id)} is none`);
    } else {
      const variants = variantsOf(parsed.value);
      if (!variants.includes(variant))
        report(
          issues,
          at(path, 'variant'),
          `${quote(variant)} is not a variant of ${id}; it has ${variants.join(', ')}`,
        );
    }
  }
}

export function variantsOf(definition: Pick<FlagDefinition, 'variants'>): readonly string[] {
  return definition.variants === undefined ? ['on', 'off'] : Object.keys(definition.variants);
}

async function checkSegments(
  write: Write,
  item: ItemName,
  fresh: readonly Reference[],
  issues: Issue[],
): Promise<void> {
  // A segment that names itself is a circle, whether or not it is there already.
  const named = fresh.filter(({ kind, id }) => kind === 'segment' && !(item.kind === 'segment' && id === item.id));
  if (named.length === 0) return;
  const rows = await write.tx.query<{ segment_id: string }>(
    'SELECT segment_id FROM segments WHERE environment = $1 AND segment_id = ANY($2::text[]) AND archived_at IS NULL',
    [item.environment, [...new Set(named.map(({ id }) => id))]],
  );
  const live = new Set(rows.map((row) => row.segment_id));
  for (const { id, path } of named) {
    if (!live.has(id))
      report(
        issues,
        at(path, 'segment'),
        `must be the id of a live segment of ${item.environment}; ${quote(id)} is none`,
      );
  }
}

/**
 * All that hangs below the item, and below each item above it, as it would be with `needs`. Only the part of the
 * environment that the change can touch is read.
 */
async function readGraph(
  write: Write,
  { environment, kind, id }: ItemName,
  needs: Needs,
): Promise<{ readonly graph: Graph; readonly above: readonly string[] }> {
  const rows = await write.tx.query<{ user_id: string; used_id: string; times: number; above: boolean }>(
    // OFFSET 0 makes each step a look into the index for one item, whatever the planner believes of the table's size.
    `WITH RECURSIVE above (id) AS (
      SELECT $3::text COLLATE "C"
      UNION SELECT found.user_id FROM above CROSS JOIN LATERAL (SELECT user_id FROM uses
        WHERE environment = $1 AND used_kind = $2 AND used_id = above.id AND user_kind = $2 OFFSET 0) AS found
    ), reached (id) AS (
      SELECT id FROM (SELECT id FROM above UNION SELECT unnest($4::text[]) COLLATE "C") AS start
      UNION SELECT found.used_id FROM reached CROSS JOIN LATERAL (SELECT used_id FROM uses
        WHERE environment = $1 AND user_kind = $2 AND user_id = reached.id AND used_kind = $2 OFFSET 0) AS found
    )
    SELECT reached.id AS user_id, found.used_id, found.times, reached.id IN (SELECT id FROM above) AS above
      FROM reached CROSS JOIN LATERAL (SELECT used_id, times FROM uses
        WHERE environment = $1 AND user_kind = $2 AND user_id = reached.id AND used_kind = $2 OFFSET 0) AS found
      WHERE reached.id <> $3`,
    [environment, kind, id, [...needs.keys()]],
  );
  const graph = new Map<string, Map<string, number>>([[id, new Map(needs)]]);
  const above = new Set([id]);
  for (const row of rows) {
    const rowNeeds = graph.get(row.user_id) ?? new Map<string, number>();
    rowNeeds.set(row.used_id, row.times);
    graph.set(row.user_id, rowNeeds);
    if (row.above) above.add(row.user_id);
  }
  return { graph, above: [...above] };
}

async function refuseChain(write: Write, item: ItemName, problem: ChainProblem, keyTags: KeyTags): Promise<never> {
  const ids = problem.kind === 'depth' ? problem.chain : [problem.id];
  const names = await namesFor(write, item, ids, keyTags);
  const [bounds, path] = item.kind === 'flag' ? [PREREQUISITE_CHAIN, 'prerequisites'] : [SEGMENT_CHAIN, 'when'];
  const message =
    problem.kind === 'depth'
      ? `would make a chain of ${ids.length - 1} ${item.kind}s below ${names[0]}, of at most ${bounds.depthMax}: ${names.join(' needs ')}`
      : `would make ${names[0]} need ${problem.evaluations} evaluations of other ${item.kind}s, of at most ${bounds.evaluationsMax}`;
  return refuseIssues('INVALID_REQUEST', [{ path, message }]);
}

/** The ids of a circle or a chain, as the key may hear of them: segments, the item itself, and the flags that it sees. */
async function namesFor(
  write: Write,
  item: ItemName,
  ids: readonly string[],
  keyTags: KeyTags,
): Promise<readonly string[]> {
  if (item.kind === 'segment') return ids;
  const visible = await visibleFlags(write, item.environment, ids, keyTags);
  return ids.map((id) => (id === item.id || visible.has(id) ? id : "a flag beyond this key's tags"));
}

async function visibleFlags(
  write: Write,
  environment: string,
  ids: readonly string[],
  keyTags: KeyTags,
): Promise<ReadonlySet<string>> {
  if (keyTags === undefined) return new Set(ids);
  const rows = await write.tx.query<{ flag_id: string; document: string }>(
    'SELECT flag_id, document FROM flags WHERE environment = $1 AND flag_id = ANY($2::text[])',
    [environment, [...new Set(ids)]],
  );
  const visible = rows.filter(({ document }) => {
    const parsed = parseDocument(document);
    return parsed.ok && carriesOne(parsed.value, keyTags);
  });
  return new Set(visible.map((row) => row.flag_id));
}
