import fc from 'fast-check';
import { test } from 'tap';
import { compileFlag } from '../../../src/core/compile.ts';
import type { CompiledFlag, Outcome } from '../../../src/core/compiled.ts';
import { evaluate } from '../../../src/core/evaluate.ts';
import { hashUser } from '../../../src/kernel/murmur3.ts';
import { alone, compiled, create, documentOf, stored } from './support.ts';

const AT = { environment: 'prod', id: 'f' };

/** The single reply as a worker puts it together. */
function reply(outcome: Outcome, userId: string): Record<string, unknown> {
  const text = `${outcome.replyHead}${JSON.stringify(userId)},"evaluated_at":"2025-01-01T00:00:00.000Z${outcome.replyTail}812}`;
  return JSON.parse(text) as Record<string, unknown>;
}

function answers(flag: CompiledFlag): readonly Outcome[] {
  const served = flag.fixed === undefined ? (flag.split?.outcomes ?? []) : [flag.fixed];
  return [flag.disabled, flag.bucketKeyMissing, ...served, ...(flag.targets?.values() ?? [])];
}

test('the reply is the one of the contract, byte for byte', (t) => {
  const outcome = compiled({ flag_id: 'f', enabled: true, rollout_percentage: 100 }).fixed as Outcome;
  t.equal(outcome.replyHead, '{"flag_id":"f","enabled":true,"user_id":');
  t.equal(outcome.replyTail, '","variant":"on","value":true,"reason":"STATIC","version":3,"revision":');
  t.equal(outcome.batchJson, '{"enabled":true,"variant":"on","value":true,"reason":"STATIC","version":3}');
  t.same(Object.keys(reply(outcome, 'u"1')), [
    'flag_id',
    'enabled',
    'user_id',
    'evaluated_at',
    'variant',
    'value',
    'reason',
    'version',
    'revision',
  ]);
  t.end();
});

test('values keep their types in replies, floats their decimal point', (t) => {
  const float = compiled({
    flag_id: 'f',
    type: 'number',
    format: 'float',
    variants: { a: 2, b: 1e21 },
    off_variant: 'a',
    targets: [{ variant: 'b', user_ids: ['u'] }],
  });
  t.match(float.disabled.replyTail, '"value":2.0,');
  t.match(float.disabled.batchJson, '"value":2.0,');
  t.match(float.targets?.get('u')?.batchJson, '"value":1.0e21,');
  t.equal(float.disabled.value, 2);
  const object = compiled({ flag_id: 'f', type: 'object', variants: { a: { x: ['"', null] } }, off_variant: 'a' });
  t.same(reply(object.disabled, 'u')['value'], { x: ['"', null] });
  t.end();
});

test('names and values of any kind are well escaped in both forms of reply', (t) => {
  const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 }).filter((text) => !/\p{Cc}/u.test(text));
  fc.assert(
    fc.property(name, fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }), (variant, value, user) => {
      const flag = compileFlag(
        documentOf(
          create({
            flag_id: 'f',
            type: 'string',
            variants: Object.fromEntries([[variant, value.replaceAll('\u0000', '')]]),
            off_variant: variant,
          }),
        ),
        AT,
      );
      return answers(flag).every((outcome) => {
        const single = reply(outcome, user);
        const batch = JSON.parse(outcome.batchJson) as Record<string, unknown>;
        return (
          [single, batch].every((it) => it['variant'] === variant && it['value'] === outcome.value) &&
          single['user_id'] === user
        );
      });
    }),
  );
  t.end();
});

test('variants named like prototypes serve their own values', (t) => {
  const flag = compiled(
    JSON.parse(
      '{"flag_id": "constructor", "type": "string", "enabled": true, "variants": {"__proto__": "P", "constructor": "C"}, "off_variant": "constructor", "rollout": [{"variant": "__proto__", "percentage": 100}]}',
    ),
  );
  t.match(flag.fixed, { variant: '__proto__', value: 'P', enabled: true });
  t.match(flag.disabled, { variant: 'constructor', value: 'C' });
  t.match(flag.json, '"variants":{"__proto__":"P","constructor":"C"}');
  t.end();
});

test('edges are exclusive upper bounds, and ranges share the outcome of their variant', (t) => {
  const third = compiled({ flag_id: 'f', enabled: true, rollout_percentage: 33.33 });
  t.same([...(third.split?.edges ?? [])], [3333, 10000]);
  t.same(
    third.split?.outcomes.map(({ variant }) => variant),
    ['on', 'off'],
  );
  const definition = create({
    flag_id: 'f',
    type: 'string',
    variants: { a: '', b: '' },
    off_variant: 'a',
    rollout: [
      { variant: 'a', percentage: 50 },
      { variant: 'b', percentage: 50 },
    ],
  });
  const flag = compileFlag(
    documentOf({
      ...definition,
      allocation: [
        [0, 2500, 'a'],
        [2500, 7500, 'b'],
        [7500, 10000, 'a'],
      ],
    }),
    AT,
  );
  t.same([...(flag.split?.edges ?? [])], [2500, 7500, 10000]);
  t.equal(flag.split?.outcomes[0], flag.split?.outcomes[2]);
  t.end();
});

