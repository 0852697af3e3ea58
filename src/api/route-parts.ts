// What entries of the route table have in common, so that each shows what is its own.
import type { z } from 'zod';
import { limits } from '../limits.ts';
import type { QueryParameter, RouteBody } from './routes.ts';

export const V1 = '/api/v1';

export const userId: QueryParameter = {
  name: 'user_id',
  description: 'Who asks.',
  example: 'user-123',
  required: true,
};
export const environment: QueryParameter = {
  name: 'environment',
  description: "Else the body's, else the only one of the key, else prod.",
  example: 'prod',
};
export const minRevision: QueryParameter = {
  name: 'min_revision',
  description: 'Wait up to 1 s until this revision is served; also as X-Flags-Min-Revision.',
  integer: { minimum: 1, maximum: Number.MAX_SAFE_INTEGER },
};
export const explain: QueryParameter = {
  name: 'explain',
  description: 'Add a trace: what was looked at, and the smallest changes that would flip the answer. Needs `read`.',
  boolean: true,
  scope: 'read',
};
export const page: readonly QueryParameter[] = [
  { name: 'cursor', description: 'next_cursor of the page before.' },
  {
    name: 'limit',
    description: 'How many at most.',
    integer: { minimum: 1, maximum: limits.listPageMax, default: limits.listPageMax },
  },
];

/** Fields that most routes share, so that an entry shows what is its own. */
export const evaluation = { group: 'evaluation', scope: 'evaluate', snapshot: true, write: false } as const;
export const reading = { scope: 'read', snapshot: true, write: false } as const;
export const writing = { scope: 'write', snapshot: false, write: true } as const;

export const documentBody = (schema: z.ZodType, mergePatch = false): RouteBody => ({
  schema,
  mergePatch,
  optional: false,
});
