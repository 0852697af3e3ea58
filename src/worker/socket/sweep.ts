// Brings everybody who follows an environment up to date after a change. A swap of the snapshot only marks; one job works
// in short steps, sockets in turn, and always towards the latest state: whatever happened since a follower was last told
// comes as one message, or as none. A reader that is slow is left out until it has taken its bytes.
import { limits } from '../../limits.ts';
import type { Turns } from '../batch/turns.ts';
import { checkBound } from '../http/environment.ts';
import { isRefusal, type Refusal } from '../http/refusal.ts';
import type { Steps } from '../once-per-pair.ts';
import { findEnvironment } from '../routes/lookup.ts';
import type { ServingKey, ServingSnapshot, SnapshotHolder } from '../serving.ts';
import { CLOSE, type Connection, type ConnectionPart } from './connection.ts';
import { type Transition, transitionOf, type View, viewOf } from './views.ts';

export interface Follower {
  /** The state that it was told last. The sweep writes it. */
  told: View;
}

export interface Sweep<F extends Follower> extends ConnectionPart {
  /** From now on; one with the same id is replaced. */
  follow(connection: Connection, id: number, follower: F): void;
  /** undefined: there is none with this id. */
  find(connection: Connection, id: number): F | undefined;
  unfollow(connection: Connection, id: number): void;
  /** Of one connection. */
  countOf(connection: Connection): number;
  /** Of all. */
  readonly count: number;
  /** Ends the timer, and nobody is told anything any more. May be called twice. */
  close(): void;
}

/** One step (src/worker/batch/turns.ts). */
const STEP_MS_MAX = 1;
/**
 * Between two steps. 100,000 pushes take 0.7 s so and 0.2 s without, and the other clients' p99 is 1.0 to 1.3 times that
 * of a quiet time in place of 3 to 5 (npm run bench:fan-out): whoever waits for an answer goes first.
 */
const REST_MS = 3;
/** Followers that were up to date already and are passed in one go. */
const PASSED_AT_ONCE = 256;
const BEHIND_CHECK_MS = 1000;

/** One connection with its followers. */
interface Lane<F> {
  readonly connection: Connection;
  readonly followers: Map<number, F>;
  /** The walk over the followers that is under way. It goes on where it was left, so that none is always the last. */
  pass: Generator<'full' | undefined, void> | undefined;
  /** Something changed since the pass began: another follows it. */
  isStale: boolean;
  /** It does not take its bytes: nothing is sent until it has. */
  isFull: boolean;
  /** Since when its pass waits for it, and how many swaps there had been; undefined: it does not. */
  behind: { readonly sinceMs: number; readonly swaps: number } | undefined;
}

