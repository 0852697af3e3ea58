import { test } from 'tap';
import { type Comparison, candidateValues, type Wish } from '../../../src/core/flip-values.ts';
import type { Json, Operator } from '../../../src/core/model.ts';

function wish(op: Operator, values?: Comparison['values'], wanted = true): Wish {
  return { comparison: { attribute: 'a', op, ...(values && { values }) }, wanted };
}

/** The first candidate that is right by a rule written here. */
function first(wishes: readonly Wish[], current: Json | undefined, isRight: (value: Json) => boolean): unknown {
  return candidateValues(wishes, current).find((value) => value !== undefined && isRight(value as Json));
}

const isNumber =
  (rule: (value: number) => boolean) =>
  (value: Json): boolean =>
    typeof value === 'number' && rule(value);

test('numbers lie at the edge, on the side of the one that is there', (t) => {
  t.equal(
    first(
      [wish('gte', [18])],
      17,
      isNumber((n) => n >= 18),
    ),
    18,
  );
  t.equal(
    first(
      [wish('gt', [18])],
      17,
      isNumber((n) => n > 18),
    ),
    19,
  );
  t.equal(
    first(
      [wish('gt', [18.5])],
      17,
      isNumber((n) => n > 18.5),
    ),
    19,
  );
  t.equal(
    first(
      [wish('gte', [18], false)],
      40,
      isNumber((n) => n < 18),
    ),
    17,
  );
  t.equal(
    first(
      [wish('gte', [18]), wish('lt', [65])],
      70,
      isNumber((n) => n >= 18 && n < 65),
    ),
    64,
  );
  t.equal(
    first(
      [wish('gt', [18]), wish('lt', [19])],
      undefined,
      isNumber((n) => n > 18 && n < 19),
    ),
    18.5,
  );
  t.equal(
    first(
      [wish('lt', [-0.5])],
      0,
      isNumber((n) => n < -0.5),
    ),
    -1,
  );
  const huge = 2 ** 60;
  t.ok(
    (first(
      [wish('gt', [huge])],
      undefined,
      isNumber((n) => n > huge),
    ) as number) <
      huge * 1.000001,
  );
  t.ok(
    candidateValues([wish('gt', [Number.MAX_VALUE])], undefined).every((value) => value !== Number.POSITIVE_INFINITY),
  );
  t.end();
});

test('times are just past, and valid', (t) => {
  const after = (edge: string): unknown =>
    first([wish('after', [edge])], undefined, (value) => Date.parse(String(value)) > Date.parse(edge));
  t.equal(after('2026-01-01T00:00:00Z'), '2026-01-01T00:00:01Z');
  t.equal(after('2026-01-01T02:00:00.25+02:00'), '2026-01-01T00:00:01.250Z');
  t.ok(candidateValues([wish('after', ['2026-06-30T23:59:60Z'])], undefined).includes('2026-07-01T00:00:00Z'));
  t.ok(
    candidateValues([wish('after', ['9999-12-31T23:59:59.999Z'])], undefined).every(
      (value) => value === undefined || !String(value).startsWith('+'),
    ),
  );
  t.ok(
    candidateValues([wish('after', ['2026-01-01T00:00:00Z']), wish('before', ['2026-01-01T00:00:00.010Z'])], undefined)
      .map(String)
      .some((value) => value > '2026-01-01T00:00:00.000Z' && value < '2026-01-01T00:00:00.010Z'),
  );
  t.end();
});

test('versions are the next ones, however long their numbers', (t) => {
  const around = (version: string): readonly unknown[] => candidateValues([wish('semver_gt', [version])], undefined);
  t.ok(around('1.2.3').includes('1.2.4'));
  t.ok(around('1.2.3').includes('1.2.2'));
  t.ok(around('2.0.0-rc.1').includes('2.0.0'));
  t.ok(around('2.0.0').includes('1.0.0'));
  t.ok(around('1.0.0').includes('1.0.0-0'));
  t.ok(around('1.2.3+build.5').includes('1.2.3'));
  t.ok(around('1.0.99999999999999999999').includes('1.0.100000000000000000000'));
  t.end();
});

test('addresses are in the network and out of it', (t) => {
  const values = candidateValues([wish('in_cidr', ['10.0.0.0/8', '2001:db8::/32'])], undefined);
  t.ok(['10.0.0.0', '2001:db8::', '203.0.113.1'].every((address) => values.includes(address)));
  t.end();
});

test('texts begin, hold and end as is asked, all at once', (t) => {
  const wishes = [wish('starts_with', ['a-']), wish('contains', ['mid']), wish('ends_with', ['-z'])];
  t.equal(
    first(wishes, undefined, (value) => /^a-.*mid.*-z$/.test(String(value))),
    'a-mid-z',
  );
  t.equal(
    first([wish('contains', ['x']), wish('ends_with', ['bob'])], 'bob', (value) => /^.*x.*bob$/.test(String(value))),
    'xbob',
  );
  t.ok(candidateValues([wish('matches', ['^[A-Z]{2}$'])], undefined).includes('AA'));
  t.ok(candidateValues([wish('exists')], undefined).includes(true));
  t.end();
});

test('an array is left as it is but for one element', (t) => {
  const longer = candidateValues([wish('in', ['admin'])], ['guest']);
  t.same(longer[0], ['guest', 'admin']);
  const shorter = candidateValues([wish('in', ['admin'], false)], ['guest', 'admin']);
  t.ok(shorter.some((value) => JSON.stringify(value) === '["guest"]'));
  t.end();
});

test('of ten thousand values a few are tried', (t) => {
  const values = Array.from({ length: 10_000 }, (_, i) => `value-${i}`);
  t.ok(candidateValues([wish('in', values)], undefined).length < 100);
  t.ok(candidateValues([wish('in', values)], Array.from({ length: 16 }, String)).length < 200);
  t.end();
});
