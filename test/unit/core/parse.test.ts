import fc from 'fast-check';
import { test } from 'tap';
import { documentLimits } from '../../../src/core/document-limits.ts';
import { isEnvironmentName, isFlagId } from '../../../src/core/names.ts';
import { createFlag } from '../../../src/core/parse.ts';
import { create, refusal } from './support.ts';

function refused(raw: unknown): readonly string[] {
  return refusal(createFlag(raw, 'prod'));
}

/** A body with these fields on top of a valid one. */
function boolean(fields: object): object {
  return { flag_id: 'f', ...fields };
}

function text(fields: object = {}): object {
  return { flag_id: 'f', type: 'string', variants: { a: 'A', b: 'B' }, off_variant: 'a', ...fields };
}

function parsed(json: string): object {
  return JSON.parse(json) as object;
}

test('a flag_id is all that a flag needs: it is off, boolean and at 0 %', (t) => {
  t.same(create({ flag_id: 'new-checkout' }), {
    flag_id: 'new-checkout',
    environment: 'prod',
    description: '',
    tags: [],
    owner: '',
    kind: 'release',
    enabled: false,
    type: 'boolean',
    rollout_percentage: 0,
    bucket_by: 'user_id',
    salt: null,
    targets: [],
    prerequisites: [],
    rules: [],
  });
  t.end();
});

test('other types need variants and an off_variant, and start all on the off_variant', (t) => {
  t.same(create({ flag_id: 'f', type: 'number', variants: { low: 1, high: 2.5 }, off_variant: 'low' }), {
    flag_id: 'f',
    environment: 'prod',
    description: '',
    tags: [],
    owner: '',
    kind: 'release',
    enabled: false,
    type: 'number',
    format: 'float',
    variants: { low: 1, high: 2.5 },
    off_variant: 'low',
    rollout: [{ variant: 'low', percentage: 100 }],
    allocation: [[0, 10000, 'low']],
    bucket_by: 'user_id',
    salt: null,
    targets: [],
    prerequisites: [],
    rules: [],
  });
  t.same(refused({ flag_id: 'f', type: 'string' }), [
    'INVALID_REQUEST variants: is required for a flag of type string',
    'INVALID_REQUEST off_variant: is required for a flag of type string: what is served while it is disabled',
  ]);
  t.end();
});

test('everything that a person can decide is kept', (t) => {
  const body = {
    flag_id: 'f',
    environment: 'prod',
    description: 'two\nlines',
    tags: ['web', 'Zürich'],
    owner: 'team-a@example.org',
    kind: 'experiment',
    enabled: true,
    type: 'object',
    variants: { a: { size: 1, deep: [null, { x: [true] }] }, b: {} },
    off_variant: 'b',
    rollout: [
      { variant: 'b', percentage: 99.99 },
      { variant: 'a', percentage: 0.01 },
    ],
    bucket_by: 'company.id',
    salt: 'shared',
    targets: [
      { variant: 'a', user_ids: ['u1', 'ü2'] },
      { variant: 'b', user_ids: [] },
    ],
    prerequisites: [],
    rules: [],
  };
  t.same(create(body), {
    ...body,
    allocation: [
      [0, 9999, 'b'],
      [9999, 10000, 'a'],
    ],
  });
  t.end();
});

test('what a client read can be sent back: read-only fields are ignored', (t) => {
  const readOnly = {
    allocation: 'nonsense',
    version: -1,
    revision: null,
    created_at: 1,
    updated_at: {},
    updated_by: [],
    reallocate: false,
  };
  t.same(create(text(readOnly)), create(text()));
  t.end();
});

test('an unknown field is refused by its name, at every level', (t) => {
  t.match(refused(boolean({ rollout_percent: 5 })), [/^INVALID_REQUEST rollout_percent: is not a known field/]);
  t.match(refused(parsed('{"flag_id":"f","__proto__":1}')), [/__proto__: is not a known field/]);
  t.match(refused(boolean({ constructor: 1, 'two words': 2 })), [/constructor: is not/, /\["two words"\]: is not/]);
  t.match(refused(text({ rollout: [{ variant: 'a', percentage: 100, weight: 1 }] })), [/rollout\[0\]\.weight: is not/]);
  t.match(refused(boolean({ targets: [{ variant: 'on', user_ids: [], x: 1 }] })), [/targets\[0\]\.x: is not/]);
  t.match(
    refused(boolean({ rules: [{ rule_id: 'r', when: { segment: 's', y: 1 }, serve: { variant: 'on', z: 1 }, x: 1 }] })),
    [/rules\[0\]\.x: is not/, /rules\[0\]\.when\.y: is not/, /rules\[0\]\.serve\.z: is not/],
  );
  t.end();
});

