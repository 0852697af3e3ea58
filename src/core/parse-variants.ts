// What a flag can serve and in which shares: variants with their values, rollouts with their allocation.
import { allocationProblem, layoutAllocation } from './allocation.ts';
import { documentLimits } from './document-limits.ts';
import { at, kindOf, quote, report } from './issues.ts';
import type { AllocationRange, FlagType, Json, JsonObject, NumberFormat, WeightedVariant } from './model.ts';
import { BUCKET_COUNT, edgeToPercentage, percentageToEdge } from './percentage.ts';
import {
  asFields,
  type Fields,
  own,
  type Reading,
  readArray,
  readChoice,
  readObject,
  readVariantName,
} from './reading.ts';
import { hasControlCharacter, textProblem, utf8Length } from './text.ts';

export const BOOLEAN_VARIANTS: ReadonlySet<string> = new Set(['off', 'on']);

/** Percent, 0 to 100 with at most two decimals, as the double nearest to those decimals. */
export function readPercentage(reading: Reading, value: unknown, path: string): number {
  const edge = percentageToEdge(value);
  if (edge !== undefined) return edgeToPercentage(edge);
  const got = value === undefined ? 'is required and ' : '';
  report(reading.issues, path, `${got}must be a number from 0 to 100 with at most two decimals`);
  return 0;
}

/** The variants of a flag that is not boolean, each value fit for the type. */
export function readVariants(
  reading: Reading,
  value: unknown,
  path: string,
  type: Exclude<FlagType, 'boolean'>,
): JsonObject {
  const fields = asFields(value);
  if (fields === undefined) {
    const got =
      value === undefined
        ? `is required for a flag of type ${type}`
        : `must be an object of names and values, not ${kindOf(value)}`;
    report(reading.issues, path, got);
    return {};
  }
  const names = Object.keys(fields);
  if (names.length === 0) report(reading.issues, path, 'must have at least one variant');
  if (names.length > documentLimits.variantsMax) {
    report(reading.issues, path, `must have at most ${documentLimits.variantsMax} variants, not ${names.length}`);
    return {};
  }
  for (const name of names) {
    const problem = variantNameProblem(name) ?? valueProblem(type, fields[name]);
    if (problem !== undefined) report(reading.issues, at(path, name), problem);
  }
  // -0 is written as 0: let it be 0 from the start.
  return Object.fromEntries(names.map((name) => [name, fields[name] === 0 ? 0 : (fields[name] as Json)]));
}

function variantNameProblem(name: string): string | undefined {
  if (name === '') return 'has an empty name; a variant needs one';
  if (name.length > documentLimits.variantNameCharsMax)
    return `has a name of more than ${documentLimits.variantNameCharsMax} characters`;
  const problem = textProblem(name);
  if (problem !== undefined) return `has a name that ${problem}`;
  return hasControlCharacter(name) ? 'has a name with control characters' : undefined;
}

/** Why the value is none for a flag of this type; undefined when it is one. */
export function valueProblem(type: Exclude<FlagType, 'boolean'>, value: unknown): string | undefined {
  if (type === 'number') return Number.isFinite(value) ? undefined : `must be a finite number, not ${kindOf(value)}`;
  if (type === 'string' && typeof value !== 'string') return `must be a string, not ${kindOf(value)}`;
  if (type === 'object' && asFields(value) === undefined) return `must be a JSON object, not ${kindOf(value)}`;
  const problem = jsonProblem(value, documentLimits.valueDepthMax);
  if (problem !== undefined) return problem;
  const bytes = utf8Length(JSON.stringify(value));
  return bytes > documentLimits.valueBytesMax
    ? `must be at most ${documentLimits.valueBytesMax} bytes as JSON, not ${bytes}`
    : undefined;
}

/** Why a value cannot be kept and given back as it is. */
function jsonProblem(value: unknown, levelsLeft: number): string | undefined {
  switch (typeof value) {
    case 'string':
      return textProblem(value);
    case 'number':
      if (!Number.isFinite(value)) return 'must hold finite numbers only';
      // JSON.parse has rounded it already: a long id would come back as another one.
      if (Number.isInteger(value) && !Number.isSafeInteger(value))
        return `must not hold integers beyond ±${Number.MAX_SAFE_INTEGER}; send them as strings`;
      return undefined;
    case 'boolean':
      return undefined;
    case 'object': {
      if (value === null) return undefined;
      if (levelsLeft === 0) return `must not be nested deeper than ${documentLimits.valueDepthMax} levels`;
      for (const [name, child] of Object.entries(value)) {
        const problem = textProblem(name) ?? jsonProblem(child, levelsLeft - 1);
        if (problem !== undefined) return problem;
      }
      return undefined;
    }
    default:
      return `must be JSON, not ${kindOf(value)}`;
  }
}

