// What the connections of one server have in common, whichever library it is built on.
import { limits } from '../../limits.ts';
import { ByteBudget } from './byte-budget.ts';
import type { TransportStanding } from './transport.ts';

export interface Shared<Stream> {
  draining: boolean;
  /** Draining or crowded: each reply closes its connection. */
  closing: boolean;
  /** Held, and not answered yet; or answered with more than its client has taken. */
  inFlight: number;
  /** Date.now() of the last request or reply; kept while closing only. */
  lastRequestMs: number;
  /** Replies without an end of their own: not in flight, and ended by a drain. */
  readonly endless: Set<Stream>;
  /** Replies that their clients have not taken. */
  readonly unread: ByteBudget;
  /** Bodies that have not ended. */
  readonly bodies: ByteBudget;
}

export function createShared<Stream>(): Shared<Stream> {
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

/** As it is whenever it is read. */
export function standingOf<Stream>(
  { unread, bodies }: Pick<Shared<Stream>, 'unread' | 'bodies'>,
  connections: () => number,
): TransportStanding {
  return {
    get connections() {
      return connections();
    },
    get unreadBytes() {
      return unread.bytes;
    },
    get bodyBytes() {
      return bodies.bytes;
    },
    get slowCut() {
      return unread.cutCount + bodies.cutCount;
    },
  };
}

/** Too much to be handed to the system in one go; in bytes, or at least in characters. */
export function isLarge(body: string | Uint8Array): boolean {
  return body.length > limits.wholeReplyBytesMax;
}