test('a body that is no object is refused', (t) => {
  for (const raw of [null, undefined, 1, 'x', true, [], [{ flag_id: 'f' }]])
    t.match(refused(raw)[0], /must be a JSON object, not/);
  t.end();
});

test('each wrong value is refused at its path', (t) => {
  const cases: readonly (readonly [object, RegExp])[] = [
    [{}, / flag_id: is required/],
    [{ flag_id: '' }, / flag_id: must be 1 to 128/],
    [{ flag_id: '-a' }, / flag_id: /],
    [{ flag_id: 'a b' }, / flag_id: /],
    [{ flag_id: 'a/b' }, / flag_id: /],
    [{ flag_id: 'ä' }, / flag_id: /],
    [{ flag_id: 'a\n' }, / flag_id: /],
    [{ flag_id: 'a'.repeat(129) }, / flag_id: /],
    [{ flag_id: 7 }, / flag_id: /],
    [{ flag_id: { toString: 1 } }, / flag_id: /],
    [boolean({ environment: 'dev' }), / environment: must equal the address: "prod", not "dev"/],
    [boolean({ environment: 'PROD' }), / environment: must be 1 to 63/],
    [boolean({ environment: null }), / environment: /],
    [boolean({ description: null }), / description: must be a string, not null/],
    [boolean({ description: 'x'.repeat(documentLimits.descriptionCharsMax + 1) }), / description: must have at most/],
    [boolean({ description: 'a\u0000b' }), / description: must not contain the character U\+0000/],
    [boolean({ description: '\ud800' }), / description: must be well-formed Unicode/],
    [boolean({ tags: 'web' }), / tags: must be an array, not a string/],
    [boolean({ tags: [''] }), / tags\[0\]: must not be empty/],
    [boolean({ tags: ['a', 'b', 'a'] }), / tags\[2\]: "a" is there twice/],
    [boolean({ tags: ['a\tb'] }), / tags\[0\]: must not contain control characters/],
    [boolean({ tags: Array.from({ length: 65 }, (_, i) => `t${i}`) }), / tags: must have at most 64 elements, not 65/],
    [boolean({ owner: 5 }), / owner: must be a string, not a number/],
    [boolean({ kind: 'toggle' }), / kind: must be one of release, experiment, ops, permission, not "toggle"/],
    [boolean({ enabled: 'true' }), / enabled: must be true or false, not a string/],
    [boolean({ enabled: 1 }), / enabled: /],
    [boolean({ enabled: null }), / enabled: /],
    [boolean({ type: 'bool' }), / type: must be one of boolean, string, number, object/],
    [boolean({ type: 'toString' }), / type: /],
    [
      boolean({ rollout_percentage: '25' }),
      / rollout_percentage: must be a number from 0 to 100 with at most two decimals/,
    ],
    [boolean({ rollout_percentage: -1 }), / rollout_percentage: /],
    [boolean({ rollout_percentage: 100.01 }), / rollout_percentage: /],
    [boolean({ rollout_percentage: 33.333 }), / rollout_percentage: /],
    [boolean({ rollout_percentage: Infinity }), / rollout_percentage: /],
    [boolean({ rollout_percentage: null }), / rollout_percentage: /],
    [boolean({ variants: { on: true } }), / variants: is not for boolean flags/],
    [boolean({ off_variant: 'off' }), / off_variant: is not for boolean flags/],
    [boolean({ rollout: [] }), / rollout: is not for boolean flags/],
    [boolean({ format: 'integer' }), / format: is for flags of type number/],
    [text({ rollout_percentage: 5 }), / rollout_percentage: is for boolean flags/],
    [text({ format: 'float' }), / format: is for flags of type number/],
    [text({ variants: [] }), / variants: must be an object of names and values, not an array/],
    [text({ variants: {} }), / variants: must have at least one variant/],
    [text({ variants: { a: 'A', '': 'B' } }), / variants\[""\]: has an empty name/],
    [text({ variants: { a: 'A', 'b\n': 'B' } }), / variants\["b\\n"\]: has a name with control characters/],
    [text({ variants: { a: 'A', [`x${'y'.repeat(128)}`]: 'B' } }), /has a name of more than 128/],
    [text({ variants: { a: 1 } }), / variants\.a: must be a string, not a number/],
    [text({ variants: { a: 'x'.repeat(65_536) } }), / variants\.a: must be at most 65536 bytes/],
    [
      text({ variants: Object.fromEntries(Array.from({ length: 251 }, (_, i) => [`v${i}`, ''])) }),
      / variants: must have at most 250/,
    ],
    [text({ off_variant: 'c' }), / off_variant: "c" is not a variant of this flag/],
    [text({ off_variant: 'constructor' }), / off_variant: "constructor" is not a variant/],
    [text({ off_variant: null }), / off_variant: must be a string, not null/],
    [text({ rollout: [] }), / rollout: percentages must add up to exactly 100, not 0/],
    [text({ rollout: { a: 100 } }), / rollout: must be an array, not an object/],
    [
      text({ rollout: [{ variant: 'a', percentage: 99.99 }] }),
      / rollout: percentages must add up to exactly 100, not 99.99/,
    ],
    [
      text({
        rollout: [
          { variant: 'a', percentage: 60 },
          { variant: 'b', percentage: 60 },
        ],
      }),
      / rollout: .* not 120/,
    ],
    [text({ rollout: [{ variant: 'c', percentage: 100 }] }), / rollout\[0\]\.variant: "c" is not a variant/],
    [
      text({
        rollout: [
          { variant: 'a', percentage: 50 },
          { variant: 'a', percentage: 50 },
        ],
      }),
      / rollout\[1\]\.variant: "a" stands in this rollout twice/,
    ],
    [text({ rollout: [{ variant: 'a' }] }), / rollout\[0\]\.percentage: is required/],
    [text({ rollout: [{ percentage: 100 }] }), / rollout\[0\]\.variant: is required/],
    [text({ rollout: ['a'] }), / rollout\[0\]: must be an object, not a string/],
    [boolean({ bucket_by: '' }), / bucket_by: must not be empty/],
    [boolean({ bucket_by: null }), / bucket_by: must be a string, not null/],
    [boolean({ salt: '' }), / salt: must not be empty/],
    [boolean({ salt: 5 }), / salt: must be a string/],
    [
      boolean({ targets: [{ variant: 'red', user_ids: ['u'] }] }),
      / targets\[0\]\.variant: "red" is not a variant of this flag/,
    ],
    [boolean({ targets: [{ variant: 'on' }] }), / targets\[0\]\.user_ids: is required/],
    [
      boolean({ targets: [{ variant: 'on', user_ids: [7] }] }),
      / targets\[0\]\.user_ids\[0\]: must be a string, not a number/,
    ],
    [boolean({ targets: [{ variant: 'on', user_ids: [''] }] }), / targets\[0\]\.user_ids\[0\]: must not be empty/],
    [
      boolean({ targets: [{ variant: 'on', user_ids: ['é'.repeat(32768)] }] }),
      /user_ids\[0\]: must be at most 65535 bytes/,
    ],
    [
      boolean({
        targets: [
          { variant: 'on', user_ids: ['u'] },
          { variant: 'off', user_ids: ['v', 'u'] },
        ],
      }),
      / targets\[1\]\.user_ids\[1\]: "u" is at targets\[0\]\.user_ids\[0\] already/,
    ],
    [
      boolean({ targets: [{ variant: 'on', user_ids: Array.from({ length: 10_001 }, (_, i) => `${i}`) }] }),
      /at most 10000 elements/,
    ],
    [
      boolean({ prerequisites: [{ flag_id: 'f', variant: 'on' }] }),
      / prerequisites\[0\]\.flag_id: must be another flag/,
    ],
    [
      boolean({ prerequisites: [{ flag_id: 'a b', variant: 'on' }] }),
      / prerequisites\[0\]\.flag_id: must be a flag_id/,
    ],
    [
      boolean({
        prerequisites: [
          { flag_id: 'g', variant: 'on' },
          { flag_id: 'g', variant: 'off' },
        ],
      }),
      / prerequisites\[1\]\.flag_id: "g" is a prerequisite already/,
    ],
    [boolean({ prerequisites: [{ flag_id: 'g' }] }), / prerequisites\[0\]\.variant: is required/],
    [boolean({ reallocate: 'yes' }), / reallocate: must be true or false/],
  ];
  for (const [raw, expected] of cases) {
    const found = refused(raw);
    t.match(found, [expected], JSON.stringify(raw).slice(0, 90));
    t.equal(found.length, 1, found.join('\n').slice(0, 300));
  }
  t.end();
});

