// Makes of a flag's document all that an evaluation needs and every reply that it can give, once for each publish.
import { compileCondition } from './compile-condition.ts';
import type { CompiledFlag, CompiledRule, CompiledServe, CompiledSplit, Outcome } from './compiled.ts';
import { parseDocument, renderDocument } from './document.ts';
import { documentLimits } from './document-limits.ts';
import type {
  AllocationRange,
  FlagDocument,
  FlagType,
  Issue,
  Json,
  JsonObject,
  NumberFormat,
  Reason,
  Serve,
} from './model.ts';
import { valueProblem } from './parse-variants.ts';
import { BUCKET_COUNT, percentageToEdge } from './percentage.ts';
import { asFields, isDeeperThan, own } from './reading.ts';
import { renderValue } from './render.ts';

/** Where an item stands, which is all that is known of one whose document cannot be read. */
export interface FlagAddress {
  readonly environment: string;
  readonly id: string;
}

/**
 * The flag ready to serve. Never throws: a document that is broken, names another flag than its address, or needs what
 * this version cannot evaluate makes a flag that says why in `quarantined` and answers QUARANTINED.
 * @param json the document as renderDocument wrote it
 */
export function compileFlag(json: string, address: FlagAddress): CompiledFlag {
  const parsed = parseDocument(json);
  if (!parsed.ok) return quarantine(json, address, parsed.issues);
  const document = parsed.value;
  if (document.flag_id !== address.id || document.environment !== address.environment) {
    return quarantine(json, address, [{ path: 'flag_id', message: 'is not the flag of this address' }]);
  }
  return compileDocument(document);
}

function compileDocument(document: FlagDocument): CompiledFlag {
  const variants = document.type === 'boolean' ? BOOLEAN_VARIANTS : Object.keys(document.variants ?? {});
  const outcomes: Outcome[] = [];
  const outcome = outcomesOf(document, variants, outcomes);
  const off = document.off_variant ?? 'off';
  return {
    flagId: document.flag_id,
    environment: document.environment,
    version: document.version,
    revision: document.revision,
    type: document.type,
    enabled: document.enabled,
    tags: document.tags,
    json: renderDocument(document),
    quarantined: undefined,
    variants,
    outcomes,
    hashSuffix: hashSuffix(document.salt ?? document.flag_id),
    bucketBy: document.bucket_by === 'user_id' ? undefined : document.bucket_by,
    bucketPath: document.bucket_by.includes('.') ? document.bucket_by.split('.') : undefined,
    prerequisites: document.prerequisites.length === 0 ? undefined : document.prerequisites,
    targets: compileTargets(document, outcome),
    rules: document.rules.length === 0 ? undefined : compileRules(document, outcome),
    ...compileServe(rolloutRanges(document), (variant, isSplit) => outcome(variant, isSplit ? 'SPLIT' : 'STATIC')),
    disabled: outcome(off, 'DISABLED'),
    prerequisiteFailed: outcome(off, 'PREREQUISITE_FAILED'),
    bucketKeyMissing: outcome(off, 'BUCKET_KEY_MISSING'),
    unsound: outcome(off, 'QUARANTINED'),
  };
}

/**
 * A boolean flag with another percentage, of its own or of the rule named, as explain tries it out. What it answers is
 * what the changed document would, but for its version.
 */
export function withPercentage(flag: CompiledFlag, ruleId: string | undefined, percentage: number): CompiledFlag {
  const outcome = outcomesOf({ flag_id: flag.flagId, version: flag.version, type: 'boolean' }, BOOLEAN_VARIANTS, []);
  const ranges = percentageRanges(percentage);
  if (ruleId === undefined) {
    return { ...flag, ...compileServe(ranges, (variant, isSplit) => outcome(variant, isSplit ? 'SPLIT' : 'STATIC')) };
  }
  const served = compileServe(ranges, (variant) => outcome(variant, 'RULE_MATCH', ruleId));
  return { ...flag, rules: flag.rules?.map((rule) => (rule.ruleId === ruleId ? { ...rule, ...served } : rule)) };
}

function compileRules(document: FlagDocument, outcome: OutcomeOf): readonly CompiledRule[] {
  return document.rules.map(({ rule_id: ruleId, when, serve }) => ({
    ruleId,
    when: compileCondition(when),
    weighted: !('variant' in serve),
    ...compileServe(ruleRanges(serve), (variant) => outcome(variant, 'RULE_MATCH', ruleId)),
  }));
}

