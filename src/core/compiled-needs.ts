// What a compiled flag or segment asks of others of its environment: whoever follows changes walks from what changed to
// all that may answer differently because of it.
import type { CompiledFlag, CompiledSegment } from './compiled.ts';
import { CONDITION, type CompiledCondition } from './compiled-condition.ts';

/** Ids, each once; those of items that are not there too. */
export interface CompiledNeeds {
  readonly flagIds: readonly string[];
  readonly segmentIds: readonly string[];
}

const NOTHING: CompiledNeeds = { flagIds: [], segmentIds: [] };

// Compiled items never change, and live on from one snapshot to the next.
const known = new WeakMap<CompiledFlag | CompiledSegment, CompiledNeeds>();

export function needsOfFlag(flag: CompiledFlag): CompiledNeeds {
  if (flag.prerequisites === undefined && flag.rules === undefined) return NOTHING;
  let needs = known.get(flag);
  if (needs === undefined) {
    const flagIds = new Set(flag.prerequisites?.map(({ flag_id: id }) => id));
    const segmentIds = new Set<string>();
    for (const rule of flag.rules ?? []) collect(rule.when, segmentIds);
    needs = { flagIds: [...flagIds], segmentIds: [...segmentIds] };
    known.set(flag, needs);
  }
  return needs;
}

export function needsOfSegment(segment: CompiledSegment): CompiledNeeds {
  if (segment.when === undefined) return NOTHING;
  let needs = known.get(segment);
  if (needs === undefined) {
    const segmentIds = new Set<string>();
    collect(segment.when, segmentIds);
    needs = { flagIds: [], segmentIds: [...segmentIds] };
    known.set(segment, needs);
  }
  return needs;
}

function collect(condition: CompiledCondition, segmentIds: Set<string>): void {
  if (condition.kind === CONDITION.segment) segmentIds.add(condition.segmentId);
  for (const member of condition.members) collect(member, segmentIds);
}
