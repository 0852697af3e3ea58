// What a route answers, before it is bytes on a connection.
import type { ReplyStream, StreamKind } from '../transport/transport.ts';

export interface Reply {
  readonly status: number;
  readonly mediaType: string;
  /** undefined: no body at all (204, 304, a redirect). */
  readonly body: string | Uint8Array | undefined;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The revision it was answered from, when that is not the snapshot's. */
  readonly revision: number | undefined;
}

/** A reply in chunks, made while they are sent. Answers HEAD without being run. */
export interface StreamedReply extends Omit<Reply, 'body'> {
  readonly kind: StreamKind;
  /** Writes to the stream, now or later, and ends it if it is finite. A rejection is logged, and nothing else. */
  readonly run: (stream: ReplyStream) => void | Promise<void>;
}

export function isStreamed(reply: Reply | StreamedReply): reply is StreamedReply {
  return 'run' in reply;
}

const NO_HEADERS: Reply['headers'] = [];

/** A JSON reply that no cache keeps. */
export function jsonReply(
  status: number,
  body: string | Uint8Array,
  headers: Reply['headers'] = NO_HEADERS,
  revision?: number,
): Reply {
  return {
    status,
    mediaType: 'application/json',
    body,
    headers: [['Cache-Control', 'no-store'], ...headers],
    revision,
  };
}

export function emptyReply(status: number, headers: Reply['headers'] = NO_HEADERS): Reply {
  return { status, mediaType: '', body: undefined, headers, revision: undefined };
}

const PHRASES: Readonly<Record<number, string>> = {
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  204: 'No Content',
  302: 'Found',
  304: 'Not Modified',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  410: 'Gone',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  426: 'Upgrade Required',
  428: 'Precondition Required',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

/** `200 OK`. */
export function statusLine(status: number): string {
  return `${status} ${PHRASES[status] ?? 'Status'}`;
}
