// Subscriptions: the flags of one context, once whole and then whatever changes. Nothing is kept of a flag or an answer:
// what a client knows follows from its context and the state that it was told last, and only flags that may answer
// differently since are evaluated, in both states.
import type { EvaluationContext, HashUser, Outcome } from '../../core/compiled.ts';
import { evaluate } from '../../core/evaluate.ts';
import type { JsonObject } from '../../core/model.ts';
import type { ErrorCode } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { Batches } from '../batch/batches.ts';
import type { Plan, Plans } from '../batch/plans.ts';
import type { Turns } from '../batch/turns.ts';
import { isRefusal } from '../http/refusal.ts';
import type { Steps } from '../once-per-pair.ts';
import type { SnapshotHolder } from '../serving.ts';
import type { UnknownFlagCounts } from '../unknown-flags.ts';
import { type Asked, findCurrent } from './asked-environment.ts';
import type { Connection } from './connection.ts';
import type { ClientMessage } from './messages.ts';
import { type Charged, createSubscriptionAccounts } from './subscription-accounts.ts';
import type { Follower, Sweep } from './sweep.ts';
import { changeMember, type FlagChange, type Transition, type View, viewOf } from './views.ts';

/** 64 bytes, and about 45 for its place among those of its connection, beside the texts. */
export interface Subscription extends Follower, Charged {
  readonly kind: 'subscription';
}

type SubscribeMessage = Extract<ClientMessage, { readonly type: 'subscribe' }>;

export interface Subscriptions {
  /**
   * Answers with one result, an error, or nothing when it was abandoned before. False: it was refused; else whatever
   * subscription or watch had its id is over.
   */
  subscribe(connection: Connection, message: SubscribeMessage): boolean;
  /** Ends one whose first result is still being made. */
  abandon(connection: Connection, id: number): void;
  /** It waits for its first result. */
  isPending(connection: Connection, id: number): boolean;
  /** How many of a connection wait for their first result. */
  pendingOf(connection: Connection): number;
  /** One that was followed is over. */
  ended(connection: Connection, subscription: Subscription): void;
  /** Abandons all of a connection. */
  closed(connection: Connection): void;
  /** How the state `transition.to` is told to one that was told `transition.from`; empty: nothing changed for it. */
  changeText(id: number, subscription: Subscription, transition: Transition, revision: number): Steps<string>;
}

interface Pending {
  readonly charged: Charged;
  readonly settle: () => void;
}