test('names of prototypes are names like any other', (t) => {
  const flag = create(
    parsed(`{"flag_id": "constructor", "type": "string", "variants": {"__proto__": "P", "constructor": "C", "toString": "T"},
    "off_variant": "__proto__", "rollout": [{"variant": "constructor", "percentage": 50}, {"variant": "toString", "percentage": 50}],
    "targets": [{"variant": "__proto__", "user_ids": ["__proto__", "hasOwnProperty"]}]}`),
  );
  t.same(Object.entries(flag.variants ?? {}), [
    ['__proto__', 'P'],
    ['constructor', 'C'],
    ['toString', 'T'],
  ]);
  t.equal(Object.getPrototypeOf(flag.variants), Object.prototype);
  t.equal(flag.off_variant, '__proto__');
  t.end();
});

test('all that is wrong is told at once, up to what a person reads', (t) => {
  t.equal(refused({ flag_id: '', enabled: 1, rollout_percentage: 'x', kind: 0, tags: 0 }).length, 5);
  t.equal(refused(boolean({ tags: Array.from({ length: 60 }, () => 7) })).length, 50);
  t.equal(refused(Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`x${i}`, 1]))).length, 50);
  t.end();
});

test('a document over its size is refused, and so is bottomless nesting', (t) => {
  const users = Array.from({ length: 20 }, (_, i) => `${i}${'x'.repeat(60_000)}`);
  t.match(refused(boolean({ targets: [{ variant: 'on', user_ids: users }] })), [
    /must be at most 1048576 bytes as JSON/,
  ]);
  t.match(refused(boolean({ tags: parsed(`${'['.repeat(100_000)}${']'.repeat(100_000)}`) })), [
    /deeper than 64 levels/,
  ]);
  t.end();
});