test('exactly one of fixed and split is there', (t) => {
  for (const percentage of [0, 0.01, 50, 99.99, 100]) {
    const flag = compiled({ flag_id: 'f', rollout_percentage: percentage });
    t.not(flag.fixed === undefined, flag.split === undefined);
    t.equal(flag.fixed !== undefined, percentage === 0 || percentage === 100);
  }
  t.end();
});

test('at every edge the last bucket below it is on and the first at it is off', (t) => {
  const base = create({ flag_id: 'f', enabled: true });
  const context = { userId: 'u', attributes: undefined };
  let wrong = 0;
  for (let edge = 1; edge < 10_000; edge++) {
    const flag = compileFlag(documentOf({ ...base, rollout_percentage: edge / 100 }), AT);
    if (
      !evaluate(flag, context, alone, () => 4_294_960_000 + edge - 1).enabled ||
      evaluate(flag, context, alone, () => 4_294_960_000 + edge).enabled
    )
      wrong++;
  }
  t.equal(wrong, 0);
  t.end();
});

test('the suffix of the hash is the salt, else the flag_id, in UTF-8', (t) => {
  t.same(Buffer.from(compiled({ flag_id: 'f' }).hashSuffix).toString(), ':f');
  t.same(Buffer.from(compiled({ flag_id: 'f', salt: 'Zürich' }).hashSuffix).toString(), ':Zürich');
  t.end();
});

test('the document of a compiled flag is the one that was stored', (t) => {
  const json = documentOf(
    create({ flag_id: 'f', type: 'number', variants: { a: 2, b: 0.5 }, off_variant: 'a', tags: ['web'] }),
  );
  t.match(compileFlag(json, AT), {
    json,
    version: 3,
    revision: 812,
    type: 'number',
    tags: ['web'],
    enabled: false,
    quarantined: undefined,
  });
  t.end();
});

function asks(flag: CompiledFlag): Outcome {
  return evaluate(flag, { userId: 'u', attributes: undefined }, alone, hashUser);
}

test('a broken float flag answers with its off_variant, written as a float', (t) => {
  const definition = create({
    flag_id: 'f',
    type: 'number',
    format: 'float',
    enabled: true,
    variants: { a: 2, b: 3 },
    off_variant: 'a',
    rollout: [{ variant: 'b', percentage: 100 }],
    tags: ['x'],
  });
  const text = JSON.stringify({ ...stored(definition), kind: 'banana' });
  const flag = compileFlag(text, AT);
  t.match(flag.quarantined, /^kind: must be one of/);
  t.match(asks(flag), { reason: 'QUARANTINED', variant: 'a', value: 2, enabled: false, version: 3 });
  t.match(asks(flag).batchJson, '"value":2.0,"reason":"QUARANTINED"');
  t.match(flag, { type: 'number', tags: ['x'], version: 3, revision: 812, json: text });
  t.end();
});

test('a document that is broken is quarantined with what can still be told', (t) => {
  const good = stored(create({ flag_id: 'f', type: 'string', variants: { a: 'A' }, off_variant: 'a' }));
  const broken = (fields: object) => compileFlag(JSON.stringify({ ...good, ...fields }), AT);
  t.match(asks(broken({ rollout: [{ variant: 'a', percentage: null }] })), {
    reason: 'QUARANTINED',
    variant: 'a',
    value: 'A',
  });
  t.match(asks(broken({ off_variant: 'constructor' })), { reason: 'QUARANTINED', variant: '', value: null });
  t.match(asks(broken({ variants: { a: 5 } })), { reason: 'QUARANTINED', variant: '', value: null });
  t.match(asks(broken({ type: 'banana' })), { reason: 'QUARANTINED', variant: 'off', value: false });
  t.match(broken({ flag_id: 'g' }), { flagId: 'f', quarantined: /is not the flag of this address/ });
  t.match(broken({ environment: 'dev' }), { environment: 'prod', quarantined: /is not the flag of this address/ });
  for (const text of [
    '',
    '{',
    'null',
    '[]',
    '{}',
    '{"__proto__":{"type":"string"}}',
    `${'['.repeat(100_000)}`,
    `{"a":${'['.repeat(1000)}${']'.repeat(1000)}}`,
  ]) {
    const flag = compileFlag(text, AT);
    t.match(asks(flag), { flagId: 'f', reason: 'QUARANTINED', variant: 'off', value: false, version: 0 });
    t.type(JSON.parse(flag.json), 'object', 'its document is JSON all the same');
  }
  t.end();
});

test('compiling never throws, whatever the text, and every answer is good JSON', (t) => {
  const good = stored(create({ flag_id: 'f', type: 'object', variants: { a: {} }, off_variant: 'a' }));
  const mutated = fc
    .tuple(fc.constantFrom(...Object.keys(good)), fc.jsonValue())
    .map(([field, value]) => JSON.stringify({ ...good, [field]: value }));
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json(), mutated), (text) => {
      const flag = compileFlag(text, AT);
      return (
        answers(flag).every((outcome) => reply(outcome, 'u')['reason'] === outcome.reason) &&
        typeof JSON.parse(flag.json) === 'object'
      );
    }),
    { numRuns: 1000 },
  );
  t.end();
});
