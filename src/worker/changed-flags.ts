// Which flags may answer differently in one state of an environment than in another: those that changed themselves, and
// those that depend on what changed.
import type { CompiledFlag, CompiledSegment } from '../core/compiled.ts';
import { needsOfFlag, needsOfSegment } from '../core/compiled-needs.ts';
import { oncePerPair, type Steps } from './once-per-pair.ts';
import type { ServingEnvironment } from './serving.ts';

/** Items that are looked at in one step: each takes about 0.1 us. */
const STEP_ITEMS = 1024;

/**
 * The ids of these flags in order. Also those that are in one of the two states only. A flag with a new version is one
 * of them whatever it answers. Work is done once for a pair, however many ask.
 */
export const changedFlags: (old: ServingEnvironment, now: ServingEnvironment) => Steps<readonly string[]> =
  oncePerPair(compare);

function* compare(old: ServingEnvironment, now: ServingEnvironment): Steps<readonly string[]> {
  const segments = yield* differing(old.segments, now.segments, isSameSegment);
  const flags = yield* differing(old.flags, now.flags, isSameFlag);
  // What did not change itself needs the same in both states.
  if (segments.size > 0) {
    yield* spread(segments, yield* dependents(now.segments, (segment) => needsOfSegment(segment).segmentIds));
    const askers = yield* dependents(now.flags, (flag) => needsOfFlag(flag).segmentIds);
    for (const segmentId of segments) for (const flagId of askers.get(segmentId) ?? []) flags.add(flagId);
    yield;
  }
  if (flags.size > 0) yield* spread(flags, yield* dependents(now.flags, (flag) => needsOfFlag(flag).flagIds));
  return [...flags].sort();
}

/** Ids of what is in one map only, or not the same in both. */
function* differing<T>(
  old: ReadonlyMap<string, T>,
  now: ReadonlyMap<string, T>,
  isSame: (a: T, b: T) => boolean,
): Steps<Set<string>> {
  const ids = new Set<string>();
  if (old === now) return ids;
  let looked = 0;
  for (const [id, item] of now) {
    const before = old.get(id);
    if (before !== item && (before === undefined || !isSame(before, item))) ids.add(id);
    if (++looked % STEP_ITEMS === 0) yield;
  }
  for (const id of old.keys()) {
    if (!now.has(id)) ids.add(id);
    if (++looked % STEP_ITEMS === 0) yield;
  }
  return ids;
}

// A snapshot that comes whole compiles everything anew: equal documents are then the same flag all the same.
function isSameFlag(a: CompiledFlag, b: CompiledFlag): boolean {
  return a.json === b.json && a.quarantined === b.quarantined;
}

/** Every change of a segment's lists makes a new version of its document. */
function isSameSegment(a: CompiledSegment, b: CompiledSegment): boolean {
  return a.json === b.json && a.quarantined === b.quarantined;
}

/** id -> ids of those that need it. */
function* dependents<T>(
  items: ReadonlyMap<string, T>,
  needsOf: (item: T) => readonly string[],
): Steps<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, string[]>();
  let looked = 0;
  for (const [id, item] of items) {
    for (const needed of needsOf(item)) {
      const others = found.get(needed);
      if (others === undefined) found.set(needed, [id]);
      else others.push(id);
    }
    if (++looked % STEP_ITEMS === 0) yield;
  }
  return found;
}

/** Adds all that needs one of `ids`, at any distance. Ends on circles too, which bad rows can make. */
function* spread(ids: Set<string>, needers: ReadonlyMap<string, readonly string[]>): Steps<void> {
  let looked = 0;
  // A set is walked to what is added meanwhile.
  for (const id of ids) {
    for (const needer of needers.get(id) ?? []) ids.add(needer);
    if (++looked % STEP_ITEMS === 0) yield;
  }
}
