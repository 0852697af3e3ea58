// The environment that a message of a socket asks for, as far as its key may.
import { RANK, type Scope } from '../../core/scopes.ts';
import { checkBound, resolveEnvironment } from '../http/environment.ts';
import { isRefusal, type Refusal, refuse } from '../http/refusal.ts';
import { findEnvironment } from '../routes/lookup.ts';
import type { ServingEnvironment, ServingKey, ServingSnapshot } from '../serving.ts';

/** @param named undefined: the key's own */
export function findFollowed(
  snapshot: ServingSnapshot | undefined,
  key: ServingKey,
  named: string | undefined,
): { readonly snapshot: ServingSnapshot; readonly environment: ServingEnvironment } | Refusal {
  if (snapshot === undefined) return refuse('NOT_READY');
  const resolved = resolveEnvironment(key, named);
  if (isRefusal(resolved)) return resolved;
  const environment = checkBound(key, resolved.environment) ?? findEnvironment(snapshot, resolved.environment);
  return isRefusal(environment) ? environment : { snapshot, environment };
}

/** undefined: the key has it. */
export function requireScope(key: ServingKey, scope: Scope): Refusal | undefined {
  return key.rank >= RANK[scope] ? undefined : refuse('SCOPE_REQUIRED', `This needs a key with the scope ${scope}.`);
}
