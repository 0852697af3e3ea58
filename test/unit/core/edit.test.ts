import fc from 'fast-check';
import { test } from 'tap';
import { patchFlag, replaceFlag, sameDefinition } from '../../../src/core/edit.ts';
import type { AllocationRange, FlagDefinition } from '../../../src/core/model.ts';
import { create, refusal, stored, unwrap } from './support.ts';

const BOOLEAN = create({
  flag_id: 'f',
  description: 'd',
  tags: ['t'],
  owner: 'o',
  kind: 'ops',
  enabled: true,
  rollout_percentage: 25,
});
const COLOR = create({
  flag_id: 'c',
  type: 'string',
  enabled: true,
  variants: { red: '#f00', blue: '#00f' },
  off_variant: 'red',
  rollout: [
    { variant: 'red', percentage: 50 },
    { variant: 'blue', percentage: 50 },
  ],
});

const put = (current: FlagDefinition, body: unknown) => refusal(replaceFlag(current, body));
const patch = (current: FlagDefinition, body: unknown) => refusal(patchFlag(current, body));

test('a PUT needs enabled and the rollout, and keeps what describes the flag', (t) => {
  t.same(unwrap(replaceFlag(BOOLEAN, { enabled: false, rollout_percentage: 30 })), {
    ...BOOLEAN,
    enabled: false,
    rollout_percentage: 30,
  });
  t.same(put(BOOLEAN, {}), [
    'INVALID_REQUEST enabled: is required in a PUT',
    'INVALID_REQUEST rollout_percentage: is required in a PUT',
  ]);
  t.match(put(COLOR, { enabled: true }), [
    /rollout: is required in a PUT/,
    /variants: is required for a flag of type string/,
    /off_variant: is required/,
  ]);
  t.same(
    unwrap(
      replaceFlag(BOOLEAN, {
        enabled: true,
        rollout_percentage: 25,
        description: '',
        tags: [],
        owner: '',
        kind: 'release',
      }),
    ),
    create({ flag_id: 'f', enabled: true, rollout_percentage: 25 }),
  );
  t.end();
});

test('a PUT of the document that was read changes nothing', (t) => {
  for (const current of [BOOLEAN, COLOR]) {
    const next = unwrap(replaceFlag(stored(current), JSON.parse(JSON.stringify(stored(current)))));
    t.ok(sameDefinition(stored(current), next));
    t.same(next, current, 'and holds nothing that the store adds');
  }
  t.end();
});

test('a PUT is refused by the names of what it would drop, unless that is sent', (t) => {
  const rich = create({ flag_id: 'f', bucket_by: 'company', salt: 's', targets: [{ variant: 'on', user_ids: ['u'] }] });
  const body = { enabled: true, rollout_percentage: 1 };
  t.match(put(rich, body), [
    /^INVALID_REQUEST bucket_by: would be dropped; .*"user_id" is without/,
    /salt: would be dropped; .*null is/,
    /targets: would be dropped; .*\[\] is/,
  ]);
  t.same(
    unwrap(replaceFlag(rich, { ...body, bucket_by: 'user_id', salt: null, targets: [] })),
    create({ flag_id: 'f', ...body }),
  );
  const float = create({ flag_id: 'n', type: 'number', format: 'float', variants: { a: 1 }, off_variant: 'a' });
  const same = { enabled: true, variants: { a: 1 }, off_variant: 'a', rollout: [{ variant: 'a', percentage: 100 }] };
  t.match(put(float, same), [/format: would change from float to integer/]);
  t.equal(unwrap(replaceFlag(float, { ...same, format: 'integer' })).format, 'integer');
  t.equal(unwrap(replaceFlag(float, { ...same, format: 'float' })).format, 'float');
  t.end();
});

test('the type never changes', (t) => {
  const conflict = ['TYPE_CONFLICT type: is boolean and never changes; a flag of another type is another flag'];
  t.same(
    put(BOOLEAN, { enabled: true, type: 'string', variants: { a: 'A' }, off_variant: 'a', rollout: [] }),
    conflict,
  );
  t.same(patch(BOOLEAN, { type: 'string' }), conflict);
  t.match(patch(COLOR, { type: null }), [/^TYPE_CONFLICT/], 'null is the default, boolean');
  t.same(unwrap(patchFlag(BOOLEAN, { type: null })), BOOLEAN);
  t.match(patch(BOOLEAN, { type: 'text' }), [/^INVALID_REQUEST type: must be one of/]);
  t.match(patch(BOOLEAN, { type: 'string', nonsense: 1 }), [/^INVALID_REQUEST nonsense: is not a known field/]);
  t.end();
});

