// Finds the route of a method and path in the table. Literal segments win over parameters.
import { type Route, routes } from '../../api/routes.ts';

export interface Match {
  readonly route: Route;
  /** Its index in the table, which is its label's in the metrics. */
  readonly index: number;
  /** The parameters' segments as sent, in order. */
  readonly raw: readonly string[];
}

/** `match` undefined and `allow` empty: no such path. `match` undefined and `allow` not: no such method there. */
export interface Lookup {
  readonly match: Match | undefined;
  readonly allow: readonly string[];
}

interface Entry {
  readonly route: Route;
  readonly index: number;
  readonly segments: readonly string[];
  readonly parameterCount: number;
  /** By segment: the values it may have; undefined: any. */
  readonly choices: readonly (readonly string[] | undefined)[];
}

const entriesByLength = new Map<number, Entry[]>();
routes.forEach((route, index) => {
  for (const pattern of route.alias === undefined ? [route.pattern] : [route.pattern, route.alias]) {
    const segments = pattern.split('/');
    const choices = segments.map((segment) => route.choices?.[segment.slice(1, -1)]);
    const entry = { route, index, segments, parameterCount: segments.filter(isParameter).length, choices };
    const list = entriesByLength.get(segments.length) ?? [];
    list.push(entry);
    entriesByLength.set(
      segments.length,
      list.sort((a, b) => a.parameterCount - b.parameterCount),
    );
  }
});

/** `method` as sent; HEAD is answered by GET's route. */
export function findRoute(method: string, path: string): Lookup {
  const segments = path.split('/');
  const entries = (entriesByLength.get(segments.length) ?? []).filter((entry) => fits(entry, segments));
  const wanted = method === 'HEAD' ? 'GET' : method;
  const found = entries.find((entry) => entry.route.method === wanted);
  if (found !== undefined) {
    const raw = segments.filter((_, i) => isParameter(found.segments[i] ?? ''));
    return { match: { route: found.route, index: found.index, raw }, allow: [] };
  }
  const allow = new Set<string>();
  for (const entry of entries) {
    allow.add(entry.route.method);
    if (entry.route.method === 'GET') allow.add('HEAD');
  }
  if (allow.size > 0) allow.add('OPTIONS');
  return { match: undefined, allow: [...allow] };
}

function fits(entry: Entry, segments: readonly string[]): boolean {
  return entry.segments.every((segment, i) => {
    const sent = segments[i] ?? '';
    if (!isParameter(segment)) return sent === segment;
    return sent !== '' && (entry.choices[i]?.includes(sent) ?? true);
  });
}

function isParameter(segment: string): boolean {
  return segment.startsWith('{');
}
