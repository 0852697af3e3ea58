// Section 1 of the contract a second time, straight from documents: no compiling, no sharing, no thought of speed, so
// that it is seen to be right. It shares nothing with the evaluator but the types of documents.
import type {
  AllocationRange,
  ConditionNode,
  FlagDefinition,
  Json,
  JsonObject,
  Operator,
  Reason,
  Serve,
} from '../../src/core/model.ts';
import { compareTimes, compareVersions, isInNetwork, naiveAddress, naiveTime, naiveVersion } from './naive-formats.ts';
import { naiveMurmur3 } from './naive-murmur3.ts';

export interface NaiveSegment {
  readonly segment_id: string;
  readonly match_by: string;
  readonly when: ConditionNode | null;
  readonly included: readonly string[];
  readonly excluded: readonly string[];
}

export interface NaiveEnvironment {
  readonly flags: ReadonlyMap<string, FlagDefinition>;
  readonly segments: ReadonlyMap<string, NaiveSegment>;
}

export interface NaiveContext {
  readonly user_id: string;
  readonly attributes?: JsonObject | undefined;
}

export interface NaiveAnswer {
  readonly variant: string;
  readonly value: Json;
  readonly enabled: boolean;
  readonly reason: Reason;
  readonly rule_id?: string;
}

/** Reasons that meet no prerequisite. */
const UNSATISFYING: readonly Reason[] = ['DISABLED', 'PREREQUISITE_FAILED', 'BUCKET_KEY_MISSING', 'QUARANTINED'];

/** A condition names a segment that is not there. */
class Unsound extends Error {}

/** The flag's answer. Prerequisites must not go round in a circle here. */
export function naiveEvaluate(flag: FlagDefinition, context: NaiveContext, environment: NaiveEnvironment): NaiveAnswer {
  try {
    return decide(flag, context, environment);
  } catch (error) {
    if (error instanceof Unsound) return answer(flag, offVariant(flag), 'QUARANTINED');
    throw error;
  }
}

function decide(flag: FlagDefinition, context: NaiveContext, environment: NaiveEnvironment): NaiveAnswer {
  if (!flag.enabled) return answer(flag, offVariant(flag), 'DISABLED');
  for (const { flag_id: id, variant } of flag.prerequisites) {
    const other = environment.flags.get(id);
    const served = other === undefined ? undefined : naiveEvaluate(other, context, environment);
    const isMet = served !== undefined && !UNSATISFYING.includes(served.reason) && served.variant === variant;
    if (!isMet) return answer(flag, offVariant(flag), 'PREREQUISITE_FAILED');
  }
  for (const { variant, user_ids: users } of flag.targets) {
    if (users.includes(context.user_id)) return answer(flag, variant, 'TARGET_MATCH');
  }
  for (const { rule_id: ruleId, when, serve } of flag.rules) {
    if (!conditionHolds(when, context, environment)) continue;
    const variant = servedVariant(flag, rangesOfRule(serve), context);
    if (variant === undefined) return answer(flag, offVariant(flag), 'BUCKET_KEY_MISSING');
    return answer(flag, variant, 'RULE_MATCH', ruleId);
  }
  const ranges = flag.type === 'boolean' ? booleanRanges(flag.rollout_percentage ?? 0) : (flag.allocation ?? []);
  const variant = servedVariant(flag, ranges, context);
  if (variant === undefined) return answer(flag, offVariant(flag), 'BUCKET_KEY_MISSING');
  return answer(flag, variant, variantsOf(ranges).size > 1 ? 'SPLIT' : 'STATIC');
}

function offVariant(flag: FlagDefinition): string {
  return flag.type === 'boolean' ? 'off' : (flag.off_variant ?? '');
}

function answer(flag: FlagDefinition, variant: string, reason: Reason, ruleId?: string): NaiveAnswer {
  const value =
    flag.type === 'boolean'
      ? variant === 'on'
      : (Object.entries(flag.variants ?? {}).find(([name]) => name === variant)?.[1] ?? null);
  const enabled = flag.type === 'boolean' ? value === true : variant !== flag.off_variant;
  return { variant, value, enabled, reason, ...(ruleId === undefined ? {} : { rule_id: ruleId }) };
}

function rangesOfRule(serve: Serve): readonly AllocationRange[] {
  if ('variant' in serve) return [[0, 10_000, serve.variant]];
  return 'rollout' in serve ? serve.allocation : booleanRanges(serve.rollout_percentage);
}

/** Buckets [0, edge) are on. */
function booleanRanges(percentage: number): readonly AllocationRange[] {
  const edge = Math.round(percentage * 100);
  const ranges: readonly AllocationRange[] = [
    [0, edge, 'on'],
    [edge, 10_000, 'off'],
  ];
  return ranges.filter(([from, to]) => from < to);
}

function variantsOf(ranges: readonly AllocationRange[]): ReadonlySet<string> {
  return new Set(ranges.map(([, , variant]) => variant));
}

/** undefined: it takes a bucket, and there is no key to find it by. */
function servedVariant(
  flag: FlagDefinition,
  ranges: readonly AllocationRange[],
  context: NaiveContext,
): string | undefined {
  const [only, ...others] = variantsOf(ranges);
  if (others.length === 0) return only;
  const key = asKey(attribute(context, flag.bucket_by));
  if (key === undefined) return undefined;
  const bucket = naiveMurmur3(`${key}:${flag.salt ?? flag.flag_id}`) % 10_000;
  return ranges.find(([from, to]) => from <= bucket && bucket < to)?.[2];
}

