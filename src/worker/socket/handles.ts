// Lists of flags that a client prepares once, and then asks for in binary frames: no names, no text, a byte a flag. A
// handle follows each new revision. When the variants of one of its flags change, the client is told in a new `prepared`
// before any reply that has to be read with it; what was begun before keeps its older revision and is read as it was.

import { errors } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { Batches } from '../batch/batches.ts';
import type { Plans } from '../batch/plans.ts';
import type { Turns } from '../batch/turns.ts';
import { checkBound } from '../http/environment.ts';
import { isRefusal, type Refusal, refuse } from '../http/refusal.ts';
import { findEnvironment } from '../routes/lookup.ts';
import type { ServingSnapshot, SnapshotHolder } from '../serving.ts';
import { createSlices, type Slices } from '../slices.ts';
import type { UnknownFlagCounts } from '../unknown-flags.ts';
import { type Asked, type FindAsked, keyIn, retryMsOf } from './asked-environment.ts';
import { type Frame, readFrame, usersOf, writeReplyHead } from './binary-frames.ts';
import { CLOSE, type Connection, type ConnectionPart } from './connection.ts';
import type { ClientMessage } from './messages.ts';
import {
  areEqual,
  createPreparedLists,
  type FlagList,
  preparedMessage,
  type VariantLists,
  type View,
} from './prepared-lists.ts';

type Prepare = Extract<ClientMessage, { type: 'prepare' }>;
type Release = Extract<ClientMessage, { type: 'release' }>;

export interface Handles extends ConnectionPart {
  /** Answers with `prepared` or an error, after limits.minRevisionWaitMsMax at the latest. */
  prepare(connection: Connection, message: Prepare): void;
  /** Has no answer, and no effect on a handle that is not there. What was asked before is still answered. */
  release(connection: Connection, message: Release): void;
  /**
   * Answers a binary frame, which is valid until this returns. False: it was malformed; the client has been told, and
   * the caller counts it.
   */
  frame(connection: Connection, bytes: Uint8Array): boolean;
}

interface Handle {
  /** Of its `prepare`. */
  readonly id: number;
  readonly number: number;
  readonly list: FlagList;
  /** By which the client reads its replies. */
  told: VariantLists;
  /** Of the newest snapshot that it followed. */
  revision: number;
  /** undefined: not followed yet, or it cannot be evaluated now. */
  view: View | undefined;
  /** Grows when the variants change without the revision doing so: replies of before cannot be read any more. */
  edition: number;
  inFlightCount: number;
  /** Its number is not given again until all that was asked before is answered. */
  isReleased: boolean;
}

/** What a connection has prepared. */
interface Holdings {
  /** The handle `n` is at `n - 1`. */
  readonly slots: (Handle | undefined)[];
  handleCount: number;
  /** Of all its handles. */
  flagCount: number;
  /** It had not read what it was sent when the snapshot changed: it is told of the latest once it has. */
  isBehind: boolean;
}

