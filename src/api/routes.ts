// Every route, once: the router, the OpenAPI document, the metrics' labels and the table of scopes are made from this.
import type { z } from 'zod';
import type { Scope } from '../core/scopes.ts';
import type { ErrorCode } from '../errors.ts';
import { ofrepRoutes } from './ofrep-routes.ts';
import { reportRoutes } from './report-routes.ts';
import {
  documentBody,
  environment,
  evaluation,
  explain,
  minRevision,
  page,
  reading,
  userId,
  V1,
  writing,
} from './route-parts.ts';
import * as schemas from './schemas.ts';
import { segmentRoutes } from './segment-routes.ts';
import { serviceRoutes } from './service-routes.ts';

export type RouteMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/**
 * Where a route's environment comes from. `none`: it has none. `query`: the query, else the key. `body`: the query,
 * else the body, else the key. `each`: the query, where `*` means all that the key may see, else the key. `header`: the
 * query, else X-Flags-Environment, else the body, else the key.
 */
export type RouteEnvironment = 'none' | 'query' | 'body' | 'each' | 'header';

/** Which member of a body holds attributes; in OFREP's `context` all but targetingKey are. */
export type AttributesMember = 'attributes' | 'context';

export interface QueryParameter {
  readonly name: string;
  readonly description: string;
  readonly example?: string;
  readonly integer?: { readonly minimum: number; readonly maximum: number; readonly default?: number };
  /** true or false; false is as if it were not there. */
  readonly boolean?: true;
  /** The scope that `true` needs beyond the route's own. */
  readonly scope?: Scope;
  readonly required?: true;
}

export interface RouteBody {
  readonly schema: z.ZodType;
  readonly mergePatch: boolean;
  /** May be left out altogether; then it is `{}`. */
  readonly optional: boolean;
  /** An evaluation's, checked by its handler. */
  readonly attributes?: AttributesMember;
}

export interface RouteUpload {
  readonly description: string;
  readonly example: string;
}

export interface RouteSpec {
  readonly method: RouteMethod;
  readonly pattern: string;
  /** Parameters of the pattern that have a few values only; any other is no such route. */
  readonly choices?: Readonly<Record<string, readonly string[]>>;
  /** The same route at addresses of the original service. */
  readonly alias?: string;
  readonly operationId: string;
  readonly summary: string;
  readonly group: 'evaluation' | 'ofrep' | 'flags' | 'segments' | 'environments' | 'keys' | 'reports' | 'service';
  /** undefined: no key is asked for. */
  readonly scope: Scope | undefined;
  readonly environment: RouteEnvironment;
  readonly query: readonly QueryParameter[];
  /** `attr.` parameters carry an evaluation's attributes. */
  readonly attributes?: true;
  /** Answered from the snapshot, and so held to `min_revision` where asked. */
  readonly snapshot: boolean;
  /** Changes the store: takes Idempotency-Key. */
  readonly write: boolean;
  readonly ifMatch?: true;
  /** Answers If-None-Match with 304. */
  readonly ifNoneMatch?: true;
  readonly body?: RouteBody;
  /** The body is a text file, taken in as it comes and handed on by its name; `body` is for JSON. */
  readonly upload?: RouteUpload;
  readonly reply: {
    readonly status: number;
    readonly description: string;
    readonly schema?: z.ZodType;
    readonly mediaType?: string;
  };
  /** What can be refused here beyond what every route of its kind can. */
  readonly problems: readonly ErrorCode[];
}

/** Archive and restore: all that a body could say is the environment. */
const archiving = {
  ...writing,
  group: 'flags',
  environment: 'body',
  query: [environment],
  ifMatch: true,
  body: { schema: schemas.FlagRestore, mergePatch: false, optional: true },
} as const;
const keyRoute = { group: 'keys', scope: 'admin', environment: 'none', query: [], snapshot: false } as const;
const storing = ['FLAG_NOT_FOUND', 'ENVIRONMENT_NOT_FOUND', 'VERSION_MISMATCH'] as const;
/** A change may also name what closes a circle, or take a variant away that others need. */
const changing = [...storing, 'TYPE_CONFLICT', 'ALLOCATION_FRAGMENTED', 'CYCLE', 'IN_USE'] as const;

