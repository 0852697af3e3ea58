// The `when` of a rule. Everything that could mean everyone by accident is refused: no condition, no value, an empty
// `any`, an empty text to search for.
import { planContains } from './contains-tables.ts';
import { isDateTime } from './date-time.ts';
import { documentLimits } from './document-limits.ts';
import { at, kindOf, quote, report } from './issues.ts';
import { type ConditionNode, OPERATORS, type Operator } from './model.ts';
import { FLAG_ID_RULE, isFlagId } from './names.ts';
import { isCidr } from './network.ts';
import { compilePattern } from './patterns.ts';
import {
  asFields,
  type Fields,
  own,
  type Reading,
  readArray,
  readBoolean,
  readChoice,
  readText,
  refuseUnknown,
} from './reading.ts';
import { isSemver } from './semver.ts';
import { textProblem } from './text.ts';

type ConditionValue = string | number | boolean;

/** Stands for a condition that was reported; never served, as the document around it is refused. */
const UNREADABLE: ConditionNode = { any: [] };

const NODE_KINDS = ['attribute', 'all', 'any', 'segment'] as const;
const NODE_KINDS_TEXT = 'attribute, all, any and segment';
const CONDITION_FIELDS: readonly string[] = ['attribute', 'op', 'values', 'ignore_case', 'negate'];

/** One node of a condition and all below it. `depth` counts the groups around it. */
export function readCondition(reading: Reading, value: unknown, path: string, depth: number): ConditionNode {
  const fields = asFields(value);
  if (fields === undefined) {
    report(
      reading.issues,
      path,
      value === undefined
        ? 'is required: a rule without it would mean everyone'
        : `must be an object, not ${kindOf(value)}`,
    );
    return UNREADABLE;
  }
  reading.conditionCount++;
  if (reading.conditionCount > documentLimits.conditionsMax) {
    if (reading.conditionCount === documentLimits.conditionsMax + 1) {
      report(
        reading.issues,
        path,
        `is one more than the ${documentLimits.conditionsMax} conditions that a flag may have`,
      );
    }
    return UNREADABLE;
  }
  const kinds = NODE_KINDS.filter((kind) => own(fields, kind) !== undefined);
  const kind = kinds[0];
  if (kind === undefined || kinds.length > 1) {
    report(reading.issues, path, `must have exactly one of ${NODE_KINDS_TEXT}${insteadOfKind(fields, kinds)}`);
    return UNREADABLE;
  }
  switch (kind) {
    case 'attribute':
      return readComparison(reading, fields, path);
    case 'segment':
      return readSegment(reading, fields, path);
    case 'all':
      refuseUnknown(reading, fields, path, ['all', 'negate']);
      return { all: readGroup(reading, fields['all'], at(path, 'all'), depth), ...readNegate(reading, fields, path) };
    case 'any': {
      refuseUnknown(reading, fields, path, ['any', 'negate']);
      const members = readGroup(reading, fields['any'], at(path, 'any'), depth);
      if (Array.isArray(fields['any']) && fields['any'].length === 0) {
        report(reading.issues, at(path, 'any'), 'must not be empty; an empty "all" means everyone');
      }
      return { any: members, ...readNegate(reading, fields, path) };
    }
  }
}

/** What stands there instead of one kind of node: two kinds, or a name of another product (`and`, `not`). */
function insteadOfKind(fields: Fields, kinds: readonly string[]): string {
  if (kinds.length > 1) return `, not ${kinds.join(' and ')}`;
  const name = Object.keys(fields).find((candidate) => !CONDITION_FIELDS.includes(candidate));
  if (name === undefined) return '';
  return `, not ${quote(name)}${isNegation(name) ? NEGATE_HINT : ''}`;
}

function isNegation(name: string): boolean {
  return /^(?:!|not|none|neq?$|exclude)/i.test(name);
}

const NEGATE_HINT = '; what must not hold is a condition with "negate": true';