export function createHandles(deps: {
  readonly holder: Pick<SnapshotHolder, 'current' | 'onSwap'>;
  readonly findAsked: FindAsked;
  readonly plans: Plans;
  readonly batches: Pick<Batches, 'binary'>;
  readonly turns: Pick<Turns, 'run'>;
  readonly unknownFlags: Pick<UnknownFlagCounts, 'count'>;
}): Handles {
  const { holder, batches, turns, unknownFlags } = deps;
  const lists = createPreparedLists(deps.plans);
  const holdingsOf = new Map<Connection, Holdings>();
  let isDirty = false;
  let isSweeping = false;

  function add(connection: Connection, message: Prepare, asked: Asked): void {
    const { snapshot, environment, key } = asked;
    const plan = deps.plans.find(environment, key, message.flagIds);
    let holdings = holdingsOf.get(connection);
    const problem = noRoom(holdings, plan.flagIds.length);
    if (problem !== undefined) return connection.sendError(message.id, 'TOO_MANY_HANDLES', problem);
    const list = lists.take(environment.environment, plan.flagIds);
    if (list === undefined) return connection.sendError(message.id, 'TOO_MANY_HANDLES', errors.TOO_MANY_HANDLES.title);
    const view = lists.view(list, snapshot, environment, key);
    const number = freeNumber(holdings);
    const text = preparedMessage(message.id, number, view);
    if (text === undefined) {
      lists.giveBack(list);
      return connection.sendError(message.id, 'INVALID_REQUEST', TOO_MANY_VARIANTS);
    }
    if (holdings === undefined) {
      holdings = { slots: [], handleCount: 0, flagCount: 0, isBehind: false };
      holdingsOf.set(connection, holdings);
    }
    const handle: Handle = {
      id: message.id,
      number,
      list,
      told: view.variants,
      revision: snapshot.revision,
      view,
      edition: 0,
      inFlightCount: 0,
      isReleased: false,
    };
    holdings.slots[number - 1] = handle;
    holdings.handleCount += 1;
    holdings.flagCount += list.flagIds.length;
    connection.sendText(text);
    // A swap may lie between the look-up and here, of which nobody told this handle.
    if (holder.current !== undefined) follow(connection, handle, holder.current);
  }

  /**
   * Brings a handle to `snapshot`, and tells its client when its replies are to be read in another way from now on.
   * Afterwards `handle.view` is of that snapshot, or what is returned says why there is none.
   */
  function follow(connection: Connection, handle: Handle, snapshot: ServingSnapshot): Refusal | undefined {
    if (handle.view?.snapshot === snapshot) return undefined;
    handle.view = undefined;
    if (snapshot.revision < handle.revision) {
      // "The latest prepared whose revision is not above the reply's" would lead to one that is not meant.
      connection.close(CLOSE.goingAway, 'The store went back to an earlier revision; connect again.');
      return refuse('NOT_READY');
    }
    const view = look(connection, handle.list, snapshot);
    if (isRefusal(view)) return view;
    if (!areEqual(handle.told, view.variants)) {
      const text = preparedMessage(handle.id, handle.number, view);
      if (text === undefined) return refuse('INVALID_REQUEST', TOO_MANY_VARIANTS);
      if (snapshot.revision === handle.revision) handle.edition += 1;
      connection.sendText(text);
    }
    handle.told = view.variants;
    handle.revision = snapshot.revision;
    handle.view = view;
    return undefined;
  }

  function look(connection: Connection, list: FlagList, snapshot: ServingSnapshot): View | Refusal {
    // One that was revoked is the connection's until its turn to be closed comes.
    const key = keyIn(snapshot, connection.key);
    if (key === undefined) return refuse('UNAUTHORIZED');
    const refusal = checkBound(key, list.environment);
    if (refusal !== undefined) return refusal;
    const environment = findEnvironment(snapshot, list.environment);
    return isRefusal(environment) ? environment : lists.view(list, snapshot, environment, key);
  }

  function answer(connection: Connection, holdings: Holdings, handle: Handle, frame: Frame, bytes: Uint8Array): void {
    const view = handle.view as View;
    const { plan } = view;
    const { revision } = view.snapshot;
    const { edition } = handle;
    const { isPacked, userCount } = frame;
    const id = frame.id as number;
    const flagCount = plan.flagIds.length;
    if (userCount > limits.binaryUsersMax || userCount * flagCount > limits.binaryEvaluationsMax)
      return connection.sendError(id, 'INVALID_REQUEST', tooMany(userCount, flagCount));
    const settle = connection.begin();
    if (settle === undefined) return;
    handle.inFlightCount += 1;
    const end = (): void => {
      handle.inFlightCount -= 1;
      if (handle.isReleased && handle.inFlightCount === 0) holdings.slots[handle.number - 1] = undefined;
      settle();
    };
    turns.run(
      connection,
      batches.binary({
        plan,
        users: usersOf(bytes),
        userCount,
        withAttributes: frame.withAttributes,
        packed: isPacked,
        writeHead: (head) => writeReplyHead(head, isPacked, handle.number, id, userCount, flagCount, revision),
        done: (reply) => {
          for (const flagId of view.unknownIds) unknownFlags.count(handle.list.environment, flagId, userCount);
          if (handle.edition === edition) connection.sendBinary(reply);
          else connection.sendError(id, 'NOT_READY', CORRECTED);
          end();
        },
        refused: (message) => {
          connection.sendError(id, 'INVALID_REQUEST', message);
          end();
        },
        tooMuchWork: () => {
          connection.sendError(id, 'INVALID_REQUEST', TOO_MUCH_WORK);
          end();
        },
        abandoned: () => !connection.isOpen,
      }),
      () => {
        connection.sendError(id, 'INTERNAL', FAILED);
        end();
      },
    );
  }

  /** All handles of a connection, unless it still has to read. */
  async function followAll(connection: Connection, holdings: Holdings, slices: Slices): Promise<void> {
    const { slots } = holdings;
    holdings.isBehind = connection.unsentBytes() > 0;
    for (let i = 0; i < slots.length && connection.isOpen; i++) {
      const handle = slots[i];
      if (holder.current === undefined || handle === undefined || handle.isReleased) continue;
      if (holdings.isBehind) handle.view = undefined;
      else follow(connection, handle, holder.current);
      // One may have ten thousand flags, and a connection dozens of them.
      const pause = slices.pause();
      if (pause !== undefined) await pause;
    }
  }

  function mark(): void {
    lists.forgetViews();
    isDirty = true;
    if (isSweeping || holdingsOf.size === 0) return;
    isSweeping = true;
    setImmediate(() => void sweep());
  }

  /** Tells those who do not ask, and lets the old snapshot go. */
  async function sweep(): Promise<void> {
    while (isDirty) {
      isDirty = false;
      const slices = createSlices();
      for (const [connection, holdings] of holdingsOf) {
        await followAll(connection, holdings, slices);
      }
    }
    isSweeping = false;
  }

  holder.onSwap(mark);
  return {
    prepare(connection, message) {
      const settle = connection.begin();
      if (settle === undefined) return;
      const finish = (asked: Asked | Refusal): void => {
        if (isRefusal(asked)) connection.sendError(message.id, asked.code, asked.detail, retryMsOf(asked));
        else if (connection.isOpen) add(connection, message, asked);
        settle();
      };
      const asked = deps.findAsked(connection, message);
      if (asked instanceof Promise) void asked.then(finish);
      else finish(asked);
    },
    release(connection, message) {
      const holdings = holdingsOf.get(connection);
      const handle = holdings?.slots[message.handle - 1];
      if (holdings === undefined || handle === undefined || handle.isReleased) return;
      handle.isReleased = true;
      handle.view = undefined;
      lists.giveBack(handle.list);
      holdings.handleCount -= 1;
      holdings.flagCount -= handle.list.flagIds.length;
      if (handle.inFlightCount === 0) holdings.slots[handle.number - 1] = undefined;
    },
    frame(connection, bytes) {
      const frame = readFrame(bytes);
      if (frame.malformed !== undefined) {
        connection.sendError(frame.id, 'INVALID_REQUEST', frame.malformed);
        return false;
      }
      const holdings = holdingsOf.get(connection);
      const handle = holdings === undefined ? undefined : holdings.slots[frame.handle - 1];
      if (holdings === undefined || handle === undefined || handle.isReleased) {
        connection.sendError(frame.id, 'INVALID_REQUEST', `handle ${frame.handle} is not prepared on this socket`);
        return true;
      }
      // Nobody has prepared anything before there is a snapshot.
      const refusal = follow(connection, handle, holder.current as ServingSnapshot);
      if (refusal !== undefined) connection.sendError(frame.id, refusal.code, refusal.detail);
      else answer(connection, holdings, handle, frame, bytes);
      return true;
    },
    drained(connection) {
      const holdings = holdingsOf.get(connection);
      if (holdings?.isBehind === true) void followAll(connection, holdings, createSlices());
    },
    closed(connection) {
      const holdings = holdingsOf.get(connection);
      if (holdings === undefined) return;
      holdingsOf.delete(connection);
      for (const handle of holdings.slots) if (handle !== undefined && !handle.isReleased) lists.giveBack(handle.list);
    },
  };
}