export function createSubscriptions(deps: {
  readonly holder: Pick<SnapshotHolder, 'current'>;
  readonly plans: Plans;
  readonly batches: Pick<Batches, 'json'>;
  readonly turns: Pick<Turns, 'run'>;
  readonly hash: HashUser;
  readonly unknownFlags: Pick<UnknownFlagCounts, 'count'>;
  readonly sweep: Pick<Sweep<Subscription>, 'follow' | 'unfollow'>;
}): Subscriptions {
  const accounts = createSubscriptionAccounts();
  /** By connection and id: those whose first result is being made. */
  const pendings = new Map<Connection, Map<number, Pending>>();

  /** undefined: it was abandoned. */
  function take(connection: Connection, id: number): Pending | undefined {
    const own = pendings.get(connection);
    const pending = own?.get(id);
    if (own?.delete(id) === true && own.size === 0) pendings.delete(connection);
    return pending;
  }

  function abandon(connection: Connection, id: number): void {
    const pending = take(connection, id);
    if (pending === undefined) return;
    accounts.release(connection, pending.charged);
    pending.settle();
  }

  /** Makes the first result of one that is pending, and then follows the state that it was made from. */
  function answer(connection: Connection, message: SubscribeMessage, pending: Pending, asked: Asked, plan: Plan): void {
    const { id } = message;
    const { snapshot, environment, key } = asked;
    const told = viewOf(environment, key);
    const { charged, settle } = pending;
    const isAbandoned = (): boolean => pendings.get(connection)?.get(id) !== pending;
    const job = deps.batches.json({
      plan,
      contexts: [message.context],
      form: 'batch',
      head: `{"type":"result","id":${id},"revision":${snapshot.revision},"results":`,
      tail: '}',
      done(reply) {
        if (isAbandoned()) return;
        take(connection, id);
        connection.sendText(reply);
        settle();
        const { userId, attributes, flags } = charged;
        if (connection.isOpen) {
          deps.sweep.follow(connection, id, { told, kind: 'subscription', userId, attributes, flags });
        } else accounts.release(connection, charged);
      },
      tooMuchWork() {
        if (isAbandoned()) return;
        abandon(connection, id);
        connection.sendError(id, 'INVALID_REQUEST', TOO_MUCH_WORK);
      },
      replyBytesMax: limits.socketUnsentBytesMax,
      tooLarge() {
        if (isAbandoned()) return;
        abandon(connection, id);
        connection.sendError(id, 'INVALID_REQUEST', TOO_LARGE);
      },
      abandoned: isAbandoned,
    });
    deps.turns.run(connection, job);
  }

  function refuse(connection: Connection, id: number, code: ErrorCode, detail: string): false {
    connection.sendError(id, code, detail);
    return false;
  }

  return {
    subscribe(connection, message) {
      const { id, context, flagIds } = message;
      const found = findCurrent(deps.holder.current, connection.key, message.environment);
      if (isRefusal(found)) return refuse(connection, id, found.code, found.detail);
      const { environment, key } = found;
      const charged = accounts.charge(connection, context, flagIds);
      if (charged === undefined) return refuse(connection, id, 'TOO_MANY_SUBSCRIPTIONS', TOO_MANY_BYTES);
      const settle = connection.begin();
      if (settle === undefined) {
        accounts.release(connection, charged);
        return false;
      }
      for (const flagId of charged.flags?.ids ?? []) {
        if (!environment.flags.has(flagId)) deps.unknownFlags.count(environment.environment, flagId, 1);
      }
      abandon(connection, id);
      deps.sweep.unfollow(connection, id);
      const pending = { charged, settle };
      const own = pendings.get(connection);
      if (own === undefined) pendings.set(connection, new Map([[id, pending]]));
      else own.set(id, pending);
      answer(connection, message, pending, found, deps.plans.find(environment, key, charged.flags?.ids));
      return true;
    },
    abandon,
    pendingOf: (connection) => pendings.get(connection)?.size ?? 0,
    isPending: (connection, id) => pendings.get(connection)?.has(id) === true,
    ended: (connection, subscription) => accounts.release(connection, subscription),
    closed(connection) {
      for (const id of [...(pendings.get(connection)?.keys() ?? [])]) abandon(connection, id);
    },
    changeText: (id, subscription, transition, revision) =>
      changeText(id, subscription, transition, revision, deps.hash),
  };
}

const TOO_MANY_BYTES = `The contexts and flags that a socket's subscriptions name may take ${limits.subscriptionBytesPerSocketMax} bytes, those of a worker ${limits.subscriptionBytesMax}.`;
const TOO_MUCH_WORK = `This makes more work than ${limits.requestConditionsMax} simple conditions; name fewer flags, or send shorter texts and arrays.`;
const TOO_LARGE = `The result would be over ${limits.socketUnsentBytesMax} bytes; name fewer flags.`;

function* changeText(
  id: number,
  subscription: Subscription,
  { from, to, changes: all, changesOf }: Transition,
  revision: number,
  hash: HashUser,
): Steps<string> {
  const changes = subscription.flags === undefined ? all : changesOf(subscription.flags);
  if (changes.length === 0) return '';
  const context = contextOf(subscription, changes);
  let members = '';
  for (let i = 0; i < changes.length; i += 1) {
    if (i > 0) yield;
    const change = changes[i] as FlagChange;
    const before = outcomeIn(from, change.before, context, hash);
    const member = changeMember(change, before, outcomeIn(to, change.after, context, hash));
    if (member !== '') members += members === '' ? member : `,${member}`;
  }
  return members === '' ? '' : `{"type":"change","id":${id},"revision":${revision},"results":{${members}}}`;
}

function outcomeIn(
  { environment }: View,
  flag: FlagChange['before'],
  context: EvaluationContext,
  hash: HashUser,
): Outcome | undefined {
  return flag === undefined ? undefined : evaluate(flag, context, environment, hash);
}

function contextOf({ userId, attributes }: Subscription, changes: readonly FlagChange[]): EvaluationContext {
  if (typeof attributes !== 'string') return { userId, attributes };
  const isAsked = changes.some(({ before, after }) => asksAttributes(before) || asksAttributes(after));
  return { userId, attributes: isAsked ? (JSON.parse(attributes) as JsonObject) : undefined };
}

function asksAttributes(flag: FlagChange['before']): boolean {
  return (
    flag !== undefined && (flag.rules !== undefined || flag.prerequisites !== undefined || flag.bucketBy !== undefined)
  );
}
