// What has been granted this minute, kept where it outlives the primary: without it a new primary could not know what
// workers were granted that died before it came. A file a window in DATA_DIR/run, one line for each step of a key's
// total. It is written before a grant is sent and never synced: it has to survive processes, not the machine.
//
//   leases-1767225660000      {"complete":true}               or {"awaits":["812-4711"]} and then {"heard":"812-4711"}
//                             ["k_7f3a",16]
//                             ["k_7f3a",31]                   the last line of a key counts
import { appendFileSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

export interface LeaseBook {
  /** Its primary had every worker with it when the window began, so nobody has taken a share unseen. */
  readonly complete: boolean;
  /** Workers that may have taken a share unseen, and had not joined yet when the book ended. */
  readonly unheard: ReadonlySet<string>;
  /** key_id -> tokens granted at most. */
  readonly granted: ReadonlyMap<string, number>;
}

export interface LeaseLedger {
  /** What an earlier primary wrote about this window; undefined: nothing. */
  read(windowEndMs: number): LeaseBook | undefined;
  /** Says that a window's book is complete, and forgets the books of windows that are over. */
  vouch(windowEndMs: number): void;
  /** Notes who may have taken a share of the window unseen. */
  awaits(windowEndMs: number, workerIds: readonly string[]): void;
  /** Notes that one of them has said what it took. */
  heard(windowEndMs: number, workerId: string): void;
  /** Notes that up to `granted` tokens of the window may be out. Never throws. */
  note(windowEndMs: number, keyId: string, granted: number): void;
}

const PREFIX = 'leases-';

/**
 * `folder` exists and is ours alone. A failed write (a full disk) is told to `warn` once a window; the limit then
 * holds only as long as this primary lives.
 */
export function openLeaseLedger(folder: string, warn: (fields: object, message: string) => void): LeaseLedger {
  let failedWindowMs = 0;

  function attempt(windowEndMs: number, write: () => void): void {
    try {
      write();
    } catch (error) {
      if (failedWindowMs !== windowEndMs) warn({ err: error }, 'the ledger of rate limits cannot be written');
      failedWindowMs = windowEndMs;
    }
  }

  function append(windowEndMs: number, entry: unknown): void {
    appendFileSync(join(folder, `${PREFIX}${windowEndMs}`), `${JSON.stringify(entry)}\n`, { mode: 0o600 });
  }

  function forget(beforeMs: number): void {
    for (const name of readdirSync(folder)) {
      if (name.startsWith(PREFIX) && Number(name.slice(PREFIX.length)) < beforeMs)
        rmSync(join(folder, name), { force: true });
    }
  }

  return {
    read(windowEndMs) {
      let text: string;
      try {
        text = readFileSync(join(folder, `${PREFIX}${windowEndMs}`), 'utf8');
      } catch {
        return undefined;
      }
      // A last line that is torn by a full disk must not swallow the next one.
      if (!text.endsWith('\n')) attempt(windowEndMs, () => append(windowEndMs, null));
      return parseBook(text);
    },
    vouch(windowEndMs) {
      attempt(windowEndMs, () => {
        forget(windowEndMs);
        append(windowEndMs, { complete: true });
      });
    },
    awaits(windowEndMs, workerIds) {
      attempt(windowEndMs, () => {
        forget(windowEndMs);
        append(windowEndMs, { awaits: workerIds });
      });
    },
    heard(windowEndMs, workerId) {
      attempt(windowEndMs, () => append(windowEndMs, { heard: workerId }));
    },
    note(windowEndMs, keyId, granted) {
      attempt(windowEndMs, () => append(windowEndMs, [keyId, granted]));
    },
  };
}

function parseBook(text: string): LeaseBook {
  let complete = false;
  const unheard = new Set<string>();
  const granted = new Map<string, number>();
  for (const line of text.split('\n')) {
    const entry = parseLine(line);
    if (Array.isArray(entry)) {
      const [keyId, tokens] = entry as unknown[];
      if (typeof keyId === 'string' && typeof tokens === 'number')
        granted.set(keyId, Math.max(tokens, granted.get(keyId) ?? 0));
    } else if (typeof entry === 'object' && entry !== null) {
      const said = entry as { complete?: unknown; awaits?: unknown; heard?: unknown };
      if (said.complete === true) complete = true;
      if (Array.isArray(said.awaits)) for (const workerId of said.awaits) unheard.add(String(workerId));
      if (typeof said.heard === 'string') unheard.delete(said.heard);
    }
  }
  return { complete, unheard, granted };
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
