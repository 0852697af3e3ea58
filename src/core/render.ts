// Definitions as JSON text. JSON.stringify alone would not do: it writes the float 2.0 as 2, and typed clients take
// that for an integer.
import type { FlagDefinition, Json, NumberFormat } from './model.ts';

/** A variant's value as JSON; the numbers of a float flag with a decimal point: 2.0, 1.0e21. */
export function renderValue(value: Json, format: NumberFormat | undefined): string {
  return format === 'float' && typeof value === 'number' ? renderFloat(value) : JSON.stringify(value);
}

function renderFloat(value: number): string {
  const [mantissa = '0', exponent] = String(value === 0 ? 0 : value).split('e');
  const pointed = mantissa.includes('.') ? mantissa : `${mantissa}.0`;
  return exponent === undefined ? pointed : `${pointed}e${exponent.replace('+', '')}`;
}

/** The definition as a JSON object, fields in the order of the API. */
export function renderDefinition(definition: FlagDefinition): string {
  return `{${definitionMembers(definition).join(',')}}`;
}

/** `"name":value` for each field that the definition has. */
export function definitionMembers(definition: FlagDefinition): readonly string[] {
  const { variants, format } = definition;
  return [
    member('flag_id', definition.flag_id),
    member('environment', definition.environment),
    member('description', definition.description),
    member('tags', definition.tags),
    member('owner', definition.owner),
    member('kind', definition.kind),
    member('enabled', definition.enabled),
    member('type', definition.type),
    member('format', format),
    member('rollout_percentage', definition.rollout_percentage),
    variants === undefined ? undefined : `"variants":${renderVariants(definition)}`,
    member('off_variant', definition.off_variant),
    member('rollout', definition.rollout),
    member('bucket_by', definition.bucket_by),
    member('salt', definition.salt),
    member('targets', definition.targets),
    member('prerequisites', definition.prerequisites),
    member('rules', definition.rules),
    member('allocation', definition.allocation),
  ].filter((text) => text !== undefined);
}

function renderVariants({ variants = {}, format }: FlagDefinition): string {
  const members = Object.entries(variants).map(
    ([name, value]) => `${JSON.stringify(name)}:${renderValue(value, format)}`,
  );
  return `{${members.join(',')}}`;
}

function member(name: string, value: unknown): string | undefined {
  return value === undefined ? undefined : `"${name}":${JSON.stringify(value)}`;
}