function compileServe(
  ranges: readonly ServedRange[],
  outcome: (variant: string, isSplit: boolean) => Outcome,
): CompiledServe {
  const only = ranges.length === 1 ? ranges[0] : undefined;
  if (only !== undefined) return { fixed: outcome(only.variant, false), split: undefined };
  const split: CompiledSplit = {
    edges: Uint16Array.from(ranges, ({ edge }) => edge),
    outcomes: ranges.map(({ variant }) => outcome(variant, true)),
  };
  return { fixed: undefined, split };
}

/** UTF-8 of ":" + salt: what follows the user in the hash's input. */
function hashSuffix(salt: string): Uint8Array {
  return new TextEncoder().encode(`:${salt}`);
}

/** In the order of their indexes. */
const BOOLEAN_VARIANTS: readonly string[] = ['off', 'on'];

interface ServedRange {
  readonly edge: number;
  readonly variant: string;
}

/** Exclusive upper edges in ascending order, the last one 10000, none of them empty. */
function rolloutRanges(document: FlagDocument): readonly ServedRange[] {
  return document.type === 'boolean'
    ? percentageRanges(document.rollout_percentage)
    : allocationRanges(document.allocation ?? []);
}

/** The same for what a rule serves. */
function ruleRanges(serve: Serve): readonly ServedRange[] {
  if ('variant' in serve) return [{ edge: BUCKET_COUNT, variant: serve.variant }];
  return 'rollout' in serve ? allocationRanges(serve.allocation) : percentageRanges(serve.rollout_percentage);
}

function allocationRanges(ranges: readonly AllocationRange[]): readonly ServedRange[] {
  // A split between one variant is none, however many ranges hold it.
  const served = new Set(ranges.map(([, , variant]) => variant));
  return (served.size === 1 ? ranges.slice(-1) : ranges).map(([, edge, variant]) => ({ edge, variant }));
}

function percentageRanges(percentage: number | undefined): readonly ServedRange[] {
  const edge = percentageToEdge(percentage) ?? 0;
  return [
    { edge, variant: 'on' },
    { edge: BUCKET_COUNT, variant: 'off' },
  ].filter((range, i, all) => range.edge > (all[i - 1]?.edge ?? 0));
}

type OutcomeOf = (variant: string, reason: Reason, ruleId?: string) => Outcome;

type OutcomeSource = Pick<FlagDocument, 'flag_id' | 'version' | 'type' | 'variants' | 'off_variant' | 'format'>;

/** Makes each outcome once, into `list`: hundreds of ranges and thousands of targets share them. */
function outcomesOf(document: OutcomeSource, variants: readonly string[], list: Outcome[]): OutcomeOf {
  const made = new Map<string, Outcome>();
  return (variant, reason, ruleId) => {
    // A rule_id has no space in it.
    const name = `${reason} ${ruleId ?? ''} ${variant}`;
    const known = made.get(name);
    if (known !== undefined) return known;
    const value = document.type === 'boolean' ? variant === 'on' : ownValue(document.variants, variant);
    const enabled = document.type === 'boolean' ? value === true : variant !== document.off_variant;
    const outcome = makeOutcome({
      flagId: document.flag_id,
      version: document.version,
      enabled,
      variant,
      value,
      reason,
      ruleId,
      index: list.length,
      variantIndex: variants.indexOf(variant),
      format: document.format,
    });
    made.set(name, outcome);
    list.push(outcome);
    return outcome;
  };
}

function ownValue(variants: JsonObject | undefined, variant: string): Json {
  const value = variants === undefined ? undefined : own(variants, variant);
  return value === undefined ? null : (value as Json);
}

/** A flag that answers so meets no prerequisite, whatever it serves (contract, section 1). */
const UNSATISFYING: ReadonlySet<Reason> = new Set([
  'DISABLED',
  'PREREQUISITE_FAILED',
  'BUCKET_KEY_MISSING',
  'QUARANTINED',
] as const);

