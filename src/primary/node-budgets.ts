// What this node may grant of a key's minute where several nodes share it: its budget. It comes from the counter in pieces
// that get smaller as the minute runs low, and flows back when the node's demand ends. A budget is lowered here before the
// counter hears of it, and raised only by its answer, so whatever is lost on the way is never granted twice.
//
// Without the counter a node goes on with what it holds. In the minute in which it went, it may use its part of what was
// left when it was last heard; of a minute that begins without it, its share. It stays within that for the rest of the
// minute even when the counter is back, for it cannot know yet what others took.
import { shareOf, WINDOW_MS } from '../ipc/rate-window.ts';
import { type CancelTimer, type Clock, systemClock } from '../run/clock.ts';
import type { Holding, LeaseCounter } from '../storage/lease-counter.ts';
import type { NodeRoll } from './node-roll.ts';

/** Every 100 ms what is held beyond the demand flows back. */
const TICK_MS = 100;
/** A worker's request waits 50 ms in all for a refill. That an answer is late says nothing yet: it ends the wait only. */
const REFILL_MS_MAX = 25;
/** A node whose workers have not asked for so long has no demand. */
const IDLE_MS = 250;
/** How old what is known of a key may get while there is demand: with much left, and with little. */
const REFRESH_MS = 1_000;
/** Little is left: less than this part of the limit. */
const LOW_PART = 8;
const LATE_MS = 2_000;
/** With nothing left: how soon it is asked again, when others may give back and when they may not. */
const ASK_AGAIN_MS = 20;
/** What was heard of a key is news for this long. */
const NEWS_MS = 2_000;

/** One key in one minute on this node, as the account that grants from it sees it. */
export interface Budget {
  /** Tokens that may be granted of this minute, in all. */
  ceiling(limit: number): number;
  /** Tokens that nobody holds, as last heard. */
  readonly left: number;
  /** Nothing will come any more. */
  isSpent(): boolean;
  /** Workers want so many, of `spare` that are here: asks for more in time. Undefined: it is no use to wait for it. */
  raise(wanted: number, spare: number): Promise<void> | undefined;
}

/** The account's side: tokens granted to workers, and how many of these may come back. */
export interface Spending {
  granted(): number;
  unused(): number;
}

export interface NodeBudgets {
  open(keyId: string, windowEndMs: number, limit: number, spending: Spending): Budget;
  /** The counter is back: tells it at once what was used meanwhile. */
  settle(): void;
  close(): void;
}

/** All are made by `open`. */
interface Entry {
  readonly keyId: string;
  readonly windowEndMs: number;
  readonly spending: Spending;
  limit: number;
  /** What the counter knows we hold, at most. */
  total: number;
  left: number;
  unusedElsewhere: number;
  heardMs: number;
  /** The counter lost what it knew of this window. */
  complete: boolean;
  /** 0: never without the counter; else what we may use at most, all in all. */
  aloneMost: number;
  sequence: number;
  answered: number;
  asking: Promise<void> | undefined;
  /** The counter may believe that we hold something else than we do. */
  unstated: boolean;
  saidUnused: number;
  askedMs: number;
  grantedAtTick: number;
  usedLastTick: number;
  usedThisTick: number;
}

