// What a route's handler is given, and what it gives back.
import type { OperationId, Route } from '../../api/routes.ts';
import type { IfMatch } from '../../ipc/messages.ts';
import type { ServingKey, ServingSnapshot } from '../serving.ts';
import type { Upload } from '../uploads.ts';
import type { Query } from './query.ts';
import type { Refusal } from './refusal.ts';
import type { Reply, StreamedReply } from './reply.ts';
import type { RawRequest } from './request.ts';

/** A request that was let in: its key has the scope, its body the schema, its environment is within the key's. */
export interface Call {
  readonly request: RawRequest;
  readonly route: Route;
  readonly key: ServingKey;
  /** Decoded. */
  readonly parameters: readonly string[];
  readonly query: Query;
  /** Named, or the key's; not looked up yet. `*`: all of the key's. Empty on routes that have none. */
  readonly environment: string;
  /** `{}` when an optional body was left out; undefined on routes that take none. */
  readonly body: unknown;
  readonly bodyBytes: number;
  /** The body of a route that takes a file; it goes when the request is answered. */
  readonly upload: Upload | undefined;
  /** What the answer is held to; undefined: whatever is served. */
  readonly minRevision: number | undefined;
  readonly ifMatch: IfMatch;
  readonly idempotency: { readonly key: string; readonly fingerprint: string } | undefined;
  /** True once the client has gone: what takes long need not go on. */
  readonly hasGone: () => boolean;
}

export type Answer = Reply | Refusal;
/** Answers from the snapshot that the request was held to. */
export type Responder = (snapshot: ServingSnapshot) => Answer | StreamedReply | Promise<Answer | StreamedReply>;
/**
 * Checks what is the route's own (400), looking nothing up yet, and returns what then answers: between the two the
 * request may wait for `min_revision`.
 */
export type KeyedHandler = (call: Call) => Refusal | Responder;

/** A request to a route without a key. `key`: a valid one that was sent nonetheless. */
export interface OpenCall {
  readonly request: RawRequest;
  readonly parameters: readonly string[];
  readonly key: ServingKey | undefined;
}
export type OpenHandler = (call: OpenCall) => Answer | StreamedReply | Promise<Answer | StreamedReply>;

export type OpenOperationId =
  | 'home'
  | 'livez'
  | 'readyz'
  | 'healthz'
  | 'metrics'
  | 'version'
  | 'openapi'
  | 'docs'
  | 'docsFile'
  | 'ofrepStream'
  | 'openSocket';
export type KeyedOperationId = Exclude<OperationId, OpenOperationId>;
/** One handler for each route of the table: a route without one does not compile. */
export type KeyedHandlers = { readonly [Id in KeyedOperationId]: KeyedHandler };
export type OpenHandlers = { readonly [Id in OpenOperationId]: OpenHandler };
