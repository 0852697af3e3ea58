// What is doubtful about a flag that was written, for the reply: core judges, from here it learns what else there is.
import { analyse, type Surroundings, segmentsOf } from '../core/analyse.ts';
import { parseDocument } from '../core/document.ts';
import type { FlagDefinition } from '../core/model.ts';
import { parseSegmentDocument } from '../core/segment-document.ts';
import { carriesOne, type KeyTags } from './dependencies.ts';
import type { Done, Write } from './write.ts';

export interface Written {
  readonly flag: FlagDefinition;
  /** The definition that it follows; undefined when there was none, or it is still the same. */
  readonly previous: FlagDefinition | undefined;
  readonly keyTags: KeyTags;
}

/** The reply of a write, with `warnings` as the last member of its document when there are any. */
export async function withWarnings(write: Write, done: Done, written: Written): Promise<Done> {
  const warnings = analyse(written.flag, written.previous, await surroundingsOf(write, written));
  if (warnings.length === 0) return done;
  return { ...done, body: `${done.body.slice(0, -1)},"warnings":${JSON.stringify(warnings)}}` };
}

async function surroundingsOf(write: Write, { flag, keyTags }: Written): Promise<Surroundings> {
  const flags = await readPrerequisites(write, flag, keyTags);
  const empty = await readEmptySegments(write, flag);
  return {
    flag: (flagId) => flags.get(flagId),
    segment: (segmentId) => (empty.has(segmentId) ? { empty: true } : undefined),
  };
}

/** Those that the key may see: of the others it learns nothing. */
async function readPrerequisites(
  write: Write,
  flag: FlagDefinition,
  keyTags: KeyTags,
): Promise<ReadonlyMap<string, FlagDefinition>> {
  const flags = new Map<string, FlagDefinition>();
  if (flag.prerequisites.length === 0) return flags;
  const rows = await write.tx.query<{ flag_id: string; document: string | null }>(
    `SELECT flag_id, document FROM flags
      WHERE environment = $1 AND flag_id = ANY($2::text[]) AND archived_at IS NULL`,
    [flag.environment, flag.prerequisites.map((prerequisite) => prerequisite.flag_id)],
  );
  for (const row of rows) {
    // Of a row that cannot be read nothing is known here; an older version of it serves.
    const parsed = parseDocument(row.document ?? '');
    if (parsed.ok && carriesOne(parsed.value, keyTags)) flags.set(row.flag_id, parsed.value);
  }
  return flags;
}

async function readEmptySegments(write: Write, flag: FlagDefinition): Promise<ReadonlySet<string>> {
  const named = new Set(flag.rules.flatMap(({ when }) => [...segmentsOf(when, '')].map(({ segmentId }) => segmentId)));
  if (named.size === 0) return named;
  const rows = await write.tx.query<{ segment_id: string; document: string }>(
    `SELECT segment_id, document FROM segments
      WHERE environment = $1 AND segment_id = ANY($2::text[]) AND archived_at IS NULL`,
    [flag.environment, [...named]],
  );
  return new Set(rows.filter((row) => isEmptySegment(row.document)).map((row) => row.segment_id));
}

/** False for a row that cannot be read: nothing is known of it. */
function isEmptySegment(json: string): boolean {
  const parsed = parseSegmentDocument(json);
  if (!parsed.ok) return false;
  const { included_count, excluded_count, when } = parsed.value;
  return included_count + excluded_count === 0 && when === null;
}
