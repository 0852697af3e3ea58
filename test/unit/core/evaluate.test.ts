import fc from 'fast-check';
import { test } from 'tap';
import { bucketOf } from '../../../src/core/bucketing.ts';
import { compileFlag } from '../../../src/core/compile.ts';
import type { CompiledFlag, EvaluationContext } from '../../../src/core/compiled.ts';
import { evaluate } from '../../../src/core/evaluate.ts';
import type { JsonObject } from '../../../src/core/model.ts';
import { hashUser } from '../../../src/kernel/murmur3.ts';
import { alone, compiled, create, documentOf } from './support.ts';

function ask(flag: CompiledFlag, userId: string, attributes?: JsonObject) {
  return evaluate(flag, { userId, attributes }, alone, hashUser);
}

function bucket(userId: string, salt: string): number {
  return bucketOf(hashUser(userId, new TextEncoder().encode(`:${salt}`)));
}

const USERS = Array.from({ length: 300 }, (_, i) => `user-${i}`);

test('a disabled flag serves its off_variant, whatever it is rolled out to', (t) => {
  t.match(ask(compiled({ flag_id: 'f', rollout_percentage: 100 }), 'u'), {
    reason: 'DISABLED',
    enabled: false,
    variant: 'off',
    value: false,
  });
  const color = compiled({
    flag_id: 'f',
    type: 'string',
    variants: { red: '#f00', blue: '#00f' },
    off_variant: 'blue',
    rollout: [{ variant: 'red', percentage: 100 }],
    targets: [{ variant: 'red', user_ids: ['u'] }],
  });
  t.match(ask(color, 'u'), { reason: 'DISABLED', enabled: false, variant: 'blue', value: '#00f' });
  t.end();
});

test('0 % and 100 % are STATIC and need no bucket key', (t) => {
  const none = compiled({ flag_id: 'f', enabled: true, rollout_percentage: 0, bucket_by: 'company' });
  const all = compiled({ flag_id: 'f', enabled: true, rollout_percentage: 100, bucket_by: 'company' });
  t.match(ask(none, 'u'), { reason: 'STATIC', variant: 'off', value: false, enabled: false });
  t.match(ask(all, 'u'), { reason: 'STATIC', variant: 'on', value: true, enabled: true });
  t.match(ask(all, ''), { reason: 'STATIC', variant: 'on' });
  t.end();
});

test('a user named by a target gets its variant, also against a rollout of 0 %', (t) => {
  const flag = compiled({ flag_id: 'f', enabled: true, targets: [{ variant: 'on', user_ids: ['vip', '__proto__'] }] });
  t.match(ask(flag, 'vip'), { reason: 'TARGET_MATCH', variant: 'on', enabled: true });
  t.match(ask(flag, '__proto__'), { reason: 'TARGET_MATCH' });
  t.match(ask(flag, 'constructor'), { reason: 'STATIC', variant: 'off' });
  t.match(ask(flag, 'VIP'), { reason: 'STATIC', variant: 'off' });
  t.end();
});

test('a boolean rollout is on for exactly the buckets below its edge, at every edge from 0 to 10000', (t) => {
  const base = create({ flag_id: 'new-checkout', enabled: true });
  const buckets = USERS.map((user) => bucket(user, 'new-checkout'));
  const wasOn = new Array<boolean>(USERS.length).fill(false);
  let wrong = 0;
  for (let edge = 0; edge <= 10_000; edge++) {
    const flag = compileFlag(documentOf({ ...base, rollout_percentage: edge / 100 }), {
      environment: 'prod',
      id: 'new-checkout',
    });
    const reason = edge === 0 || edge === 10_000 ? 'STATIC' : 'SPLIT';
    for (let i = edge % 10; i < USERS.length; i += 10) {
      const outcome = ask(flag, USERS[i] as string);
      const on = (buckets[i] as number) < edge;
      if (outcome.enabled !== on || outcome.reason !== reason || (wasOn[i] && !outcome.enabled)) wrong++;
      wasOn[i] = outcome.enabled;
    }
  }
  t.equal(wrong, 0);
  t.ok(
    wasOn.every((on) => on),
    'at 100 % all are on',
  );
  t.end();
});

test('the same user always gets the same answer', (t) => {
  const make = () =>
    compiled({
      flag_id: 'f',
      enabled: true,
      type: 'number',
      variants: { a: 1, b: 2, c: 3 },
      off_variant: 'a',
      rollout: [
        { variant: 'a', percentage: 33.33 },
        { variant: 'b', percentage: 33.33 },
        { variant: 'c', percentage: 33.34 },
      ],
    });
  const [one, other] = [make(), make()];
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1 }), (user) => {
      const first = ask(one, user);
      return first === ask(one, user) && first.variant === ask(other, user).variant;
    }),
  );
  t.end();
});

test('a split serves each range to its own buckets, up to the limits on ranges', (t) => {
  const names = Array.from({ length: 250 }, (_, i) => `v${i}`);
  const flag = compiled({
    flag_id: 'f',
    enabled: true,
    type: 'string',
    variants: Object.fromEntries(names.map((name) => [name, name])),
    off_variant: 'v0',
    rollout: names.map((variant) => ({ variant, percentage: 0.4 })),
  });
  for (const user of USERS) t.equal(ask(flag, user).variant, `v${Math.floor(bucket(user, 'f') / 40)}`);
  t.end();
});

test('enabled means something other than the off_variant', (t) => {
  const flag = compiled({
    flag_id: 'f',
    enabled: true,
    type: 'string',
    variants: { a: 'A', b: 'B' },
    off_variant: 'a',
    rollout: [
      { variant: 'a', percentage: 50 },
      { variant: 'b', percentage: 50 },
    ],
  });
  for (const user of USERS) {
    const { enabled, variant } = ask(flag, user);
    t.equal(enabled, variant === 'b');
  }
  t.end();
});

