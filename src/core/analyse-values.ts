// What a comparison matches, seen as a set of single values: whether one set lies within another, and whether two have
// nothing in common. Every yes is certain; a no may be "not known".
import { compareVersions, readVersion, type Version } from './analyse-version.ts';
import type { ConditionNode, Operator } from './model.ts';

export type Comparison = Extract<ConditionNode, { readonly attribute: string }>;

/** Steps that an analysis may still take: documents can be made to cost a lot, and nobody waits for advice. */
export interface Work {
  left: number;
  /** What was made of a comparison's values, by how. */
  readonly made: Map<Comparison, Map<unknown, unknown>>;
}

/** Whether every value that `a` matches is matched by `b`. */
export function isWithin(a: Comparison, b: Comparison, work: Work): boolean {
  if (b.op === 'exists') return true;
  if (a.op === 'exists') return false;
  // Case that does not count in `a` matches more than `b` may.
  if (a.ignore_case === true && b.ignore_case !== true) return false;
  const key: Key = b.ignore_case === true ? asciiLower : asIs;
  if (isList(a.op) && isList(b.op)) return everyListed(a, b, key, work);
  const scale = SCALES[a.op];
  if (scale !== undefined && scale === SCALES[b.op])
    return isSpanWithin(spanOf(a, scale, work), spanOf(b, scale, work), work);
  const test = TEXT_TESTS[b.op];
  if (test === undefined) return a.op === b.op && a.ignore_case === b.ignore_case && everyListed(a, b, asIs, work);
  const isNarrower = isTextList(a.op) || a.op === b.op || (b.op === 'contains' && TEXT_TESTS[a.op] !== undefined);
  if (!isNarrower || !take(work, valuesOf(a).length * valuesOf(b).length)) return false;
  const parts = valuesOf(b).map((part) => key(String(part)));
  return valuesOf(a).every((value) => typeof value === 'string' && parts.some((part) => test(key(value), part)));
}

/** Whether no single value is matched by both. A list may have a value for each. */
export function areDisjoint(a: Comparison, b: Comparison, work: Work): boolean {
  if (a.op === 'exists' || b.op === 'exists') return false;
  if (isList(a.op) && isList(b.op)) return haveNoneInCommon(a, b, work);
  const scale = SCALES[a.op];
  if (scale !== undefined && scale === SCALES[b.op])
    return areSpansDisjoint(spanOf(a, scale, work), spanOf(b, scale, work), work);
  if (isTextList(a.op)) return isListOutside(a, b, work);
  if (isTextList(b.op)) return isListOutside(b, a, work);
  if ((scale === NUMBERS) !== (SCALES[b.op] === NUMBERS)) return true;
  const test = a.op === b.op && a.op !== 'contains' ? TEXT_TESTS[a.op] : undefined;
  if (test === undefined || a.ignore_case === true || b.ignore_case === true) return false;
  if (!take(work, valuesOf(a).length * valuesOf(b).length)) return false;
  return valuesOf(a).every((one) =>
    valuesOf(b).every((other) => !test(String(one), String(other)) && !test(String(other), String(one))),
  );
}

/** Whether the comparison matches numbers, true and false only: nothing that is a text. */
export function matchesNoText(a: Comparison): boolean {
  return SCALES[a.op] === NUMBERS || (isTextList(a.op) && valuesOf(a).every((value) => typeof value !== 'string'));
}

/** Lists texts, true and false. */
function isTextList(op: Operator): boolean {
  return op === 'equals' || op === 'in';
}

/** Lists values that are the same when they are equal. */
function isList(op: Operator): boolean {
  return isTextList(op) || op === 'eq';
}

function valuesOf(a: Comparison): readonly (string | number | boolean)[] {
  return a.values ?? [];
}

function take(work: Work, steps: number): boolean {
  work.left -= steps;
  return work.left >= 0;
}

/** Whether each value of `a` is one of `b`. Equal keys mean that the operators take them for the same. */
function everyListed(a: Comparison, b: Comparison, key: Key, work: Work): boolean {
  const listed = listOf(b, key, work);
  if (!take(work, valuesOf(a).length)) return false;
  return valuesOf(a).every((value) => listed.has(typeof value === 'string' ? key(value) : value));
}

function haveNoneInCommon(a: Comparison, b: Comparison, work: Work): boolean {
  const key = a.ignore_case === true || b.ignore_case === true ? caseless : asIs;
  const listed = listOf(a, key, work);
  if (!take(work, valuesOf(b).length)) return false;
  return !valuesOf(b).some((value) => listed.has(typeof value === 'string' ? key(value) : value));
}

type Key = (text: string) => string;

function listOf(a: Comparison, key: Key, work: Work): ReadonlySet<unknown> {
  return remembered(a, key, work, () => {
    work.left -= valuesOf(a).length;
    return new Set(valuesOf(a).map((value) => (typeof value === 'string' ? key(value) : value)));
  });
}

function remembered<T>(a: Comparison, how: unknown, work: Work, make: () => T): T {
  const made = work.made.get(a) ?? new Map<unknown, unknown>();
  if (!made.has(how)) work.made.set(a, made.set(how, make()));
  return made.get(how) as T;
}

