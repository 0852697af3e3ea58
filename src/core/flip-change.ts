// The single changes that a flip is made of: what each does to a context, a flag or a segment, and how it is told.
import { withPercentage } from './compile.ts';
import type { CompiledFlag, CompiledSegment, EvaluationContext, EvaluationScope, IdSet, Outcome } from './compiled.ts';
import type { Json, JsonObject, Reason } from './model.ts';

export type Change =
  /** `value` undefined: the attribute is taken away. */
  | { readonly kind: 'attribute'; readonly name: string; readonly value: Json | undefined }
  | { readonly kind: 'enabled'; readonly flagId: string; readonly enabled: boolean }
  | {
      readonly kind: 'percentage';
      readonly flagId: string;
      /** undefined: the flag's own. */
      readonly ruleId: string | undefined;
      readonly percentage: number;
    }
  /** The user is taken out of the flag's targets. */
  | { readonly kind: 'target'; readonly flagId: string; readonly variant: string }
  | {
      readonly kind: 'segment';
      readonly segmentId: string;
      readonly list: 'included' | 'excluded';
      readonly action: 'add' | 'remove';
      readonly id: string;
    };

/** A flip as it is told. What it does not change it does not have. */
export interface Flip {
  /** The flag that is changed, where it is another than the one explained: a prerequisite. */
  readonly flag_id?: string;
  readonly rollout_percentage?: number;
  /** Whose percentage it is; without it the flag's own. */
  readonly rule_id?: string;
  readonly enabled?: boolean;
  readonly target?: { readonly action: 'remove'; readonly variant: string };
  readonly segment?: {
    readonly segment_id: string;
    readonly list: 'included' | 'excluded';
    readonly action: 'add' | 'remove';
    readonly id: string;
  };
  readonly attributes?: { readonly set: JsonObject; readonly remove: readonly string[] };
  readonly gives: { readonly variant: string; readonly reason: Reason; readonly rule_id?: string };
}

/** What an evaluation is given. */
export interface Situation {
  readonly flag: CompiledFlag;
  readonly context: EvaluationContext;
  readonly scope: EvaluationScope;
}

/** The situation after the changes; the one given stays as it is. */
export function applyChanges(before: Situation, changes: readonly Change[]): Situation {
  const flags = new Map<string, CompiledFlag>();
  const segments = new Map<string, CompiledSegment>();
  let { attributes } = before.context;
  const flagOf = (id: string): CompiledFlag | undefined =>
    flags.get(id) ?? (id === before.flag.flagId ? before.flag : before.scope.flags.get(id));
  for (const change of changes) {
    if (change.kind === 'attribute') {
      attributes = changeAttribute(attributes, change.name, change.value);
    } else if (change.kind === 'segment') {
      const segment = segments.get(change.segmentId) ?? before.scope.segments.get(change.segmentId);
      if (segment !== undefined) segments.set(change.segmentId, changeList(segment, change));
    } else {
      const flag = flagOf(change.flagId);
      if (flag !== undefined) flags.set(change.flagId, changeFlag(flag, change, before.context.userId));
    }
  }
  return {
    flag: flagOf(before.flag.flagId) ?? before.flag,
    context: { userId: before.context.userId, attributes },
    scope: {
      flags: flags.size === 0 ? before.scope.flags : { get: flagOf },
      segments:
        segments.size === 0
          ? before.scope.segments
          : { get: (id) => segments.get(id) ?? before.scope.segments.get(id) },
    },
  };
}

/**
 * The attributes with one set or taken away. A name is taken as conditions take it: an own attribute of exactly that
 * name is the one; else a name with dots is a path, whose objects are made where they are missing. Where something
 * that is no object stands in the way, the attribute gets that exact name, which conditions find first.
 */
