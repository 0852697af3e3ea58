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

export function createFindAsked(holder: Pick<SnapshotHolder, 'current' | 'waitFor'>): FindAsked {
  let waiterCount = 0;

  function lookUp(connection: Connection, name: string): Asked | Refusal {
    const snapshot = holder.current;
    if (snapshot === undefined) return refuse('NOT_READY');
    const key = keyIn(snapshot, connection.key);
    if (key === undefined) return refuse('UNAUTHORIZED');
    // Once more: a wait may have been for the very revision that binds the key to others.
    const refusal = checkBound(key, name);
    if (refusal !== undefined) return refusal;
    const environment = findEnvironment(snapshot, name);
    return isRefusal(environment) ? environment : { snapshot, environment, key };
  }

  async function wait(connection: Connection, name: string, revision: number): Promise<Asked | Refusal> {
    waiterCount += 1;
    const reached = await holder.waitFor(revision, limits.minRevisionWaitMsMax);
    waiterCount -= 1;
    return reached ? lookUp(connection, name) : notReached(revision, holder.current);
  }

  return (connection, { environment: named, minRevision }) => {
    const resolved = resolveEnvironment(connection.key, named);
    if (isRefusal(resolved)) return resolved;
    const name = resolved.environment;
    const current = holder.current?.revision ?? 0;
    if (minRevision === undefined || minRevision <= current) return lookUp(connection, name);
    // Told before the wait, which is not for whoever may not have the answer.
    const refusal = checkBound(connection.key, name) ?? checkAhead(minRevision, current);
    if (refusal !== undefined) return refusal;
    if (waiterCount >= limits.minRevisionWaitersMax) return notReached(minRevision, holder.current);
    return wait(connection, name, minRevision);
  };
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