/** Strings as they are, safe integers in decimal. */
function asKey(value: Json | undefined): string | undefined {
  if (typeof value === 'string') return value;
  return typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value).toString() : undefined;
}

/** The exact name first, then the path with dots; own properties of objects only. */
function attribute(context: NaiveContext, name: string): Json | undefined {
  // No user_id, which OpenFeature allows, is the empty one.
  const userId = context.user_id === '' ? [] : [['user_id', context.user_id] as const];
  const others = Object.entries(context.attributes ?? {}).filter(([key]) => key !== 'user_id');
  const all = new Map<string, Json>([...userId, ...others]);
  if (all.has(name)) return all.get(name);
  const [first = '', ...rest] = name.split('.');
  let value = all.get(first);
  for (const step of rest) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    value = new Map(Object.entries(value)).get(step);
  }
  return value;
}

function conditionHolds(node: ConditionNode, context: NaiveContext, environment: NaiveEnvironment): boolean {
  return matchesNode(node, context, environment) !== (node.negate === true);
}

function matchesNode(node: ConditionNode, context: NaiveContext, environment: NaiveEnvironment): boolean {
  if ('all' in node) return node.all.every((member) => conditionHolds(member, context, environment));
  if ('any' in node) return node.any.some((member) => conditionHolds(member, context, environment));
  if ('segment' in node) return isMember(node.segment, context, environment);
  const value = attribute(context, node.attribute);
  return elementsOf(value).some((element) => matchesElement(node, element));
}

/** What an operator looks at: nothing for what is missing or null, each element of an array. */
function elementsOf(value: Json | undefined): readonly Json[] {
  const elements: readonly (Json | undefined)[] = Array.isArray(value) ? value : [value];
  return elements.filter((element) => element !== undefined && element !== null) as readonly Json[];
}

function isMember(segmentId: string, context: NaiveContext, environment: NaiveEnvironment): boolean {
  const segment = environment.segments.get(segmentId);
  if (segment === undefined) throw new Unsound();
  const keys = elementsOf(attribute(context, segment.match_by)).map(asKey);
  const isOn = (list: readonly string[]) => keys.some((key) => key !== undefined && list.includes(key));
  if (isOn(segment.excluded)) return false;
  if (isOn(segment.included)) return true;
  return segment.when !== null && conditionHolds(segment.when, context, environment);
}

interface Comparison {
  readonly op: Operator;
  readonly values?: readonly (string | number | boolean)[];
  readonly ignore_case?: boolean;
}

/** Several values mean any of them. */
function matchesElement(node: Comparison, element: Json): boolean {
  if (node.op === 'exists') return true;
  return (node.values ?? []).some((value) => {
    if (typeof element === 'boolean') return (node.op === 'equals' || node.op === 'in') && element === value;
    if (typeof element === 'number') return typeof value === 'number' && comparesNumber(node.op, element, value);
    if (typeof element === 'string') return typeof value === 'string' && comparesText(node, element, value);
    return false;
  });
}

function comparesNumber(op: Operator, element: number, value: number): boolean {
  switch (op) {
    case 'eq':
      return element === value;
    case 'gt':
      return element > value;
    case 'gte':
      return element >= value;
    case 'lt':
      return element < value;
    case 'lte':
      return element <= value;
    default:
      return false;
  }
}

function comparesText({ op, ignore_case: ignoreCase = false }: Comparison, element: string, value: string): boolean {
  // The i and u flags together compare by Unicode simple case folding, code point by code point.
  const search = (before: string, pattern: string, after: string) =>
    new RegExp(`${before}(?:${pattern})${after}`, ignoreCase ? 'iu' : 'u').test(element);
  switch (op) {
    case 'equals':
    case 'in':
      return search('^', literally(value), '$');
    case 'contains':
      return search('', literally(value), '');
    case 'starts_with':
      return search('^', literally(value), '');
    case 'ends_with':
      return search('', literally(value), '$');
    case 'matches':
      return search('', value, '');
    case 'before':
    case 'after': {
      const [mine, theirs] = [naiveTime(element), naiveTime(value)];
      if (mine === undefined || theirs === undefined) return false;
      return op === 'before' ? compareTimes(mine, theirs) < 0 : compareTimes(mine, theirs) > 0;
    }
    case 'in_cidr': {
      const address = naiveAddress(element);
      return address !== undefined && isInNetwork(address, value);
    }
    default:
      return comparesVersion(op, element, value);
  }
}

function literally(text: string): string {
  return [...text].map((point) => `\\u{${(point.codePointAt(0) ?? 0).toString(16)}}`).join('');
}

function comparesVersion(op: Operator, element: string, value: string): boolean {
  const [mine, theirs] = [naiveVersion(element), naiveVersion(value)];
  if (mine === undefined || theirs === undefined) return false;
  const order = compareVersions(mine, theirs);
  switch (op) {
    case 'semver_eq':
      return order === 0;
    case 'semver_gt':
      return order > 0;
    case 'semver_gte':
      return order >= 0;
    case 'semver_lt':
      return order < 0;
    case 'semver_lte':
      return order <= 0;
    default:
      return false;
  }
}