export function changeAttribute(
  attributes: JsonObject | undefined,
  name: string,
  value: Json | undefined,
): JsonObject | undefined {
  const top = attributes ?? {};
  const path = name.split('.');
  if (value === undefined) {
    const without = Object.fromEntries(Object.entries(top).filter(([key]) => key !== name));
    return path.length === 1 ? without : (removePath(without, path) as JsonObject);
  }
  const isExact = path.length === 1 || path[0] === 'user_id' || Object.hasOwn(top, name) || !isOpen(top, path);
  return (isExact ? put(top, name, value) : putPath(top, path, value)) as JsonObject;
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether nothing but objects and gaps stands on the way to the path's end. */
function isOpen(top: JsonObject, path: readonly string[]): boolean {
  let value: Json | undefined = top;
  for (const step of path.slice(0, -1)) {
    if (!isObject(value)) return false;
    value = Object.hasOwn(value, step) ? value[step] : undefined;
    if (value === undefined || value === null) return true;
  }
  return isObject(value);
}

// Objects are made from entries, which are own properties even under names like `__proto__`.
function put(object: JsonObject, name: string, value: Json): JsonObject {
  return Object.fromEntries([...Object.entries(object).filter(([key]) => key !== name), [name, value]]);
}

function putPath(value: Json | undefined, path: readonly string[], leaf: Json): Json {
  const [step, ...rest] = path;
  if (step === undefined) return leaf;
  const object = isObject(value) ? value : {};
  return put(object, step, putPath(Object.hasOwn(object, step) ? object[step] : undefined, rest, leaf));
}

function removePath(value: Json, path: readonly string[]): Json {
  const [step, ...rest] = path;
  if (step === undefined || !isObject(value) || !Object.hasOwn(value, step)) return value;
  if (rest.length === 0) return Object.fromEntries(Object.entries(value).filter(([key]) => key !== step));
  return put(value, step, removePath(value[step] as Json, rest));
}

function changeList(segment: CompiledSegment, change: Extract<Change, { kind: 'segment' }>): CompiledSegment {
  const changed = changedSet(segment[change.list], change.action, change.id);
  return change.list === 'included' ? { ...segment, included: changed } : { ...segment, excluded: changed };
}

function changedSet(ids: IdSet | undefined, action: 'add' | 'remove', id: string): IdSet {
  const isAdded = action === 'add';
  return {
    count: (ids?.count ?? 0) + (isAdded ? 1 : -1),
    has: (asked) => (asked === id ? isAdded : ids?.has(asked) === true),
    *ids() {
      for (const known of ids?.ids() ?? []) if (known !== id) yield known;
      if (isAdded) yield id;
    },
  };
}

function changeFlag(
  flag: CompiledFlag,
  change: Exclude<Change, { kind: 'attribute' | 'segment' }>,
  userId: string,
): CompiledFlag {
  switch (change.kind) {
    case 'enabled':
      return { ...flag, enabled: change.enabled };
    case 'percentage':
      return withPercentage(flag, change.ruleId, change.percentage);
    case 'target': {
      const targets = new Map(flag.targets);
      targets.delete(userId);
      return { ...flag, targets };
    }
  }
}

/** Whether the changes can be told as one flip: of one flag at most, of one rule of it, and of one segment. */
export function canBeTold(changes: readonly Change[]): boolean {
  const flags = new Set(changes.map((change) => ('flagId' in change ? change.flagId : undefined)));
  flags.delete(undefined);
  const count = (kind: Change['kind']): number => changes.filter((change) => change.kind === kind).length;
  return flags.size <= 1 && count('percentage') <= 1 && count('segment') <= 1 && count('enabled') <= 1;
}

export function tellFlip(changes: readonly Change[], rootFlagId: string, outcome: Outcome): Flip {
  const set: [string, Json][] = [];
  const remove: string[] = [];
  let flip: Omit<Flip, 'gives'> = {};
  for (const change of changes) {
    if ('flagId' in change && change.flagId !== rootFlagId) flip = { ...flip, flag_id: change.flagId };
    switch (change.kind) {
      case 'attribute':
        if (change.value === undefined) remove.push(change.name);
        else set.push([change.name, change.value]);
        break;
      case 'enabled':
        flip = { ...flip, enabled: change.enabled };
        break;
      case 'percentage':
        flip = { ...flip, rollout_percentage: change.percentage };
        if (change.ruleId !== undefined) flip = { ...flip, rule_id: change.ruleId };
        break;
      case 'target':
        flip = { ...flip, target: { action: 'remove', variant: change.variant } };
        break;
      case 'segment': {
        const { segmentId, list, action, id } = change;
        flip = { ...flip, segment: { segment_id: segmentId, list, action, id } };
        break;
      }
    }
  }
  if (set.length + remove.length > 0) flip = { ...flip, attributes: { set: Object.fromEntries(set), remove } };
  const { variant, reason, ruleId } = outcome;
  return { ...flip, gives: { variant, reason, ...(ruleId === undefined ? {} : { rule_id: ruleId }) } };
}