test('flag_id and environment must equal the address', (t) => {
  t.match(put(BOOLEAN, { flag_id: 'g', enabled: true, rollout_percentage: 0 }), [
    /flag_id: must equal the address: "f", not "g"/,
  ]);
  t.match(patch(BOOLEAN, { environment: 'dev' }), [/environment: must equal the address/]);
  t.match(patch(BOOLEAN, { flag_id: null }), [/flag_id: has no default/]);
  t.same(unwrap(patchFlag(BOOLEAN, { flag_id: 'f', environment: 'prod' })), BOOLEAN);
  t.end();
});

test('a PATCH changes what it names and leaves the rest', (t) => {
  t.same(unwrap(patchFlag(BOOLEAN, { rollout_percentage: 50 })), { ...BOOLEAN, rollout_percentage: 50 });
  t.same(unwrap(patchFlag(BOOLEAN, { enabled: false })), { ...BOOLEAN, enabled: false });
  t.same(unwrap(patchFlag(BOOLEAN, { tags: ['x', 'y'] })).tags, ['x', 'y'], 'arrays are replaced whole');
  t.same(unwrap(patchFlag(COLOR, { variants: { green: '#0f0', red: '#e00' } })).variants, {
    red: '#e00',
    blue: '#00f',
    green: '#0f0',
  });
  t.end();
});

test('null in a PATCH puts a field back to its default, where it has one', (t) => {
  t.same(
    unwrap(
      patchFlag(BOOLEAN, {
        description: null,
        tags: null,
        owner: null,
        kind: null,
        salt: null,
        bucket_by: null,
        targets: null,
        rules: null,
      }),
    ),
    create({ flag_id: 'f', enabled: true, rollout_percentage: 25 }),
  );
  t.match(patch(BOOLEAN, { enabled: null }), [/enabled: has no default/]);
  t.match(patch(BOOLEAN, { rollout_percentage: null }), [/rollout_percentage: has no default/]);
  t.match(patch(COLOR, { rollout: null }), [/rollout: has no default/]);
  t.match(patch(COLOR, { variants: null }), [/variants: is required/]);
  t.match(patch(COLOR, { off_variant: null }), [/off_variant: is required/]);
  t.match(patch(COLOR, { variants: { blue: null } }), [/rollout\[1\]\.variant: "blue" is not a variant/]);
  t.same(
    unwrap(patchFlag(COLOR, { variants: { blue: null }, rollout: [{ variant: 'red', percentage: 100 }] })).variants,
    { red: '#f00' },
  );
  t.end();
});

test('a PATCH of nothing, of what is there already, or of read-only fields changes nothing', (t) => {
  for (const body of [
    {},
    { rollout_percentage: 25 },
    { version: 99, updated_by: 'me', allocation: [], revision: null },
    { tags: ['t'], kind: 'ops' },
  ]) {
    t.ok(sameDefinition(BOOLEAN, unwrap(patchFlag(stored(BOOLEAN), body))), JSON.stringify(body));
  }
  t.notOk(sameDefinition(BOOLEAN, unwrap(patchFlag(BOOLEAN, { tags: ['t', 'u'] }))));
  t.end();
});

test('fields of the other kind of flag are refused in a PATCH too', (t) => {
  t.match(patch(BOOLEAN, { variants: { a: 1 } }), [/variants: is not for boolean flags/]);
  t.match(patch(COLOR, { rollout_percentage: 10 }), [/rollout_percentage: is for boolean flags/]);
  t.match(patch(BOOLEAN, []), [/must be a JSON object, not an array/]);
  t.match(patch(BOOLEAN, null), [/must be a JSON object, not null/]);
  t.end();
});

test('a PATCH with names of prototypes merges them as names', (t) => {
  const next = unwrap(patchFlag(COLOR, JSON.parse('{"variants": {"__proto__": "P", "constructor": "C"}}')));
  t.same(Object.keys(next.variants ?? {}), ['red', 'blue', '__proto__', 'constructor']);
  t.equal(Object.getPrototypeOf(next.variants), Object.prototype);
  t.match(patch(COLOR, JSON.parse('{"__proto__": {"enabled": false}}')), [/__proto__: is not a known field/]);
  const back = unwrap(patchFlag(next, JSON.parse('{"variants": {"__proto__": null, "constructor": null}}')));
  t.ok(sameDefinition(back, COLOR));
  t.end();
});

test('a merge patch goes into object values, as RFC 7396 has it', (t) => {
  const flag = create({ flag_id: 'o', type: 'object', variants: { a: { x: 1, y: { z: 2 } } }, off_variant: 'a' });
  t.same(unwrap(patchFlag(flag, { variants: { a: { x: null, y: { w: [3] } } } })).variants, {
    a: { y: { z: 2, w: [3] } },
  });
  t.end();
});

