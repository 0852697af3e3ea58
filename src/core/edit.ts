// Changes of a flag that is there: PUT replaces it, PATCH merges into it. Both give the next definition, whose splits
// move as few users of the current one as the new weights allow.
import { report } from './issues.ts';
import type { FlagDefinition, Result } from './model.ts';
import { conclude, DEFINITION_FIELDS, FLAG_TYPES, openBody, READ_ONLY_FIELDS, readDefinition } from './parse.ts';
import { asFields, type Fields, own, type Reading, startReading } from './reading.ts';

/** Not sent in a PUT: they stay as they are. Who edits a rollout has no opinion on the description. */
const PUT_KEEPS = ['flag_id', 'environment', 'type', 'description', 'tags', 'owner', 'kind'] as const;

/** Not sent in a PUT: refused while there is something to lose. */
const PUT_NEVER_DROPS = ['bucket_by', 'salt', 'targets', 'prerequisites', 'rules'] as const;

/** What those are when there is nothing to lose. */
const BLANK = { bucket_by: 'user_id', salt: null, targets: [], prerequisites: [], rules: [] } as const;

/**
 * The definition that a PUT makes of `current`. `enabled` and the rollout are needed, descriptive fields stay when not
 * sent, and anything else that would be lost by not being sent is refused by name.
 * @param raw parsed JSON of any kind; `"reallocate": true` takes fresh layouts
 * @returns INVALID_REQUEST with every issue, TYPE_CONFLICT, or ALLOCATION_FRAGMENTED
 */
export function replaceFlag(current: FlagDefinition, raw: unknown): Result<FlagDefinition> {
  const reading = startReading('input', current, isReallocation(raw));
  const sent = openBody(reading, raw);
  const conflict = typeConflict(reading, current, own(sent, 'type'));
  if (conflict !== undefined) return conflict;
  const kept = PUT_KEEPS.filter((name) => own(sent, name) === undefined).map((name) => [name, current[name]] as const);
  if (own(sent, 'enabled') === undefined) report(reading.issues, 'enabled', 'is required in a PUT');
  const rollout = rolloutField(current);
  if (own(sent, rollout) === undefined) report(reading.issues, rollout, 'is required in a PUT');
  for (const name of PUT_NEVER_DROPS) {
    if (own(sent, name) === undefined && !isSame(current[name], BLANK[name])) {
      report(
        reading.issues,
        name,
        `would be dropped; send it as it shall be: ${JSON.stringify(BLANK[name])} is without`,
      );
    }
  }
  const next = readDefinition(reading, { ...sent, ...Object.fromEntries(kept) }, addressOf(current));
  if (own(sent, 'format') === undefined && current.format === 'float' && next.format === 'integer') {
    report(
      reading.issues,
      'format',
      'would change from float to integer; send "float" to keep it or "integer" to change it',
    );
  }
  return conclude(reading, next);
}

/**
 * The definition that an RFC 7396 merge patch makes of `current`: null puts a field back to its default, which
 * `enabled` and the rollout do not have; arrays are replaced whole.
 * @param patch parsed JSON of any kind; `"reallocate": true` takes fresh layouts
 * @returns INVALID_REQUEST with every issue, TYPE_CONFLICT, or ALLOCATION_FRAGMENTED
 */
export function patchFlag(current: FlagDefinition, patch: unknown): Result<FlagDefinition> {
  const reading = startReading('input', current, isReallocation(patch));
  const sent = openBody(reading, patch);
  const conflict = typeConflict(reading, current, own(sent, 'type') === null ? 'boolean' : own(sent, 'type'));
  if (conflict !== undefined) return conflict;
  for (const name of ['flag_id', 'environment', 'enabled', 'rollout_percentage', 'rollout']) {
    if (own(sent, name) === null)
      report(reading.issues, name, 'has no default to go back to; null cannot be merged here');
  }
  const changes = Object.entries(sent).filter(([name]) => isDefinitionField(name));
  const merged = new Map(Object.entries(asFields(merge(definitionOf(current), Object.fromEntries(changes))) ?? {}));
  // An integer flag that gets its first fraction becomes a float; a float flag stays one.
  if (own(sent, 'format') === undefined && current.format === 'integer') merged.delete('format');
  return conclude(reading, readDefinition(reading, Object.fromEntries(merged), addressOf(current)));
}

/** Whether two definitions say the same; what the store adds to a document does not count, nor the order of names. */
export function sameDefinition(a: FlagDefinition, b: FlagDefinition): boolean {
  return isSame(definitionOf(a), definitionOf(b));
}

function addressOf(current: FlagDefinition): { readonly flagId: string; readonly environment: string } {
  return { flagId: current.flag_id, environment: current.environment };
}

function rolloutField(current: FlagDefinition): 'rollout_percentage' | 'rollout' {
  return current.type === 'boolean' ? 'rollout_percentage' : 'rollout';
}

function isReallocation(raw: unknown): boolean {
  const fields = asFields(raw);
  return fields !== undefined && own(fields, 'reallocate') === true;
}

/** A valid type that is another one. It is told before anything that follows from it, but after a malformed body. */
function typeConflict(reading: Reading, current: FlagDefinition, type: unknown): Result<never> | undefined {
  if (reading.issues.length > 0 || type === current.type || !FLAG_TYPES.some((known) => known === type))
    return undefined;
  const message = `is ${current.type} and never changes; a flag of another type is another flag`;
  return { ok: false, code: 'TYPE_CONFLICT', issues: [{ path: 'type', message }] };
}

function isDefinitionField(name: string): boolean {
  return (DEFINITION_FIELDS as readonly string[]).includes(name);
}

/** The definition without what the store adds. */
function definitionOf(document: FlagDefinition): Fields {
  const stored: readonly string[] = READ_ONLY_FIELDS;
  return Object.fromEntries(
    Object.entries(document).filter(([name]) => name === 'allocation' || !stored.includes(name)),
  );
}

/** RFC 7396. Object.fromEntries makes own properties even of names like `__proto__`. */
export function merge(target: unknown, patch: unknown): unknown {
  const changes = asFields(patch);
  if (changes === undefined) return patch;
  const merged = new Map(Object.entries(asFields(target) ?? {}));
  for (const [name, change] of Object.entries(changes)) {
    if (change === null) merged.delete(name);
    else merged.set(name, merge(merged.get(name), change));
  }
  return Object.fromEntries(merged);
}

/** Equal as JSON; the order of names does not count. */
export function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a) || Array.isArray(b)) {
    return (
      Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((element, i) => isSame(element, b[i]))
    );
  }
  const [left, right] = [asFields(a), asFields(b)];
  if (left === undefined || right === undefined) return false;
  const names = Object.keys(left);
  return (
    names.length === Object.keys(right).length &&
    names.every((name) => Object.hasOwn(right, name) && isSame(left[name], right[name]))
  );
}
