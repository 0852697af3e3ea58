// What all connections of a worker have in common, as a connection sees it.
import type { ServingKey } from '../serving.ts';
import type { KeyGroup } from './key-groups.ts';
import type { LiveConnection } from './live-connection.ts';

/** Whether a raw key opens a connection; if not, the code and reason it is closed with. */
export type Admission =
  | { readonly group: KeyGroup }
  | { readonly group: undefined; readonly code: number; readonly reason: string };

export interface Hub {
  /** Milliseconds since 1970. */
  now(): number;
  /** Ends the connection when its key does not come in time. */
  keyTimer(connection: LiveConnection): NodeJS.Timeout;
  join(key: ServingKey, connection: LiveConnection): KeyGroup;
  /** Joins the group of the key if it is one and has room. */
  admit(rawKey: string, connection: LiveConnection): Admission;
  /** Calls its `welcome`, now or when its token has come, or closes it. `verdict`: the limiter's. */
  greet(connection: LiveConnection, key: ServingKey, verdict: number): void;
  tryTake(key: ServingKey, nowMs: number): 0 | 1 | 2;
  /** Calls `then` once a token came, or did not. */
  waitTake(connection: LiveConnection, key: ServingKey, then: (admitted: boolean) => void): void;
  /** A message that was counted against the rate limit. `message` is valid until this returns. */
  dispatch(connection: LiveConnection, message: Uint8Array, isBinary: boolean): void;
  /** Answers RATE_LIMITED. */
  refuse(connection: LiveConnection, key: ServingKey, message: Uint8Array, isBinary: boolean): void;
  drained(connection: LiveConnection): void;
  /** A connection is being closed from here. */
  closing(code: number): void;
  /** It is no longer served. `wasOpen`: it had been welcomed. */
  parted(connection: LiveConnection, group: KeyGroup | undefined, wasOpen: boolean): void;
  /** Its socket is gone. */
  gone(connection: LiveConnection): void;
  /** What clients have not taken, of all connections. */
  readonly unsentBytes: number;
  countUnsent(change: number): void;
  /** Messages that are in flight, of all connections. */
  readonly keptBytes: number;
  countKept(change: number): void;
}