export function createNodeBudgets(deps: {
  readonly counter: LeaseCounter;
  readonly nodeId: string;
  readonly roll: NodeRoll;
  readonly clock?: Clock;
}): NodeBudgets {
  const { counter, nodeId, roll, clock = systemClock } = deps;
  const entries = new Set<Entry>();
  let closed = false;
  let cancelTick: CancelTimer = clock.after(TICK_MS, tick);

  const isAlone = (entry: Entry): boolean => roll.isAway || !entry.complete;

  /** Sends what we keep and would like. There is one statement of a key on its way at a time. */
  function state(entry: Entry, keep: number, want: number): Promise<void> {
    entry.total = Math.min(entry.total, keep);
    entry.sequence = Math.max(entry.sequence + 1, Math.floor(roll.nowMs()));
    entry.unstated = false;
    entry.saidUnused = Math.min(keep, keep - entry.spending.granted() + entry.spending.unused());
    const { keyId, windowEndMs, limit, sequence, answered } = entry;
    const room = entry.aloneMost > 0 ? Math.max(0, entry.aloneMost - keep) : want;
    const unused = Math.max(0, entry.saidUnused);
    const statement = { keyId, windowEndMs, limit, sequence, answered, keep, want: Math.min(want, room), unused };
    const asking = counter.state(nodeId, statement).then(
      (answer) => hear(entry, sequence, answer),
      () => {
        entry.unstated = true;
        entry.asking = undefined;
        roll.lost();
      },
    );
    entry.asking = asking;
    return asking;
  }

  function hear(entry: Entry, sequence: number, answer: Holding | number | undefined): void {
    entry.asking = undefined;
    if (typeof answer === 'number') {
      entry.sequence = answer;
      entry.unstated = true;
    } else if (answer === undefined) entry.left = 0;
    else {
      entry.answered = sequence;
      entry.total = answer.total;
      entry.complete = answer.complete;
      // One that has lost what it knew says nothing of what is left: we go on with what was heard before.
      if (answer.complete) {
        entry.left = answer.left;
        entry.unusedElsewhere = answer.unusedElsewhere;
        entry.heardMs = roll.nowMs();
      }
    }
    roll.heard();
  }

  /** Tokens worth holding. While there is plenty, much: it is also what we go on with should the counter go. */
  function target(entry: Entry, nowMs: number): number {
    const used = Math.max(entry.usedThisTick, entry.usedLastTick);
    if (nowMs - entry.askedMs > IDLE_MS) return Math.floor(entry.limit / (400 * roll.nodes));
    const ahead = Math.max(1, 2 * used, Math.floor(entry.left / (2 * roll.nodes)));
    if (nowMs < entry.windowEndMs - LATE_MS / 2) return ahead;
    return Math.min(ahead, Math.max(1, Math.floor(entry.limit / (200 * roll.nodes))));
  }

  function tick(): void {
    if (closed) return;
    cancelTick = clock.after(TICK_MS, tick);
    const nowMs = roll.nowMs();
    for (const entry of entries) {
      if (nowMs >= entry.windowEndMs || nowMs < entry.windowEndMs - 2 * WINDOW_MS) {
        entries.delete(entry);
        continue;
      }
      const granted = entry.spending.granted();
      entry.usedLastTick = entry.usedThisTick;
      entry.usedThisTick = Math.max(0, granted - entry.grantedAtTick);
      entry.grantedAtTick = granted;
      if (!roll.isAway && entry.asking === undefined) adjust(entry, granted, nowMs);
    }
  }

  function adjust(entry: Entry, granted: number, nowMs: number): void {
    const spare = Math.max(0, entry.total - granted);
    const wish = target(entry, nowMs);
    const keep = granted + Math.min(spare, wish);
    const isIdle = nowMs - entry.askedMs > IDLE_MS;
    const isLow = entry.left < entry.limit / LOW_PART || nowMs > entry.windowEndMs - LATE_MS;
    if (entry.unstated || granted > entry.total || spare > wish + (wish >> 2)) void state(entry, keep, 0);
    else if (!isIdle && spare < wish >> 1 && entry.left > 0) void state(entry, keep, wish - spare);
    else if (!isIdle && nowMs - entry.heardMs >= (isLow ? TICK_MS : REFRESH_MS)) void state(entry, keep, 0);
    else if (isLow && entry.saidUnused - (spare + entry.spending.unused()) > entry.limit / 400)
      void state(entry, keep, 0);
  }

  /** What may be used in all, from now on, without the counter. */
  function allowance(entry: Entry): number {
    const nowMs = roll.nowMs();
    const held = Math.max(entry.total, entry.spending.granted());
    const share = shareOf(entry.limit, roll.nodesAtMost);
    if (roll.heardMs < entry.windowEndMs - WINDOW_MS) return Math.max(share, entry.total);
    const part = Math.max(0, entry.windowEndMs - nowMs) / WINDOW_MS;
    if (entry.answered === 0) return Math.max(held, Math.max(1, Math.floor(share * part)));
    const isNews = nowMs - entry.heardMs <= NEWS_MS;
    return Math.min(entry.limit, held + Math.floor((entry.left / roll.nodesAtMost) * (isNews ? 1 : part)));
  }

  function raise(entry: Entry, wanted: number, spare: number): Promise<void> | undefined {
    const nowMs = roll.nowMs();
    entry.askedMs = nowMs;
    if (isAlone(entry) || closed) return undefined;
    // Half of what is worth holding lasts until the next piece is here.
    const wish = target(entry, nowMs);
    if (spare - wanted >= wish >> 1) return undefined;
    if (entry.asking !== undefined) return inTime(entry.asking);
    const againMs = entry.unusedElsewhere > 0 ? ASK_AGAIN_MS : TICK_MS;
    if (entry.answered > 0 && entry.left === 0 && nowMs - entry.heardMs < againMs) return undefined;
    const granted = entry.spending.granted();
    return inTime(state(entry, Math.max(granted, entry.total), Math.max(wanted, wanted + wish - spare)));
  }

  function inTime(asking: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const cancel = clock.after(REFILL_MS_MAX, resolve);
      void asking.then(() => {
        cancel();
        resolve();
      });
    });
  }

  function open(keyId: string, windowEndMs: number, limit: number, spending: Spending): Budget {
    const entry: Entry = {
      keyId,
      windowEndMs,
      spending,
      limit,
      total: 0,
      left: limit,
      unusedElsewhere: 0,
      heardMs: Number.NEGATIVE_INFINITY,
      complete: true,
      aloneMost: 0,
      sequence: 0,
      answered: 0,
      asking: undefined,
      unstated: false,
      saidUnused: 0,
      askedMs: Number.NEGATIVE_INFINITY,
      grantedAtTick: spending.granted(),
      usedLastTick: 0,
      usedThisTick: 0,
    };
    entries.add(entry);
    return {
      get left() {
        return isAlone(entry) ? 0 : entry.left;
      },
      ceiling(asked) {
        entry.limit = asked;
        if (!isAlone(entry) || entry.spending.granted() < entry.total) return Math.min(asked, entry.total);
        if (entry.aloneMost === 0) entry.aloneMost = Math.max(1, allowance(entry));
        return Math.min(asked, Math.max(entry.total, entry.aloneMost));
      },
      isSpent() {
        const granted = entry.spending.granted();
        if (entry.aloneMost > 0) return granted >= Math.max(entry.total, entry.aloneMost);
        return !isAlone(entry) && entry.left === 0 && entry.unusedElsewhere <= Math.floor(entry.limit / 200);
      },
      raise: (wanted, spare) => raise(entry, wanted, Math.max(0, spare)),
    };
  }

  return {
    open,
    settle() {
      for (const entry of entries) {
        const granted = entry.spending.granted();
        if (entry.asking === undefined && (entry.unstated || granted > entry.total))
          void state(entry, Math.max(granted, entry.total), 0);
      }
    },
    close() {
      if (closed) return;
      closed = true;
      cancelTick();
    },
  };
}
