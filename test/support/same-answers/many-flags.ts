// A hundred flags of every kind, segments and contexts, from one seed: what all ways of evaluating must agree about.
import fc from 'fast-check';
import { compileFlag } from '../../../src/core/compile.ts';
import type { CompiledFlag, EvaluationScope } from '../../../src/core/compiled.ts';
import { arbitraryCondition, arbitraryContext, USERS } from '../arbitrary-conditions.ts';
import { compileNaiveSegment, parseCondition } from '../arbitrary-environments.ts';
import { createRandom, type Random } from '../random.ts';
import type { Service } from '../service.ts';

const TYPES = ['boolean', 'boolean', 'string', 'number', 'object'] as const;
const VARIANTS = {
  boolean: { off: false, on: true },
  string: { red: '#f00', blue: '', 'two words': 'ż', __proto__x: 'p', e: '"\\' },
  number: { one: 1, half: 0.5, many: 1e21, none: 0 },
  object: { a: { x: [1, null] }, b: {}, c: { __proto__x: 'y' } },
} as const;
const SEGMENTS = [
  { id: 's0', matchBy: 'user_id', included: ['u0', 'ünï', '😀', 'user-3'], excluded: ['u1'] },
  { id: 's1', matchBy: 'user_id', included: ['u1', '__proto__'], excluded: ['u0', '7'] },
  { id: 's2', matchBy: 'company', included: ['acme', '42'], excluded: ['umbrella'] },
] as const;
const SEGMENT_IDS = SEGMENTS.map(({ id }) => id);
const ALPHABETS = ['abcdefghijklmnopqrstuvwxyz0123456789-', 'żółćąęßñé', '用户标识旗', '😀🏴🦊', 'aż用😀'];

export interface SharedContext {
  readonly userId: string;
  readonly attributes: Record<string, unknown> | undefined;
}

export interface ManyFlags {
  readonly flagIds: readonly string[];
  readonly scope: EvaluationScope & { readonly flags: ReadonlyMap<string, CompiledFlag> };
}

/** Writes them to a service by its API, and compiles the same here from what the API shows. */
export async function writeManyFlags(service: Service, seed: number, count: number): Promise<ManyFlags> {
  const random = createRandom(seed);
  const conditions = fc.sample(arbitraryCondition(SEGMENT_IDS), { seed, numRuns: count * 3 });
  const ask = async (method: string, path: string, json?: unknown): Promise<unknown> => {
    const reply = await service.api(path, { method, json });
    if (reply.status >= 300)
      throw new Error(`${method} ${path}: ${JSON.stringify(reply.body)} ${JSON.stringify(json)}`);
    return reply.body;
  };
  const segments = new Map();
  for (const { id, matchBy, included, excluded } of SEGMENTS) {
    const [when] = fc.sample(arbitraryCondition([...segments.keys()]), { seed: seed + segments.size, numRuns: 1 });
    await ask('POST', '/api/v1/segments', { segment_id: id, match_by: matchBy, when });
    await ask('POST', `/api/v1/segments/${id}/members`, { list: 'included', add: included });
    await ask('POST', `/api/v1/segments/${id}/members`, { list: 'excluded', add: excluded });
    const naive = { segment_id: id, match_by: matchBy, included, excluded, when: parseCondition(when) };
    segments.set(id, compileNaiveSegment(naive));
  }
  const bodies: FlagBody[] = [];
  for (let i = 0; i < count; i++) bodies.push(flagBody(random, bodies, conditions.slice(i * 3, i * 3 + 3)));
  const flags = new Map<string, CompiledFlag>();
  for (const body of bodies) {
    const json = JSON.stringify(await ask('POST', '/api/v1/flags', body));
    const flag = compileFlag(json, { environment: 'prod', id: body.flag_id });
    if (flag.quarantined !== undefined) throw new Error(`${flag.quarantined}: ${json}`);
    flags.set(body.flag_id, flag);
  }
  return { flagIds: [...flags.keys()].sort(), scope: { flags, segments } };
}

interface FlagBody {
  readonly flag_id: string;
  readonly type: (typeof TYPES)[number];
  readonly [field: string]: unknown;
}

/** About half of them are decided by a bucket alone. */
function flagBody(random: Random, earlier: readonly FlagBody[], conditions: readonly object[]): FlagBody {
  const type = random.pick(TYPES);
  const names = Object.keys(VARIANTS[type]);
  const isPlain = random.below(2) === 0;
  const targeting = isPlain
    ? {}
    : {
        bucket_by: random.pick(['user_id', 'user_id', 'company', 'org.id', 'age']),
        prerequisites: prerequisites(random, earlier),
        targets:
          random.below(3) === 0 ? [{ variant: random.pick(names), user_ids: [random.pick(USERS), 'user-5'] }] : [],
        rules: conditions.slice(random.below(4)).map((when, i) => ({
          rule_id: `r${i}`,
          when,
          serve: random.below(2) === 0 ? { variant: random.pick(names) } : rollout(random, type, names),
        })),
      };
  return {
    flag_id: `${random.pick(['feature', 'f', 'Experiment.with-a-longer-name'])}-${earlier.length}`,
    type,
    enabled: random.below(12) > 0,
    ...(type === 'boolean' ? {} : { variants: VARIANTS[type], off_variant: random.pick(names) }),
    ...rollout(random, type, names),
    salt: random.pick([null, null, 'shared', 'ß-😀']),
    ...targeting,
  };
}

function prerequisites(random: Random, earlier: readonly FlagBody[]): object[] {
  if (earlier.length === 0 || random.below(2) === 0) return [];
  const other = random.pick(earlier);
  return [{ flag_id: other.flag_id, variant: random.pick(Object.keys(VARIANTS[other.type])) }];
}

/** Cut anywhere, and now and then all for one. */
function rollout(random: Random, type: FlagBody['type'], names: readonly string[]): object {
  if (type === 'boolean') return { rollout_percentage: random.pick([0, 100, 50, random.below(10_001) / 100]) };
  const cuts = names.slice(1).map(() => random.pick([0, 5000, 10_000, random.below(10_001)]));
  const edges = [0, ...cuts.sort((a, b) => a - b), 10_000];
  return {
    rollout: names.map((variant, i) => ({
      variant,
      percentage: ((edges[i + 1] as number) - (edges[i] as number)) / 100,
    })),
  };
}

/** Every other one has attributes; one in five is a user whom targets and segments name. */
export function manyContexts(seed: number, count: number): readonly SharedContext[] {
  const random = createRandom(seed);
  const attributes = fc
    .sample(arbitraryContext, { seed, numRuns: Math.ceil(count / 2) })
    // As they arrive: what JSON does not carry is not meant.
    .map((context) => JSON.parse(JSON.stringify(context.attributes ?? {})) as Record<string, unknown>);
  return Array.from({ length: count }, (_, i) => ({
    userId: random.below(5) === 0 ? random.pick([...USERS, 'user-3', 'user-5']) : userId(random),
    attributes: i % 2 === 0 ? undefined : attributes[i >> 1],
  }));
}

function userId(random: Random): string {
  const letters = [...random.pick(ALPHABETS)];
  return Array.from({ length: 1 + random.below(40) }, () => random.pick(letters)).join('');
}
