// The routes of the OpenFeature Remote Evaluation Protocol. They stand at the root, where its clients look for them, and
// their errors have its form.
import * as schemas from './ofrep-schemas.ts';
import { documentBody, environment, minRevision } from './route-parts.ts';
import type { RouteSpec } from './routes.ts';

const named = { ...environment, description: 'Else X-Flags-Environment, else the only one of the key, else prod.' };
const evaluating = {
  group: 'ofrep',
  scope: 'evaluate',
  snapshot: true,
  write: false,
  method: 'POST',
  environment: 'header',
  body: { ...documentBody(schemas.OfrepRequest), attributes: 'context' },
} as const;

export const ofrepRoutes = [
  {
    ...evaluating,
    pattern: '/ofrep/v1/evaluate/flags/{key}',
    operationId: 'ofrepEvaluateFlag',
    summary: 'OFREP: evaluate one flag',
    query: [named, minRevision],
    reply: { status: 200, description: 'What this context gets.', schema: schemas.OfrepEvaluation },
    problems: ['FLAG_NOT_FOUND', 'ENVIRONMENT_NOT_FOUND', 'REVISION_NOT_REACHED'],
  },
  {
    ...evaluating,
    pattern: '/ofrep/v1/evaluate/flags',
    operationId: 'ofrepEvaluateFlags',
    summary: 'OFREP: evaluate every flag',
    ifNoneMatch: true,
    query: [
      named,
      minRevision,
      { name: 'flagConfigEtag', description: "An event's etag: wait up to 1 s until this worker has got that far." },
      { name: 'flagConfigLastModified', description: "An event's lastModified. The etag says more; this is ignored." },
    ],
    reply: {
      status: 200,
      description: 'Every flag that the key may see; 304 if If-None-Match names the ETag of this answer.',
      schema: schemas.OfrepBulkEvaluation,
    },
    problems: ['ENVIRONMENT_NOT_FOUND', 'REVISION_NOT_REACHED'],
  },
  {
    group: 'ofrep',
    // The token stands for the key.
    scope: undefined,
    environment: 'none',
    snapshot: false,
    write: false,
    method: 'GET',
    pattern: '/ofrep/v1/stream',
    operationId: 'ofrepStream',
    summary: 'OFREP: be told when flags change',
    query: [
      { name: 'token', description: "From a bulk evaluation's eventStreams.", required: true },
      { name: 'since', description: "The state that is known; as an event's id. Last-Event-ID wins over it." },
    ],
    reply: { status: 200, description: 'Server-sent events, until one side ends it.', mediaType: 'text/event-stream' },
    problems: ['UNAUTHORIZED', 'RATE_LIMITED', 'ENVIRONMENT_FORBIDDEN', 'NOT_READY', 'TOO_MANY_STREAMS', 'OVERLOADED'],
  },
] as const satisfies readonly RouteSpec[];
