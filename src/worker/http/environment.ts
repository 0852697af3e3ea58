// Which environment a request means: what it names, else the one its key is bound to, else prod. A key's bounds are
// told before anything is looked up, so that nobody learns what exists beyond them.
import type { Route } from '../../api/routes.ts';
import type { ServingKey } from '../serving.ts';
import type { Query } from './query.ts';
import { invalid, type Refusal, refuse } from './refusal.ts';
import type { RawRequest } from './request.ts';

const DEFAULT_ENVIRONMENT = 'prod';

/** Refuses a name that the key is not bound to, known or not. */
export function checkBound(key: ServingKey, environment: string): Refusal | undefined {
  if (key.environments === undefined || key.environments.has(environment)) return undefined;
  return refuse('ENVIRONMENT_FORBIDDEN', `This key is bound to ${boundsOf(key)}.`);
}

/** The one environment of the key; prod for an unbound one; undefined for one bound to several. */
export function defaultEnvironment(key: ServingKey): string | undefined {
  if (key.environments === undefined) return DEFAULT_ENVIRONMENT;
  if (key.environments.size === 1) for (const only of key.environments) return only;
  return undefined;
}

/** The environment, wrapped. `named`: what the request says, undefined when nothing. */
export function resolveEnvironment(
  key: ServingKey,
  named: string | undefined,
): { readonly environment: string } | Refusal {
  const environment = named ?? defaultEnvironment(key);
  if (environment !== undefined) return { environment };
  return refuse('ENVIRONMENT_REQUIRED', `This key is bound to ${boundsOf(key)}; name one as environment.`);
}

function boundsOf(key: ServingKey): string {
  return [...(key.environments ?? [])].sort().join(', ');
}

/** What a request names before its body: in its query, and on OFREP's routes in a header, for whoever can set no query. */
export function namedEnvironments(
  route: Pick<Route, 'environment'>,
  query: Query,
  request: RawRequest,
): readonly string[] {
  const fromHeader = route.environment === 'header' ? request.headers.get('x-flags-environment') : undefined;
  return [query.values.get('environment'), fromHeader || undefined].filter((name) => name !== undefined);
}

/** The environment that a body names, wrapped; undefined when it names none. It must agree with what was named before. */
export function readBodyEnvironment(
  body: unknown,
  before: string | undefined,
): { readonly named: string | undefined } | Refusal {
  const named =
    typeof body === 'object' && body !== null && Object.hasOwn(body, 'environment')
      ? (body as { readonly environment: unknown }).environment
      : undefined;
  if (named === undefined) return { named: undefined };
  if (typeof named !== 'string') return invalid('environment', 'must be a string');
  if (before !== undefined && before !== named)
    return invalid('environment', 'differs from the one in the query or header');
  return { named };
}