export function createSweep<F extends Follower>(deps: {
  readonly holder: Pick<SnapshotHolder, 'current' | 'onSwap'>;
  readonly turns: Pick<Turns, 'run'>;
  /** Milliseconds that never go back. */
  readonly clock: () => number;
  /** Goes on after a while that is left to the other clients; default: REST_MS later. */
  readonly rest?: (goOn: () => void) => void;
  /** The message for a follower that was told `transition.from`; empty: nothing changed for it. */
  readonly tell: (id: number, follower: F, transition: Transition, revision: number) => Steps<string>;
  /** Why a key may not follow so, as it is now; undefined: it may. */
  readonly refuse: (key: ServingKey, follower: F) => Refusal | undefined;
  /** It follows no more, for whatever reason. */
  readonly ended: (connection: Connection, follower: F) => void;
}): Sweep<F> {
  const { holder, clock, rest = restALittle } = deps;
  const lanes = new Map<Connection, Lane<F>>();
  /** Those with something to do, in order of their turns. */
  const queue = new Set<Lane<F>>();
  const full = new Set<Lane<F>>();
  let target = createTargets();
  const owner = {};
  let count = 0;
  let swaps = 0;
  let isMarked = false;
  let isWorking = false;
  let isClosed = false;
  let check: NodeJS.Timeout | undefined;

  function wake(): void {
    if (isWorking || isClosed || lanes.size === 0) return;
    isWorking = true;
    // Not in the event of whoever wakes it.
    setImmediate(() => deps.turns.run(owner, { step }));
  }

  function step(): boolean {
    if (isMarked) markAll();
    const endsAtMs = clock() + STEP_MS_MAX;
    for (const lane of queue) {
      if (isClosed) break;
      queue.delete(lane);
      lane.connection.together(() => {
        if (work(lane, endsAtMs)) queue.add(lane);
      });
      if (clock() >= endsAtMs) break;
    }
    if (!isClosed && (isMarked || queue.size > 0)) rest(() => deps.turns.run(owner, { step }));
    else isWorking = false;
    return true;
  }

  function markAll(): void {
    isMarked = false;
    for (const lane of lanes.values()) {
      lane.isStale = true;
      if (!lane.isFull) queue.add(lane);
      // What it was told last is kept whole until it can be told more.
      else if (lane.behind !== undefined && swaps - lane.behind.swaps > limits.socketBehindChangesMax) giveUp(lane);
    }
  }

  /** Until the pass is over, the time is up, or the client is full. True: there is more to do. */
  function work(lane: Lane<F>, endsAtMs: number): boolean {
    if (lane.pass === undefined) {
      lane.isStale = false;
      lane.pass = passOver(lane);
    }
    for (;;) {
      const { done, value } = lane.pass.next();
      if (lanes.get(lane.connection) !== lane) return false;
      if (done === true) {
        lane.pass = undefined;
        lane.behind = undefined;
        return lane.isStale;
      }
      if (value === 'full') {
        waitFor(lane);
        return false;
      }
      if (clock() >= endsAtMs) return true;
    }
  }

  function waitFor(lane: Lane<F>): void {
    lane.isFull = true;
    lane.behind ??= { sinceMs: clock(), swaps };
    full.add(lane);
    check ??= setInterval(checkBehind, BEHIND_CHECK_MS).unref();
  }

  function* passOver(lane: Lane<F>): Generator<'full' | undefined, void> {
    let passed = 0;
    for (const [id, follower] of lane.followers) {
      if (isUpToDate(lane, follower)) {
        if (++passed % PASSED_AT_ONCE === 0) yield;
        continue;
      }
      yield* bring(lane, id, follower);
      yield;
    }
  }

  function isUpToDate({ connection }: Lane<F>, follower: F): boolean {
    const snapshot = holder.current;
    return (
      snapshot === undefined ||
      (follower.told === target(snapshot, connection.key, nameOf(follower)) &&
        deps.refuse(connection.key, follower) === undefined)
    );
  }

  /** Tells one follower the latest state, however often that changes meanwhile. */
  function* bring(lane: Lane<F>, id: number, follower: F): Generator<'full' | undefined, void> {
    const { connection, followers } = lane;
    while (connection.isOpen && followers.get(id) === follower && !isUpToDate(lane, follower)) {
      const snapshot = holder.current as ServingSnapshot;
      const to = deps.refuse(connection.key, follower) ?? target(snapshot, connection.key, nameOf(follower));
      if (isRefusal(to)) {
        remove(lane, id);
        connection.sendError(id, to.code, to.detail);
        return;
      }
      if (connection.unsentBytes() > limits.socketPushPauseBytes) {
        yield 'full';
        continue;
      }
      const transition = yield* transitionOf(follower.told, to);
      const message = yield* deps.tell(id, follower, transition, snapshot.revision);
      if (!connection.isOpen || followers.get(id) !== follower) return;
      follower.told = to;
      if (message !== '') connection.sendText(message);
      // Should the state have changed since, another pass is marked.
      return;
    }
  }

  function checkBehind(): void {
    for (const lane of full) {
      if (lane.behind !== undefined && clock() - lane.behind.sinceMs >= limits.socketBehindMsMax) giveUp(lane);
    }
  }

  function giveUp({ connection }: Lane<F>): void {
    connection.close(CLOSE.tryAgainLater, 'does not take its changes');
  }

  function leaveFull(lane: Lane<F>): void {
    lane.isFull = false;
    full.delete(lane);
    if (full.size > 0) return;
    clearInterval(check);
    check = undefined;
  }

  function remove(lane: Lane<F>, id: number): void {
    const follower = lane.followers.get(id);
    if (follower === undefined) return;
    lane.followers.delete(id);
    count -= 1;
    deps.ended(lane.connection, follower);
    if (lane.followers.size === 0) forget(lane);
  }

  function forget(lane: Lane<F>): void {
    lanes.delete(lane.connection);
    queue.delete(lane);
    leaveFull(lane);
    // It holds a snapshot, and nobody asks it any more.
    if (lanes.size === 0) target = createTargets();
  }

  holder.onSwap(() => {
    swaps += 1;
    isMarked = true;
    wake();
  });
  return {
    follow(connection, id, follower) {
      let lane = lanes.get(connection);
      if (lane === undefined) {
        lane = { connection, followers: new Map(), pass: undefined, isStale: false, isFull: false, behind: undefined };
        lanes.set(connection, lane);
      }
      const replaced = lane.followers.get(id);
      lane.followers.set(id, follower);
      if (replaced === undefined) count += 1;
      else deps.ended(connection, replaced);
      if (isUpToDate(lane, follower)) return;
      // The state changed while its first result was made.
      lane.isStale = true;
      if (!lane.isFull) queue.add(lane);
      wake();
    },
    find: (connection, id) => lanes.get(connection)?.followers.get(id),
    unfollow(connection, id) {
      const lane = lanes.get(connection);
      if (lane !== undefined) remove(lane, id);
    },
    countOf: (connection) => lanes.get(connection)?.followers.size ?? 0,
    get count() {
      return count;
    },
    drained(connection) {
      const lane = lanes.get(connection);
      if (lane === undefined || !lane.isFull) return;
      leaveFull(lane);
      queue.add(lane);
      wake();
    },
    closed(connection) {
      const lane = lanes.get(connection);
      if (lane === undefined) return;
      for (const id of [...lane.followers.keys()]) remove(lane, id);
    },
    close() {
      isClosed = true;
      clearInterval(check);
    },
  };
}

function restALittle(goOn: () => void): void {
  setTimeout(goOn, REST_MS);
}

function nameOf({ told }: Follower): string {
  return told.environment.environment;
}

/**
 * The state of the environment `name` that is to be told now. Remembers the last answer, because neighbours ask the same,
 * and by its name: the state that one of them was told before would be kept with it.
 */
function createTargets(): (snapshot: ServingSnapshot, key: ServingKey, name: string) => View | Refusal {
  let lastSnapshot: ServingSnapshot | undefined;
  let lastKey: ServingKey | undefined;
  let lastName: string | undefined;
  let last: View | Refusal | undefined;
  return (snapshot, key, name) => {
    if (last !== undefined && snapshot === lastSnapshot && key === lastKey && name === lastName) return last;
    const environment = checkBound(key, name) ?? findEnvironment(snapshot, name);
    last = isRefusal(environment) ? environment : viewOf(environment, key);
    lastSnapshot = snapshot;
    lastKey = key;
    lastName = name;
    return last;
  };
}
