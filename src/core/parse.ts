// The door of the service for flag documents: what comes through is a complete, consistent definition, and nothing
// behind it looks again. The readers are total: any JSON gives a definition or the list of what is wrong with it.
import { documentLimits } from './document-limits.ts';
import { at, quote, report } from './issues.ts';
import type { FlagDefinition, FlagKind, FlagType, Result } from './model.ts';
import { ENVIRONMENT_RULE, FLAG_ID_RULE, isEnvironmentName, isFlagId } from './names.ts';
import { type FlagShape, readPrerequisites, readRules, readTargets } from './parse-targeting.ts';
import { BOOLEAN_VARIANTS, readFormat, readPercentage, readSplit, readVariants, type Split } from './parse-variants.ts';
import { BUCKET_COUNT } from './percentage.ts';
import {
  type Fields,
  isPresent,
  own,
  type Reading,
  readArray,
  readBody,
  readBoolean,
  readChoice,
  readText,
  readVariantName,
  refuseUnknown,
  startReading,
} from './reading.ts';
import { renderDefinition } from './render.ts';
import { utf8Length } from './text.ts';

export const DEFINITION_FIELDS = [
  'flag_id',
  'environment',
  'description',
  'tags',
  'owner',
  'kind',
  'enabled',
  'type',
  'format',
  'rollout_percentage',
  'variants',
  'off_variant',
  'rollout',
  'bucket_by',
  'salt',
  'targets',
  'prerequisites',
  'rules',
] as const;

/** May be sent, so that a document that was read can be sent back, and are ignored. */
export const READ_ONLY_FIELDS = [
  'allocation',
  'version',
  'revision',
  'created_at',
  'updated_at',
  'updated_by',
  'warnings',
] as const;

export const FLAG_TYPES: readonly FlagType[] = ['boolean', 'string', 'number', 'object'];
const FLAG_KINDS: readonly FlagKind[] = ['release', 'experiment', 'ops', 'permission'];
const VARIANT_FIELDS = ['variants', 'off_variant', 'rollout'] as const;

/**
 * A new flag from the body of a POST. Only `flag_id` is needed, and `variants` and `off_variant` for a flag that is not
 * boolean; it is off, and at 0 % or all on `off_variant`, unless told otherwise.
 * @param raw parsed JSON of any kind
 * @param environment the request's; a body that names another one is refused
 * @returns INVALID_REQUEST with every issue found
 */
export function createFlag(raw: unknown, environment: string): Result<FlagDefinition> {
  const reading = startReading('input', undefined, false);
  const fields = openBody(reading, raw);
  if (own(fields, 'flag_id') === undefined) report(reading.issues, 'flag_id', 'is required');
  return conclude(reading, readDefinition(reading, fields, { flagId: undefined, environment }));
}

/** The body of a write as fields, none when it is no object; refuses unknown names and bottomless nesting. */
export function openBody(reading: Reading, raw: unknown): Fields {
  const fields = readBody(reading, raw);
  refuseUnknown(reading, fields, '', [...DEFINITION_FIELDS, ...READ_ONLY_FIELDS, 'reallocate']);
  const reallocate = own(fields, 'reallocate');
  if (reallocate !== undefined) readBoolean(reading, reallocate, 'reallocate', false);
  return fields;
}

/** What `flag_id` and `environment` must equal when they are sent; undefined where the address does not say. */
export interface Address {
  readonly flagId: string | undefined;
  readonly environment: string | undefined;
}

