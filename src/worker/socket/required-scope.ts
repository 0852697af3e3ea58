// Hot path.
// What the key of a message must be allowed to do, told in one way by all parts of the protocol.
import { RANK, type Scope } from '../../core/scopes.ts';
import { type Refusal, refuse } from '../http/refusal.ts';
import type { ServingKey } from '../serving.ts';

/** undefined: the key has it. */
export function requireScope(key: ServingKey, scope: Scope): Refusal | undefined {
  return key.rank >= RANK[scope] ? undefined : refuse('SCOPE_REQUIRED', `This needs a key with the scope ${scope}.`);
}
