// What the service has noticed.
import type { UnknownFlag } from '../../ipc/messages.ts';
import { limits } from '../../limits.ts';
import type { KeyedHandlers } from '../http/call.ts';
import type { HttpDeps } from '../http/deps.ts';
import { isRefusal, refuse } from '../http/refusal.ts';
import { jsonReply } from '../http/reply.ts';
import type { ServingEnvironment, ServingKey } from '../serving.ts';
import { createNameFinder, type NameFinder } from './closest-name.ts';
import { environmentsOf } from './document-list.ts';
import { isVisible } from './lookup.ts';
import { decodeCursor, encodeCursor, pageLimit, refuseCursor } from './page.ts';

export function createReportHandlers(
  link: Pick<HttpDeps['link'], 'unknownFlags'>,
): Pick<KeyedHandlers, 'reportUnknown'> {
  return {
    reportUnknown: (call) => {
      const after = readCursor(call.query.values.get('cursor'));
      if (after === 'malformed') return refuseCursor();
      return async (snapshot) => {
        const environments = environmentsOf(call, snapshot);
        if (isRefusal(environments)) return environments;
        const report = await link.unknownFlags();
        if (report === undefined)
          return refuse('STORAGE_UNAVAILABLE', 'The primary process, which counts for this node, does not answer.');
        const byName = new Map(environments.map((environment) => [environment.environment, environment]));
        const rest = report.flags
          // Whoever made the flag meanwhile has seen the typo.
          .filter((flag) => byName.get(flag.environment)?.flags.has(flag.flagId) === false)
          .sort(byCount)
          .filter((flag) => after === undefined || byCount(after, flag) < 0);
        const items = rest.slice(0, pageLimit(call));
        const last = items.at(-1);
        const isMore = rest.length > items.length && last !== undefined;
        const reply = {
          items: withSuggestions(items, byName, call.key),
          next_cursor: isMore ? encodeCursor([String(last.count), last.environment, last.flagId]) : null,
          since: timeOf(report.sinceMs),
          other_count: report.otherCount,
        };
        return jsonReply(200, JSON.stringify(reply));
      };
    },
  };
}

type Place = Pick<UnknownFlag, 'count' | 'environment' | 'flagId'>;

function byCount(a: Place, b: Place): number {
  if (a.count !== b.count) return b.count - a.count;
  const [one, other] = a.environment === b.environment ? [a.flagId, b.flagId] : [a.environment, b.environment];
  return one === other ? 0 : one < other ? -1 : 1;
}

function readCursor(cursor: string | undefined): Place | undefined | 'malformed' {
  if (cursor === undefined) return undefined;
  const [count = '', environment = '', flagId = ''] = decodeCursor(cursor, 3) ?? [];
  return /^[0-9]{1,16}$/.test(count) ? { count: Number(count), environment, flagId } : 'malformed';
}

function withSuggestions(
  items: readonly UnknownFlag[],
  environments: ReadonlyMap<string, ServingEnvironment>,
  key: ServingKey,
): object[] {
  const finders = new Map<string, NameFinder>();
  const finderOf = (environment: string): NameFinder => {
    let finder = finders.get(environment);
    if (finder === undefined) {
      const flags = [...(environments.get(environment)?.flags.values() ?? [])];
      const names = flags.filter((flag) => isVisible(key, flag)).map(({ flagId }) => flagId);
      finder = createNameFinder(names, Math.floor(limits.suggestionComparisonsMax / environments.size));
      finders.set(environment, finder);
    }
    return finder;
  };
  return items.map((item) => ({
    flag_id: item.flagId,
    environment: item.environment,
    count: item.count,
    first_seen: timeOf(item.firstMs),
    last_seen: timeOf(item.lastMs),
    suggestion: finderOf(item.environment).closest(item.flagId),
  }));
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
