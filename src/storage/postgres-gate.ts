// Stands before PostgreSQL while it cannot be reached: one at a time may try, after a while that grows and is never the
// same for two nodes; everybody else is told at once. A hundred nodes do not fall upon a server that comes back, and nobody
// waits for one that is known to be away.
import { limits } from '../limits.ts';
import type { Clock } from '../run/clock.ts';
import { type Problem, problemOf } from './postgres-connection.ts';
import { StorageUnavailable } from './sql.ts';

const RETRY_MS_MIN = 100;
const SAID_AGAIN_MS = 60_000;

export interface Gate {
  /** False: no attempt may be made now. */
  readonly isOpen: boolean;
  /** False: the last attempt failed. */
  readonly isUp: boolean;
  /** To be called before an attempt; throws StorageUnavailable while none may be made. */
  pass(): Attempt;
  /** The server did not answer what it was asked: taken to be away. What to throw. */
  lost(error: unknown): StorageUnavailable;
  /** Says a problem that changes nothing here, of a connection that nobody used. */
  tell(error: unknown): void;
}

export interface Attempt {
  succeeded(): void;
  /** What to throw. */
  failed(error: unknown): StorageUnavailable;
}

export function createGate({
  clock,
  random,
  warn,
}: {
  readonly clock: Pick<Clock, 'nowMs'>;
  /** From 0 to 1. */
  readonly random: () => number;
  readonly warn: (fields: object, message: string) => void;
}): Gate {
  /** Attempts in a row that failed; 0: the server is here. */
  let failures = 0;
  let retryAtMs = 0;
  let problem: Problem = { text: '', isToBeMended: false };
  const saidAtMs = new Map<string, number>();

  /** The same problem at most once a minute. */
  function say(text: string): void {
    const nowMs = clock.nowMs();
    for (const [said, atMs] of saidAtMs) if (nowMs - atMs >= SAID_AGAIN_MS) saidAtMs.delete(said);
    if (saidAtMs.has(text)) return;
    saidAtMs.set(text, nowMs);
    warn({}, text);
  }

  function close(error: unknown): StorageUnavailable {
    failures += 1;
    problem = problemOf(error);
    const most = problem.isToBeMended ? limits.databaseMendRetryMsMax : limits.databaseRetryMsMax;
    retryAtMs = clock.nowMs() + (0.5 + 0.5 * random()) * Math.min(most, RETRY_MS_MIN * 2 ** (failures - 1));
    say(`PostgreSQL cannot be used: ${problem.text}; it is tried again`);
    return refusal(error);
  }

  function refusal(cause?: unknown): StorageUnavailable {
    return new StorageUnavailable(`PostgreSQL cannot be used: ${problem.text}`, { cause });
  }

  return {
    get isOpen() {
      return failures === 0 || clock.nowMs() >= retryAtMs;
    },
    get isUp() {
      return failures === 0;
    },
    pass() {
      const isProbe = failures > 0;
      if (isProbe && clock.nowMs() < retryAtMs) throw refusal();
      // Until this attempt has ended, which it does in time.
      if (isProbe) retryAtMs = clock.nowMs() + 2 * limits.databaseConnectMsMax;
      return {
        succeeded() {
          if (failures > 0) warn({}, 'PostgreSQL can be used again');
          failures = 0;
          saidAtMs.clear();
        },
        // Of several that were let in together and failed, one counts.
        failed: (error) => (isProbe || failures === 0 ? close(error) : refusal(error)),
      };
    },
    lost: (error) => (failures === 0 ? close(error) : refusal(error)),
    tell: (error) => say(`PostgreSQL: ${problemOf(error).text}`),
  };
}
