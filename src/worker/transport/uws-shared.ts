// What the connections of one server on uWebSockets.js have in common.
import { limits } from '../../limits.ts';
import { ByteBudget } from './byte-budget.ts';
import type { UwsReplyStream } from './reply-stream.ts';

/** What the connections of one server have in common. */
export interface Shared {
  draining: boolean;
  /** Draining or crowded: each reply closes its connection. */
  closing: boolean;
  inFlight: number;
  lastRequestMs: number;
  /** Replies without an end of their own: not in flight, and ended by a drain. */
  readonly endless: Set<UwsReplyStream>;
  /** Replies that their clients have not taken. */
  readonly unread: ByteBudget;
  /** Bodies that have not ended. */
  readonly bodies: ByteBudget;
}

export function createShared(): Shared {
  return {
    draining: false,
    closing: false,
    inFlight: 0,
    lastRequestMs: 0,
    endless: new Set(),
    unread: new ByteBudget(limits.unreadRepliesBytesMax),
    bodies: new ByteBudget(limits.unendedBodiesBytesMax),
  };
}
