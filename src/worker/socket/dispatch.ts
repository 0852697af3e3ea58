// Hot path.
// Hands each message to the part of the protocol that it is for, and refuses what its key may not do.
import { errors } from '../../errors.ts';
import { peekFrameId } from './binary-frames.ts';
import type { Connection, ConnectionPart } from './connection.ts';
import type { Evaluations } from './evaluate.ts';
import type { Handles } from './handles.ts';
import type { ClientMessage } from './messages.ts';
import type { Pushes } from './pushes.ts';
import { peekId, readMessage } from './read-message.ts';
import { requireScope } from './required-scope.ts';

/** A connection whose malformed messages are counted. */
export interface CountedConnection extends Connection {
  /** The client has been told; the last of limits.socketMalformedMax closes the connection. */
  countMalformed(): void;
}

export interface Dispatch extends ConnectionPart {
  /** A text frame, valid until this returns. */
  text(connection: CountedConnection, message: Uint8Array): void;
  /** A binary frame, valid until this returns. */
  frame(connection: CountedConnection, message: Uint8Array): void;
  /** Answers a message that is refused whatever it says, without reading the rest of it. */
  refused(
    connection: Connection,
    message: Uint8Array,
    isBinary: boolean,
    code: 'RATE_LIMITED' | 'OVERLOADED',
    retryAfterMs: number,
  ): void;
}

export interface DispatchParts {
  readonly evaluations: Evaluations;
  readonly handles: Handles;
  readonly pushes: Pushes;
}

export function createDispatch({ evaluations, handles, pushes }: DispatchParts): Dispatch {
  function handle(connection: Connection, message: ClientMessage): void {
    switch (message.type) {
      case 'auth':
        connection.sendError(null, 'INVALID_REQUEST', 'This connection has its key already.');
        return;
      case 'evaluate':
        if (mayEvaluate(connection, message.id)) evaluations.evaluate(connection, message);
        return;
      case 'evaluate_batch':
        if (mayEvaluate(connection, message.id)) evaluations.evaluateBatch(connection, message);
        return;
      case 'subscribe':
        if (mayEvaluate(connection, message.id)) pushes.subscribe(connection, message);
        return;
      case 'prepare':
        if (mayEvaluate(connection, message.id)) handles.prepare(connection, message);
        return;
      case 'watch':
        pushes.watch(connection, message);
        return;
      case 'unsubscribe':
        pushes.unsubscribe(connection, message);
        return;
      case 'release':
        handles.release(connection, message);
        return;
      case 'ping':
        connection.sendText(`{"type":"pong","id":${message.id}}`);
        return;
      case 'stats':
        pushes.stats(connection, message);
        return;
    }
    const never: never = message;
    throw new Error(`not a message: ${String(never)}`);
  }

  return {
    text(connection, bytes) {
      const message = readMessage(bytes);
      if (message.type !== 'problem') {
        handle(connection, message);
        return;
      }
      connection.sendError(message.id, 'INVALID_REQUEST', message.message);
      if (message.isMalformed) connection.countMalformed();
    },
    frame(connection, bytes) {
      if (!mayEvaluate(connection, peekFrameId(bytes))) return;
      if (!handles.frame(connection, bytes)) connection.countMalformed();
    },
    refused(connection, message, isBinary, code, retryAfterMs) {
      const id = isBinary ? peekFrameId(message) : peekId(message);
      connection.sendError(id, code, errors[code].title, retryAfterMs);
    },
    drained(connection) {
      handles.drained(connection);
      pushes.drained(connection);
    },
    closed(connection) {
      handles.closed(connection);
      pushes.closed(connection);
    },
  };
}

function mayEvaluate(connection: Connection, id: number | null): boolean {
  const refused = requireScope(connection.key, 'evaluate');
  if (refused === undefined) return true;
  connection.sendError(id, refused.code, refused.detail);
  return false;
}
