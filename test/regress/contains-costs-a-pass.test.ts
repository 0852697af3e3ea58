// `contains` is searched by tables, character by character, and was counted as if the engine had searched: forty times
// too little, so that a flag of 32 of them and a text of 64 KiB were explained for much longer than the budget says.
import { test } from 'tap';
import { compileCondition } from '../../src/core/compile-condition.ts';
import { explainLimits, visitCost } from '../../src/core/explain-work.ts';

const CONTEXT = { userId: 'u', attributes: { text: 'x'.repeat(60_000) } };

function cost(op: 'contains' | 'matches' | 'starts_with' | 'equals', values: readonly string[]): number {
  return visitCost(compileCondition({ attribute: 'text', op, values }), CONTEXT);
}

test('one value of contains costs as much as one pattern: a pass over the text', (t) => {
  t.equal(cost('contains', ['needle']), cost('matches', ['needle']));
  t.ok(
    32 * cost('contains', ['needle']) > explainLimits.explainWorkUnitsMax,
    'as many as a flag may have are too many',
  );
  t.end();
});

test('values of contains that share a table share its pass, and patterns have one each', (t) => {
  t.equal(cost('contains', ['needle', 'pin', 'thread']), cost('contains', ['needle']));
  t.ok(cost('matches', ['needle', 'pin', 'thread']) > 2.9 * cost('matches', ['needle']));
  t.end();
});

test('ten thousand beginnings cost little more than one, as they are found by halving', (t) => {
  const many = Array.from({ length: 10_000 }, (_, i) => `beginning-${i}`);
  t.ok(cost('starts_with', many) >= cost('starts_with', ['beginning']));
  t.ok(cost('starts_with', many) < 20 * cost('starts_with', ['beginning']));
  t.end();
});