test('any JSON is a flag or a list of what is wrong with it', (t) => {
  const fields = fc.constantFrom(
    'flag_id',
    'type',
    'variants',
    'off_variant',
    'rollout',
    'rules',
    'targets',
    'tags',
    'salt',
    'format',
    'prerequisites',
    'enabled',
    '__proto__',
  );
  const value = fc.oneof(
    { withCrossShrink: true },
    fc.jsonValue({ maxDepth: 4 }),
    fc.constantFrom('string', 'number', 'object', 'a', 'f', 100),
    fc.array(
      fc.dictionary(
        fc.constantFrom(
          'variant',
          'percentage',
          'user_ids',
          'flag_id',
          'rule_id',
          'when',
          'serve',
          'attribute',
          'op',
          'values',
          'all',
          'any',
          'toString',
        ),
        fc.jsonValue(),
        { noNullPrototype: true },
      ),
      { maxLength: 3 },
    ),
  );
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), fc.dictionary(fields, value, { noNullPrototype: true })), (raw) => {
      const result = createFlag(raw, 'prod');
      return result.ok || (result.issues.length > 0 && result.issues.every(({ message }) => message !== ''));
    }),
    { numRuns: 2000 },
  );
  t.end();
});

test('flag ids and environment names follow their patterns', (t) => {
  for (const id of ['a', '0', 'A.b_c-D', 'constructor', 'x'.repeat(128)]) t.ok(isFlagId(id), id);
  for (const id of ['', '.a', '_a', '__proto__', 'a:b', 'x'.repeat(129), null, 1]) t.notOk(isFlagId(id), String(id));
  for (const name of ['prod', 'eu-1', '0', 'x'.repeat(63)]) t.ok(isEnvironmentName(name), name);
  for (const name of ['', 'Prod', '-a', 'a_b', '*', 'x'.repeat(64), undefined])
    t.notOk(isEnvironmentName(name), String(name));
  t.end();
});
