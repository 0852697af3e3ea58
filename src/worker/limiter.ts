// Hot path. The worker's half of the rate limit: requests are let through from leases of tokens that the primary
// grants for one UTC minute, so that none leaves the worker for it. A token is counted down here before anything else
// happens to it, and given back only when it is gone from here: whatever is lost on the way is lost to the key, never
// gained.
//
//   window W                                   | last 20 ms | window W + 1
//   tokens of W are good                       | of neither |  tokens of W + 1 are good
import type { Lease, LeaseUse } from '../ipc/messages.ts';
import { LEASE_GUARD_MS, shareOf, WINDOW_MS, windowEnd } from '../ipc/rate-window.ts';
import { limits } from '../limits.ts';
import type { ServingKey } from './serving.ts';

export const SPENT = 0;
export const ADMITTED = 1;
export const WAIT = 2;

/** Every 100 ms what is held beyond the demand of the last 100 ms flows back. */
const TICK_MS = 100;
// An answer takes well under a millisecond. After this long the request or the answer went with its primary.
const ASK_MS_MAX = 250;
// While the window has nothing now, but others may give back: how soon waiting requests make us ask again.
const ASK_AGAIN_MS = 10;
// From here to the window's end nothing that is held in vain would come back in time to be used by another worker.
const LATE_MS = 1000;

export interface Limiter {
  /** Takes one token for one request: ADMITTED, SPENT (refuse with 429), or WAIT: ask `waitTake`. */
  tryTake(key: ServingKey, nowMs: number): 0 | 1 | 2;
  /** Resolves true when a token came within limits.rateWaitMsMax, false: refuse. Never rejects. */
  waitTake(key: ServingKey): Promise<boolean>;
  /** A lease from the primary. */
  receive(lease: Lease): void;
  /** By the clock that counts, `offsetMs` ahead of ours, for so many nodes. */
  setClock(offsetMs: number, nodes: number): void;
  /** What was let through and is held, by key, in windows that are not over: for hello. */
  uses(): LeaseUse[];
  /** The same, only of keys of which it changed since the last call of either: for beats. */
  changedUses(): LeaseUse[];
  /** For the RateLimit headers. `remaining` is what is known here; the other workers' requests come in with each lease. */
  standing(key: ServingKey, nowMs: number): RateStanding;
  /** Refuses who waits, gives back what is held. May be called twice. */
  close(): void;
}

export interface RateStanding {
  /** Requests a minute; 0: no limit. */
  readonly limit: number;
  readonly remaining: number;
  /** Whole seconds to the next window, at least 1. */
  readonly resetSeconds: number;
}

export interface LimiterDeps {
  readonly requestLease: (keyId: string, limit: number, tokens: number) => void;
  readonly returnLease: (keyId: string, windowEndMs: number, tokens: number) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Workers of the node; a share is limit / workers. */
  readonly workers: number;
  /** Whether the primary can be asked. Must turn true in the same tick in which `uses()` is read for hello. */
  readonly connected: () => boolean;
  /** Runs something later and returns what cancels it; left out: timers that keep no process alive. */
  readonly later?: (ms: number, run: () => void) => () => void;
}

/** One key's tokens in one window. All are made by `open`, so that they have one shape. */
interface KeyState {
  readonly keyId: string;
  limit: number;
  /** End of the window that `held` and `admitted` belong to. */
  windowEndMs: number;
  held: number;
  admitted: number;
  /** The primary said that this window has no more to give. */
  spent: boolean;
  /** What the primary could still grant, as it last said. */
  elsewhere: number;
  /** 0: nothing asked; else since when an answer is awaited. */
  askedAtMs: number;
  /** The next lease answers a question that no longer stands. */
  outdated: boolean;
  /** Asks as soon as no more than this is held. */
  lowWater: number;
  usedThisTick: number;
  usedLastTick: number;
  /** Changed since the last beat. */
  changed: boolean;
  readonly waiters: Waiter[];
}

interface Waiter {
  readonly settle: (admitted: boolean) => void;
}

