// The tables of test/vectors, which every SDK runs too: what each operator answers, and what is refused when it is
// written.
import { readFileSync } from 'node:fs';
import { test } from 'tap';
import { compileCondition } from '../../../src/core/compile-condition.ts';
import { documentLimits } from '../../../src/core/document-limits.ts';
import { EVALUATION_STEPS_MAX } from '../../../src/core/evaluate.ts';
import { holds } from '../../../src/core/holds.ts';
import type { JsonObject } from '../../../src/core/model.ts';
import { readCondition } from '../../../src/core/parse-condition.ts';
import { startReading } from '../../../src/core/reading.ts';

interface ConditionCase {
  readonly name: string;
  readonly operator: string;
  readonly when: unknown;
  readonly context: { readonly user_id: string; readonly attributes: JsonObject };
  readonly matches: boolean;
}

const SCOPE = { flags: new Map(), segments: new Map() };

function vectors<T>(name: string): readonly T[] {
  return JSON.parse(readFileSync(new URL(`../../vectors/${name}.json`, import.meta.url), 'utf8')) as readonly T[];
}

function read(when: unknown) {
  const reading = startReading('input', undefined, false);
  return { condition: readCondition(reading, when, 'when', 0), issues: reading.issues };
}

test('every operator answers as the vectors say', (t) => {
  const cases = vectors<ConditionCase>('conditions');
  const countByOperator = new Map<string, number>();
  const wrong: string[] = [];
  for (const { name, operator, when, context, matches } of cases) {
    countByOperator.set(operator, (countByOperator.get(operator) ?? 0) + 1);
    const { condition, issues } = read(when);
    if (issues.length > 0) {
      wrong.push(`${operator}: ${name}: refused: ${issues[0]?.path} ${issues[0]?.message}`);
      continue;
    }
    const guard = {
      flagsLeft: 0,
      stepsLeft: EVALUATION_STEPS_MAX,
      broken: false,
      endless: false,
    };
    const found = holds(
      compileCondition(condition),
      { userId: context.user_id, attributes: context.attributes },
      SCOPE,
      guard,
      0,
      undefined,
    );
    if (found !== matches || guard.broken || guard.endless) wrong.push(`${operator}: ${name}: ${found}`);
  }
  t.same(wrong, []);
  t.comment([...countByOperator].map(([operator, count]) => `${operator} ${count}`).join(', '));
  t.ok(cases.length >= 450, `${cases.length} cases`);
  t.end();
});

test('bad conditions are refused where they are bad', (t) => {
  const cases = vectors<{ name: string; when: unknown; path: string }>('refused-conditions');
  for (const { name, when, path } of cases) t.equal(read(when).issues[0]?.path, path, name);
  t.ok(cases.length >= 100, `${cases.length} cases`);
  t.end();
});

test('bad patterns are refused, in words that quote no more than their beginning, whatever the case', (t) => {
  const cases = vectors<{ name: string; pattern: string }>('bad-patterns');
  const allowedMs = 100;
  for (const { name, pattern } of cases) {
    for (const ignoreCase of [false, true]) {
      const cpuBefore = process.cpuUsage();
      const { issues } = read({ attribute: 'a', op: 'matches', values: [pattern], ignore_case: ignoreCase });
      const cpuMs = process.cpuUsage(cpuBefore).user / 1000;
      t.equal(issues.length, 1, name);
      t.equal(issues[0]?.path, 'when.values[0]', name);
      t.ok((issues[0]?.message.length ?? 0) < 400, name);
      // Measured at 10 ms at most on a quiet machine; this catches what grows without a bound.
      t.ok(cpuMs < allowedMs, `${name}: ${cpuMs} ms`);
    }
  }
  t.ok(cases.length >= 100, `${cases.length} patterns`);
  t.end();
});

test('the patterns of a condition share one bound on the work to compile them', (t) => {
  const pattern = (i: number) => `^${String.fromCodePoint(0x61 + (i % 26))}.{1,200}$`;
  const values = Array.from({ length: documentLimits.searchPassesMax }, (_, i) => pattern(i));
  const { issues } = read({ attribute: 'a', op: 'matches', values });
  t.match(issues[0]?.message, /too (large|complex)/);
  t.same(read({ attribute: 'a', op: 'matches', values: values.slice(0, 2) }).issues, []);
  t.end();
});