/** Every field of a definition. Unless the reading has issues afterwards, the result is complete and consistent. */
export function readDefinition(reading: Reading, fields: Fields, address: Address): FlagDefinition {
  const flagId = readAddress(reading, own(fields, 'flag_id'), 'flag_id', address.flagId);
  const environment = readAddress(reading, own(fields, 'environment'), 'environment', address.environment);
  const head = {
    flag_id: flagId ?? '',
    environment: environment ?? '',
    description: readOptionalText(reading, fields, 'description', documentLimits.descriptionCharsMax, true),
    tags: readTags(reading, own(fields, 'tags'), 'tags'),
    owner: readOptionalText(reading, fields, 'owner', documentLimits.ownerCharsMax, false),
    kind: readOptional(
      reading,
      own(fields, 'kind'),
      'kind',
      'release',
      (value) => readChoice(reading, value, 'kind', FLAG_KINDS) ?? 'release',
    ),
    enabled: readOptional(reading, own(fields, 'enabled'), 'enabled', false, (value) =>
      readBoolean(reading, value, 'enabled', false),
    ),
  };
  const type = readOptional<FlagType | undefined>(reading, own(fields, 'type'), 'type', 'boolean', (value) =>
    readChoice(reading, value, 'type', FLAG_TYPES),
  );
  // With a type that nobody knows, what depends on it cannot be judged.
  const serving =
    type === undefined
      ? { type: 'boolean' as const }
      : type === 'boolean'
        ? readBooleanFlag(reading, fields)
        : readVariantFlag(reading, fields, type);
  const shape: FlagShape = { flagId, type, variantNames: variantNames(serving, type) };
  return {
    ...head,
    ...serving,
    bucket_by: readOptional(reading, own(fields, 'bucket_by'), 'bucket_by', 'user_id', (value) =>
      readText(reading, value, 'bucket_by', { charsMin: 1, charsMax: documentLimits.attributeCharsMax }),
    ),
    salt: readSalt(reading, own(fields, 'salt')),
    targets: readTargets(reading, own(fields, 'targets'), 'targets', shape),
    prerequisites: readPrerequisites(reading, own(fields, 'prerequisites'), 'prerequisites', shape),
    rules: readRules(reading, own(fields, 'rules'), 'rules', shape),
  };
}

/** The verdict on a write: 400 before 409. */
export function conclude(reading: Reading, definition: FlagDefinition): Result<FlagDefinition> {
  const { issues, fragmented } = reading;
  if (issues.length === 0) {
    const bytes = utf8Length(renderDefinition(definition));
    if (bytes > documentLimits.documentBytesMax)
      report(issues, '', `must be at most ${documentLimits.documentBytesMax} bytes as JSON, not ${bytes}`);
  }
  if (issues.length > 0) return { ok: false, code: 'INVALID_REQUEST', issues };
  if (fragmented.length > 0) return { ok: false, code: 'ALLOCATION_FRAGMENTED', issues: fragmented };
  return { ok: true, value: definition };
}

function readAddress(
  reading: Reading,
  value: unknown,
  path: 'flag_id' | 'environment',
  expected: string | undefined,
): string | undefined {
  if (value === undefined) {
    if (reading.source === 'stored') report(reading.issues, path, 'is missing');
    return expected;
  }
  const isName = path === 'flag_id' ? isFlagId(value) : isEnvironmentName(value);
  if (!isName) {
    report(reading.issues, path, `must be ${path === 'flag_id' ? FLAG_ID_RULE : ENVIRONMENT_RULE}`);
    return expected;
  }
  if (expected !== undefined && value !== expected) {
    report(reading.issues, path, `must equal the address: ${quote(expected)}, not ${quote(value as string)}`);
  }
  return value as string;
}

/** A field with a default. */
function readOptional<T>(reading: Reading, value: unknown, path: string, fallback: T, read: (value: unknown) => T): T {
  return isPresent(reading, value, path) ? read(value) : fallback;
}

function readOptionalText(
  reading: Reading,
  fields: Fields,
  name: string,
  charsMax: number,
  multiline: boolean,
): string {
  return readOptional(reading, own(fields, name), name, '', (value) =>
    readText(reading, value, name, { charsMax, multiline }),
  );
}

