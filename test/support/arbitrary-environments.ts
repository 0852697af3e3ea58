// Whole environments for properties: documents that go through the parser and the compiler as those of a client do.
import fc from 'fast-check';
import { compileFlag } from '../../src/core/compile.ts';
import { compileCondition } from '../../src/core/compile-condition.ts';
import type { CompiledFlag, CompiledSegment, EvaluationScope, IdSet } from '../../src/core/compiled.ts';
import { renderDocument } from '../../src/core/document.ts';
import { replaceFlag } from '../../src/core/edit.ts';
import type { ConditionNode, FlagDefinition, FlagType, Json, JsonObject } from '../../src/core/model.ts';
import { createFlag } from '../../src/core/parse.ts';
import { readCondition } from '../../src/core/parse-condition.ts';
import { startReading } from '../../src/core/reading.ts';
import { arbitraryCondition, USERS } from './arbitrary-conditions.ts';
import type { NaiveEnvironment, NaiveSegment } from './naive-evaluator.ts';

const VARIANTS: Readonly<Record<FlagType, JsonObject>> = {
  boolean: { on: true, off: false },
  string: Object.fromEntries([
    ['red', '#f00'],
    ['blue', ''],
    ['__proto__', 'p'],
    ['two words', 'ż'],
  ]),
  number: { one: 1, half: 0.5, none: -0 },
  object: { a: { x: [1, null] }, b: {}, c: { __proto__x: 'y' } },
};

const TYPES = ['boolean', 'boolean', 'string', 'number', 'object'] as const;

/** Edges between the variants of a split, cut at random or where mistakes show. */
const arbitraryCuts = fc.oneof(
  fc.constantFrom<readonly number[]>(
    [0, 10_000, 10_000],
    [5000, 10_000, 10_000],
    [1, 10_000, 10_000],
    [3333, 6666, 10_000],
    [0, 0, 10_000],
  ),
  fc
    .array(fc.integer({ min: 0, max: 10_000 }), { minLength: 3, maxLength: 3 })
    .map((cuts) => cuts.toSorted((a, b) => a - b)),
);

const arbitraryServe = fc.record({
  kind: fc.constantFrom('variant', 'split', 'split'),
  pick: fc.nat(),
  cuts: arbitraryCuts,
});

type ServeDraft = { readonly kind: string; readonly pick: number; readonly cuts: readonly number[] };

const arbitraryFlag = (segments: readonly string[]) =>
  fc.record({
    type: fc.constantFrom(...TYPES),
    enabled: fc.integer({ min: 0, max: 15 }).map((n) => n > 0),
    off: fc.nat(),
    rollout: arbitraryServe,
    /** Weights before these, so that ranges are not all laid out afresh. */
    history: fc.array(arbitraryCuts, { maxLength: 2 }),
    bucketBy: fc.constantFrom('user_id', 'user_id', 'user_id', 'company', 'org.id', 'age'),
    salt: fc.constantFrom(null, null, 'shared', 'ß-😀'),
    prerequisites: fc.array(fc.record({ back: fc.integer({ min: 1, max: 6 }), pick: fc.nat() }), { maxLength: 2 }),
    targets: fc.array(
      fc.record({ pick: fc.nat(), users: fc.uniqueArray(fc.constantFrom(...USERS), { maxLength: 1 }) }),
      { maxLength: 1 },
    ),
    rules: fc.array(fc.record({ when: arbitraryCondition(segments), serve: arbitraryServe }), { maxLength: 3 }),
  });

const arbitrarySegment = (known: readonly string[]) =>
  fc.record({
    matchBy: fc.constantFrom('user_id', 'user_id', 'company', 'country', 'org.id'),
    included: fc.uniqueArray(fc.constantFrom(...USERS, 'acme', 'PL', '42'), { maxLength: 5 }),
    excluded: fc.uniqueArray(fc.constantFrom(...USERS, 'umbrella', 'CZ'), { maxLength: 3 }),
    when: fc.option(arbitraryCondition(known), { freq: 2 }),
  });

const SEGMENT_IDS = ['s0', 's1', 's2'] as const;

/**
 * 1 to 6 flags whose prerequisites point backwards, and 3 segments whose conditions do, the last of them missing from
 * some environments as after a row was lost.
 */
export const arbitraryEnvironment: fc.Arbitrary<NaiveEnvironment> = fc
  .record({
    flags: fc.array(arbitraryFlag(SEGMENT_IDS), { minLength: 1, maxLength: 6 }),
    segments: fc.tuple(arbitrarySegment([]), arbitrarySegment(['s0']), arbitrarySegment(['s0', 's1'])),
    isLastMissing: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
  })
  .map(({ flags, segments, isLastMissing }) => {
    const definitions: FlagDefinition[] = [];
    for (const draft of flags) definitions.push(defineFlag(draft, definitions));
    const kept = isLastMissing ? segments.slice(0, -1) : segments;
    return {
      flags: new Map(definitions.map((definition) => [definition.flag_id, definition])),
      segments: new Map(
        kept.map(({ matchBy, included, excluded, when }, i) => {
          const id = SEGMENT_IDS[i] as string;
          const condition = when === null ? null : parseCondition(when);
          return [id, { segment_id: id, match_by: matchBy, included, excluded, when: condition }];
        }),
      ),
    };
  });

