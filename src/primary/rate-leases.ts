// The primary's half of the rate limit: it grants workers leases of tokens for one UTC minute and counts them. A key's
// limit holds because the sum of what is granted never exceeds it; a token is subtracted from that sum only when the
// worker that held it says it has let go of it, and a dead worker never says so.
//
// A new primary begins with what the ledger says was granted, whoever held it. Only a window that began while there
// was no primary is not in the ledger: there each worker may have taken its share (limit / workers), so a share is
// set aside for every worker that lives and has not joined yet, until its hello says what it really used.
//
// Where several nodes share the limit, what may be granted here is this node's budget (node-budgets.ts).
import type { Lease, LeaseUse } from '../ipc/messages.ts';
import { LEASE_GUARD_MS, shareOf, WINDOW_MS, windowEnd } from '../ipc/rate-window.ts';
import type { LeaseLedger } from './lease-ledger.ts';
import type { Budget, NodeBudgets } from './node-budgets.ts';

export interface RateLeases {
  /** Before a request of as many: resolves when more has come from the other nodes' counter. Undefined: ask now. */
  refill(keyId: string, limit: number, tokens: number): Promise<void> | undefined;
  /** Grants at most `tokens` of the key's current window; within 20 ms of its end, of the next. */
  request(workerId: string, keyId: string, limit: number, tokens: number): Lease;
  /** A worker has let go of tokens it did not use. */
  giveBack(workerId: string, keyId: string, windowEndMs: number, tokens: number): void;
  /** What a worker let through and holds: every hello, even without any, and every beat. Repeating it changes nothing. */
  report(workerId: string, uses: readonly LeaseUse[]): void;
  /** Its leases count as used. Should it live after all, its next report takes up where it was. */
  workerDied(workerId: string): void;
}

interface Window {
  readonly endMs: number;
  readonly accounts: Map<string, Account>;
  /** Workers that may have taken a share of this window on their own. */
  readonly unheard: Set<string>;
  /** False while the ledger still has to learn that we were there when the window began, with every worker. */
  vouched: boolean;
}

/** One key in one window. `granted` is the sum of `inherited` and of all grants. */
interface Account {
  granted: number;
  /** Granted by an earlier primary, to whom is not known. */
  inherited: number;
  /** What the ledger holds. */
  noted: number;
  /** False until a share was set aside for each unheard worker. */
  reserved: boolean;
  readonly grants: Map<string, Grant>;
  /** Of this node. Undefined: it alone counts, or nothing was asked of it yet. */
  budget: Budget | undefined;
}

interface Grant {
  tokens: number;
  /** Let through of these, as last reported. */
  admitted: number;
  /** Nothing of it can come back. */
  dead: boolean;
  /** Not granted but set aside, until its worker is heard. */
  setAside: boolean;
}

// Notes are rounded up to this part of the limit, which is what a key may lose when the primary is replaced.
const NOTES_PER_WINDOW = 64;

/**
 * `workers` is the node's number of workers. `orphans` are the workers that live at the start and have no primary yet; one
 * that is found dead may be among them, followed by `workerDied`, and then a share is set aside for it all the same.
 * Without a `ledger` a new primary knows only what workers report, which is less than was granted if one has died.
 */
