// Rows that no write would have let in: prerequisites and segments that go round in circles or branch without end.
import fc from 'fast-check';
import { test } from 'tap';
import type { CompiledFlag, CompiledSegment, EvaluationScope } from '../../../src/core/compiled.ts';
import { documentLimits } from '../../../src/core/document-limits.ts';
import { evaluate } from '../../../src/core/evaluate.ts';
import { hashUser } from '../../../src/kernel/murmur3.ts';
import { compileDefinition, compileEnvironment } from '../../support/arbitrary-environments.ts';
import type { NaiveSegment } from '../../support/naive-evaluator.ts';
import { create } from './support.ts';

const { prerequisiteDepthMax, prerequisiteEvaluationsMax, segmentDepthMax } = documentLimits;

/** Flags that are on and serve `on` once their prerequisites are met. */
function flagsOf(needs: Readonly<Record<string, readonly string[]>>): ReadonlyMap<string, CompiledFlag> {
  const flags = Object.entries(needs).map(([id, others]) => {
    const flag = compileDefinition(create({ flag_id: id, enabled: true, rollout_percentage: 100 }));
    return [id, { ...flag, prerequisites: others.map((other) => ({ flag_id: other, variant: 'on' })) }] as const;
  });
  return new Map(flags);
}

/** The reason, and how many prerequisites were looked up for it. */
function askCounting(flags: ReadonlyMap<string, CompiledFlag>, id: string): { reason: string; lookups: number } {
  let lookups = 0;
  const get = (other: string) => {
    lookups++;
    return flags.get(other);
  };
  const flag = flags.get(id);
  if (flag === undefined) throw new Error(id);
  const scope: EvaluationScope = { flags: { get }, segments: new Map() };
  return { reason: evaluate(flag, { userId: 'u', attributes: undefined }, scope, hashUser).reason, lookups };
}

test('rows whose prerequisites go round in a circle answer QUARANTINED', (t) => {
  t.match(askCounting(flagsOf({ a: ['a'] }), 'a'), { reason: 'QUARANTINED' }, 'itself');
  t.match(askCounting(flagsOf({ a: ['b'], b: ['a'] }), 'a'), { reason: 'QUARANTINED' }, 'two');
  t.match(askCounting(flagsOf({ a: ['b'], b: ['c'], c: ['b'] }), 'a'), { reason: 'QUARANTINED' }, 'leads to one');
  t.match(askCounting(flagsOf({ a: ['c', 'b'], b: ['a'], c: [] }), 'a'), { reason: 'QUARANTINED' }, 'behind another');
  t.end();
});

test('a flag that is off breaks the circle: what is not evaluated cannot be wrong', (t) => {
  const flags = new Map(flagsOf({ a: ['b'], b: ['a'] }));
  const off = compileDefinition(create({ flag_id: 'b', enabled: false }));
  flags.set('b', { ...off, prerequisites: [{ flag_id: 'a', variant: 'on' }] });
  t.match(askCounting(flags, 'a'), { reason: 'PREREQUISITE_FAILED' });
  t.match(askCounting(flags, 'b'), { reason: 'DISABLED' });
  t.end();
});

test('one answer follows on another: what an endless flag used up is not missing afterwards', (t) => {
  const flags = flagsOf({ a: ['b'], b: ['a'], c: ['d'], d: [] });
  for (let i = 0; i < 3; i++) {
    t.match(askCounting(flags, 'a'), { reason: 'QUARANTINED' });
    t.match(askCounting(flags, 'c'), { reason: 'STATIC' });
  }
  t.end();
});

test(`a chain of ${prerequisiteDepthMax} prerequisites is evaluated, a longer one is not`, (t) => {
  const chain = (length: number) =>
    Object.fromEntries(Array.from({ length: length + 1 }, (_, i) => [`f${i}`, i < length ? [`f${i + 1}`] : []]));
  t.match(askCounting(flagsOf(chain(prerequisiteDepthMax)), 'f0'), {
    reason: 'STATIC',
    lookups: prerequisiteDepthMax,
  });
  t.match(askCounting(flagsOf(chain(prerequisiteDepthMax + 1)), 'f0'), { reason: 'QUARANTINED' });
  t.end();
});

/** `width` flags a layer, each needing all of the next layer: width ** layers paths. */
function layers(depth: number, width: number): Readonly<Record<string, readonly string[]>> {
  const layer = (i: number) => Array.from({ length: width }, (_, j) => `l${i}-${j}`);
  const below = Array.from({ length: depth }, (_, i) =>
    layer(i).map((id) => [id, i + 1 < depth ? layer(i + 1) : []] as const),
  );
  return Object.fromEntries([['top', layer(0)] as const, ...below.flat()]);
}

