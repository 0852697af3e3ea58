// The flags that mutated messages ask for: one for each way in which an answer is found.

const country = (...values: readonly string[]): object => ({ attribute: 'country', op: 'in', values });

export const MUTATION_FLAGS: readonly { readonly flag_id: string; readonly [field: string]: unknown }[] = [
  { flag_id: 'half', enabled: true, rollout_percentage: 50 },
  { flag_id: 'everybody', enabled: true, rollout_percentage: 100 },
  { flag_id: 'off', rollout_percentage: 50 },
  {
    flag_id: 'colour',
    enabled: true,
    type: 'string',
    variants: { red: '#f00', green: '#0f0', blue: 'ż' },
    off_variant: 'red',
    salt: 'ß-😀',
    rollout: [
      { variant: 'red', percentage: 33.33 },
      { variant: 'green', percentage: 33.33 },
      { variant: 'blue', percentage: 33.34 },
    ],
  },
  { flag_id: 'targeted', enabled: true, targets: [{ variant: 'on', user_ids: ['vip-1', 'żółw-7'] }] },
  {
    flag_id: 'ruled',
    enabled: true,
    rules: [
      { rule_id: 'poland', when: country('PL'), serve: { variant: 'on' } },
      { rule_id: 'adults', when: { attribute: 'age', op: 'gte', values: [18] }, serve: { rollout_percentage: 50 } },
    ],
  },
  {
    flag_id: 'needs-half',
    enabled: true,
    rollout_percentage: 100,
    prerequisites: [{ flag_id: 'half', variant: 'on' }],
  },
  { flag_id: 'by-company', enabled: true, rollout_percentage: 50, bucket_by: 'company' },
];