export function createRateLeases(deps: {
  readonly now: () => number;
  readonly workers: number;
  readonly ledger?: LeaseLedger;
  readonly orphans?: readonly string[];
  /** Where several nodes share limits: what this one may grant, and how many they are at most. */
  readonly budgets?: NodeBudgets;
  readonly nodes?: () => number;
}): RateLeases {
  const { workers, ledger, budgets, nodes = () => 1 } = deps;
  const windows = new Map<number, Window>();
  const orphans = new Set(deps.orphans);
  const joined = new Set<string>();

  function windowOf(endMs: number): Window {
    const window = windows.get(endMs) ?? openWindow(endMs);
    // Not before it has begun: if we end until then, workers take their shares after all.
    if (!window.vouched && deps.now() >= endMs - WINDOW_MS) {
      window.vouched = true;
      ledger?.vouch(endMs);
    }
    return window;
  }

  function openWindow(endMs: number): Window {
    for (const oldMs of windows.keys()) if (Math.abs(oldMs - endMs) > WINDOW_MS) windows.delete(oldMs);
    const book = ledger?.read(endMs);
    const awaited = book?.complete === true ? [] : [...orphans, ...(book?.unheard ?? [])];
    const unheard = new Set(awaited.filter((workerId) => !joined.has(workerId)));
    if (unheard.size > 0) ledger?.awaits(endMs, [...unheard]);
    const accounts = new Map<string, Account>();
    for (const [keyId, granted] of book?.granted ?? []) {
      accounts.set(keyId, newAccount(granted));
    }
    const window = { endMs, accounts, unheard, vouched: book !== undefined || unheard.size > 0 };
    windows.set(endMs, window);
    return window;
  }

  function accountOf(window: Window, keyId: string): Account {
    let account = window.accounts.get(keyId);
    if (account === undefined) {
      account = newAccount(0);
      window.accounts.set(keyId, account);
    }
    return account;
  }

  function reserve(window: Window, account: Account, limit: number): void {
    account.reserved = true;
    const share = shareOf(shareOf(limit, nodes()), workers);
    for (const workerId of window.unheard) {
      if (account.grants.has(workerId)) continue;
      account.grants.set(workerId, { tokens: share, admitted: 0, dead: !orphans.has(workerId), setAside: true });
      account.granted += share;
    }
  }

  /** A worker is there: what was set aside for it gives way to what it says. */
  function hear(workerId: string): void {
    orphans.delete(workerId);
    joined.add(workerId);
    for (const window of windows.values()) {
      if (!window.unheard.delete(workerId)) continue;
      ledger?.heard(window.endMs, workerId);
      for (const account of window.accounts.values()) {
        const grant = account.grants.get(workerId);
        if (grant?.setAside !== true) continue;
        account.granted -= grant.tokens;
        account.grants.delete(workerId);
      }
    }
  }

  /** What may be granted, in all: the limit, where no other node has a part in it. */
  function ceilingOf(window: Window, keyId: string, account: Account, limit: number): number {
    if (!account.reserved) reserve(window, account, limit);
    if (budgets === undefined) return limit;
    account.budget ??= budgets.open(keyId, window.endMs, limit, {
      granted: () => account.granted,
      unused: () => unusedElsewhere(account, undefined),
    });
    return account.budget.ceiling(limit);
  }

  function note(window: Window, keyId: string, account: Account, ceiling: number): void {
    if (account.granted <= account.noted) return;
    const step = Math.floor(ceiling / NOTES_PER_WINDOW);
    account.noted = Math.max(account.granted, Math.min(ceiling, account.granted + step));
    ledger?.note(window.endMs, keyId, account.noted);
  }

  return {
    refill(keyId, limit, tokens) {
      if (budgets === undefined) return undefined;
      const window = windowOf(windowEnd(deps.now() + LEASE_GUARD_MS));
      const account = accountOf(window, keyId);
      const left = ceilingOf(window, keyId, account, limit) - account.granted;
      const more = account.budget?.raise(Math.max(1, Math.floor(tokens)), left);
      return left > 0 ? undefined : more;
    },

    request(workerId, keyId, limit, tokens) {
      const window = windowOf(windowEnd(deps.now() + LEASE_GUARD_MS));
      const account = accountOf(window, keyId);
      const ceiling = ceilingOf(window, keyId, account, limit);
      const left = Math.max(0, ceiling - account.granted);
      // The less there is, the smaller the pieces, so that what one worker holds another does not miss.
      const piece = Math.max(1, Math.floor(left / (2 * workers)));
      const granted = Math.max(0, Math.min(Math.floor(tokens), piece, left)) || 0;
      const grant = grantOf(account, workerId);
      grant.tokens += granted;
      account.granted += granted;
      note(window, keyId, account, ceiling);
      const { budget } = account;
      const remaining = left - granted + (budget?.left ?? 0);
      const isLast = remaining === 0 && budget?.isSpent() !== false;
      const spent = isLast && unusedElsewhere(account, workerId) <= Math.floor(limit / 100);
      return { keyId, windowEndMs: window.endMs, tokens: granted, spent, remaining };
    },

    giveBack(workerId, keyId, windowEndMs, tokens) {
      const account = windows.get(windowEndMs)?.accounts.get(keyId);
      const grant = account?.grants.get(workerId);
      if (account === undefined || grant === undefined || grant.dead) return;
      // What was let through cannot come back, whatever is said.
      const returned = Math.max(0, Math.min(Math.floor(tokens), grant.tokens - grant.admitted)) || 0;
      grant.tokens -= returned;
      account.granted -= returned;
    },

    report(workerId, uses) {
      hear(workerId);
      const nowMs = deps.now();
      for (const { keyId, windowEndMs, admitted, held } of uses) {
        if (windowEndMs <= nowMs || windowEndMs > nowMs + 2 * WINDOW_MS) continue;
        const window = windowOf(windowEndMs);
        const account = accountOf(window, keyId);
        const grant = grantOf(account, workerId);
        grant.dead = false;
        grant.admitted = Math.max(grant.admitted, admitted);
        // More than we granted: from an earlier primary, or taken as its share while there was none.
        const more = Math.max(0, admitted + held - grant.tokens);
        const known = Math.min(more, account.inherited);
        account.inherited -= known;
        account.granted += more - known;
        grant.tokens += more;
        note(window, keyId, account, account.granted);
      }
    },

    workerDied(workerId) {
      if (orphans.has(workerId)) {
        // It may have taken its share of the window that runs: there it stays set aside; in later ones it takes none.
        windowOf(windowEnd(deps.now()));
        orphans.delete(workerId);
      }
      joined.delete(workerId);
      for (const window of windows.values()) {
        for (const account of window.accounts.values()) {
          const grant = account.grants.get(workerId);
          if (grant !== undefined) grant.dead = true;
        }
      }
    },
  };
}

/** `granted` by an earlier primary. */
function newAccount(granted: number): Account {
  return { granted, inherited: granted, noted: granted, reserved: false, grants: new Map(), budget: undefined };
}

function grantOf(account: Account, workerId: string): Grant {
  let grant = account.grants.get(workerId);
  if (grant === undefined) {
    grant = { tokens: 0, admitted: 0, dead: false, setAside: false };
    account.grants.set(workerId, grant);
  }
  return grant;
}

/** Tokens that other workers may still give back, as far as they have reported. */
function unusedElsewhere(account: Account, workerId: string | undefined): number {
  let unused = 0;
  for (const [holder, grant] of account.grants) {
    if (holder !== workerId && !grant.dead) unused += grant.tokens - grant.admitted;
  }
  return unused;
}