test('the format follows the first fraction, and stays float afterwards', (t) => {
  const flag = create({ flag_id: 'n', type: 'number', variants: { a: 1, b: 2 }, off_variant: 'a' });
  const float = unwrap(patchFlag(flag, { variants: { b: 2.5 } }));
  t.equal(float.format, 'float');
  t.equal(unwrap(patchFlag(float, { variants: { b: 2 } })).format, 'float');
  t.equal(unwrap(patchFlag(float, { variants: { b: 2 }, format: null })).format, 'integer');
  t.match(patch(flag, { variants: { b: 2.5 }, format: 'integer' }), [/variants\.b: must be an integer/]);
  t.end();
});

test('a change of weights moves as few buckets as it can, a reordering none, and reallocate lays out afresh', (t) => {
  const shares = (...entries: readonly (readonly [string, number])[]) => ({
    rollout: entries.map(([variant, percentage]) => ({ variant, percentage })),
  });
  const shrunk = unwrap(patchFlag(COLOR, shares(['red', 20], ['blue', 80])));
  t.same(shrunk.allocation, [
    [0, 2000, 'red'],
    [2000, 10000, 'blue'],
  ]);
  const swapped = unwrap(
    patchFlag(COLOR, { variants: { green: 'g' }, ...shares(['green', 10], ['blue', 45], ['red', 45]) }),
  );
  t.same(swapped.allocation, [
    [0, 4500, 'red'],
    [4500, 5000, 'green'],
    [5000, 9500, 'blue'],
    [9500, 10000, 'green'],
  ]);
  t.same(unwrap(patchFlag(swapped, shares(['red', 45], ['green', 10], ['blue', 45]))).allocation, swapped.allocation);
  t.same(unwrap(patchFlag(swapped, { reallocate: true })).allocation, [
    [0, 1000, 'green'],
    [1000, 5500, 'blue'],
    [5500, 10000, 'red'],
  ]);
  t.same(unwrap(patchFlag(swapped, { description: 'x' })).allocation, swapped.allocation);
  t.same(
    unwrap(replaceFlag(swapped, { ...swapped, allocation: [[0, 10000, 'red']] })).allocation,
    swapped.allocation,
    'a sent allocation is ignored',
  );
  t.end();
});

/** 256 ranges, alternating by one bucket: what a long history of small changes comes to. */
function fragmented(): FlagDefinition {
  const comb = Array.from({ length: 255 }, (_, i): AllocationRange => [i, i + 1, i % 2 === 0 ? 'red' : 'blue']);
  return {
    ...COLOR,
    rollout: [
      { variant: 'red', percentage: 1.28 },
      { variant: 'blue', percentage: 98.72 },
    ],
    allocation: [...comb, [255, 10000, 'blue']],
  };
}

test('a change that would need more than 256 ranges is refused, unless it takes a fresh layout', (t) => {
  const current = fragmented();
  const third = {
    variants: { green: 'g' },
    rollout: [
      { variant: 'green', percentage: 0.01 },
      { variant: 'red', percentage: 1.28 },
      { variant: 'blue', percentage: 98.71 },
    ],
  };
  t.same(patch(current, third), [
    'ALLOCATION_FRAGMENTED rollout: would have 257 ranges, more than 256; send "reallocate": true for a fresh layout, which moves users',
  ]);
  t.same(unwrap(patchFlag(current, { ...third, reallocate: true })).allocation, [
    [0, 1, 'green'],
    [1, 129, 'red'],
    [129, 10000, 'blue'],
  ]);
  t.equal(unwrap(patchFlag(current, { description: 'x' })).allocation, current.allocation);
  t.match(patch(current, { ...third, tags: 5 }), [/^INVALID_REQUEST tags/], 'what is invalid comes first');
  t.end();
});

test('any sequence of edits leaves a definition whose next edit is judged the same way', (t) => {
  const body = fc.dictionary(
    fc.constantFrom(
      'enabled',
      'rollout',
      'variants',
      'off_variant',
      'tags',
      'salt',
      'rollout_percentage',
      'type',
      'reallocate',
    ),
    fc.jsonValue(),
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(fc.oneof(body, fc.jsonValue()), (raw) => {
      for (const current of [BOOLEAN, COLOR]) {
        for (const result of [patchFlag(current, raw), replaceFlag(current, raw)]) {
          if (result.ok && !sameDefinition(result.value, unwrap(patchFlag(result.value, {})))) return false;
          if (!result.ok && result.issues.length === 0) return false;
        }
      }
      return true;
    }),
    { numRuns: 1000 },
  );
  t.end();
});