test('flags that share a salt pick the same people, and others do not', (t) => {
  const half = { enabled: true, rollout_percentage: 50 };
  const a = compiled({ flag_id: 'a', salt: 'together', ...half });
  const b = compiled({ flag_id: 'b', salt: 'together', ...half });
  const c = compiled({ flag_id: 'c', ...half });
  t.ok(USERS.every((user) => ask(a, user).enabled === ask(b, user).enabled));
  t.notOk(USERS.every((user) => ask(a, user).enabled === ask(c, user).enabled));
  t.end();
});

const half = (bucketBy: string) =>
  compiled({ flag_id: 'f', enabled: true, rollout_percentage: 50, bucket_by: bucketBy });

test('bucket_by hashes the attribute, so that a company is on or off as a whole', (t) => {
  const flag = half('company');
  for (const company of USERS) {
    const outcome = ask(flag, 'whoever', { company });
    t.equal(outcome.enabled, bucket(company, 'f') < 5000);
    t.equal(outcome.reason, 'SPLIT');
  }
  t.end();
});

test('an integer attribute is hashed as its decimal text', (t) => {
  for (const id of [0, 7, -42, 9007199254740991]) {
    const flag = half('company');
    t.equal(ask(flag, 'u', { company: id }), ask(flag, 'u', { company: String(id) }));
  }
  const flag = half('company');
  t.equal(ask(flag, 'u', { company: -0 }), ask(flag, 'u', { company: '0' }));
  t.end();
});

test('an attribute that is missing or no text and no safe integer is BUCKET_KEY_MISSING with the off_variant', (t) => {
  const flag = half('company');
  const contexts: (JsonObject | undefined)[] = [
    undefined,
    {},
    { company: null },
    { company: true },
    { company: 1.5 },
    { company: 2 ** 53 },
    { company: ['a'] },
    { company: { a: 1 } },
    { Company: 'a' },
  ];
  for (const attributes of contexts) {
    t.match(
      ask(flag, 'u', attributes),
      { reason: 'BUCKET_KEY_MISSING', variant: 'off', enabled: false },
      JSON.stringify(attributes),
    );
  }
  t.end();
});

test('without a user_id a split has no bucket key', (t) => {
  t.match(ask(compiled({ flag_id: 'f', enabled: true, rollout_percentage: 50 }), ''), {
    reason: 'BUCKET_KEY_MISSING',
    variant: 'off',
  });
  t.end();
});

test('an attribute is an own key of that name first, then a path, own properties only', (t) => {
  const flag = half('org.id');
  const text = (attributes: JsonObject) => ask(flag, 'u', attributes);
  t.equal(text({ 'org.id': 'x', org: { id: 'other' } }), ask(flag, 'u', { org: { id: 'x' } }));
  t.match(
    text({ 'org.id': null, org: { id: 'x' } }),
    { reason: 'BUCKET_KEY_MISSING' },
    'the exact name wins even with null',
  );
  t.match(text({ org: 'id' }), { reason: 'BUCKET_KEY_MISSING' });
  t.match(text({ org: [{ id: 'x' }] }), { reason: 'BUCKET_KEY_MISSING' });
  t.match(text({ org: null }), { reason: 'BUCKET_KEY_MISSING' });
  t.match(ask(half('list.length'), 'u', { list: ['a', 'b'] }), { reason: 'BUCKET_KEY_MISSING' });
  t.match(ask(half('list.0'), 'u', { list: ['a', 'b'] }), { reason: 'BUCKET_KEY_MISSING' });
  for (const name of ['__proto__', 'constructor', 'constructor.name', 'toString', '__proto__.x', 'a.__proto__.x']) {
    t.match(ask(half(name), 'u', { a: {} }), { reason: 'BUCKET_KEY_MISSING' }, name);
  }
  t.match(ask(half('__proto__'), 'u', JSON.parse('{"__proto__": "x"}') as JsonObject), { reason: 'SPLIT' });
  t.end();
});

test('the user_id of the request wins over an attribute of that name', (t) => {
  const flag = half('user_id');
  for (const user of USERS) t.equal(ask(flag, user, { user_id: 'someone-else' }).enabled, bucket(user, 'f') < 5000);
  t.match(ask(half('user_id.x'), 'u', { user_id: { x: 'a' } }), { reason: 'BUCKET_KEY_MISSING' });
  t.end();
});

test('a rollout is even over 200,000 users: a chi-squared test of 100 shares', (t) => {
  const counts = new Array<number>(100).fill(0);
  const suffix = new TextEncoder().encode(':new-checkout');
  for (let i = 0; i < 200_000; i++) {
    const share = Math.floor(bucketOf(hashUser(`user-${i}`, suffix)) / 100);
    counts[share] = (counts[share] ?? 0) + 1;
  }
  const chiSquared = counts.reduce((sum, count) => sum + (count - 2000) ** 2 / 2000, 0);
  // 99 degrees of freedom: a fair one is above 148 once in a thousand; the users here are always the same.
  t.ok(chiSquared < 148, `chi-squared ${chiSquared.toFixed(1)}`);
  t.end();
});

test('every outcome is one that was made at compile, so nothing is made on a request', (t) => {
  const flag = half('company');
  const context: EvaluationContext = { userId: 'u', attributes: { company: 'a' } };
  t.ok(flag.split?.outcomes.includes(evaluate(flag, context, alone, hashUser)));
  t.equal(ask(flag, 'u'), flag.bucketKeyMissing);
  t.end();
});