function readSegment(reading: Reading, fields: Fields, path: string): ConditionNode {
  refuseUnknown(reading, fields, path, ['segment', 'negate']);
  const segment = own(fields, 'segment');
  if (isFlagId(segment)) return { segment, ...readNegate(reading, fields, path) };
  report(reading.issues, at(path, 'segment'), `must be the id of a segment: ${FLAG_ID_RULE}`);
  return UNREADABLE;
}

function readGroup(reading: Reading, value: unknown, path: string, depth: number): readonly ConditionNode[] {
  if (depth >= documentLimits.conditionDepthMax) {
    report(reading.issues, path, `is nested deeper than ${documentLimits.conditionDepthMax} groups`);
    return [];
  }
  return readArray(reading, value, path, documentLimits.conditionsMax).map((member, i) =>
    readCondition(reading, member, at(path, i), depth + 1),
  );
}

/** `negate: false` is what its absence says, so it is not kept. */
function readNegate(reading: Reading, fields: Fields, path: string): { readonly negate?: true } {
  const negate = own(fields, 'negate');
  return negate !== undefined && readBoolean(reading, negate, at(path, 'negate'), false) ? { negate: true } : {};
}

function readComparison(reading: Reading, fields: Fields, path: string): ConditionNode {
  refuseUnknown(reading, fields, path, CONDITION_FIELDS);
  const attribute = readText(reading, own(fields, 'attribute'), at(path, 'attribute'), {
    charsMin: 1,
    charsMax: documentLimits.attributeCharsMax,
  });
  const op = readOperator(reading, own(fields, 'op'), at(path, 'op'));
  const negate = readNegate(reading, fields, path);
  if (op === undefined) return UNREADABLE;
  const ignoreCase = readIgnoreCase(reading, fields, path, op);
  const values = own(fields, 'values');
  if (op === 'exists') {
    if (values !== undefined) report(reading.issues, at(path, 'values'), 'must not be sent: exists takes no values');
    return { attribute, op, ...negate };
  }
  const read = readValues(reading, values, at(path, 'values'), op);
  if (read === undefined) return { attribute, op, values: [], ...ignoreCase, ...negate };
  if (op === 'contains') {
    countPasses(reading, path, planContains(read as readonly string[], ignoreCase.ignore_case === true).length);
  } else if (op === 'matches') {
    readPatterns(reading, read as readonly string[], at(path, 'values'), ignoreCase.ignore_case === true);
    countPasses(reading, path, read.length);
  }
  return { attribute, op, values: read, ...ignoreCase, ...negate };
}

function readOperator(reading: Reading, value: unknown, path: string): Operator | undefined {
  if (typeof value !== 'string' || !isNegation(value)) return readChoice(reading, value, path, OPERATORS);
  report(reading.issues, path, `must be one of ${OPERATORS.join(', ')}, not ${quote(value)}${NEGATE_HINT}`);
  return undefined;
}

/** Every pattern is compiled, to the table that will be searched: what compiles here will be served. */
function readPatterns(reading: Reading, patterns: readonly string[], path: string, ignoreCase: boolean): void {
  for (const [i, pattern] of patterns.entries()) {
    // As many as may be served; the passes are counted behind this.
    if (reading.searchPassCount + i >= documentLimits.searchPassesMax) return;
    const stepsMax = documentLimits.patternStepsMax - reading.patternStepCount;
    const compiled = compilePattern({ pattern, ignoreCase, stepsMax });
    reading.patternStepCount += compiled.steps;
    if (!compiled.ok) report(reading.issues, at(path, i), compiled.problem);
  }
}

/** Each table is a pass over the attribute's text; together they are bounded, so that long texts stay cheap. */
function countPasses(reading: Reading, path: string, passes: number): void {
  const { searchPassesMax } = documentLimits;
  const before = reading.searchPassCount;
  reading.searchPassCount += passes;
  if (before > searchPassesMax || reading.searchPassCount <= searchPassesMax) return;
  report(
    reading.issues,
    at(path, 'values'),
    `make more than ${searchPassesMax} passes over a text with the contains and matches before: each pattern is one, and each table of contains values; use fewer, or equals, starts_with and ends_with, which need none`,
  );
}

