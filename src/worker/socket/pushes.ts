// All that a socket is sent without asking each time: subscriptions, watches and live figures. They share their ids, one
// `unsubscribe` and one bound.
import type { HashUser } from '../../core/compiled.ts';
import { limits } from '../../limits.ts';
import type { Batches } from '../batch/batches.ts';
import type { Plans } from '../batch/plans.ts';
import type { Turns } from '../batch/turns.ts';
import type { SnapshotHolder } from '../serving.ts';
import type { UnknownFlagCounts } from '../unknown-flags.ts';
import type { Connection, ConnectionPart } from './connection.ts';
import type { ClientMessage } from './messages.ts';
import { requireScope } from './required-scope.ts';
import { createStats, type WorkerCounts } from './stats.ts';
import { createSubscriptions, type Subscription } from './subscriptions.ts';
import { createSweep } from './sweep.ts';
import { refuseWatch, revisionText, startWatch, type Watch } from './watches.ts';

type Message<Type extends ClientMessage['type']> = Extract<ClientMessage, { readonly type: Type }>;

/** Whatever is refused is answered with an error, and what had its id goes on. */
export interface Pushes extends ConnectionPart {
  subscribe(connection: Connection, message: Message<'subscribe'>): void;
  watch(connection: Connection, message: Message<'watch'>): void;
  stats(connection: Connection, message: Message<'stats'>): void;
  /** Ends whichever has the id; nothing when none has. */
  unsubscribe(connection: Connection, message: Message<'unsubscribe'>): void;
  /** Ends the timers. May be called twice. */
  close(): void;
}

export function createPushes(deps: {
  readonly holder: Pick<SnapshotHolder, 'current' | 'onSwap' | 'staleSeconds'>;
  readonly plans: Plans;
  readonly batches: Pick<Batches, 'json'>;
  readonly turns: Pick<Turns, 'run'>;
  readonly hash: HashUser;
  readonly unknownFlags: Pick<UnknownFlagCounts, 'count'>;
  /** What the worker has counted, for its live figures. */
  readonly counts: () => WorkerCounts;
  /** Milliseconds that never go back. */
  readonly clock: () => number;
  /** Between two steps of a sweep. */
  readonly rest?: (goOn: () => void) => void;
}): Pushes {
  const { holder } = deps;
  const sweep = createSweep<Subscription | Watch>({
    ...deps,
    *tell(id, follower, transition, revision) {
      return follower.kind === 'watch'
        ? revisionText(id, transition, revision)
        : yield* subscriptions.changeText(id, follower, transition, revision);
    },
    refuse: (key, { kind }) => (kind === 'watch' ? refuseWatch(key) : requireScope(key, 'evaluate')),
    ended: (connection, follower) => {
      if (follower.kind === 'subscription') subscriptions.ended(connection, follower);
    },
  });
  const subscriptions = createSubscriptions({ ...deps, sweep });
  const stats = createStats({ ...deps, subscriptions: () => sweep.count });

  /** False: there is none, and the message was answered so. */
  function hasRoom(connection: Connection, id: number): boolean {
    const own = sweep.countOf(connection) + subscriptions.pendingOf(connection) + stats.countOf(connection);
    const isReplacing =
      sweep.find(connection, id) !== undefined || subscriptions.isPending(connection, id) || stats.has(connection, id);
    if (isReplacing || (own < limits.subscriptionsPerSocketMax && sweep.count < limits.subscriptionsMax)) return true;
    connection.sendError(id, 'TOO_MANY_SUBSCRIPTIONS', TOO_MANY);
    return false;
  }

  return {
    subscribe(connection, message) {
      if (hasRoom(connection, message.id) && subscriptions.subscribe(connection, message))
        stats.end(connection, message.id);
    },
    watch(connection, message) {
      if (!hasRoom(connection, message.id) || !startWatch(connection, message, { holder, sweep })) return;
      subscriptions.abandon(connection, message.id);
      stats.end(connection, message.id);
    },
    stats(connection, { id }) {
      if (!hasRoom(connection, id) || !stats.start(connection, id)) return;
      subscriptions.abandon(connection, id);
      sweep.unfollow(connection, id);
    },
    unsubscribe(connection, { id }) {
      subscriptions.abandon(connection, id);
      sweep.unfollow(connection, id);
      stats.end(connection, id);
    },
    drained: sweep.drained,
    closed(connection) {
      subscriptions.closed(connection);
      sweep.closed(connection);
      stats.closed(connection);
    },
    close() {
      sweep.close();
      stats.close();
    },
  };
}

const TOO_MANY = `A socket may have ${limits.subscriptionsPerSocketMax} subscriptions, watches and stats, a worker ${limits.subscriptionsMax}.`;