type FlagDraft = ReturnType<typeof arbitraryFlag> extends fc.Arbitrary<infer T> ? T : never;

function defineFlag(draft: FlagDraft, earlier: readonly FlagDefinition[]): FlagDefinition {
  const { type } = draft;
  const names = Object.keys(VARIANTS[type]);
  const nameAt = (pick: number) => names[pick % names.length] as string;
  const prerequisites = new Map<string, string>();
  for (const { back, pick } of draft.prerequisites) {
    const other = earlier.at(-back);
    if (other === undefined) continue;
    const choices = Object.keys(other.variants ?? VARIANTS.boolean);
    prerequisites.set(other.flag_id, choices[pick % choices.length] as string);
  }
  const body = {
    enabled: draft.enabled,
    type,
    ...(type === 'boolean' ? {} : { variants: VARIANTS[type], off_variant: nameAt(draft.off) }),
    bucket_by: draft.bucketBy,
    salt: draft.salt,
    prerequisites: [...prerequisites].map(([id, variant]) => ({ flag_id: id, variant })),
    targets: draft.targets.map(({ pick, users }) => ({ variant: nameAt(pick), user_ids: users })),
    rules: draft.rules.map(({ when, serve }, i) => ({ rule_id: `r${i}`, when, serve: serveOf(type, names, serve) })),
  };
  const id = `flag-${earlier.length}`;
  const weights = [...draft.history, draft.rollout.kind === 'variant' ? [10_000, 10_000, 10_000] : draft.rollout.cuts];
  const [first, ...later] = weights.map((cuts) => ({ ...body, ...rolloutOf(type, names, cuts) }));
  let definition = unwrap(createFlag({ flag_id: id, ...first }, 'prod'));
  for (const next of later) {
    const replaced = replaceFlag(definition, next);
    // More ranges than a split may have: it stays as it is.
    if (replaced.ok) definition = replaced.value;
    else if (replaced.code !== 'ALLOCATION_FRAGMENTED') unwrap(replaced);
  }
  return definition;
}

function serveOf(type: FlagType, names: readonly string[], draft: ServeDraft): Json {
  if (draft.kind === 'variant') return { variant: names[draft.pick % names.length] as string };
  return rolloutOf(type, names, draft.cuts);
}

function rolloutOf(type: FlagType, names: readonly string[], cuts: readonly number[]): JsonObject {
  if (type === 'boolean') return { rollout_percentage: (cuts[0] as number) / 100 };
  const edges = [0, ...cuts.slice(0, 2), 10_000];
  return {
    rollout: [0, 1, 2].slice(0, names.length).map((i) => ({
      variant: names[i] as string,
      percentage: ((edges[i + 1] as number) - (edges[i] as number)) / 100,
    })),
  };
}

/** An environment as an evaluation has it. */
export interface CompiledEnvironment extends EvaluationScope {
  readonly flags: ReadonlyMap<string, CompiledFlag>;
}

export function compileEnvironment({ flags, segments }: NaiveEnvironment): CompiledEnvironment {
  return {
    flags: new Map([...flags].map(([id, definition]) => [id, compileDefinition(definition)])),
    segments: new Map([...segments].map(([id, segment]) => [id, compileNaiveSegment(segment)])),
  };
}

export function compileDefinition(definition: FlagDefinition): CompiledFlag {
  const at = '2026-01-05T09:00:00.000Z';
  const stored = { version: 1, revision: 1, created_at: at, updated_at: at, updated_by: 'key_test' };
  const flag = compileFlag(renderDocument({ ...definition, ...stored }), {
    environment: definition.environment,
    id: definition.flag_id,
  });
  if (flag.quarantined !== undefined) throw new Error(`${flag.quarantined}: ${JSON.stringify(definition)}`);
  return flag;
}

export function parseCondition(raw: unknown): ConditionNode {
  const reading = startReading('input', undefined, false);
  const condition = readCondition(reading, raw, 'when', 0);
  if (reading.issues.length > 0) throw new Error(JSON.stringify(reading.issues));
  return condition;
}

/** A segment as it is served. */
export function compileNaiveSegment(segment: NaiveSegment): CompiledSegment {
  return {
    segmentId: segment.segment_id,
    environment: 'prod',
    version: 1,
    revision: 1,
    json: JSON.stringify(segment),
    quarantined: undefined,
    matchBy: segment.match_by === 'user_id' ? undefined : segment.match_by,
    matchPath: segment.match_by.includes('.') ? segment.match_by.split('.') : undefined,
    included: idSet(segment.included),
    excluded: idSet(segment.excluded),
    when: segment.when === null ? undefined : compileCondition(segment.when),
  };
}

function idSet(ids: readonly string[]): IdSet | undefined {
  const set = new Set(ids);
  return set.size === 0 ? undefined : { count: set.size, has: (id) => set.has(id), ids: () => set };
}

function unwrap<T>(result: { readonly ok: true; readonly value: T } | { readonly ok: false }): T {
  if (!result.ok) throw new Error(JSON.stringify(result));
  return result.value;
}
