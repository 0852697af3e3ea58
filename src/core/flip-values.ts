// Values to try for an attribute, so that conditions on it hold or do not: made from the conditions' own values, at
// their edges. They are suggestions; whoever asks tries each against the real conditions.
import { sampleOf } from './flip-pattern.ts';
import type { ConditionNode, Json, Operator } from './model.ts';

export type Comparison = Extract<ConditionNode, { readonly attribute: string }>;

export interface Wish {
  readonly comparison: Comparison;
  /** Whether its operator shall match, before any negation. */
  readonly wanted: boolean;
}

/** Values of one condition that are looked at: the first ones, and the edges lie among few. */
const VALUES_MAX = 12;

const CANDIDATES_MAX = 64;

/** Elements of an array that is suggested with one more or with fewer. */
const ELEMENTS_MAX = 16;

/** For what must be there and be nothing that is named. */
const UNLIKE = ['other', 'none', '-'];

/** Addresses that are in nobody's network: for documentation (RFC 5737, RFC 3849), and two that every machine has. */
const PLAIN_ADDRESSES = ['192.0.2.1', '198.51.100.1', '203.0.113.1', '2001:db8::1', '127.0.0.1', '::1'];

/**
 * Values for one attribute, the best first; undefined among them stands for taking it away.
 * @param wishes of this attribute
 * @param current what the context has
 */
export function candidateValues(wishes: readonly Wish[], current: Json | undefined): readonly (Json | undefined)[] {
  const scalars = [
    ...numbers(wishes, current),
    ...dates(wishes, current),
    ...versions(wishes),
    ...addresses(wishes),
    ...texts(wishes, current),
    ...(wishes.some(({ comparison }) => comparison.op === 'exists') ? [true] : []),
  ].slice(0, CANDIDATES_MAX);
  if (!Array.isArray(current) || current.length > ELEMENTS_MAX) return [...scalars, undefined, ...UNLIKE];
  const elements = current as readonly Json[];
  // An array is best left as it is but for one element.
  const longer = scalars.map((scalar): Json => [...elements, scalar]);
  const shorter = elements.map((_, i): Json => elements.filter((_element, j) => j !== i));
  return [...longer, ...shorter, ...scalars, undefined, ...UNLIKE];
}

function valuesOf(wishes: readonly Wish[], operators: readonly Operator[]): readonly (string | number | boolean)[] {
  const values = wishes
    .filter(({ comparison }) => operators.includes(comparison.op))
    .flatMap(({ comparison }) => (comparison.values ?? []).slice(0, VALUES_MAX));
  return [...new Set(values)];
}

/** Each edge, a step to either side of it, and what lies between two. The nearest to the current one first. */
function numbers(wishes: readonly Wish[], current: Json | undefined): readonly number[] {
  const edges = valuesOf(wishes, ['eq', 'gt', 'gte', 'lt', 'lte'])
    .filter((value) => typeof value === 'number')
    .sort((a, b) => a - b);
  const near = edges.flatMap((edge) => [edge, above(edge), below(edge)]);
  const between = edges.slice(1).map((edge, i) => (edges[i] as number) / 2 + edge / 2);
  const found = [...new Set([...near, ...between])].filter(Number.isFinite);
  if (typeof current !== 'number') return found;
  return found.sort((a, b) => Math.abs(a - current) - Math.abs(b - current));
}

/** The next whole number; where whole numbers are no longer dense enough, the next number that is sure to differ. */
function above(edge: number): number {
  const next = Math.floor(edge) + 1;
  return next > edge ? next : edge + Math.abs(edge) * 2 ** -51;
}

function below(edge: number): number {
  return -above(-edge);
}