/** See compiled.ts for the two forms of reply. */
function makeOutcome(answer: {
  readonly flagId: string;
  readonly version: number;
  readonly enabled: boolean;
  readonly variant: string;
  readonly value: Json;
  readonly reason: Reason;
  readonly ruleId?: string | undefined;
  readonly index: number;
  readonly variantIndex: number;
  readonly format: NumberFormat | undefined;
}): Outcome {
  const { flagId, version, enabled, variant, value, reason, ruleId, index, variantIndex, format } = answer;
  const choice = ['"variant":', JSON.stringify(variant), ',"value":', renderValue(value, format)].join('');
  const served = [
    choice,
    ',"reason":"',
    reason,
    ruleId === undefined ? '"' : `","rule_id":"${ruleId}"`,
    ',"version":',
    String(version),
  ].join('');
  return {
    flagId,
    version,
    enabled,
    variant,
    value,
    reason,
    ruleId,
    index,
    variantIndex,
    satisfies: !UNSATISFYING.has(reason),
    // Joined, not added: the sum of strings is a tree that the first request would have to flatten.
    replyHead: ['{"flag_id":', JSON.stringify(flagId), ',"enabled":', String(enabled), ',"user_id":'].join(''),
    replyTail: ['",', served, ',"revision":'].join(''),
    reasonAt: choice.length + 2,
    batchJson: ['{"enabled":', String(enabled), ',', served, '}'].join(''),
  };
}

function compileTargets(document: FlagDocument, outcome: OutcomeOf): ReadonlyMap<string, Outcome> | undefined {
  const targets = new Map<string, Outcome>();
  for (const { variant, user_ids: ids } of document.targets) {
    const served = outcome(variant, 'TARGET_MATCH');
    for (const id of ids) targets.set(id, served);
  }
  return targets.size === 0 ? undefined : targets;
}

/** What can be told of a broken document, so that it can still be listed, found by tag, and served its off_variant. */
function quarantine(json: string, address: FlagAddress, issues: readonly Issue[]): CompiledFlag {
  const fields = readableFields(json);
  const type = own(fields, 'type');
  const known: FlagType = type === 'string' || type === 'number' || type === 'object' ? type : 'boolean';
  const tags = own(fields, 'tags');
  const version = countOf(own(fields, 'version'));
  const outcome = makeOutcome({
    flagId: address.id,
    version,
    ...offAnswer(fields, known),
    enabled: false,
    reason: 'QUARANTINED',
    index: 0,
    variantIndex: 0,
  });
  return {
    flagId: address.id,
    environment: address.environment,
    version,
    revision: countOf(own(fields, 'revision')),
    type: known,
    // Off, with QUARANTINED for DISABLED: evaluation needs no question of its own.
    enabled: false,
    tags: Array.isArray(tags) ? tags.filter((tag) => typeof tag === 'string') : [],
    json:
      Object.keys(fields).length > 0 ? json : JSON.stringify({ flag_id: address.id, environment: address.environment }),
    quarantined: issues.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('; '),
    variants: [outcome.variant],
    outcomes: [outcome],
    hashSuffix: hashSuffix(address.id),
    bucketBy: undefined,
    bucketPath: undefined,
    prerequisites: undefined,
    targets: undefined,
    rules: undefined,
    fixed: outcome,
    split: undefined,
    disabled: outcome,
    prerequisiteFailed: outcome,
    bucketKeyMissing: outcome,
    unsound: outcome,
  };
}

/** The off_variant where the document names one that it has; `off` for a boolean flag; else a nameless null. */
function offAnswer(
  fields: Record<string, unknown>,
  type: FlagType,
): { variant: string; value: Json; format: NumberFormat | undefined } {
  if (type === 'boolean') return { variant: 'off', value: false, format: undefined };
  const off = own(fields, 'off_variant');
  const value = own(asFields(own(fields, 'variants')) ?? {}, typeof off === 'string' ? off : '');
  if (typeof off !== 'string' || valueProblem(type, value) !== undefined)
    return { variant: '', value: null, format: undefined };
  return { variant: off, value: value as Json, format: own(fields, 'format') === 'float' ? 'float' : undefined };
}

/** The fields of what is at least a JSON object of bearable depth; none of anything else. */
function readableFields(json: string): Record<string, unknown> {
  try {
    const raw: unknown = JSON.parse(json);
    return isDeeperThan(raw, documentLimits.documentDepthMax) ? {} : { ...asFields(raw) };
  } catch {
    return {};
  }
}

function countOf(value: unknown): number {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : 0;
}
