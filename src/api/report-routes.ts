// Routes that tell what the service has noticed.
import { environment, minRevision, page, reading, V1 } from './route-parts.ts';
import type { RouteSpec } from './routes.ts';
import * as schemas from './schemas.ts';

export const reportRoutes = [
  {
    ...reading,
    method: 'GET',
    pattern: `${V1}/reports/unknown`,
    operationId: 'reportUnknown',
    summary: 'List flags that were asked for and do not exist',
    group: 'reports',
    environment: 'each',
    query: [
      { ...environment, description: `${environment.description} \`*\`: all that the key may see.` },
      ...page,
      minRevision,
    ],
    reply: {
      status: 200,
      description: 'Of this node since `since`, the most asked for first.',
      schema: schemas.UnknownReport,
    },
    problems: ['ENVIRONMENT_NOT_FOUND', 'REVISION_NOT_REACHED', 'STORAGE_UNAVAILABLE'],
  },
] as const satisfies readonly RouteSpec[];
