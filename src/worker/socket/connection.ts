// One client on a WebSocket, as the parts of the protocol see it: who it is, and the way to answer it.
import type { ErrorCode } from '../../errors.ts';
import type { ServingKey } from '../serving.ts';

/** Codes with which a connection is closed; each goes with a reason in words. */
export const CLOSE = {
  goingAway: 1001,
  malformed: 1008,
  tooBig: 1009,
  internal: 1011,
  tryAgainLater: 1013,
  unauthorized: 4401,
} as const;

export interface Connection {
  /** As it is in the snapshot served now; one that was revoked or has expired as it was last, until the connection is closed. */
  readonly key: ServingKey;
  /** False once it is closed or being closed: sending is then ignored. */
  readonly isOpen: boolean;
  /** A whole JSON message. Past limits.socketUnsentBytesMax the connection is closed with 1013. */
  sendText(message: string | Uint8Array): void;
  sendBinary(message: Uint8Array): void;
  /** `id` null: none could be read. */
  sendError(id: number | null, code: ErrorCode, message: string, retryAfterMs?: number): void;
  /** What `work` sends before it returns leaves together: many small messages cost a tenth. */
  together(work: () => void): void;
  /** Bytes that the client has not taken yet. */
  unsentBytes(): number;
  /**
   * Counts a request in flight from here until `settle` is called, once. undefined: one too many, and the connection is
   * being closed with 1013; or it is closed already.
   */
  begin(): (() => void) | undefined;
  close(code: number, reason: string): void;
}

/** A part of the protocol that keeps something for each connection. */
export interface ConnectionPart {
  /** The connection has nothing unsent any more. */
  drained(connection: Connection): void;
  /** It is gone: everything kept for it goes too. */
  closed(connection: Connection): void;
}