function readTags(reading: Reading, value: unknown, path: string): readonly string[] {
  if (!isPresent(reading, value, path)) return [];
  const seen = new Set<string>();
  return readArray(reading, value, path, documentLimits.tagsMax).map((entry, i) => {
    const issueCount = reading.issues.length;
    const tag = readText(reading, entry, at(path, i), { charsMin: 1, charsMax: documentLimits.tagCharsMax });
    if (reading.issues.length === issueCount && seen.has(tag))
      report(reading.issues, at(path, i), `${quote(tag)} is there twice`);
    seen.add(tag);
    return tag;
  });
}

/** null is a value here: no salt. */
function readSalt(reading: Reading, value: unknown): string | null {
  if (!isPresent(reading, value, 'salt') || value === null) return null;
  return readText(reading, value, 'salt', { charsMin: 1, charsMax: documentLimits.saltCharsMax });
}

type Serving = Pick<
  FlagDefinition,
  'type' | 'format' | 'rollout_percentage' | 'variants' | 'off_variant' | 'rollout' | 'allocation'
>;

function readBooleanFlag(reading: Reading, fields: Fields): Serving {
  for (const name of VARIANT_FIELDS) {
    if (own(fields, name) !== undefined)
      report(
        reading.issues,
        name,
        'is not for boolean flags; they have rollout_percentage, and the variants on and off',
      );
  }
  if (own(fields, 'format') !== undefined) report(reading.issues, 'format', 'is for flags of type number');
  if (reading.source === 'stored' && own(fields, 'allocation') !== undefined)
    report(reading.issues, 'allocation', 'is not for boolean flags');
  const percentage = readOptional(reading, own(fields, 'rollout_percentage'), 'rollout_percentage', 0, (value) =>
    readPercentage(reading, value, 'rollout_percentage'),
  );
  return { type: 'boolean', rollout_percentage: percentage };
}

function readVariantFlag(reading: Reading, fields: Fields, type: Exclude<FlagType, 'boolean'>): Serving {
  if (own(fields, 'rollout_percentage') !== undefined)
    report(reading.issues, 'rollout_percentage', `is for boolean flags; one of type ${type} has rollout`);
  if (type !== 'number' && own(fields, 'format') !== undefined)
    report(reading.issues, 'format', 'is for flags of type number');
  const variants = readVariants(reading, own(fields, 'variants'), 'variants', type);
  const names = namesOf(variants);
  const offVariant = own(fields, 'off_variant');
  const off =
    offVariant === undefined && reading.source === 'input'
      ? missingOffVariant(reading, type)
      : readVariantName(reading, offVariant, 'off_variant', names);
  const sent = own(fields, 'rollout');
  if (sent === undefined && reading.source === 'stored') report(reading.issues, 'rollout', 'is missing');
  // Not sent: a new flag, all of it on its off_variant.
  const split: Split =
    sent === undefined
      ? { rollout: [{ variant: off, percentage: 100 }], allocation: [[0, BUCKET_COUNT, off]] }
      : readSplit(
          reading,
          { rollout: sent, allocation: own(fields, 'allocation') },
          SPLIT_PATHS,
          names,
          reading.previous?.allocation,
        );
  return {
    type,
    ...(type === 'number' ? { format: readFormat(reading, fields, variants) } : {}),
    variants,
    off_variant: off,
    ...split,
  };
}

const SPLIT_PATHS = { rollout: 'rollout', allocation: 'allocation' };

function missingOffVariant(reading: Reading, type: FlagType): string {
  report(reading.issues, 'off_variant', `is required for a flag of type ${type}: what is served while it is disabled`);
  return '';
}

/** undefined when no variant could be read: whoever names one is not to blame. */
function namesOf(variants: FlagDefinition['variants']): ReadonlySet<string> | undefined {
  const names = Object.keys(variants ?? {});
  return names.length === 0 ? undefined : new Set(names);
}

function variantNames(serving: Serving, type: FlagType | undefined): ReadonlySet<string> | undefined {
  if (type === undefined) return undefined;
  return type === 'boolean' ? BOOLEAN_VARIANTS : namesOf(serving.variants);
}
