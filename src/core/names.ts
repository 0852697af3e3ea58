// The names that stand in addresses.

const FLAG_ID_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const ENVIRONMENT_PATTERN = /^[a-z0-9][a-z0-9-]{0,62}$/;

export const FLAG_ID_RULE = '1 to 128 letters, digits, dots, underscores and hyphens, starting with a letter or digit';
export const ENVIRONMENT_RULE = '1 to 63 lower-case letters, digits and hyphens, starting with a letter or digit';

/** Whether this can be a flag_id; rule and segment ids follow the same pattern. */
export function isFlagId(value: unknown): value is string {
  return typeof value === 'string' && FLAG_ID_PATTERN.test(value);
}

export function isEnvironmentName(value: unknown): value is string {
  return typeof value === 'string' && ENVIRONMENT_PATTERN.test(value);
}
