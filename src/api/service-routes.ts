// The routes at the root that ask for no key: how the worker is, what build it is, what it counts, what it can do.
import type { RouteSpec } from './routes.ts';
import * as schemas from './schemas.ts';

const open = {
  group: 'service',
  scope: undefined,
  environment: 'none',
  query: [],
  snapshot: false,
  write: false,
  problems: [],
} as const;

export const serviceRoutes = [
  {
    ...open,
    method: 'GET',
    pattern: '/',
    operationId: 'home',
    summary: 'Leads to the documentation',
    reply: { status: 302, description: 'To /docs.' },
  },
  {
    ...open,
    method: 'GET',
    pattern: '/livez',
    operationId: 'livez',
    summary: "Whether this worker's loop turns",
    reply: { status: 200, description: 'It does.', schema: schemas.Health },
  },
  {
    ...open,
    method: 'GET',
    pattern: '/readyz',
    operationId: 'readyz',
    summary: 'Whether this worker takes requests',
    reply: {
      status: 200,
      description: 'It holds a verified snapshot (stale_seconds says how old) and is not draining.',
      schema: schemas.Health,
    },
    problems: ['NOT_READY'],
  },
  {
    ...open,
    method: 'GET',
    pattern: '/healthz',
    operationId: 'healthz',
    summary: 'How this worker is',
    reply: { status: 200, description: 'Only a status, unless a read key is sent.', schema: schemas.Health },
  },
  {
    ...open,
    method: 'GET',
    pattern: '/metrics',
    operationId: 'metrics',
    summary: "The node's metrics",
    reply: { status: 200, description: 'Prometheus text.', mediaType: 'text/plain; version=0.0.4; charset=utf-8' },
  },
  {
    ...open,
    method: 'GET',
    pattern: '/version',
    operationId: 'version',
    summary: 'Which build this is',
    reply: { status: 200, description: 'The build.', schema: schemas.Version },
  },
  {
    ...open,
    method: 'GET',
    pattern: '/openapi.json',
    operationId: 'openapi',
    summary: 'This document',
    reply: { status: 200, description: 'OpenAPI 3.1.', mediaType: 'application/json' },
  },
  {
    ...open,
    method: 'GET',
    pattern: '/docs',
    operationId: 'docs',
    summary: 'The documentation as a page',
    reply: { status: 200, description: 'A page that works offline.', mediaType: 'text/html; charset=utf-8' },
  },
  {
    ...open,
    method: 'GET',
    pattern: '/docs/{file}',
    operationId: 'docsFile',
    summary: 'A part of that page',
    reply: { status: 200, description: 'A script, style sheet or picture.', mediaType: 'application/octet-stream' },
    problems: ['ROUTE_NOT_FOUND'],
  },
] as const satisfies readonly RouteSpec[];
