// Which flags may answer differently after a change: at least all that do, and in plain cases no more.
import fc from 'fast-check';
import { test } from 'tap';
import type { CompiledFlag, CompiledSegment } from '../../../src/core/compiled.ts';
import { evaluate } from '../../../src/core/evaluate.ts';
import { hashUser } from '../../../src/kernel/murmur3.ts';
import { changedFlags } from '../../../src/worker/changed-flags.ts';
import type { ServingEnvironment } from '../../../src/worker/serving.ts';
import { arbitraryContext } from '../../support/arbitrary-conditions.ts';
import { arbitraryEnvironment } from '../../support/arbitrary-environments.ts';
import { makeFlag, makeSegment, makeSnapshot } from '../../support/serving.ts';
import { servingEnvironment } from '../../support/serving-environments.ts';
import { finish } from '../../support/steps.ts';

function prod(flags: readonly CompiledFlag[], segments: readonly CompiledSegment[] = []): ServingEnvironment {
  return makeSnapshot(1, flags, [], segments).environments.get('prod') as ServingEnvironment;
}

const changed = (old: ServingEnvironment, now: ServingEnvironment) => finish(changedFlags(old, now));

const inSegment = (flagId: string, segmentId: string) =>
  makeFlag({
    flag_id: flagId,
    enabled: true,
    rules: [{ rule_id: 'r', when: { any: [{ segment: segmentId, negate: true }] }, serve: { variant: 'on' } }],
  });
const needing = (flagId: string, neededId: string) =>
  makeFlag({ flag_id: flagId, enabled: true, prerequisites: [{ flag_id: neededId, variant: 'on' }] });

test('the same documents compiled again are no change', (t) => {
  const make = () => prod([makeFlag({ flag_id: 'a' }), inSegment('b', 's')], [makeSegment({ segmentId: 's' })]);
  t.same(changed(make(), make()), []);
  t.end();
});

test('added, removed and changed flags, in order', (t) => {
  const kept = makeFlag({ flag_id: 'kept' });
  const old = prod([makeFlag({ flag_id: 'z' }), kept, makeFlag({ flag_id: 'old' })]);
  const now = prod([makeFlag({ flag_id: 'z' }, 'prod', 2), kept, makeFlag({ flag_id: 'new' })]);
  t.same(changed(old, now), ['new', 'old', 'z']);
  t.end();
});

test('what needs a changed flag, at any distance, also one that comes or goes', (t) => {
  const rest = [needing('b', 'a'), needing('c', 'b'), makeFlag({ flag_id: 'd' })];
  const old = prod([makeFlag({ flag_id: 'a' }), ...rest]);
  t.same(changed(old, prod([makeFlag({ flag_id: 'a', enabled: true }), ...rest])), ['a', 'b', 'c']);
  t.same(changed(old, prod(rest)), ['a', 'b', 'c']);
  t.same(changed(prod(rest), old), ['a', 'b', 'c']);
  t.end();
});

test('what asks a changed segment, through other segments and prerequisites', (t) => {
  const inner = makeSegment({ segmentId: 'inner' });
  const outer = { ...makeSegment({ segmentId: 'outer' }), when: inSegment('x', 'inner').rules?.[0]?.when };
  const flags = [inSegment('a', 'outer'), needing('b', 'a'), inSegment('c', 'other')];
  const old = prod(flags, [inner, outer]);
  const now = prod(flags, [makeSegment({ segmentId: 'inner', included: ['u'], version: 2 }), outer]);
  t.same(changed(old, now), ['a', 'b']);
  t.same(changed(old, prod(flags, [outer])), ['a', 'b'], 'one that is gone');
  t.same(changed(old, prod(flags, [{ ...inner, quarantined: 'lost' }, outer])), ['a', 'b'], 'one that is broken');
  t.same(changed(old, prod(flags, [inner, outer, makeSegment({ segmentId: 'other' })])), ['c'], 'one that comes');
  t.end();
});

test('circles, which only bad rows can make, come to an end', (t) => {
  const rest = [needing('a', 'b'), needing('b', 'c'), needing('c', 'a')];
  const old = prod([...rest, makeFlag({ flag_id: 'd' })]);
  t.same(changed(old, prod([needing('a', 'd'), ...rest.slice(1), makeFlag({ flag_id: 'd' })])), ['a', 'b', 'c']);
  t.end();
});

test('all that ask for a pair get the same result, whoever moves it on', (t) => {
  const flags = Array.from({ length: 5000 }, (_, i) => makeFlag({ flag_id: `f${i}` }));
  const old = prod(flags);
  const now = prod(flags.slice(1));
  const first = changedFlags(old, now);
  const second = changedFlags(old, now);
  t.equal(first.next().done, false, 'it takes several steps');
  const ids = finish(second);
  t.same(ids, ['f0']);
  t.equal(first.next().value, ids);
  t.end();
});

test('every flag that answers differently is among them', (t) => {
  fc.assert(
    fc.property(
      arbitraryEnvironment,
      arbitraryEnvironment,
      fc.array(arbitraryContext, { minLength: 3, maxLength: 3 }),
      (a, b, contexts) => {
        const old = servingEnvironment(a);
        // Half of the flags and segments stay what they were.
        const now = servingEnvironment({
          flags: new Map([...b.flags, ...[...a.flags].filter((_, i) => i % 2 === 0)]),
          segments: new Map([...b.segments, ...[...a.segments].slice(0, 1)]),
        });
        const ids = new Set(changed(old, now));
        for (const { user_id: userId, attributes } of contexts) {
          for (const flagId of new Set([...old.flags.keys(), ...now.flags.keys()])) {
            const [before, after] = [old, now].map((environment) => {
              const flag = environment.flags.get(flagId);
              return flag === undefined ? '' : evaluate(flag, { userId, attributes }, environment, hashUser).batchJson;
            });
            if (before !== after && !ids.has(flagId)) throw new Error(`${flagId}: ${before} -> ${after}`);
          }
        }
      },
    ),
    { seed: 5, numRuns: 150 },
  );
  t.end();
});