test('a wide graph without a circle, of more paths than anybody counts, ends after a bounded number of look-ups', (t) => {
  for (const [depth, width] of [
    [10, 30],
    [9, 2],
    [3, 7],
  ] as const) {
    const { reason, lookups } = askCounting(flagsOf(layers(depth, width)), 'top');
    t.equal(reason, 'QUARANTINED', `${depth} layers of ${width}`);
    t.ok(lookups <= prerequisiteEvaluationsMax + 1, `${lookups} look-ups`);
  }
  // 7 + 7 * 7 are within the bound.
  t.match(askCounting(flagsOf(layers(2, 7)), 'top'), { reason: 'STATIC', lookups: 56 });
  t.end();
});

test('any graph of prerequisites ends, QUARANTINED or with an answer of its own', (t) => {
  let quarantined = 0;
  let lookupsMost = 0;
  const runs = 2000;
  fc.assert(
    fc.property(fc.array(fc.array(fc.nat(11), { maxLength: 4 }), { minLength: 12, maxLength: 12 }), (edges) => {
      const needs = Object.fromEntries(edges.map((others, i) => [`f${i}`, [...new Set(others)].map((j) => `f${j}`)]));
      const { reason, lookups } = askCounting(flagsOf(needs), 'f0');
      lookupsMost = Math.max(lookupsMost, lookups);
      const isEndless = reachesCircle(edges, 0);
      if (reason === 'QUARANTINED') quarantined++;
      else if (reason !== 'STATIC' || isEndless) throw new Error(`${reason} of ${JSON.stringify(needs)}`);
      return lookups <= prerequisiteEvaluationsMax + 1;
    }),
    { numRuns: runs, seed: 9 },
  );
  t.ok(quarantined > runs * 0.2 && quarantined < runs * 0.9, `${quarantined} of ${runs} graphs quarantined`);
  t.ok(lookupsMost <= prerequisiteEvaluationsMax + 1, `${lookupsMost} look-ups at most`);
  t.end();
});

function reachesCircle(edges: readonly (readonly number[])[], from: number, above: readonly number[] = []): boolean {
  if (above.includes(from)) return true;
  return (edges[from] ?? []).some((next) => reachesCircle(edges, next, [...above, from]));
}

function segment(id: string, names: readonly string[]): NaiveSegment {
  const when = names.length === 0 ? { all: [] } : { all: names.map((name) => ({ segment: name })) };
  return { segment_id: id, match_by: 'user_id', included: [], excluded: [], when };
}

/** The reason of a flag whose rule asks for segment s0, and how many segments were looked up. */
function askSegments(segments: readonly NaiveSegment[]): { reason: string; lookups: number } {
  const definition = create({
    flag_id: 'f',
    enabled: true,
    rules: [{ rule_id: 'r', when: { segment: 's0' }, serve: { variant: 'on' } }],
  });
  const compiled = compileEnvironment({
    flags: new Map([['f', definition]]),
    segments: new Map(segments.map((each) => [each.segment_id, each])),
  });
  let lookups = 0;
  const get = (id: string): CompiledSegment | undefined => {
    lookups++;
    return compiled.segments.get(id);
  };
  const flag = compiled.flags.get('f') as CompiledFlag;
  const scope: EvaluationScope = { flags: compiled.flags, segments: { get } };
  return { reason: evaluate(flag, { userId: 'u', attributes: undefined }, scope, hashUser).reason, lookups };
}

test(`a chain of ${segmentDepthMax} segments is evaluated; a longer one and a circle are QUARANTINED`, (t) => {
  const chain = (length: number) =>
    Array.from({ length }, (_, i) => segment(`s${i}`, i + 1 < length ? [`s${i + 1}`] : []));
  t.match(askSegments(chain(segmentDepthMax)), { reason: 'RULE_MATCH', lookups: segmentDepthMax });
  t.match(askSegments(chain(segmentDepthMax + 1)), { reason: 'QUARANTINED' });
  t.match(askSegments([segment('s0', ['s0'])]), { reason: 'QUARANTINED' }, 'itself');
  t.match(askSegments([segment('s0', ['s1']), segment('s1', ['s0'])]), { reason: 'QUARANTINED' }, 'two');
  t.match(askSegments([]), { reason: 'QUARANTINED' }, 'a segment that is not there');
  t.end();
});

test('segments that name others by the thousand end after a bounded number of look-ups', (t) => {
  const width = 1000;
  const named = (id: string) => new Array<string>(width).fill(id);
  const wide = [
    segment('s0', named('s1')),
    segment('s1', named('s2')),
    segment('s2', named('s3')),
    segment('s3', named('s4')),
    segment('s4', []),
  ];
  const { reason, lookups } = askSegments(wide);
  t.equal(reason, 'QUARANTINED');
  t.ok(lookups <= documentLimits.conditionEvaluationsMax + 1, `${lookups} look-ups of ${width} ** 4`);
  t.end();
});
