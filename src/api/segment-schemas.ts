// The shapes of segments. What the parts mean together is core's, on the primary.
import { z } from 'zod';
import { FLAG_ID_RULE, isFlagId } from '../core/names.ts';
import { environmentName, readOnly, time, when } from './schemas.ts';

const segmentId = z
  .string()
  .refine(isFlagId, { error: `must be ${FLAG_ID_RULE}` })
  .meta({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$', examples: ['staff'] });
const segmentCondition = when.nullable().meta({
  description: "Who else belongs to it: a condition as in a flag's rules, or null. Excluded wins, then included.",
  examples: [{ attribute: 'email', op: 'ends_with', values: ['@example.com'] }],
});
const matchBy = z
  .string()
  .meta({ description: 'What is looked up in the lists: user_id, or an attribute. Fixed while a list has members.' });
const segmentFields = {
  segment_id: segmentId.optional(),
  environment: z.string().optional(),
  description: z.string().optional(),
  match_by: matchBy.optional(),
  when: segmentCondition.optional(),
  included_count: readOnly,
  excluded_count: readOnly,
  version: readOnly,
  revision: readOnly,
  created_at: readOnly,
  updated_at: readOnly,
  updated_by: readOnly,
};

export const SegmentCreate = z.strictObject({ ...segmentFields, segment_id: segmentId }).meta({
  description: 'A new segment, its lists empty.',
  examples: [{ segment_id: 'staff', description: 'Everybody who works here' }],
});
export const SegmentReplace = z.strictObject(segmentFields).meta({
  description: 'The whole segment but its lists; what it has of `when` and `match_by` must be sent.',
  examples: [{ match_by: 'user_id', when: { attribute: 'email', op: 'ends_with', values: ['@example.com'] } }],
});
export const SegmentPatch = z
  .strictObject({
    ...segmentFields,
    description: z.string().nullable().optional(),
    match_by: matchBy.nullable().optional(),
  })
  .meta({
    description: 'An RFC 7396 merge patch: null takes a field back to its default, `when: null` the condition away.',
    examples: [{ when: null }],
  });
export const SegmentRestore = z.strictObject({ environment: z.string().optional() });
export const SegmentMembers = z
  .strictObject({
    environment: z.string().optional(),
    list: z.enum(['included', 'excluded']),
    add: z.array(z.string()).optional(),
    remove: z.array(z.string()).optional(),
  })
  .meta({
    description: 'Up to 10,000 ids to put into a list and take out of it.',
    examples: [{ list: 'included', add: ['user-7', 'user-8'], remove: ['user-1'] }],
  });
export const Segment = z
  .looseObject({
    segment_id: segmentId,
    environment: environmentName,
    description: z.string(),
    match_by: matchBy,
    included_count: z.int(),
    excluded_count: z.int(),
    when: segmentCondition,
    version: z.int(),
    revision: z.int(),
    created_at: time,
    updated_at: time,
    updated_by: z.string(),
  })
  .meta({
    description: 'One document per environment and segment_id; its lists are read and written apart.',
    examples: [
      {
        segment_id: 'staff',
        environment: 'prod',
        description: 'Everybody who works here',
        match_by: 'user_id',
        included_count: 1204,
        excluded_count: 0,
        when: null,
        version: 3,
        revision: 812,
        created_at: '2026-01-05T09:00:00.000Z',
        updated_at: '2026-01-06T10:30:00.000Z',
        updated_by: 'key_3f9a2c',
      },
    ],
  });
export const SegmentList = z.strictObject({ items: z.array(Segment), next_cursor: z.string().nullable() });
