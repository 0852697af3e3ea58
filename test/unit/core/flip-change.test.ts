import { test } from 'tap';
import { applyChanges, type Change, canBeTold, changeAttribute, tellFlip } from '../../../src/core/flip-change.ts';
import type { JsonObject } from '../../../src/core/model.ts';
import { alone, compiled } from './support.ts';

test('an attribute is set where conditions find it', (t) => {
  const cases: readonly [JsonObject | undefined, string, JsonObject][] = [
    [undefined, 'age', { age: 1 }],
    [{ age: 2, x: 3 }, 'age', { x: 3, age: 1 }],
    [{}, 'a.b', { a: { b: 1 } }],
    [{ a: { c: 2 } }, 'a.b', { a: { c: 2, b: 1 } }],
    [{ a: null }, 'a.b', { a: { b: 1 } }],
    [{ a: 'text' }, 'a.b', { a: 'text', 'a.b': 1 }],
    [{ a: [1] }, 'a.b', { a: [1], 'a.b': 1 }],
    [{ 'a.b': 2, a: { b: 3 } }, 'a.b', { a: { b: 3 }, 'a.b': 1 }],
    [{}, 'user_id.x', { 'user_id.x': 1 }],
    [{}, '__proto__', JSON.parse('{"__proto__":1}') as JsonObject],
    [{}, 'a.__proto__', JSON.parse('{"a":{"__proto__":1}}') as JsonObject],
  ];
  for (const [before, name, after] of cases) {
    const kept = JSON.stringify(before);
    t.equal(JSON.stringify(changeAttribute(before, name, 1)), JSON.stringify(after), `${kept} ${name}`);
    t.equal(JSON.stringify(before), kept, 'the one before is left alone');
  }
  t.end();
});

test('an attribute is taken away wherever it stands', (t) => {
  const cases: readonly [JsonObject | undefined, string, JsonObject][] = [
    [undefined, 'age', {}],
    [{ age: 2, x: 3 }, 'age', { x: 3 }],
    [{ 'a.b': 1, a: { b: 2, c: 3 } }, 'a.b', { a: { c: 3 } }],
    [{ a: 'text' }, 'a.b', { a: 'text' }],
    [{ a: {} }, 'a.b.c', { a: {} }],
  ];
  for (const [before, name, after] of cases)
    t.equal(JSON.stringify(changeAttribute(before, name, undefined)), JSON.stringify(after), name);
  t.end();
});

test('a list is changed without being copied, and still has all its ids', (t) => {
  const flag = compiled({ flag_id: 'f' });
  const ids = ['ann', 'bob'];
  const segment = {
    segmentId: 's',
    environment: 'prod',
    version: 1,
    revision: 1,
    json: '{}',
    quarantined: undefined,
    matchBy: undefined,
    matchPath: undefined,
    included: { count: 2, has: (id: string) => ids.includes(id), ids: () => ids },
    excluded: undefined,
    when: undefined,
  };
  const scope = { flags: alone.flags, segments: new Map([['s', segment]]) };
  const edit = (action: 'add' | 'remove', id: string, list: 'included' | 'excluded' = 'included'): unknown => {
    const change: Change = { kind: 'segment', segmentId: 's', list, action, id };
    const after = applyChanges({ flag, context: { userId: 'ann', attributes: undefined }, scope }, [change]);
    const set = after.scope.segments.get('s')?.[list];
    return [set?.count, set?.has('ann'), set?.has('eve'), [...(set?.ids() ?? [])]];
  };
  t.same(edit('add', 'eve'), [3, true, true, ['ann', 'bob', 'eve']]);
  t.same(edit('remove', 'ann'), [1, false, false, ['bob']]);
  t.same(edit('add', 'ann', 'excluded'), [1, true, false, ['ann']]);
  t.equal(segment.included.has('ann'), true);
  t.end();
});

test('changes of two flags, two percentages or two segments are no one flip', (t) => {
  const percentage = (flagId: string, ruleId?: string): Change => ({
    kind: 'percentage',
    flagId,
    ruleId,
    percentage: 1,
  });
  const list = (segmentId: string): Change => ({
    kind: 'segment',
    segmentId,
    list: 'included',
    action: 'add',
    id: 'u',
  });
  t.equal(canBeTold([percentage('a'), { kind: 'enabled', flagId: 'a', enabled: true }, list('s')]), true);
  t.equal(canBeTold([percentage('a'), { kind: 'enabled', flagId: 'b', enabled: true }]), false);
  t.equal(canBeTold([percentage('a'), percentage('a', 'r')]), false);
  t.equal(canBeTold([list('s'), list('r')]), false);
  t.end();
});

test('a flip says what it changes and nothing else', (t) => {
  const { disabled } = compiled({ flag_id: 'a' });
  const gives = { variant: 'off', reason: 'DISABLED' };
  t.same(tellFlip([{ kind: 'enabled', flagId: 'a', enabled: true }], 'a', disabled), { enabled: true, gives });
  t.same(
    tellFlip(
      [
        { kind: 'percentage', flagId: 'b', ruleId: 'r', percentage: 3.12 },
        { kind: 'attribute', name: 'x', value: 1 },
        { kind: 'attribute', name: 'y', value: undefined },
      ],
      'a',
      disabled,
    ),
    { flag_id: 'b', rollout_percentage: 3.12, rule_id: 'r', attributes: { set: { x: 1 }, remove: ['y'] }, gives },
  );
  t.end();
});