export function createLimiter(deps: LimiterDeps): Limiter {
  const states = new Map<string, KeyState>();
  const later = deps.later ?? unheldTimer;
  const pending = new Set<() => void>();
  // Since when we know that the primary is away; Infinity while it is there.
  let awaySinceMs = Number.POSITIVE_INFINITY;
  let closed = false;
  let cancelTick = later(TICK_MS, tick);
  // Where several nodes share limits a minute is Redis' minute, and a share is a part of the node's share.
  let [offsetMs, nodes] = [0, 1];
  const now = (): number => deps.now() + offsetMs;

  function open(key: ServingKey): KeyState {
    const state: KeyState = {
      keyId: key.keyId,
      limit: key.rateLimit,
      windowEndMs: 0,
      held: 0,
      admitted: 0,
      spent: false,
      elsewhere: key.rateLimit,
      askedAtMs: 0,
      outdated: false,
      lowWater: 0,
      usedThisTick: 0,
      usedLastTick: 0,
      changed: false,
      waiters: [],
    };
    states.set(key.keyId, state);
    return state;
  }

  /** Turns to the window of `nowMs`, once the tokens of the last one are no longer good. */
  function turn(state: KeyState, nowMs: number): void {
    const endMs = windowEnd(nowMs);
    state.windowEndMs = endMs;
    state.held = 0;
    state.admitted = 0;
    state.spent = false;
    state.elsewhere = state.limit;
    state.askedAtMs = 0;
    state.lowWater = 0;
    // The primary was away before this window began and has granted us nothing in it: our share is ours.
    if (observeLink(nowMs) <= endMs - WINDOW_MS) state.held = shareOf(shareOf(state.limit, nodes), deps.workers);
    state.changed = true;
  }

  /** Since when the primary is away; Infinity: it is there. */
  function observeLink(nowMs: number): number {
    if (deps.connected()) awaySinceMs = Number.POSITIVE_INFINITY;
    else if (awaySinceMs === Number.POSITIVE_INFINITY) awaySinceMs = nowMs;
    return awaySinceMs;
  }

  /** A lease of the next window may be here already; one further ahead means that the clock was set back. */
  function isOver(state: KeyState, nowMs: number): boolean {
    return nowMs >= state.windowEndMs || nowMs < state.windowEndMs - WINDOW_MS - LATE_MS;
  }

  function isGood(state: KeyState, nowMs: number): boolean {
    return nowMs < state.windowEndMs - LEASE_GUARD_MS && nowMs >= state.windowEndMs - WINDOW_MS;
  }

  function tryTake(key: ServingKey, wallMs: number): 0 | 1 | 2 {
    if (key.rateLimit === 0) return ADMITTED;
    const nowMs = wallMs + offsetMs;
    let state = states.get(key.keyId);
    if (state === undefined) state = open(key);
    if (state.limit !== key.rateLimit) changeLimit(state, key.rateLimit);
    if (isOver(state, nowMs)) turn(state, nowMs);
    if (state.held > 0 && isGood(state, nowMs)) {
      take(state);
      if (state.held <= state.lowWater && !state.spent) ask(state, nowMs);
      return ADMITTED;
    }
    if (state.spent || state.waiters.length >= limits.rateWaitersMax || closed) return SPENT;
    // Without a primary only the next window can bring tokens, and only if it is about to begin.
    return deps.connected() || opensInMs(state, nowMs) <= limits.rateWaitMsMax ? WAIT : SPENT;
  }

  function take(state: KeyState): void {
    state.held--;
    state.admitted++;
    state.usedThisTick++;
    state.changed = true;
  }

  /** Asks for what waits now and for the demand that shows, unless an answer is on its way. */
  function ask(state: KeyState, nowMs: number): void {
    if (state.askedAtMs !== 0 && nowMs - state.askedAtMs < ASK_MS_MAX && nowMs >= state.askedAtMs) return;
    if (!deps.connected()) return;
    // Within the guard the primary already grants the next window; what is left of this one is worth nothing.
    if (nowMs >= state.windowEndMs - LEASE_GUARD_MS) state.held = 0;
    const ahead = aheadOf(state, nowMs);
    const wanted = state.waiters.length + ahead - state.held;
    if (wanted <= 0) return;
    state.askedAtMs = nowMs;
    state.lowWater = ahead >> 1;
    deps.requestLease(state.keyId, state.limit, Math.min(wanted, state.limit));
  }

  /** Tokens worth holding: twice what a tick uses, so that an answer is here long before they are gone. */
  function aheadOf(state: KeyState, nowMs: number): number {
    const used = state.usedThisTick > state.usedLastTick ? state.usedThisTick : state.usedLastTick;
    const ahead = used < 1 ? 1 : Math.min(2 * used, 2 ** 30);
    if (nowMs < state.windowEndMs - LATE_MS) return ahead;
    // What all workers hold in vain at the window's end is lost to the key: at most one percent, and a token each.
    return Math.min(ahead, Math.max(1, Math.floor(state.limit / (100 * deps.workers * nodes))));
  }

  function changeLimit(state: KeyState, limit: number): void {
    // The primary counts by the limit we name; what was granted by the old one goes back first.
    giveBack(state, state.held);
    if (state.askedAtMs !== 0) state.outdated = true;
    state.limit = limit;
    state.spent = false;
    state.elsewhere = limit;
    state.askedAtMs = 0;
  }

  /** Tokens leave this worker for good before the primary hears of it. Without a primary they stay. */
  function giveBack(state: KeyState, tokens: number): void {
    if (tokens <= 0 || !deps.connected()) return;
    state.held -= tokens;
    // Now there is something to be had again.
    state.spent = false;
    state.changed = true;
    deps.returnLease(state.keyId, state.windowEndMs, tokens);
  }

  function waitTake(key: ServingKey): Promise<boolean> {
    const first = tryTake(key, deps.now());
    const state = states.get(key.keyId);
    if (first !== WAIT || state === undefined) return Promise.resolve(first === ADMITTED);
    return new Promise((resolve) => {
      const waiter: Waiter = {
        settle(admitted) {
          cancel();
          pending.delete(cancel);
          resolve(admitted);
        },
      };
      const cancel = later(limits.rateWaitMsMax, () => {
        state.waiters.splice(state.waiters.indexOf(waiter), 1);
        waiter.settle(false);
      });
      pending.add(cancel);
      state.waiters.push(waiter);
      const nowMs = now();
      ask(state, nowMs);
      if (state.waiters.length === 1 && !isGood(state, nowMs)) openInTime(state, nowMs);
    });
  }

  /** Milliseconds until a window begins whose tokens may be used: the one we hold tokens of, or the next. */
  function opensInMs(state: KeyState, nowMs: number): number {
    const startMs = state.windowEndMs - WINDOW_MS;
    return (nowMs < startMs ? startMs : state.windowEndMs) - nowMs;
  }

  /** Lets the waiting ones in to the millisecond. */
  function openInTime(state: KeyState, nowMs: number): void {
    const ms = opensInMs(state, nowMs);
    if (ms > 0 && ms <= limits.rateWaitMsMax) run(ms, () => serve(state));
  }

  function run(ms: number, then: () => void): void {
    const cancel = later(ms, () => {
      pending.delete(cancel);
      then();
    });
    pending.add(cancel);
  }

  /** Gives tokens to those who wait, first come first served, and asks for the rest. */
  function serve(state: KeyState): void {
    const nowMs = now();
    if (isOver(state, nowMs)) turn(state, nowMs);
    const good = isGood(state, nowMs);
    let served = 0;
    while (good && state.held > 0 && served < state.waiters.length) {
      take(state);
      (state.waiters[served++] as Waiter).settle(true);
    }
    state.waiters.splice(0, served);
    if (good && state.spent) for (const waiter of state.waiters.splice(0)) waiter.settle(false);
    if (state.waiters.length === 0) return;
    ask(state, nowMs);
    if (!good) openInTime(state, nowMs);
  }

  function receive(lease: Lease): void {
    const state = states.get(lease.keyId);
    if (state === undefined || closed) {
      // Pruned meanwhile, so nobody here wants it.
      if (lease.tokens > 0 && deps.connected()) deps.returnLease(lease.keyId, lease.windowEndMs, lease.tokens);
      return;
    }
    if (state.outdated) {
      state.outdated = false;
      if (lease.tokens > 0 && deps.connected()) deps.returnLease(lease.keyId, lease.windowEndMs, lease.tokens);
      return;
    }
    state.askedAtMs = 0;
    if (lease.windowEndMs > state.windowEndMs) {
      // The primary is in its next window, or within the guard before it; ours has nothing good left then either.
      state.windowEndMs = lease.windowEndMs;
      state.held = 0;
      state.admitted = 0;
    }
    // Of a window that is over: of no use to anybody.
    if (lease.windowEndMs === state.windowEndMs) {
      state.held += lease.tokens;
      state.spent = lease.spent;
      state.elsewhere = lease.remaining ?? 0;
      state.changed = true;
    }
    if (state.waiters.length === 0) return;
    if (lease.tokens > 0 || lease.spent) serve(state);
    else run(ASK_AGAIN_MS, () => serve(state));
  }

  function tick(): void {
    if (closed) return;
    cancelTick = later(TICK_MS, tick);
    const nowMs = now();
    observeLink(nowMs);
    for (const state of states.values()) {
      const idle = state.waiters.length === 0 && state.usedThisTick === 0;
      if (isOver(state, nowMs) && idle) {
        states.delete(state.keyId);
        continue;
      }
      // An idle key keeps a little, half a percent of its limit on all workers together, so that it need not wait.
      const reserve = Math.floor(state.limit / (200 * deps.workers * nodes));
      // What is left of a spent window others may no longer ask for: it stays while there is demand.
      const keep = idle ? 0 : state.spent ? state.held : aheadOf(state, nowMs);
      if (isGood(state, nowMs)) giveBack(state, state.held - Math.max(reserve, keep));
      // What was asked may have gone with its primary.
      if (state.waiters.length > 0) ask(state, nowMs);
      state.usedLastTick = state.usedThisTick;
      state.usedThisTick = 0;
    }
  }

  function collect(changedOnly: boolean): LeaseUse[] {
    const nowMs = now();
    const found: LeaseUse[] = [];
    for (const state of states.values()) {
      if (changedOnly && !state.changed) continue;
      state.changed = false;
      // All of them are for a hello: a new primary has not heard what the last one was asked.
      if (!changedOnly) state.askedAtMs = 0;
      if (nowMs < state.windowEndMs && state.admitted + state.held > 0) {
        found.push({ keyId: state.keyId, windowEndMs: state.windowEndMs, admitted: state.admitted, held: state.held });
      }
    }
    return found;
  }

  return {
    tryTake,
    waitTake,
    receive,
    uses: () => collect(false),
    changedUses: () => collect(true),
    setClock(ahead, count) {
      offsetMs = ahead;
      nodes = count;
    },
    standing(key, wallMs) {
      const nowMs = wallMs + offsetMs;
      const state = states.get(key.keyId);
      const resetSeconds = Math.max(1, Math.ceil((windowEnd(nowMs) - nowMs) / 1000));
      if (state === undefined || isOver(state, nowMs))
        return { limit: key.rateLimit, remaining: key.rateLimit, resetSeconds };
      const remaining = state.spent || !deps.connected() ? state.held : state.held + state.elsewhere;
      return { limit: key.rateLimit, remaining: Math.min(remaining, key.rateLimit), resetSeconds };
    },
    close() {
      if (closed) return;
      closed = true;
      cancelTick();
      for (const cancel of pending) cancel();
      for (const state of states.values()) {
        for (const waiter of state.waiters.splice(0)) waiter.settle(false);
        giveBack(state, state.held);
      }
    },
  };
}

function unheldTimer(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms).unref();
  return () => clearTimeout(timer);
}