const table = [
  {
    ...evaluation,
    method: 'GET',
    pattern: `${V1}/flags/{flag_id}/evaluate`,
    operationId: 'evaluateFlag',
    summary: 'Evaluate one flag for one user',
    environment: 'query',
    attributes: true,
    query: [userId, environment, minRevision, explain],
    reply: { status: 200, description: 'What this user gets.', schema: schemas.Evaluation },
    problems: ['FLAG_NOT_FOUND', 'ENVIRONMENT_NOT_FOUND', 'REVISION_NOT_REACHED'],
  },
  {
    ...evaluation,
    method: 'POST',
    pattern: `${V1}/flags/{flag_id}/evaluate`,
    operationId: 'evaluateFlagWithBody',
    summary: 'Evaluate one flag, attributes in a body',
    environment: 'body',
    query: [environment, minRevision, explain],
    body: { schema: schemas.EvaluateRequest, mergePatch: false, optional: false, attributes: 'attributes' },
    reply: { status: 200, description: 'What this user gets.', schema: schemas.Evaluation },
    problems: ['FLAG_NOT_FOUND', 'ENVIRONMENT_NOT_FOUND', 'REVISION_NOT_REACHED'],
  },
  {
    ...evaluation,
    method: 'POST',
    pattern: `${V1}/evaluate`,
    operationId: 'evaluateBatch',
    summary: 'Evaluate many flags for many users at one revision',
    environment: 'body',
    query: [environment, minRevision, explain],
    body: { schema: schemas.BatchRequest, mergePatch: false, optional: false, attributes: 'attributes' },
    reply: { status: 200, description: 'One object for each context.', schema: schemas.BatchReply },
    problems: ['ENVIRONMENT_NOT_FOUND', 'REVISION_NOT_REACHED'],
  },
  {
    // The key may come in the first message, so that the handshake is the socket's own.
    scope: undefined,
    snapshot: false,
    write: false,
    method: 'GET',
    pattern: `${V1}/ws`,
    operationId: 'openSocket',
    summary: 'Open a WebSocket: evaluations, batches and subscriptions on one connection',
    group: 'evaluation',
    environment: 'none',
    query: [],
    reply: { status: 101, description: 'A WebSocket; docs/protocol.md has its messages.' },
    problems: [
      'UNAUTHORIZED',
      'RATE_LIMITED',
      'ORIGIN_FORBIDDEN',
      'UPGRADE_REQUIRED',
      'NOT_READY',
      'TOO_MANY_SOCKETS',
      'OVERLOADED',
    ],
  },
  ...ofrepRoutes,
  {
    ...reading,
    method: 'GET',
    pattern: `${V1}/flags`,
    alias: '/flags',
    operationId: 'listFlags',
    summary: 'List flags',
    group: 'flags',
    environment: 'each',
    query: [
      { ...environment, description: `${environment.description} \`*\`: all that the key may see.` },
      { name: 'tag', description: 'Only flags with this tag.' },
      { name: 'q', description: 'Only flags with this in flag_id or description, whatever the case.' },
      ...page,
      minRevision,
    ],
    reply: { status: 200, description: 'In order of flag_id.', schema: schemas.FlagList },
    problems: ['ENVIRONMENT_NOT_FOUND', 'REVISION_NOT_REACHED'],
  },
  {
    ...writing,
    method: 'POST',
    pattern: `${V1}/flags`,
    alias: '/flags',
    operationId: 'createFlag',
    summary: 'Create a flag',
    group: 'flags',
    environment: 'body',
    query: [environment],
    body: documentBody(schemas.FlagCreate),
    reply: { status: 201, description: 'Made; Location and ETag name it.', schema: schemas.Flag },
    problems: ['ENVIRONMENT_NOT_FOUND', 'FLAG_EXISTS', 'TYPE_CONFLICT'],
  },
  {
    ...reading,
    method: 'GET',
    pattern: `${V1}/flags/{flag_id}`,
    alias: '/flags/{flag_id}',
    operationId: 'getFlag',
    summary: 'Read a flag',
    group: 'flags',
    environment: 'query',
    query: [environment, minRevision],
    ifNoneMatch: true,
    reply: { status: 200, description: 'The document; its ETag is its version.', schema: schemas.Flag },
    problems: ['FLAG_NOT_FOUND', 'ENVIRONMENT_NOT_FOUND', 'REVISION_NOT_REACHED'],
  },
  {
    ...writing,
    method: 'PUT',
    pattern: `${V1}/flags/{flag_id}`,
    alias: '/flags/{flag_id}',
    operationId: 'replaceFlag',
    summary: 'Replace a flag',
    group: 'flags',
    environment: 'body',
    query: [environment],
    ifMatch: true,
    body: documentBody(schemas.FlagReplace),
    reply: { status: 200, description: 'The document as it is now.', schema: schemas.Flag },
    problems: changing,
  },
  {
    ...writing,
    method: 'PATCH',
    pattern: `${V1}/flags/{flag_id}`,
    alias: '/flags/{flag_id}',
    operationId: 'patchFlag',
    summary: 'Change parts of a flag',
    group: 'flags',
    environment: 'body',
    query: [environment],
    ifMatch: true,
    body: documentBody(schemas.FlagPatch, true),
    reply: { status: 200, description: 'The document as it is now.', schema: schemas.Flag },
    problems: changing,
  },
  {
    ...archiving,
    method: 'DELETE',
    pattern: `${V1}/flags/{flag_id}`,
    alias: '/flags/{flag_id}',
    operationId: 'archiveFlag',
    summary: 'Archive a flag',
    reply: { status: 200, description: 'The document as it was archived.', schema: schemas.Flag },
    problems: [...storing, 'IN_USE'],
  },
  {
    ...archiving,
    method: 'POST',
    pattern: `${V1}/flags/{flag_id}/restore`,
    operationId: 'restoreFlag',
    summary: 'Bring an archived flag back',
    reply: { status: 200, description: 'The document as it is now.', schema: schemas.Flag },
    problems: [...storing, 'CYCLE'],
  },
  ...segmentRoutes,
  {
    ...reading,
    method: 'GET',
    pattern: `${V1}/environments`,
    operationId: 'listEnvironments',
    summary: 'List the environments of the key',
    group: 'environments',
    environment: 'none',
    query: [...page, minRevision],
    reply: { status: 200, description: 'In order of name.', schema: schemas.EnvironmentList },
    problems: ['REVISION_NOT_REACHED'],
  },
  {
    ...writing,
    method: 'POST',
    pattern: `${V1}/environments`,
    operationId: 'createEnvironment',
    summary: 'Create an environment',
    group: 'environments',
    scope: 'admin',
    environment: 'none',
    query: [],
    body: { schema: schemas.EnvironmentCreate, mergePatch: false, optional: false },
    reply: { status: 201, description: 'Made.', schema: schemas.Environment },
    problems: ['ENVIRONMENT_EXISTS', 'ENVIRONMENT_FORBIDDEN'],
  },
  {
    ...keyRoute,
    method: 'GET',
    pattern: `${V1}/keys`,
    operationId: 'listKeys',
    summary: 'List keys',
    write: false,
    query: page,
    reply: { status: 200, description: 'Never the keys themselves.', schema: schemas.KeyList },
    problems: ['STORAGE_UNAVAILABLE'],
  },
  {
    ...keyRoute,
    method: 'POST',
    pattern: `${V1}/keys`,
    operationId: 'createKey',
    summary: 'Create a key',
    write: true,
    body: { schema: schemas.KeyCreate, mergePatch: false, optional: false },
    reply: { status: 201, description: 'The key, shown this once.', schema: schemas.NewKey },
    problems: ['ENVIRONMENT_FORBIDDEN', 'ENVIRONMENT_NOT_FOUND'],
  },
  {
    ...keyRoute,
    method: 'DELETE',
    pattern: `${V1}/keys/{key_id}`,
    operationId: 'revokeKey',
    summary: 'Revoke a key',
    write: true,
    reply: { status: 200, description: 'What was revoked.', schema: schemas.Key },
    problems: ['KEY_NOT_FOUND'],
  },
  {
    ...keyRoute,
    method: 'POST',
    pattern: `${V1}/keys/{key_id}/rotate`,
    operationId: 'rotateKey',
    summary: 'Replace a key, with overlap',
    write: true,
    body: { schema: schemas.KeyRotate, mergePatch: false, optional: true },
    reply: { status: 201, description: 'The new key, shown this once.', schema: schemas.NewKey },
    problems: ['KEY_NOT_FOUND'],
  },
  ...reportRoutes,
  ...serviceRoutes,
] as const satisfies readonly RouteSpec[];

export type OperationId = (typeof table)[number]['operationId'];
export type Route = RouteSpec & { readonly operationId: OperationId };
export const routes: readonly Route[] = table;

/** Labels of the metrics, by index in `routes`; the last one is for requests that no route took. */
export const routeLabels: readonly string[] = [...routes.map(({ method, pattern }) => `${method} ${pattern}`), 'none'];
export const NO_ROUTE = routes.length;
