import fc from 'fast-check';
import { test } from 'tap';
import {
  chainProblem,
  circleThrough,
  type Graph,
  needsOf,
  referencesOfFlag,
  referencesOfSegment,
} from '../../../src/core/dependencies.ts';

const graphOf = (edges: Readonly<Record<string, readonly string[]>>): Graph =>
  new Map(
    Object.entries(edges).map(([id, needed]) => [
      id,
      new Map(needed.map((one) => [one, needed.filter((other) => other === one).length])),
    ]),
  );

test('references carry the path of the node that names', (t) => {
  const segment = (id: string): { readonly segment: string } => ({ segment: id });
  const rules = [
    { rule_id: 'a', description: '', when: segment('s1'), serve: { variant: 'on' } },
    {
      rule_id: 'b',
      description: '',
      when: {
        all: [
          { attribute: 'x', op: 'exists' as const },
          { any: [segment('s2'), segment('s1')], negate: true },
        ],
      },
      serve: { variant: 'on' },
    },
  ];
  const references = referencesOfFlag({ prerequisites: [{ flag_id: 'f', variant: 'on' }], rules });
  t.same(references, [
    { kind: 'flag', id: 'f', variant: 'on', path: 'prerequisites[0]' },
    { kind: 'segment', id: 's1', variant: '', path: 'rules[0].when' },
    { kind: 'segment', id: 's2', variant: '', path: 'rules[1].when.all[1].any[0]' },
    { kind: 'segment', id: 's1', variant: '', path: 'rules[1].when.all[1].any[1]' },
  ]);
  t.same(
    [...needsOf(references, 'segment')],
    [
      ['s1', 2],
      ['s2', 1],
    ],
  );
  t.same(referencesOfSegment(null), []);
  t.end();
});

test('the shortest circle is told in order, one elsewhere is not mine', (t) => {
  const graph = graphOf({ a: ['b', 'c'], b: ['d'], c: ['a'], d: ['a'], e: ['f'], f: ['e'], g: ['e'] });
  t.same(circleThrough('a', graph), ['a', 'c', 'a']);
  t.same(circleThrough('b', graph), ['b', 'd', 'a', 'b']);
  t.same(circleThrough('g', graph), undefined);
  t.same(circleThrough('x', graphOf({ x: ['x'] })), ['x', 'x']);
  t.end();
});

test('depth counts the longest chain, evaluations count each way', (t) => {
  const graph = graphOf({ a: ['b', 'c'], b: ['c'], c: ['d', 'd'] });
  const roomy = { depthMax: 100, evaluationsMax: 100 };
  t.same(chainProblem(['a'], graph, { ...roomy, depthMax: 2 }), {
    kind: 'depth',
    id: 'a',
    chain: ['a', 'b', 'c', 'd'],
  });
  t.same(chainProblem(['a'], graph, { ...roomy, depthMax: 3 }), undefined);
  // a: b (1 + c 1 + 2) + c (1 + 2)
  t.same(chainProblem(['d', 'c', 'a'], graph, { ...roomy, evaluationsMax: 6 }), {
    kind: 'evaluations',
    id: 'a',
    evaluations: 7,
  });
  t.same(chainProblem(['a'], graph, { ...roomy, evaluationsMax: 7 }), undefined);
  t.end();
});

test('a chain of any length and any circle is measured without end of stack or time', (t) => {
  const long = new Map(Array.from({ length: 100_000 }, (_, i) => [`n${i}`, new Map([[`n${i + 1}`, 2]])]));
  t.match(chainProblem(['n0'], long, { depthMax: 1e6, evaluationsMax: 1000 }), { evaluations: 1_000_000_000 });
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(8), fc.nat(8)), { maxLength: 40 }), (pairs) => {
      const edges: Record<string, string[]> = {};
      for (const [from, to] of pairs) (edges[String(from)] ??= []).push(String(to));
      const graph = graphOf(edges);
      const problem = chainProblem(graph.keys(), graph, { depthMax: 2, evaluationsMax: 5 });
      const circle = circleThrough('0', graph);
      if (problem?.kind === 'depth' && problem.chain[0] !== problem.id) throw new Error('a chain of another');
      for (const [i, id] of (circle ?? []).slice(1).entries()) {
        if (!graph.get(circle?.[i] ?? '')?.has(id)) throw new Error('a circle with a gap');
      }
    }),
    { numRuns: 500 },
  );
  t.end();
});
