// OFREP's shapes for the OpenAPI document. Requests are read by hand: only their context is ours to judge.
import { z } from 'zod';

const metadata = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));
const errorCode = z.enum(['PARSE_ERROR', 'TARGETING_KEY_MISSING', 'INVALID_CONTEXT', 'GENERAL', 'FLAG_NOT_FOUND']);

export const OfrepRequest = z
  .looseObject({ context: z.looseObject({ targetingKey: z.string().optional() }).optional() })
  .meta({
    description: 'targetingKey is the user_id, everything beside it an attribute. Both may be missing.',
    examples: [{ context: { targetingKey: 'user-123', country: 'PL' } }],
  });
export const OfrepEvaluation = z
  .strictObject({
    key: z.string(),
    reason: z.enum(['STATIC', 'TARGETING_MATCH', 'SPLIT', 'DISABLED', 'UNKNOWN']),
    variant: z.string(),
    value: z.unknown(),
    metadata,
  })
  .meta({
    examples: [
      {
        key: 'new-checkout',
        reason: 'TARGETING_MATCH',
        variant: 'on',
        value: true,
        metadata: { reason: 'RULE_MATCH', rule_id: 'poland', version: 3, revision: 812 },
      },
    ],
  });
export const OfrepFailure = z.strictObject({
  key: z.string().optional(),
  errorCode,
  errorDetails: z.string(),
});
export const OfrepBulkEvaluation = z.strictObject({
  flags: z.array(z.union([OfrepEvaluation, OfrepFailure])),
  metadata,
  eventStreams: z.array(
    z.strictObject({
      type: z.literal('sse'),
      endpoint: z.strictObject({ requestUri: z.string() }),
      inactivityDelaySec: z.int(),
    }),
  ),
});
