// test/vectors/evaluations.json through the evaluator and through the naive one: the file that every SDK runs.
import { readFileSync } from 'node:fs';
import { test } from 'tap';
import { compileFlag } from '../../../src/core/compile.ts';
import { evaluate } from '../../../src/core/evaluate.ts';
import type { FlagDocument, JsonObject, Reason } from '../../../src/core/model.ts';
import { hashUser } from '../../../src/kernel/murmur3.ts';
import { compileEnvironment } from '../../support/arbitrary-environments.ts';
import { type NaiveAnswer, type NaiveSegment, naiveEvaluate } from '../../support/naive-evaluator.ts';

interface EvaluationVector {
  readonly name: string;
  readonly flags: readonly FlagDocument[];
  readonly segments: readonly {
    readonly document: Pick<NaiveSegment, 'segment_id' | 'match_by' | 'when'>;
    readonly included: readonly string[];
    readonly excluded: readonly string[];
  }[];
  readonly context: { readonly user_id: string; readonly attributes: JsonObject };
  readonly flag_id: string;
  readonly expected: NaiveAnswer;
}

const vectors = JSON.parse(
  readFileSync(new URL('../../vectors/evaluations.json', import.meta.url), 'utf8'),
) as readonly EvaluationVector[];

function segmentsOf({ segments }: EvaluationVector): ReadonlyMap<string, NaiveSegment> {
  return new Map(
    segments.map(({ document, included, excluded }) => [document.segment_id, { ...document, included, excluded }]),
  );
}

test('there are as many vectors as were written, under names of their own, for every reason', (t) => {
  t.ok(vectors.length >= 120, `${vectors.length} vectors`);
  t.equal(new Set(vectors.map(({ name }) => name)).size, vectors.length);
  const reasons: readonly Reason[] = [
    'DISABLED',
    'PREREQUISITE_FAILED',
    'TARGET_MATCH',
    'RULE_MATCH',
    'SPLIT',
    'STATIC',
    'BUCKET_KEY_MISSING',
  ];
  for (const reason of reasons) {
    const count = vectors.filter(({ expected }) => expected.reason === reason).length;
    t.ok(count >= 2, `${count} of ${reason}`);
  }
  t.end();
});

test('the evaluator gives every vector', (t) => {
  for (const vector of vectors) {
    const scope = {
      flags: new Map(
        vector.flags.map((document) => {
          const address = { environment: document.environment, id: document.flag_id };
          return [document.flag_id, compileFlag(JSON.stringify(document), address)] as const;
        }),
      ),
      segments: compileEnvironment({ flags: new Map(), segments: segmentsOf(vector) }).segments,
    };
    const flag = scope.flags.get(vector.flag_id);
    if (flag === undefined) throw new Error(vector.name);
    t.equal(flag.quarantined, undefined, vector.name);
    const context = { userId: vector.context.user_id, attributes: vector.context.attributes };
    const { variant, value, enabled, reason, ruleId } = evaluate(flag, context, scope, hashUser);
    const answer = { variant, value, enabled, reason, ...(ruleId === undefined ? {} : { rule_id: ruleId }) };
    t.same(answer, vector.expected, vector.name);
  }
  t.end();
});

test('the naive evaluator gives every vector', (t) => {
  for (const vector of vectors) {
    const flags = new Map(vector.flags.map((document) => [document.flag_id, document]));
    const flag = flags.get(vector.flag_id);
    if (flag === undefined) throw new Error(vector.name);
    const answer = naiveEvaluate(flag, vector.context, { flags, segments: segmentsOf(vector) });
    t.same(answer, vector.expected, vector.name);
  }
  t.end();
});
