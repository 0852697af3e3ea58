// The catalogue of public errors. Codes are part of the contract and never reused; a sentence says what happened and
// what to do, and a reply's `detail` adds the particulars.

export interface ErrorEntry {
  readonly status: number;
  readonly title: string;
}

export const errors = {
  ROUTE_NOT_FOUND: { status: 404, title: 'No such route; see /docs.' },
  METHOD_NOT_ALLOWED: { status: 405, title: 'This route does not have that method; see the Allow header.' },
  UNAUTHORIZED: { status: 401, title: 'A valid API key is required, in X-API-Key or Authorization: Bearer.' },
  RATE_LIMITED: { status: 429, title: 'This key has used up its requests for this minute.' },
  SCOPE_REQUIRED: { status: 403, title: 'This key lacks the scope that this route needs.' },
  ENVIRONMENT_FORBIDDEN: { status: 403, title: 'This key is not bound to that environment.' },
  BODY_TOO_LARGE: { status: 413, title: 'The request body is over the limit.' },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, title: 'This route does not take that media type.' },
  INVALID_REQUEST: { status: 400, title: 'The request is not valid; see errors.' },
  ENVIRONMENT_REQUIRED: { status: 400, title: 'This key is bound to several environments; name one.' },
  NOT_READY: { status: 503, title: 'This worker holds no verified snapshot yet; try again.' },
  REVISION_NOT_REACHED: { status: 409, title: 'The asked revision has not arrived here yet; try again.' },
  REVISION_GONE: { status: 410, title: 'That revision is older than the retained history.' },
  HISTORY_UNAVAILABLE: { status: 503, title: 'Past revisions cannot be read now.' },
  FLAG_NOT_FOUND: { status: 404, title: 'No such flag in this environment.' },
  SEGMENT_NOT_FOUND: { status: 404, title: 'No such segment in this environment.' },
  ENVIRONMENT_NOT_FOUND: { status: 404, title: 'No such environment.' },
  KEY_NOT_FOUND: { status: 404, title: 'No such key.' },
  VERSION_MISMATCH: { status: 412, title: 'The document has changed since the version in If-Match.' },
  FLAG_EXISTS: { status: 409, title: 'A flag with this flag_id exists in this environment, perhaps archived.' },
  SEGMENT_EXISTS: {
    status: 409,
    title: 'A segment with this segment_id exists in this environment, perhaps archived.',
  },
  ENVIRONMENT_EXISTS: { status: 409, title: 'An environment with this name exists.' },
  TYPE_CONFLICT: { status: 409, title: "A flag's type is the same in every environment and never changes." },
  ALLOCATION_FRAGMENTED: {
    status: 409,
    title: 'The split would have more than 256 ranges; send "reallocate": true for a fresh layout.',
  },
  IN_USE: { status: 409, title: 'Others depend on this; see dependents.' },
  CYCLE: { status: 409, title: 'Flags or segments would need each other in a circle.' },
  IDEMPOTENCY_RUNNING: { status: 409, title: 'A request with this Idempotency-Key is still running.' },
  IDEMPOTENCY_MISMATCH: { status: 422, title: 'This Idempotency-Key was used with another request.' },
  CONFIRMATION_REQUIRED: {
    status: 428,
    title: "This change is over the environment's policy; confirm it with the token.",
  },
  TOO_MANY_STREAMS: { status: 503, title: 'This worker has as many event streams open as it allows; try again.' },
  TOO_MANY_SUBSCRIPTIONS: { status: 503, title: 'There are as many subscriptions as this socket or worker allows.' },
  TOO_MANY_SOCKETS: { status: 503, title: 'This worker has as many WebSockets open as it allows; try again.' },
  ORIGIN_FORBIDDEN: { status: 403, title: 'Pages of this origin may not open a WebSocket here; see ALLOWED_ORIGINS.' },
  UPGRADE_REQUIRED: { status: 426, title: 'This address speaks WebSocket: send an upgrade of version 13.' },
  TOO_MANY_HANDLES: {
    status: 503,
    title: 'There are as many handles, or different lists of flags in them, as this socket or worker allows.',
  },
  OVERLOADED: { status: 503, title: 'This worker has more to do than it can; try again after Retry-After.' },
  STORAGE_UNAVAILABLE: { status: 503, title: 'The store cannot be reached; nothing was written.' },
  OUTCOME_UNKNOWN: {
    status: 503,
    title: 'No answer in time; repeat with the same Idempotency-Key to learn the outcome.',
  },
  STORE_WENT_BACK: { status: 503, title: 'The store is older than what was served; an operator must accept it.' },
  INTERNAL: { status: 500, title: 'Something went wrong here; the request_id finds it in the log.' },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof errors;