function readIgnoreCase(reading: Reading, fields: Fields, path: string, op: Operator): { readonly ignore_case?: true } {
  const ignoreCase = own(fields, 'ignore_case');
  if (ignoreCase === undefined) return {};
  const isIgnored = readBoolean(reading, ignoreCase, at(path, 'ignore_case'), false);
  if (!CASED_OPERATORS.has(op)) {
    report(reading.issues, at(path, 'ignore_case'), `is for ${[...CASED_OPERATORS].join(', ')}, not for ${op}`);
  }
  return isIgnored ? { ignore_case: true } : {};
}

const CASED_OPERATORS: ReadonlySet<Operator> = new Set([
  'equals',
  'in',
  'contains',
  'starts_with',
  'ends_with',
  'matches',
] as const);

/** undefined when one of them is wrong, or there is none. */
function readValues(
  reading: Reading,
  value: unknown,
  path: string,
  op: Exclude<Operator, 'exists'>,
): readonly ConditionValue[] | undefined {
  const values = readArray(reading, value, path, documentLimits.conditionValuesMax);
  if (Array.isArray(value) && value.length === 0) report(reading.issues, path, 'must not be empty');
  let isGood = values.length > 0;
  for (const [i, entry] of values.entries()) {
    const problem = valueProblem(op, entry);
    if (problem === undefined) continue;
    report(reading.issues, at(path, i), problem);
    isGood = false;
  }
  return isGood ? (values as readonly ConditionValue[]) : undefined;
}

/** Why this value is none for the operator; undefined when it is one. */
function valueProblem(op: Exclude<Operator, 'exists'>, value: unknown): string | undefined {
  const asText = typeof value === 'string' ? textValueProblem(value, op) : undefined;
  if (asText !== undefined) return asText;
  switch (op) {
    case 'equals':
    case 'in':
      if (typeof value === 'number') return `must be a string, true or false for ${op}; numbers are compared with eq`;
      return typeof value === 'string' || typeof value === 'boolean'
        ? undefined
        : `must be a string, true or false, not ${kindOf(value)}`;
    case 'contains':
    case 'starts_with':
    case 'ends_with':
      if (typeof value !== 'string') return `must be a string for ${op}, not ${kindOf(value)}`;
      return value === '' ? `must not be empty: every text ${op.replace('_', ' ')} it` : undefined;
    case 'matches':
      if (typeof value !== 'string') return `must be a string for ${op}, not ${kindOf(value)}`;
      return value === '' ? 'must not be empty: every text matches it' : undefined;
    case 'eq':
    case 'gt':
    case 'gte':
    case 'lt':
    case 'lte':
      if (Number.isFinite(value)) return undefined;
      return `must be a finite number for ${op}, not ${kindOf(value)}${op === 'eq' && typeof value === 'string' ? '; texts are compared with equals' : ''}`;
    case 'before':
    case 'after':
      return typeof value === 'string' && isDateTime(value)
        ? undefined
        : `must be an RFC 3339 time for ${op}, such as "2030-01-31T12:00:00Z"`;
    case 'semver_eq':
    case 'semver_gt':
    case 'semver_gte':
    case 'semver_lt':
    case 'semver_lte':
      return typeof value === 'string' && isSemver(value)
        ? undefined
        : `must be a SemVer 2.0 version for ${op}, such as "1.10.0-rc.1"`;
    case 'in_cidr':
      return typeof value === 'string' && isCidr(value)
        ? undefined
        : 'must be a network for in_cidr, such as "10.0.0.0/8", "192.0.2.7/32" or "2001:db8::/32"';
  }
}

function textValueProblem(text: string, op: Operator): string | undefined {
  const charsMax = CHARS_MAX[op] ?? documentLimits.conditionValueCharsMax;
  if (text.length > charsMax) return `must have at most ${charsMax} characters, not ${text.length}, in ${quote(text)}`;
  return textProblem(text);
}

/** Of the values of operators whose tables or programs grow with them. */
const CHARS_MAX: { readonly [op in Operator]?: number } = {
  contains: documentLimits.containsCharsMax,
  matches: documentLimits.patternCharsMax,
};
