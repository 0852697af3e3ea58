// Hot path.
// Hands each message to the part of the protocol that it is for, and refuses what its key may not do.
import { RANK } from '../../core/scopes.ts';
import type { Connection, ConnectionPart } from './connection.ts';
import type { ClientMessage } from './messages.ts';
import { peekId, readMessage } from './read-message.ts';

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
  /** Answers a message that is over the rate limit, without reading the rest of it. */
  rateLimited(connection: Connection, message: Uint8Array, isBinary: boolean, retryAfterMs: number): void;
}

export function createDispatch(parts: { readonly evaluations: undefined }): Dispatch {
  const { evaluations } = parts;

  function handle(connection: Connection, message: ClientMessage): void {
    switch (message.type) {
      case 'auth':
        connection.sendError(null, 'INVALID_REQUEST', 'This connection has its key already.');
        return;
      case 'ping':
        connection.sendText(`{"type":"pong","id":${message.id}}`);
        return;
      case 'evaluate':
        mayEvaluate(connection, message.id);
        return;
      case 'evaluate_batch':
        mayEvaluate(connection, message.id);
        return;
      default:
        connection.sendError('id' in message ? message.id : null, 'INVALID_REQUEST', 'not served yet');
    }
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
    frame(connection) {
      connection.sendError(null, 'INVALID_REQUEST', 'not served yet');
      connection.countMalformed();
    },
    rateLimited(connection, message, isBinary, retryAfterMs) {
      const id = isBinary ? peekFrameId(message) : peekId(message);
      connection.sendError(id, 'RATE_LIMITED', 'This key has used up its requests for this minute.', retryAfterMs);
    },
    drained: () => {},
    closed: () => {},
  };
}

function mayEvaluate(connection: Connection, id: number): boolean {
  const { key } = connection;
  if (key.rank >= RANK.evaluate) return true;
  connection.sendError(id, 'SCOPE_REQUIRED', `This needs the scope evaluate; this key has ${key.scopes.join(', ')}.`);
  return false;
}

/** Where a binary frame has it; null for one that is too short. */
function peekFrameId(frame: Uint8Array): number | null {
  if (frame.byteLength < FRAME_ID_END) return null;
  return new DataView(frame.buffer, frame.byteOffset).getUint32(FRAME_ID_END - 4, true);
}

const FRAME_ID_END = 8;
