// The shapes of what goes in and out, once: the same schemas check requests at the door and make the OpenAPI document.
// For flags they hold names and basic types; what the parts mean together is core's, on the primary.
import { z } from 'zod';
import { OPERATORS } from '../core/model.ts';
import { ENVIRONMENT_RULE, FLAG_ID_RULE, isEnvironmentName, isFlagId } from '../core/names.ts';
import { percentageToEdge } from '../core/percentage.ts';
import { SCOPES } from '../core/scopes.ts';
import { errors } from '../errors.ts';
import { Reason, Trace } from './trace-schemas.ts';

const flagId = z
  .string()
  .refine(isFlagId, { error: `must be ${FLAG_ID_RULE}` })
  .meta({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$', examples: ['new-checkout'] });
export const environmentName = z
  .string()
  .refine(isEnvironmentName, { error: `must be ${ENVIRONMENT_RULE}` })
  .meta({ pattern: '^[a-z0-9][a-z0-9-]{0,62}$', examples: ['prod'] });
const percentage = z
  .number()
  .refine((value) => percentageToEdge(value) !== undefined, {
    error: 'must be a number from 0 to 100 with at most two decimals',
  })
  .meta({ minimum: 0, maximum: 100, description: 'Percent, at most two decimals.' });
const json = z.unknown().meta({ description: "Any JSON value; its type is the flag's." });
export const time = z.string().meta({ format: 'date-time' });
export const readOnly = z
  .unknown()
  .optional()
  .meta({ readOnly: true, description: 'Read-only: accepted and ignored.' });

const weightedVariant = z.strictObject({ variant: z.string(), percentage });
const target = z.strictObject({ variant: z.string(), user_ids: z.array(z.string()) });
const prerequisite = z.strictObject({ flag_id: z.string(), variant: z.string() });
export const when = z.looseObject({}).meta({
  description: `A condition {attribute, op, values, ignore_case?, negate?}, or {all: [...]}, {any: [...]}, {segment}; each takes negate. Operators: ${OPERATORS.join(', ')}.`,
  examples: [{ all: [{ attribute: 'country', op: 'in', values: ['PL', 'CZ'] }] }],
});
const serve = z
  .looseObject({})
  .meta({ description: 'One of {variant}, {rollout: [...]}, or for boolean flags {rollout_percentage}.' });
const rule = z.strictObject({
  rule_id: z.string(),
  description: z.string().optional(),
  when: when.optional(),
  serve: serve.optional(),
});

const settable = {
  description: z.string(),
  tags: z.array(z.string()),
  owner: z.string(),
  kind: z.enum(['release', 'experiment', 'ops', 'permission']),
  enabled: z.boolean(),
  type: z.enum(['boolean', 'string', 'number', 'object']),
  format: z.enum(['integer', 'float']),
  rollout_percentage: percentage,
  variants: z.record(z.string(), json),
  off_variant: z.string(),
  rollout: z.array(weightedVariant),
  bucket_by: z.string(),
  salt: z.string().nullable(),
  targets: z.array(target),
  prerequisites: z.array(prerequisite),
  rules: z.array(rule),
};
const addressed = { flag_id: flagId.optional(), environment: z.string().optional() };
const ignored = {
  allocation: readOnly,
  version: readOnly,
  revision: readOnly,
  created_at: readOnly,
  updated_at: readOnly,
  updated_by: readOnly,
  warnings: readOnly,
};
const reallocate = z
  .boolean()
  .optional()
  .meta({ description: 'Take a fresh layout of the split instead of the one that moves fewest users.' });

/** Every field may be left out. */
const optionalFields = z.object(settable).partial().shape;
/** Every field may be left out, or null: back to its default. */
const patchFields = Object.fromEntries(
  Object.entries(settable).map(([name, schema]) => [name, schema.nullable().optional()]),
) as { [Name in keyof typeof settable]: z.ZodOptional<z.ZodNullable<(typeof settable)[Name]>> };

const flagExample = {
  flag_id: 'new-checkout',
  environment: 'prod',
  description: 'The checkout in one page',
  tags: ['shop'],
  owner: 'payments',
  kind: 'release',
  enabled: true,
  type: 'boolean',
  rollout_percentage: 25,
  bucket_by: 'user_id',
  salt: null,
  targets: [{ variant: 'on', user_ids: ['user-7'] }],
  prerequisites: [],
  rules: [],
  version: 3,
  revision: 812,
  created_at: '2026-01-05T09:00:00.000Z',
  updated_at: '2026-01-06T10:30:00.000Z',
  updated_by: 'key_3f9a2c',
};

export const FlagCreate = z.strictObject({ ...addressed, flag_id: flagId, ...optionalFields, ...ignored }).meta({
  description: 'A new flag; disabled at 0 % unless told otherwise.',
  examples: [{ flag_id: 'new-checkout', enabled: true, rollout_percentage: 25 }],
});
export const FlagReplace = z.strictObject({ ...addressed, ...optionalFields, ...ignored, reallocate }).meta({
  description: 'The whole flag; `enabled` and the rollout are required.',
  examples: [{ enabled: true, rollout_percentage: 50 }],
});
export const FlagPatch = z.strictObject({ ...addressed, ...patchFields, ...ignored, reallocate }).meta({
  description: 'An RFC 7396 merge patch: null takes a field back to its default, arrays are replaced whole.',
  examples: [{ rollout_percentage: 50 }],
});
export const FlagRestore = z.strictObject({ environment: z.string().optional() });
export const Flag = z
  .looseObject({
    flag_id: flagId,
    environment: environmentName,
    ...optionalFields,
    allocation: z
      .array(z.tuple([z.int(), z.int(), z.string()]))
      .optional()
      .meta({ description: 'Splits that are not boolean: the ranges of buckets served, [from, to).' }),
    version: z.int(),
    revision: z.int(),
    created_at: time,
    updated_at: time,
    updated_by: z.string(),
    warnings: z
      .array(z.strictObject({ code: z.string(), path: z.string(), message: z.string() }))
      .optional()
      .meta({ description: 'In replies of writes only, when there are any: what is allowed and probably not meant.' }),
  })
  .meta({ description: 'One document per environment and flag_id.', examples: [flagExample] });
export const FlagList = z.strictObject({ flags: z.array(Flag), next_cursor: z.string().nullable() });

const userId = z.string().meta({ minLength: 1, description: '1 to 65,535 bytes of UTF-8.', examples: ['user-123'] });
const attributes = z.record(z.string(), z.unknown()).meta({ examples: [{ country: 'PL', age: 33 }] });
const verdict = {
  enabled: z.boolean(),
  variant: z.string(),
  value: json,
  reason: Reason,
  rule_id: z.string().optional(),
  version: z.int(),
};

export const EvaluateRequest = z
  .strictObject({ user_id: userId, environment: z.string().optional(), attributes: attributes.optional() })
  .meta({ examples: [{ user_id: 'user-123', environment: 'prod', attributes: { country: 'PL' } }] });
export const Evaluation = z
  .strictObject({
    flag_id: flagId,
    user_id: userId,
    evaluated_at: time,
    ...verdict,
    revision: z.int(),
    trace: Trace.optional(),
  })
  .meta({
    description: "`revision` is the snapshot's that answered.",
    examples: [
      {
        flag_id: 'new-checkout',
        enabled: true,
        user_id: 'user-123',
        evaluated_at: '2026-01-06T10:31:00.000Z',
        variant: 'on',
        value: true,
        reason: 'SPLIT',
        version: 3,
        revision: 812,
      },
    ],
  });
export const BatchRequest = z
  .strictObject({
    environment: z.string().optional(),
    contexts: z.array(z.strictObject({ user_id: userId, attributes: attributes.optional() })),
    flags: z.array(z.string()).optional(),
  })
  .meta({
    examples: [{ environment: 'prod', contexts: [{ user_id: 'user-123', attributes: {} }], flags: ['new-checkout'] }],
  });
export const BatchReply = z
  .strictObject({
    revision: z.int(),
    evaluated_at: time,
    results: z.array(
      z.record(
        z.string(),
        z.union([
          z.strictObject({ ...verdict, trace: Trace.optional() }),
          z.strictObject({ error: z.literal('FLAG_NOT_FOUND') }),
        ]),
      ),
    ),
  })
  .meta({
    description: 'One object for each context, in order; all of one snapshot.',
    examples: [
      {
        revision: 812,
        evaluated_at: '2026-01-06T10:31:00.000Z',
        results: [{ 'new-checkout': { enabled: true, variant: 'on', value: true, reason: 'SPLIT', version: 3 } }],
      },
    ],
  });

export const EnvironmentCreate = z
  .strictObject({ environment: environmentName, description: z.string().optional() })
  .meta({ examples: [{ environment: 'qa', description: 'Release candidates' }] });
export const Environment = z.looseObject({
  environment: environmentName,
  description: z.string(),
  policy: z.record(z.string(), z.unknown()),
  version: z.int(),
  revision: z.int(),
  created_at: time,
  updated_at: time,
  updated_by: z.string(),
});
export const EnvironmentList = z.strictObject({ items: z.array(Environment), next_cursor: z.string().nullable() });

const unknownFlag = z.strictObject({
  flag_id: z.string().meta({ description: 'As it was asked for, cut to 128 characters.' }),
  environment: z.string(),
  count: z.int().meta({ description: 'Evaluations asked for.' }),
  first_seen: time,
  last_seen: time,
  suggestion: z.string().optional().meta({ description: 'The existing flag_id that is spelt most like it.' }),
});
export const UnknownReport = z
  .strictObject({
    items: z.array(unknownFlag),
    next_cursor: z.string().nullable(),
    since: time.meta({ description: 'When the oldest of what is counted began to be counted.' }),
    other_count: z.int().meta({ description: 'Evaluations of further names, for which there was no room.' }),
  })
  .meta({
    description: 'Counted in memory, on this node only.',
    examples: [
      {
        items: [
          {
            flag_id: 'new-chekout',
            environment: 'prod',
            count: 1204,
            first_seen: '2026-01-06T10:31:00.000Z',
            last_seen: '2026-01-06T11:02:10.120Z',
            suggestion: 'new-checkout',
          },
        ],
        next_cursor: null,
        since: '2026-01-06T08:00:00.000Z',
        other_count: 0,
      },
    ],
  });

const grant = {
  scopes: z
    .array(z.enum(SCOPES))
    .min(1, { error: 'must name at least one scope' })
    .optional()
    .meta({ description: 'Default evaluate.' }),
  environments: z.array(z.string()).nullable().optional().meta({ description: 'Left out or null: every environment.' }),
  tags: z
    .array(z.string())
    .nullable()
    .optional()
    .meta({ description: 'Only flags with one of these tags; left out or null: every flag.' }),
  rate_limit: z
    .int()
    .min(0, { error: 'must be 0 (no limit) or more' })
    .optional()
    .meta({ description: 'Requests a minute, default 1000; 0: no limit.' }),
  expires_at: z.iso
    .datetime({ offset: true, error: 'must be an RFC 3339 time such as 2027-01-01T00:00:00Z' })
    .nullable()
    .optional(),
  owner: z.string().optional(),
};
export const KeyCreate = z
  .strictObject({ name: z.string().min(1, { error: 'must not be empty' }), ...grant })
  .meta({ examples: [{ name: 'web shop', scopes: ['evaluate'], environments: ['prod'], rate_limit: 60000 }] });
export const KeyRotate = z
  .strictObject({
    overlap_seconds: z
      .int()
      .min(0, { error: 'must be 0 or more' })
      .optional()
      .meta({ description: 'How long the old key stays valid.' }),
  })
  .meta({ examples: [{ overlap_seconds: 86400 }] });
export const Key = z.looseObject({
  key_id: z.string(),
  name: z.string(),
  scopes: z.array(z.string()),
  environments: z.array(z.string()).nullable(),
  tags: z.array(z.string()).nullable(),
  rate_limit: z.int(),
  expires_at: z.string().nullable(),
  owner: z.string().optional(),
  created_at: time.optional(),
});
export const NewKey = Key.extend({ key: z.string().meta({ description: 'The key itself, shown this once.' }) });
export const KeyList = z.strictObject({ items: z.array(Key), next_cursor: z.string().nullable() });

export const Health = z.looseObject({ status: z.string() }).meta({
  description:
    'With a read key also build, revision, epoch, tier, stale_seconds, primary_connected, transport, kernel (of batches: wasm or js) and pid.',
  examples: [{ status: 'ok' }],
});
export const Version = z.looseObject({ version: z.string() });
export const Problem = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.enum(Object.keys(errors) as [string, ...string[]]),
    request_id: z.string(),
    errors: z.array(z.strictObject({ path: z.string(), message: z.string() })).optional(),
  })
  .meta({
    description: 'RFC 9457.',
    examples: [
      {
        type: 'urn:burgee:problem:INVALID_REQUEST',
        title: errors.INVALID_REQUEST.title,
        status: 400,
        detail: 'rollout[1].percentage: must be 0 to 100',
        code: 'INVALID_REQUEST',
        request_id: 'f3b1c1de-0c1f-4c39-8a58-2f4e1f1b7f10',
        errors: [{ path: 'rollout[1].percentage', message: 'must be 0 to 100' }],
      },
    ],
  });
