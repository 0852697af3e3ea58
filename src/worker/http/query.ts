// Reads a query string: `+` is a space, a bad percent-encoding is an issue, and so is a name we do not know, for a
// misspelt `environment` must not silently give the answer of another one.

import type { Route } from '../../api/routes.ts';
import type { Issue, JsonObject } from '../../core/model.ts';
import { limits } from '../../limits.ts';
import { AttributesBuilder } from './attributes.ts';

export interface Query {
  /** The parameters that were sent and are known, decoded. */
  readonly values: ReadonlyMap<string, string>;
  readonly attributes: JsonObject | undefined;
  readonly issues: readonly Issue[];
}

/** Names that a later version takes; said by name, because leaving them out would change the answer's meaning. */
const UNSUPPORTED = new Set(['at_revision']);

/** Reads all of it, issues included, so that the environment is known even when another parameter is wrong. */
export function readQuery(raw: string, route: Pick<Route, 'query' | 'attributes' | 'snapshot'>): Query {
  const values = new Map<string, string>();
  const issues: Issue[] = [];
  if (raw === '') return { values, attributes: undefined, issues };
  const builder = new AttributesBuilder();
  const pairs = raw.split('&');
  if (pairs.length > limits.queryParametersMax) {
    return {
      values,
      attributes: undefined,
      issues: [{ path: '', message: `the query must have at most ${limits.queryParametersMax} parameters` }],
    };
  }
  for (const pair of pairs) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = decodeQueryPart(equals < 0 ? pair : pair.slice(0, equals));
    const value = decodeQueryPart(equals < 0 ? '' : pair.slice(equals + 1));
    const issue = takeParameter(route, values, builder, name, value);
    if (issue !== undefined) issues.push(issue);
  }
  return { values, attributes: builder.build(), issues: issues.slice(0, limits.issuesMax) };
}

function takeParameter(
  route: Pick<Route, 'query' | 'attributes' | 'snapshot'>,
  values: Map<string, string>,
  builder: AttributesBuilder,
  name: string | undefined,
  value: string | undefined,
): Issue | undefined {
  if (name === undefined) return { path: '', message: "a parameter's name is not percent-encoded UTF-8" };
  if (value === undefined) return { path: name, message: 'is not percent-encoded UTF-8' };
  if (route.attributes && name.startsWith('attr.')) return builder.add(name.slice(5), value);
  const spec = route.query.find((parameter) => parameter.name === name);
  if (spec === undefined) {
    if (route.snapshot && UNSUPPORTED.has(name)) {
      values.set(name, value);
      return { path: name, message: 'is not supported by this version' };
    }
    return { path: name, message: `is not a parameter of this route; ${parametersOf(route)}` };
  }
  if (values.has(name)) return { path: name, message: 'must be given once' };
  values.set(name, value);
  if (spec.boolean && value !== 'true' && value !== 'false') return { path: name, message: 'must be true or false' };
  if (spec.integer === undefined) return undefined;
  const { minimum, maximum } = spec.integer;
  const number = /^[0-9]{1,16}$/.test(value) ? Number(value) : Number.NaN;
  return number >= minimum && number <= maximum
    ? undefined
    : { path: name, message: `must be a whole number, ${minimum} to ${maximum}` };
}

/** What may be sent instead. Who evaluates tries `country=PL` first, and to remove it would not help. */
function parametersOf(route: Pick<Route, 'query' | 'attributes'>): string {
  const names = route.query.map((parameter) => parameter.name);
  if (route.attributes) names.push('attr.NAME for an attribute');
  return names.length === 0 ? 'it has none' : `known are ${names.join(', ')}`;
}

/** A name or value of a query, decoded; undefined when it is not percent-encoded UTF-8. */
export function decodeQueryPart(raw: string): string | undefined {
  return decodePart(raw.includes('+') ? raw.replaceAll('+', ' ') : raw);
}

/** A segment of a path, decoded; undefined when it is not percent-encoded UTF-8. */
export function decodePart(raw: string): string | undefined {
  // The server library reads raw bytes as UTF-8 and puts U+FFFD for what is not.
  if (raw.includes('\uFFFD')) return undefined;
  if (!raw.includes('%')) return raw;
  try {
    return decodeURIComponent(raw);
  } catch {
    return undefined;
  }
}
