// The flags as documents: read from the snapshot, changed by commands.
import type { CompiledFlag } from '../../core/compiled.ts';
import { createFlag } from '../../core/parse.ts';
import { limits } from '../../limits.ts';
import type { Call, KeyedHandlers } from '../http/call.ts';
import { matchesNone } from '../http/conditions.ts';
import { invalid, isRefusal, refuseIssues } from '../http/refusal.ts';
import { emptyReply, jsonReply } from '../http/reply.ts';
import type { ServingEnvironment, ServingKey, ServingSnapshot } from '../serving.ts';
import type { RunCommand } from './commands.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import { findEnvironment, findFlag, isVisible } from './lookup.ts';

type FlagHandlers = Pick<
  KeyedHandlers,
  'listFlags' | 'getFlag' | 'createFlag' | 'replaceFlag' | 'patchFlag' | 'archiveFlag' | 'restoreFlag'
>;

export function createFlagHandlers(run: RunCommand): FlagHandlers {
  const addressed = (call: Call): { environment: string; flagId: string; ifMatch: Call['ifMatch'] } => ({
    environment: call.environment,
    flagId: call.parameters[0] ?? '',
    ifMatch: call.ifMatch,
  });
  return {
    listFlags,
    getFlag: (call) => (snapshot) => {
      const environment = findEnvironment(snapshot, call.environment);
      if (isRefusal(environment)) return environment;
      const flag = findFlag(environment, call.parameters[0] ?? '', call.key);
      if (isRefusal(flag)) return flag;
      const tag = `"${flag.version}"`;
      if (matchesNone(call.request.headers.get('if-none-match') ?? '', tag)) return emptyReply(304, [['ETag', tag]]);
      return jsonReply(200, flag.json, [['ETag', tag]]);
    },
    createFlag: (call) => {
      // Judged here too: what is malformed is told before the environment in a body, and with the primary away.
      const parsed = createFlag(call.body, call.environment);
      if (!parsed.ok && parsed.code === 'INVALID_REQUEST') return refuseIssues(parsed.issues);
      return () => run(call, { type: 'flag.create', environment: call.environment, body: call.body });
    },
    replaceFlag: (call) => () => run(call, { type: 'flag.replace', ...addressed(call), body: call.body }),
    patchFlag: (call) => () => run(call, { type: 'flag.patch', ...addressed(call), body: call.body }),
    archiveFlag: (call) => () => run(call, { type: 'flag.archive', ...addressed(call) }),
    restoreFlag: (call) => () => run(call, { type: 'flag.restore', ...addressed(call) }),
  };
}

const listFlags: KeyedHandlers['listFlags'] = (call) => {
  const { values } = call.query;
  const cursor = values.get('cursor');
  const after = cursor === undefined ? undefined : decodeCursor(cursor, 2);
  if (cursor !== undefined && after === undefined) return invalid('cursor', 'is not a next_cursor of this list');
  for (const name of ['tag', 'q']) {
    if ((values.get(name)?.length ?? 0) > limits.searchCharsMax)
      return invalid(name, `must be at most ${limits.searchCharsMax} characters`);
  }
  return (snapshot) => {
    const environments = environmentsOf(call, snapshot);
    if (isRefusal(environments)) return environments;
    const page = collectPage(environments, call.key, {
      tag: values.get('tag'),
      search: values.get('q')?.toLowerCase(),
      after,
      limit: Number(values.get('limit') ?? limits.listPageMax),
    });
    return jsonReply(
      200,
      `{"flags":[${page.documents.join(',')}],"next_cursor":${page.next === undefined ? 'null' : `"${encodeCursor(page.next)}"`}}`,
    );
  };
};

/** In order of name: the one that is named, or all that the key may see. */
export function environmentsOf(
  call: Call,
  snapshot: ServingSnapshot,
): readonly ServingEnvironment[] | ReturnType<typeof invalid> {
  if (call.environment !== '*') {
    const environment = findEnvironment(snapshot, call.environment);
    return isRefusal(environment) ? environment : [environment];
  }
  return visibleEnvironments(call.key, snapshot);
}

export function visibleEnvironments(key: ServingKey, snapshot: ServingSnapshot): ServingEnvironment[] {
  return [...snapshot.environments.values()]
    .filter(({ environment }) => key.environments === undefined || key.environments.has(environment))
    .sort((a, b) => (a.environment < b.environment ? -1 : 1));
}

interface Wanted {
  readonly tag: string | undefined;
  /** In lower case. */
  readonly search: string | undefined;
  /** Environment and flag_id of the last item of the page before. */
  readonly after: readonly string[] | undefined;
  readonly limit: number;
}

function collectPage(
  environments: readonly ServingEnvironment[],
  key: ServingKey,
  wanted: Wanted,
): { documents: string[]; next: readonly string[] | undefined } {
  const documents: string[] = [];
  const [afterEnvironment = '', afterFlagId = ''] = wanted.after ?? [];
  let last: readonly string[] | undefined;
  for (const { environment, flags } of environments) {
    if (environment < afterEnvironment) continue;
    for (const flag of flags.values()) {
      if (environment === afterEnvironment && flag.flagId <= afterFlagId) continue;
      if (!isVisible(key, flag) || !isWanted(flag, wanted)) continue;
      if (documents.length === wanted.limit) return { documents, next: last };
      documents.push(flag.json);
      last = [environment, flag.flagId];
    }
  }
  return { documents, next: undefined };
}

function isWanted(flag: CompiledFlag, wanted: Wanted): boolean {
  if (wanted.tag !== undefined && !flag.tags.includes(wanted.tag)) return false;
  return wanted.search === undefined || searchText(flag).includes(wanted.search);
}

// A search reads every flag's description, which only its document has; each document is read for that once.
const searchTexts = new WeakMap<CompiledFlag, string>();

function searchText(flag: CompiledFlag): string {
  let text = searchTexts.get(flag);
  if (text === undefined) {
    text = `${flag.flagId}\n${descriptionOf(flag)}`.toLowerCase();
    searchTexts.set(flag, text);
  }
  return text;
}

function descriptionOf(flag: CompiledFlag): string {
  try {
    const { description } = JSON.parse(flag.json) as { readonly description?: unknown };
    return typeof description === 'string' ? description : '';
  } catch {
    // A quarantined flag's document may be no JSON at all.
    return '';
  }
}
