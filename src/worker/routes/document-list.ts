// The lists of flags and of segments: a page of documents from the snapshot, in order of environment and id.
import { limits } from '../../limits.ts';
import type { Call, Responder } from '../http/call.ts';
import { invalid, isRefusal, type Refusal } from '../http/refusal.ts';
import { jsonReply } from '../http/reply.ts';
import type { ServingEnvironment, ServingKey, ServingSnapshot } from '../serving.ts';
import { findEnvironment } from './lookup.ts';
import { decodeCursor, encodeCursor, pageLimit, refuseCursor } from './page.ts';

/** What both lists need to know of a document. */
interface Listed {
  readonly json: string;
}

export interface DocumentList<T extends Listed> {
  /** The reply's member that holds the page. */
  readonly member: 'flags' | 'items';
  /** Parameters of the query that are texts to look for. */
  readonly searches: readonly string[];
  /** By id, in order of it. */
  documents(environment: ServingEnvironment): ReadonlyMap<string, T>;
  /** Beyond `q`, which all lists have. */
  isWanted(document: T, call: Call): boolean;
}

export function listDocuments<T extends Listed>(call: Call, list: DocumentList<T>): Refusal | Responder {
  const { values } = call.query;
  const cursor = values.get('cursor');
  const after = cursor === undefined ? undefined : decodeCursor(cursor, 2);
  if (cursor !== undefined && after === undefined) return refuseCursor();
  for (const name of list.searches) {
    if ((values.get(name)?.length ?? 0) > limits.searchCharsMax)
      return invalid(name, `must be at most ${limits.searchCharsMax} characters`);
  }
  return (snapshot) => {
    const environments = environmentsOf(call, snapshot);
    if (isRefusal(environments)) return environments;
    const page = collectPage(environments, call, list, after ?? []);
    const next = page.next === undefined ? 'null' : `"${encodeCursor(page.next)}"`;
    return jsonReply(200, `{"${list.member}":[${page.documents.join(',')}],"next_cursor":${next}}`);
  };
}

/** In order of name: the one that is named, or all that the key may see. */
export function environmentsOf(call: Call, snapshot: ServingSnapshot): readonly ServingEnvironment[] | Refusal {
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

/** `after`: environment and id of the last document of the page before; empty on the first page. */
function collectPage<T extends Listed>(
  environments: readonly ServingEnvironment[],
  call: Call,
  list: DocumentList<T>,
  after: readonly string[],
): { documents: string[]; next: readonly string[] | undefined } {
  const limit = pageLimit(call);
  const search = call.query.values.get('q')?.toLowerCase();
  const documents: string[] = [];
  const [afterEnvironment = '', afterId = ''] = after;
  let last: readonly string[] | undefined;
  for (const each of environments) {
    const { environment } = each;
    if (environment < afterEnvironment) continue;
    for (const [id, document] of list.documents(each)) {
      if (environment === afterEnvironment && id <= afterId) continue;
      if (!list.isWanted(document, call)) continue;
      if (search !== undefined && !searchText(id, document).includes(search)) continue;
      if (documents.length === limit) return { documents, next: last };
      documents.push(document.json);
      last = [environment, id];
    }
  }
  return { documents, next: undefined };
}

// A search reads every document's description, which only its JSON has; each is read for that once.
const searchTexts = new WeakMap<Listed, string>();

function searchText(id: string, document: Listed): string {
  let text = searchTexts.get(document);
  if (text === undefined) {
    text = `${id}\n${descriptionOf(document)}`.toLowerCase();
    searchTexts.set(document, text);
  }
  return text;
}

function descriptionOf(document: Listed): string {
  try {
    const { description } = JSON.parse(document.json) as { readonly description?: unknown };
    return typeof description === 'string' ? description : '';
  } catch {
    // A quarantined document may be no JSON at all.
    return '';
  }
}
