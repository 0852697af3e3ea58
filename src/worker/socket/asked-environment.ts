// Hot path.
// Where the answer to a message comes from: the environment that it means, in a snapshot that is new enough for it.
import { limits } from '../../limits.ts';
import { checkBound, resolveEnvironment } from '../http/environment.ts';
import { invalid, isRefusal, type Refusal, refuse } from '../http/refusal.ts';
import { findEnvironment } from '../routes/lookup.ts';
import type { ServingEnvironment, ServingKey, ServingSnapshot, SnapshotHolder } from '../serving.ts';
import type { Connection } from './connection.ts';
import type { AskedState } from './messages.ts';

/** All of one snapshot. */
export interface Asked {
  readonly snapshot: ServingSnapshot;
  readonly environment: ServingEnvironment;
  /** The connection's key. */
  readonly key: ServingKey;
}

/** Answers at once unless it has to wait for `minRevision`, which takes limits.minRevisionWaitMsMax at most. Never rejects. */
export type FindAsked = (connection: Connection, asked: AskedState) => Asked | Refusal | Promise<Asked | Refusal>;

/** What is served now, for a message that waits for no revision. */
export function findCurrent(
  snapshot: ServingSnapshot | undefined,
  key: ServingKey,
  named: string | undefined,
): Asked | Refusal {
  const resolved = resolveEnvironment(key, named);
  return isRefusal(resolved) ? resolved : lookUp(snapshot, key, resolved.environment);
}

export function createFindAsked(holder: Pick<SnapshotHolder, 'current' | 'waitFor'>): FindAsked {
  let waiterCount = 0;

  async function wait(connection: Connection, name: string, revision: number): Promise<Asked | Refusal> {
    waiterCount += 1;
    const reached = await holder.waitFor(revision, limits.minRevisionWaitMsMax);
    waiterCount -= 1;
    return reached ? lookUp(holder.current, connection.key, name) : notReached(revision, holder.current);
  }

  return (connection, { environment: named, minRevision }) => {
    const resolved = resolveEnvironment(connection.key, named);
    if (isRefusal(resolved)) return resolved;
    const name = resolved.environment;
    const current = holder.current?.revision ?? 0;
    if (minRevision === undefined || minRevision <= current) return lookUp(holder.current, connection.key, name);
    // Told before the wait, which is not for whoever may not have the answer.
    const refusal = checkBound(connection.key, name) ?? checkAhead(minRevision, current);
    if (refusal !== undefined) return refusal;
    if (waiterCount >= limits.minRevisionWaitersMax) return notReached(minRevision, holder.current);
    return wait(connection, name, minRevision);
  };
}

/** @param key as it was when the message came: a wait may have been for the very revision that binds it to others */
function lookUp(snapshot: ServingSnapshot | undefined, key: ServingKey, name: string): Asked | Refusal {
  if (snapshot === undefined) return refuse('NOT_READY');
  const current = keyIn(snapshot, key);
  if (current === undefined) return refuse('UNAUTHORIZED');
  const environment = checkBound(current, name) ?? findEnvironment(snapshot, name);
  return isRefusal(environment) ? environment : { snapshot, environment, key: current };
}

/** When to ask again: the revision may be there a second later; nothing else that is refused changes by itself. */
export function retryMsOf({ code }: Refusal): number {
  return code === 'REVISION_NOT_REACHED' ? 1000 : 0;
}

/** The key as this snapshot has it; undefined: it is revoked, or its id is another key's now. */
export function keyIn(snapshot: ServingSnapshot, key: ServingKey): ServingKey | undefined {
  const current = snapshot.keysById.get(key.keyId);
  return current?.keyHash === key.keyHash ? current : undefined;
}

function checkAhead(revision: number, current: number): Refusal | undefined {
  if (revision <= current + limits.minRevisionAheadMax) return undefined;
  return invalid(
    'min_revision',
    `is more than ${limits.minRevisionAheadMax} ahead of revision ${current}; it is of another store`,
  );
}

function notReached(revision: number, snapshot: ServingSnapshot | undefined): Refusal {
  return refuse('REVISION_NOT_REACHED', `Revision ${revision} has not arrived here; this is ${snapshot?.revision}.`);
}
