// Makes of a condition's document what the evaluator asks: lists become sets, tables and ranges, texts are parsed, and
// several bounds become the one that counts. All of it once, here.
import { compileAffixes } from './affixes.ts';
import { foldText } from './case-folding.ts';
import { CONDITION, type CompiledCondition } from './compiled-condition.ts';
import { compileContains } from './contains-tables.ts';
import { compareMoments, type Moment, toMoment } from './date-time.ts';
import { documentLimits } from './document-limits.ts';
import type { ConditionNode, Operator } from './model.ts';
import { compileNetworks, type Networks } from './network.ts';
import { compilePattern } from './patterns.ts';
import { compareVersions, precedenceText } from './semver.ts';
import type { TextTable } from './text-table.ts';

/** @param node as readCondition returned it */
export function compileCondition(node: ConditionNode): CompiledCondition {
  const shared = { negate: node.negate === true, source: node };
  if ('all' in node) return make({ kind: CONDITION.all, ...shared, members: node.all.map(compileCondition) });
  if ('any' in node) return make({ kind: CONDITION.any, ...shared, members: node.any.map(compileCondition) });
  if ('segment' in node) return make({ kind: CONDITION.segment, ...shared, segmentId: node.segment });
  const { attribute } = node;
  const ignoreCase = node.ignore_case === true;
  return make({
    ...shared,
    attribute,
    path: attribute.includes('.') ? attribute.split('.') : undefined,
    ignoreCase,
    ...compileComparison(node.op, node.values ?? [], ignoreCase),
  });
}

type Values = readonly (string | number | boolean)[];
type Comparison = Pick<CompiledCondition, 'kind'> & Partial<CompiledCondition>;

function compileComparison(op: Operator, values: Values, ignoreCase: boolean): Comparison {
  // What each operator may have was looked at when the document was read.
  const texts = values as readonly string[];
  const numbers = values as readonly number[];
  switch (op) {
    case 'exists':
      return { kind: CONDITION.exists };
    case 'equals':
    case 'in':
      return ignoreCase ? oneOfFolded(values) : { kind: CONDITION.isOneOf, values: new Set(values) };
    case 'contains':
      return { kind: CONDITION.isFound, tables: compileContains(texts, ignoreCase) };
    case 'matches':
      return { kind: CONDITION.isFound, tables: texts.map((pattern) => patternTable(pattern, ignoreCase)) };
    case 'starts_with':
      return {
        kind: CONDITION.startsWith,
        affixes: compileAffixes(texts, 'start', ignoreCase),
        charsMax: longest(texts),
      };
    case 'ends_with':
      return { kind: CONDITION.endsWith, affixes: compileAffixes(texts, 'end', ignoreCase), charsMax: longest(texts) };
    case 'eq':
      return { kind: CONDITION.numberIs, values: new Set(values) };
    // Any of several bounds: the widest one.
    case 'gt':
      return { kind: CONDITION.numberAbove, numberBound: least(numbers) };
    case 'gte':
      return { kind: CONDITION.numberFrom, numberBound: least(numbers) };
    case 'lt':
      return { kind: CONDITION.numberBelow, numberBound: greatest(numbers) };
    case 'lte':
      return { kind: CONDITION.numberUpTo, numberBound: greatest(numbers) };
    case 'before':
      return { kind: CONDITION.before, momentBound: momentsOf(texts).at(-1) as Moment };
    case 'after':
      return { kind: CONDITION.after, momentBound: momentsOf(texts)[0] as Moment };
    case 'semver_eq':
      return { kind: CONDITION.versionIs, values: new Set(versionsOf(texts)) };
    case 'semver_gt':
      return { kind: CONDITION.versionAbove, versionBound: versionsOf(texts)[0] as string };
    case 'semver_gte':
      return { kind: CONDITION.versionFrom, versionBound: versionsOf(texts)[0] as string };
    case 'semver_lt':
      return { kind: CONDITION.versionBelow, versionBound: versionsOf(texts).at(-1) as string };
    case 'semver_lte':
      return { kind: CONDITION.versionUpTo, versionBound: versionsOf(texts).at(-1) as string };
    case 'in_cidr':
      return { kind: CONDITION.inNetworks, networks: compileNetworks(texts) };
  }
}

function oneOfFolded(values: Values): Comparison {
  const folded = values.map((value) => (typeof value === 'string' ? foldText(value) : value));
  return {
    kind: CONDITION.isOneOfFolded,
    values: new Set(folded),
    charsMax: longest(folded),
  };
}

function longest(values: Values): number {
  return greatest(values.map((value) => (typeof value === 'string' ? value.length : 0)));
}

function patternTable(pattern: string, ignoreCase: boolean): TextTable {
  const compiled = compilePattern({ pattern, ignoreCase, stepsMax: documentLimits.patternStepsMax });
  if (!compiled.ok) throw new Error(`a pattern that was read does not compile: it ${compiled.problem}`);
  return compiled.table;
}

// Not by Math.min(...numbers): ten thousand values are allowed.
function least(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => (b < a ? b : a), Number.POSITIVE_INFINITY);
}

function greatest(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => (b > a ? b : a), Number.NEGATIVE_INFINITY);
}

/** The earliest first. */
function momentsOf(texts: readonly string[]): readonly Moment[] {
  return texts.map((text) => toMoment(text) as Moment).sort(compareMoments);
}

/** The lowest first. */
function versionsOf(texts: readonly string[]): readonly string[] {
  return texts.map((text) => precedenceText(text) as string).sort((a, b) => compareVersions(a, a.length, b, b.length));
}

const NO_MEMBERS: readonly CompiledCondition[] = [];
const NO_VALUES: ReadonlySet<string | number | boolean> = new Set();
const NO_AFFIXES: readonly string[] = [];
const NO_TABLES: readonly TextTable[] = [];
const NO_MOMENT: Moment = { rank: 0, fraction: '' };
const NO_NETWORKS: Networks = { ipv4: new Uint32Array(0), ipv6: new Uint32Array(0) };

function make(
  part: Pick<CompiledCondition, 'kind' | 'negate' | 'source'> & Partial<CompiledCondition>,
): CompiledCondition {
  return {
    kind: part.kind,
    negate: part.negate,
    source: part.source,
    members: part.members ?? NO_MEMBERS,
    segmentId: part.segmentId ?? '',
    attribute: part.attribute ?? '',
    path: part.path,
    ignoreCase: part.ignoreCase ?? false,
    values: part.values ?? NO_VALUES,
    charsMax: part.charsMax ?? 0,
    affixes: part.affixes ?? NO_AFFIXES,
    tables: part.tables ?? NO_TABLES,
    numberBound: part.numberBound ?? 0,
    momentBound: part.momentBound ?? NO_MOMENT,
    versionBound: part.versionBound ?? '',
    networks: part.networks ?? NO_NETWORKS,
  };
}
