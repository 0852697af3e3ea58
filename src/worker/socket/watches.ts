// Watches: which flags of an environment may answer differently, told after each change of it, once for all revisions
// since the last time.
import { isRefusal, type Refusal } from '../http/refusal.ts';
import type { ServingKey, SnapshotHolder } from '../serving.ts';
import { findCurrent } from './asked-environment.ts';
import type { Connection } from './connection.ts';
import type { ClientMessage } from './messages.ts';
import { requireScope } from './required-scope.ts';
import type { Follower, Sweep } from './sweep.ts';
import { type Transition, viewOf } from './views.ts';

export interface Watch extends Follower {
  readonly kind: 'watch';
}

type WatchMessage = Extract<ClientMessage, { readonly type: 'watch' }>;

/** True: from now on. False: it was answered with an error. */
export function startWatch(
  connection: Connection,
  message: WatchMessage,
  deps: {
    readonly holder: Pick<SnapshotHolder, 'current'>;
    readonly sweep: Pick<Sweep<Watch>, 'follow'>;
  },
): boolean {
  const refused = refuseWatch(connection.key);
  const found = refused ?? findCurrent(deps.holder.current, connection.key, message.environment);
  if (isRefusal(found)) {
    connection.sendError(message.id, found.code, found.detail);
    return false;
  }
  deps.sweep.follow(connection, message.id, { kind: 'watch', told: viewOf(found.environment, connection.key) });
  return true;
}

/** Definitions are not for keys that only evaluate, and nor is which of them change. */
export function refuseWatch(key: ServingKey): Refusal | undefined {
  return requireScope(key, 'read');
}

/** Empty: the key sees none of what changed, and saw none. */
export function revisionText(id: number, { changes, flagIdsJson }: Transition, revision: number): string {
  return changes.length === 0 ? '' : `{"type":"revision","id":${id},"revision":${revision},"flags":${flagIdsJson}}`;
}