/** Why a connection may not prepare `flagCount` flags more; undefined: it may. */
function noRoom(holdings: Holdings | undefined, flagCount: number): string | undefined {
  const { socketHandlesMax, socketHandleFlagsMax } = limits;
  if ((holdings?.handleCount ?? 0) >= socketHandlesMax)
    return `a socket has at most ${socketHandlesMax} handles; release one`;
  if ((holdings?.flagCount ?? 0) + flagCount > socketHandleFlagsMax)
    return `the handles of a socket have at most ${socketHandleFlagsMax} flags together; release some, or prepare fewer`;
  return undefined;
}

/** The smallest that is free. */
function freeNumber(holdings: Holdings | undefined): number {
  if (holdings === undefined) return 1;
  const free = holdings.slots.indexOf(undefined);
  return (free === -1 ? holdings.slots.length : free) + 1;
}

function tooMany(userCount: number, flagCount: number): string {
  const { binaryUsersMax, binaryEvaluationsMax } = limits;
  return userCount > binaryUsersMax
    ? `${userCount} users are over ${binaryUsersMax} of one frame; split it`
    : `${userCount} users of ${flagCount} flags are over ${binaryEvaluationsMax} evaluations of one frame; split it`;
}

const TOO_MANY_VARIANTS = `flags: the names of their variants are over ${limits.preparedCharsMax} characters; prepare fewer flags`;
const TOO_MUCH_WORK = `the users make more work than ${limits.requestConditionsMax} simple conditions; split the frame, or send shorter texts and arrays`;
const FAILED = 'This failed for a reason that is in the log.';
const CORRECTED = 'The snapshot was corrected while this was answered; send it again.';