/** How the numbers of a flag are written: as sent if sent, else float when any of them is not an integer. */
export function readFormat(reading: Reading, fields: Fields, variants: JsonObject): NumberFormat {
  const sent = own(fields, 'format');
  const format = sent === undefined ? undefined : readChoice(reading, sent, 'format', ['integer', 'float'] as const);
  if (sent === undefined && reading.source === 'stored') report(reading.issues, 'format', 'is missing');
  const values = Object.entries(variants).filter(([, value]) => Number.isFinite(value));
  const derived = values.every(([, value]) => Number.isInteger(value)) ? 'integer' : 'float';
  if ((format ?? derived) === 'float') return 'float';
  for (const [name, value] of values) {
    if (!Number.isInteger(value))
      report(reading.issues, at('variants', name), 'must be an integer: the format of this flag is integer');
    else if (!Number.isSafeInteger(value)) {
      report(
        reading.issues,
        at('variants', name),
        `must not be an integer beyond ±${Number.MAX_SAFE_INTEGER}; "format": "float" takes it, rounded`,
      );
    }
  }
  return 'integer';
}

export interface Split {
  readonly rollout: readonly WeightedVariant[];
  readonly allocation: readonly AllocationRange[];
}

/**
 * A rollout with its ranges: those stored beside it, or laid out to move as few users of `previous` as can be.
 * `allocation` is looked at in a stored document only.
 */
export function readSplit(
  reading: Reading,
  input: { readonly rollout: unknown; readonly allocation: unknown },
  paths: { readonly rollout: string; readonly allocation: string },
  names: ReadonlySet<string> | undefined,
  previous: readonly AllocationRange[] | undefined,
): Split {
  const issueCount = reading.issues.length;
  const rollout = readRollout(reading, input.rollout, paths.rollout, names);
  if (reading.issues.length !== issueCount) return { rollout, allocation: [] };
  if (reading.source === 'stored') {
    return { rollout, allocation: readAllocation(reading, input.allocation, paths.allocation, rollout) };
  }
  const allocation = layoutAllocation(rollout, reading.reallocate ? undefined : previous);
  if (allocation.length > documentLimits.allocationRangesMax) {
    report(
      reading.fragmented,
      paths.rollout,
      `would have ${allocation.length} ranges, more than ${documentLimits.allocationRangesMax}; send "reallocate": true for a fresh layout, which moves users`,
    );
  }
  return { rollout, allocation };
}

function readRollout(
  reading: Reading,
  value: unknown,
  path: string,
  names: ReadonlySet<string> | undefined,
): readonly WeightedVariant[] {
  const issueCount = reading.issues.length;
  const entries = readArray(reading, value, path, documentLimits.variantsMax);
  const seen = new Set<string>();
  const rollout = entries.map((entry, i) => {
    const fields = readObject(reading, entry, at(path, i), ['variant', 'percentage']);
    if (fields === undefined) return { variant: '', percentage: 0 };
    const variant = readVariantName(reading, own(fields, 'variant'), at(at(path, i), 'variant'), names);
    if (seen.has(variant) && variant !== '')
      report(reading.issues, at(at(path, i), 'variant'), `${quote(variant)} stands in this rollout twice`);
    seen.add(variant);
    return { variant, percentage: readPercentage(reading, own(fields, 'percentage'), at(at(path, i), 'percentage')) };
  });
  if (reading.issues.length !== issueCount) return rollout;
  const sum = rollout.reduce((edges, { percentage }) => edges + (percentageToEdge(percentage) ?? 0), 0);
  if (sum !== BUCKET_COUNT)
    report(reading.issues, path, `percentages must add up to exactly 100, not ${edgeToPercentage(sum)}`);
  return rollout;
}

function readAllocation(
  reading: Reading,
  value: unknown,
  path: string,
  rollout: readonly WeightedVariant[],
): readonly AllocationRange[] {
  const ranges = readArray(reading, value, path, documentLimits.allocationRangesMax);
  if (!ranges.every(isRange)) {
    report(reading.issues, path, 'must be an array of [from, to, variant]');
    return [];
  }
  const problem = allocationProblem(ranges, rollout);
  if (problem !== undefined) report(reading.issues, path, problem);
  return ranges;
}

function isRange(value: unknown): value is AllocationRange {
  return (
    Array.isArray(value) &&
    value.length === 3 &&
    typeof value[0] === 'number' &&
    typeof value[1] === 'number' &&
    typeof value[2] === 'string'
  );
}
