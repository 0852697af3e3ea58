// What is doubtful about a flag that was written, for the reply: core judges, from here it learns what else there is.
import { analyse, type Surroundings } from '../core/analyse.ts';
import { parseDocument } from '../core/document.ts';
import type { FlagDefinition } from '../core/model.ts';
import type { Done, Write } from './write.ts';

/**
 * The reply of a write, with `warnings` as the last member of its document when there are any.
 * @param previous the definition that it follows; undefined when there was none, or it is still the same
 */
export async function withWarnings(
  write: Write,
  done: Done,
  flag: FlagDefinition,
  previous: FlagDefinition | undefined,
): Promise<Done> {
  const warnings = analyse(flag, previous, await surroundingsOf(write, flag));
  if (warnings.length === 0) return done;
  return { ...done, body: `${done.body.slice(0, -1)},"warnings":${JSON.stringify(warnings)}}` };
}

async function surroundingsOf(write: Write, flag: FlagDefinition): Promise<Surroundings> {
  const flags = await readPrerequisites(write, flag);
  return { flag: (flagId) => flags.get(flagId), segment: () => undefined };
}

async function readPrerequisites(write: Write, flag: FlagDefinition): Promise<ReadonlyMap<string, FlagDefinition>> {
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
    if (parsed.ok) flags.set(row.flag_id, parsed.value);
  }
  return flags;
}