function dates(wishes: readonly Wish[], current: Json | undefined): readonly string[] {
  const edges = valuesOf(wishes, ['before', 'after']).filter((value) => typeof value === 'string');
  const times = edges
    // Date.parse knows no leap second.
    .map((edge) => Date.parse(edge.replace(/:60(?=[.Zz+-])/, ':59').toUpperCase()))
    .filter((time) => !Number.isNaN(time))
    .sort((a, b) => a - b);
  const near = times.flatMap((time) => [time + 1000, time - 1000, time + 1, time - 1]);
  const between = times.slice(1).map((time, i) => Math.floor((time + (times[i] as number)) / 2));
  const now = typeof current === 'string' ? Date.parse(current) : Number.NaN;
  const found = [...near, ...between];
  if (!Number.isNaN(now)) found.sort((a, b) => Math.abs(a - now) - Math.abs(b - now));
  return [...edges, ...found.flatMap(rfc3339)];
}

function rfc3339(time: number): readonly string[] {
  // Past the year 9999 an ISO text has six digits of year, which is no RFC 3339.
  if (!(time >= -62_167_219_200_000 && time < 253_402_300_800_000)) return [];
  return [new Date(time).toISOString().replace('.000Z', 'Z')];
}

function versions(wishes: readonly Wish[]): readonly string[] {
  const edges = valuesOf(wishes, ['semver_eq', 'semver_gt', 'semver_gte', 'semver_lt', 'semver_lte']);
  const near = edges.flatMap((edge) => (typeof edge === 'string' ? versionsAround(edge) : []));
  return near.length === 0 ? near : [...new Set([...near, '0.0.0', '0.0.0-0'])];
}

/** The version without its build, then its neighbours: above first, then below. */
function versionsAround(version: string): readonly string[] {
  const match = /^(\d+)\.(\d+)\.(\d+)(-[^+]*)?/.exec(version);
  if (match === null) return [];
  const [plain, major = '0', minor = '0', patch = '0', prerelease] = match;
  const release = `${major}.${minor}.${patch}`;
  const next = `${major}.${minor}.${BigInt(patch) + 1n}`;
  const around = prerelease === undefined ? [plain, next] : [plain, release, next, `${release}-0`];
  if (patch !== '0') around.push(`${major}.${minor}.${BigInt(patch) - 1n}`);
  else if (minor !== '0') around.push(`${major}.${BigInt(minor) - 1n}.0`);
  else if (major !== '0') around.push(`${BigInt(major) - 1n}.0.0`);
  around.push(`${release}-0`);
  return around;
}

function addresses(wishes: readonly Wish[]): readonly string[] {
  const networks = valuesOf(wishes, ['in_cidr']);
  if (networks.length === 0) return [];
  // Bits behind the prefix do not count, so that the address before the slash is inside.
  return [...networks.map((network) => String(network).split('/')[0] ?? ''), ...PLAIN_ADDRESSES];
}

function texts(wishes: readonly Wish[], current: Json | undefined): readonly (string | boolean)[] {
  const whole = valuesOf(wishes, ['equals', 'in']).filter((value) => typeof value !== 'number');
  const parts = (operator: Operator): readonly string[] =>
    valuesOf(
      wishes.filter(({ wanted }) => wanted),
      [operator],
    ).map(String);
  const [starts, ends, inner] = [parts('starts_with'), parts('ends_with'), parts('contains')];
  const samples = parts('matches').flatMap((pattern) => sampleOf(pattern) ?? []);
  const joined = (start: string, end: string): string => `${start}${inner.join('')}${samples[0] ?? ''}${end}`;
  const composed =
    starts.length + ends.length + inner.length + samples.length > 1
      ? (starts.length === 0 ? [''] : starts).flatMap((start) =>
          (ends.length === 0 ? [''] : ends).map((end) => joined(start, end)),
        )
      : [];
  const around =
    typeof current === 'string' && current !== ''
      ? [...starts.map((start) => start + current), ...[...ends, ...inner].map((end) => current + end)]
      : [];
  return [...whole, ...starts, ...ends, ...inner, ...samples, ...composed, ...around];
}
