// The small readers that the document parser is made of. Each takes a value of any kind, reports what is wrong and
// returns something of the right type all the same, so that the parser goes on and finds the next mistake too. Whoever
// started the reading looks at its issues before believing the result.
import { documentLimits } from './document-limits.ts';
import { at, kindOf, quote, report } from './issues.ts';
import type { FlagDefinition, Issue } from './model.ts';
import { hasControlCharacter, textProblem } from './text.ts';

export interface Reading {
  /** What makes the input invalid. */
  readonly issues: Issue[];
  /** Splits that would have too many ranges; they count only when nothing is invalid. */
  readonly fragmented: Issue[];
  /** `input`: from a client, defaults fill gaps, allocations are ours. `stored`: complete, with its allocations. */
  readonly source: 'input' | 'stored';
  /** The definition this one follows: its allocations move as little as they can. */
  readonly previous: FlagDefinition | undefined;
  /** True: lay every split out afresh. */
  readonly reallocate: boolean;
  /** Nodes of conditions seen so far, of documentLimits.conditionsMax. */
  conditionCount: number;
  /** Passes over a text that the conditions need so far, of documentLimits.searchPassesMax. */
  searchPassCount: number;
  /** Steps that making tables of their patterns took, of documentLimits.patternStepsMax. */
  patternStepCount: number;
}

export function startReading(
  source: Reading['source'],
  previous: FlagDefinition | undefined,
  reallocate: boolean,
): Reading {
  return {
    issues: [],
    fragmented: [],
    source,
    previous,
    reallocate,
    conditionCount: 0,
    searchPassCount: 0,
    patternStepCount: 0,
  };
}

/** An object whose fields are only ever read as own properties: `constructor` is a name like any other. */
export type Fields = Readonly<Record<string, unknown>>;

/** The value as an object with fields; arrays and null have none. */
export function asFields(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

/** A field's value; undefined when it is not there. */
export function own(fields: Fields, name: string): unknown {
  return Object.hasOwn(fields, name) ? fields[name] : undefined;
}

/** A whole document as fields, none when it is no object or nests without bottom. */
export function readBody(reading: Reading, raw: unknown): Fields {
  const fields = asFields(raw);
  if (fields === undefined) {
    report(reading.issues, '', `must be a JSON object, not ${kindOf(raw)}`);
    return {};
  }
  if (isDeeperThan(fields, documentLimits.documentDepthMax)) {
    report(reading.issues, '', `must not be nested deeper than ${documentLimits.documentDepthMax} levels`);
    return {};
  }
  return fields;
}

export function refuseUnknown(reading: Reading, fields: Fields, path: string, known: readonly string[]): void {
  for (const name of Object.keys(fields)) {
    if (reading.issues.length >= documentLimits.issuesMax) return;
    if (!known.includes(name))
      report(reading.issues, at(path, name), `is not a known field; known are ${known.join(', ')}`);
  }
}

/** An object with only these fields; undefined when it is none. */
export function readObject(
  reading: Reading,
  value: unknown,
  path: string,
  known: readonly string[],
): Fields | undefined {
  const fields = asFields(value);
  if (fields === undefined) {
    report(reading.issues, path, value === undefined ? 'is required' : `must be an object, not ${kindOf(value)}`);
    return undefined;
  }
  refuseUnknown(reading, fields, path, known);
  return fields;
}

/** True when the value is there. Else reports it where it may not be missing: in a stored document. */
export function isPresent(reading: Reading, value: unknown, path: string): boolean {
  if (value !== undefined) return true;
  if (reading.source === 'stored') report(reading.issues, path, 'is missing');
  return false;
}

export interface TextRule {
  readonly charsMin?: number;
  readonly charsMax: number;
  /** Control characters are refused unless this is true. */
  readonly multiline?: boolean;
}

export function readText(reading: Reading, value: unknown, path: string, rule: TextRule): string {
  const charsMin = rule.charsMin ?? 0;
  if (typeof value !== 'string') {
    report(reading.issues, path, value === undefined ? 'is required' : `must be a string, not ${kindOf(value)}`);
    return '';
  }
  const problem = textProblem(value);
  if (value.length < charsMin) report(reading.issues, path, 'must not be empty');
  else if (value.length > rule.charsMax)
    report(reading.issues, path, `must have at most ${rule.charsMax} characters, not ${value.length}`);
  else if (problem !== undefined) report(reading.issues, path, problem);
  else if (rule.multiline !== true && hasControlCharacter(value))
    report(reading.issues, path, 'must not contain control characters');
  return value;
}

export function readBoolean(reading: Reading, value: unknown, path: string, fallback: boolean): boolean {
  if (typeof value === 'boolean') return value;
  report(reading.issues, path, `must be true or false, not ${kindOf(value)}`);
  return fallback;
}

export function readChoice<T extends string>(
  reading: Reading,
  value: unknown,
  path: string,
  choices: readonly T[],
): T | undefined {
  const choice = choices.find((candidate) => candidate === value);
  if (choice === undefined) {
    const known = `one of ${choices.join(', ')}`;
    const got = typeof value === 'string' ? quote(value) : kindOf(value);
    report(reading.issues, path, value === undefined ? `is required: ${known}` : `must be ${known}, not ${got}`);
  }
  return choice;
}

/** The elements of an array of at most `countMax`; none when it is no such array. */
export function readArray(reading: Reading, value: unknown, path: string, countMax: number): readonly unknown[] {
  if (!Array.isArray(value)) {
    report(reading.issues, path, value === undefined ? 'is required' : `must be an array, not ${kindOf(value)}`);
    return [];
  }
  if (value.length > countMax) {
    report(reading.issues, path, `must have at most ${countMax} elements, not ${value.length}`);
    return [];
  }
  return value as readonly unknown[];
}

/** The name of a variant; `names` are those of this flag, undefined when they are not known. */
export function readVariantName(
  reading: Reading,
  value: unknown,
  path: string,
  names: ReadonlySet<string> | undefined,
): string {
  const issueCount = reading.issues.length;
  const name = readText(reading, value, path, { charsMin: 1, charsMax: documentLimits.variantNameCharsMax });
  if (reading.issues.length === issueCount && names !== undefined && !names.has(name)) {
    report(reading.issues, path, `${quote(name)} is not a variant of this flag${listed(names)}`);
  }
  return name;
}

/** What there is instead, while a reader can still take it in. */
function listed(names: ReadonlySet<string>): string {
  if (names.size === 0 || names.size > VARIANTS_LISTED_MAX) return '';
  return `; it has ${[...names].map((name) => name.slice(0, VARIANT_LISTED_CHARS_MAX)).join(', ')}`;
}

const VARIANTS_LISTED_MAX = 10;
const VARIANT_LISTED_CHARS_MAX = 64;

/** True when arrays and objects are nested deeper than `levelsMax`; looks no deeper than that. */
export function isDeeperThan(value: unknown, levelsMax: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levelsMax === 0) return true;
  return Object.values(value).some((child) => isDeeperThan(child, levelsMax - 1));
}