/** Whether `b`, which is no list of values, matches none of the list `a`. */
function isListOutside(a: Comparison, b: Comparison, work: Work): boolean {
  if (SCALES[b.op] === NUMBERS) return true;
  const texts = valuesOf(a).filter((value) => typeof value === 'string');
  // All else that is compared is a text.
  if (texts.length === 0) return true;
  const test = TEXT_TESTS[b.op];
  if (test === undefined || a.ignore_case === true || b.ignore_case === true) return false;
  if (!take(work, texts.length * valuesOf(b).length)) return false;
  return texts.every((text) => valuesOf(b).every((part) => !test(text, String(part))));
}

const TEXT_TESTS: { readonly [op in Operator]?: (text: string, part: string) => boolean } = {
  contains: (text, part) => text.includes(part),
  starts_with: (text, part) => text.startsWith(part),
  ends_with: (text, part) => text.endsWith(part),
};

function asIs(text: string): string {
  return text;
}

/** Texts that become equal differ by the case of ASCII letters only, so that every folding takes them for equal. */
function asciiLower(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** Texts that any folding takes for equal become equal, and some more. */
function caseless(text: string): string {
  return text.toLowerCase().toUpperCase().toLowerCase();
}

interface Scale<T> {
  read(value: string | number | boolean): T | undefined;
  compare(a: T, b: T): number;
}
type Point = number | Version;
type AnyScale = Scale<Point>;

const NUMBERS = { read: (value: unknown) => value, compare: (a: number, b: number) => a - b } as AnyScale;
const TIMES = { read: readTime, compare: (a: number, b: number) => a - b } as AnyScale;
const VERSIONS = { read: readVersion, compare: compareVersions } as AnyScale;

const SCALES: { readonly [op in Operator]?: AnyScale } = {
  eq: NUMBERS,
  gt: NUMBERS,
  gte: NUMBERS,
  lt: NUMBERS,
  lte: NUMBERS,
  before: TIMES,
  after: TIMES,
  semver_eq: VERSIONS,
  semver_gt: VERSIONS,
  semver_gte: VERSIONS,
  semver_lt: VERSIONS,
  semver_lte: VERSIONS,
};

/** Milliseconds since 1970; undefined for what milliseconds cannot tell: finer fractions and leap seconds. */
function readTime(value: string | number | boolean): number | undefined {
  const text = String(value).toUpperCase();
  if (/\.\d{4}/.test(text) || /:60/.test(text)) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}

/** Some points, or all beyond one. */
interface Span {
  readonly scale: AnyScale;
  readonly points: readonly Point[];
  readonly side: 'points' | 'above' | 'below';
  readonly inclusive: boolean;
}

function spanOf(a: Comparison, scale: AnyScale, work: Work): Span | undefined {
  return remembered(a, scale, work, () => makeSpan(a, scale, work));
}

/** undefined: not known. Of several values any may match, so that only the widest counts. */
function makeSpan(a: Comparison, scale: AnyScale, work: Work): Span | undefined {
  const values = valuesOf(a);
  // Reading a text costs more than comparing one.
  if (!take(work, scale === NUMBERS ? values.length : values.length * 20)) return undefined;
  const points: Point[] = [];
  for (const value of values) {
    const point = scale.read(value);
    if (point === undefined) return undefined;
    points.push(point);
  }
  const op = a.op.replace('semver_', '');
  if (op === 'eq') return { scale, points, side: 'points', inclusive: true };
  const side = op === 'gt' || op === 'gte' || op === 'after' ? 'above' : 'below';
  const direction = side === 'above' ? 1 : -1;
  const widest = points.reduce((edge, point) => (scale.compare(point, edge) * direction < 0 ? point : edge));
  return { scale, points: [widest], side, inclusive: op === 'gte' || op === 'lte' };
}

function isSpanWithin(a: Span | undefined, b: Span | undefined, work: Work): boolean {
  if (a === undefined || b === undefined || !take(work, a.points.length * b.points.length)) return false;
  if (a.side === 'points') return a.points.every((point) => isIn(point, b));
  if (a.side !== b.side) return false;
  const [edge, outer] = [a.points[0] as Point, b.points[0] as Point];
  return isIn(edge, b) || (!a.inclusive && a.scale.compare(edge, outer) === 0);
}

function areSpansDisjoint(a: Span | undefined, b: Span | undefined, work: Work): boolean {
  if (a === undefined || b === undefined || !take(work, a.points.length * b.points.length)) return false;
  if (a.side === 'points') return !a.points.some((point) => isIn(point, b));
  if (b.side === 'points') return !b.points.some((point) => isIn(point, a));
  if (a.side === b.side) return false;
  const [low, high] = a.side === 'above' ? [a, b] : [b, a];
  const order = a.scale.compare(low.points[0] as Point, high.points[0] as Point);
  return order > 0 || (order === 0 && !(low.inclusive && high.inclusive));
}

function isIn(point: Point, { scale, points, side, inclusive }: Span): boolean {
  if (side === 'points') return points.some((other) => scale.compare(point, other) === 0);
  const order = scale.compare(point, points[0] as Point) * (side === 'above' ? 1 : -1);
  return order > 0 || (order === 0 && inclusive);
}
