// What explain=true adds to an evaluation, as core makes it (src/core/explain.ts). Said in words in docs/explain.md.
import { z } from 'zod';
import { OPERATORS } from '../core/model.ts';

export const Reason = z.enum([
  'DISABLED',
  'PREREQUISITE_FAILED',
  'TARGET_MATCH',
  'RULE_MATCH',
  'SPLIT',
  'STATIC',
  'BUCKET_KEY_MISSING',
  'QUARANTINED',
]);

const served = { variant: z.string(), reason: Reason, rule_id: z.string().optional() };
const scalar = z.union([z.string(), z.number(), z.boolean()]);
const conditionResult = {
  negate: z.literal(true).optional(),
  result: z.boolean().nullable().meta({ description: 'Negation included. null: not looked at.' }),
};
const omitted = z
  .int()
  .optional()
  .meta({ description: 'Members that are left out, as the trace would grow too long.' });

export const ExplainedCondition: z.ZodType = z
  .lazy(() =>
    z.union([
      z.strictObject({
        attribute: z.string(),
        op: z.enum(OPERATORS),
        values: z.array(scalar).optional().meta({ description: 'The first ones.' }),
        values_count: z.int().optional().meta({ description: 'How many there are, where not all are shown.' }),
        ignore_case: z.literal(true).optional(),
        actual: z.unknown().meta({ description: 'What the context has; null: nothing.' }),
        actual_cut: z.literal(true).optional().meta({ description: 'Only the beginning of it is shown.' }),
        ...conditionResult,
      }),
      z.strictObject({ all: z.array(ExplainedCondition), omitted, ...conditionResult }),
      z.strictObject({ any: z.array(ExplainedCondition), omitted, ...conditionResult }),
      z.strictObject({
        segment: z.string(),
        membership: z
          .enum(['excluded', 'included', 'condition', 'none', 'unknown'])
          .nullable()
          .meta({ description: 'Why the user is in it or not. null: not looked at.' }),
        when: ExplainedCondition.optional(),
        ...conditionResult,
      }),
    ]),
  )
  .meta({ description: "A node of a rule's when, with what was found." });

export const Step = z
  .discriminatedUnion('step', [
    z.strictObject({ step: z.literal('enabled'), enabled: z.boolean() }),
    z.strictObject({
      step: z.literal('prerequisite'),
      flag_id: z.string(),
      variant: z.string().meta({ description: 'What it must serve.' }),
      served: z
        .strictObject(served)
        .nullable()
        .meta({ description: 'null: there is no such flag, or none that the key may see.' }),
      met: z.boolean(),
    }),
    z.strictObject({ step: z.literal('targets'), matched: z.boolean(), variant: z.string().optional() }),
    z.strictObject({
      step: z.literal('rule'),
      rule_id: z.string(),
      matched: z.boolean(),
      when: ExplainedCondition.optional().meta({ description: 'Left out where the trace would grow too long.' }),
    }),
    z.strictObject({
      step: z.literal('rollout'),
      rule_id: z.string().optional().meta({ description: "The rule whose split it is; else the flag's own." }),
      bucket_by: z.string(),
      bucket: z.int().nullable(),
      ranges: z
        .array(z.tuple([z.int(), z.int(), z.string()]))
        .meta({ description: 'The range of buckets, [from, to), that the user is in, and its neighbours.' }),
      variant: z.string(),
    }),
    z.strictObject({ step: z.literal('quarantined'), detail: z.string() }),
  ])
  .meta({ description: 'One thing that was looked at.' });

export const Flip = z
  .strictObject({
    flag_id: z.string().optional().meta({ description: 'The flag to change where it is another: a prerequisite.' }),
    rollout_percentage: z.number().optional(),
    rule_id: z.string().optional().meta({ description: "Whose rollout_percentage; else the flag's own." }),
    enabled: z.boolean().optional(),
    target: z.strictObject({ action: z.literal('remove'), variant: z.string() }).optional(),
    segment: z
      .strictObject({
        segment_id: z.string(),
        list: z.enum(['included', 'excluded']),
        action: z.enum(['add', 'remove']),
        id: z.string(),
      })
      .optional(),
    attributes: z.strictObject({ set: z.record(z.string(), z.unknown()), remove: z.array(z.string()) }).optional(),
    gives: z.strictObject(served),
  })
  .meta({
    description: 'All of these changes together give another variant, and no part of them does.',
    examples: [{ rollout_percentage: 37.12, gives: { variant: 'on', reason: 'SPLIT' } }],
  });

export const Trace = z
  .strictObject({
    bucket: z.int().nullable().meta({ description: '0 to 9999. null: there is nothing to hash.' }),
    enters_at: z
      .number()
      .nullable()
      .meta({ description: '(bucket + 1) / 100. null: no percentage decided the answer.' }),
    steps: z.array(Step).meta({ description: 'What was looked at, in order.' }),
    flips: z.array(Flip).meta({ description: 'The smallest changes that would flip the answer, the smallest first.' }),
    flips_complete: z.boolean().meta({ description: 'False: the search was cut short; there may be others.' }),
  })
  .meta({ description: 'Only with explain=true.' });
