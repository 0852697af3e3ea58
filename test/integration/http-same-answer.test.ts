// The same attributes give the same answer whether they come in a query, in a body or in a batch: whatever they are
// called, and however long their numbers are.
import fc from 'fast-check';
import { type Test, test } from 'tap';
import { limits } from '../../src/limits.ts';
import { makeFlag, makeKey, makeSnapshot, type Serving, startServing } from '../support/serving.ts';

const KEY = 'evaluate-key-of-32-characters-00';
const RUNS = 600;

/** An attribute as a client means it: numbers as they are written. */
type Meant = string | boolean | null | Digits | readonly Meant[] | ReadonlyMap<string, Meant>;
interface Digits {
  readonly digits: string;
}

const ids = ['9007199254740993', '1e400', '0.1000000000000000055', '-12345678901234567890', '1e-400'];
const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'id', 'plan', 'żółw & + = %', 'user_id'];

const has = (attribute: string, ...values: readonly string[]): object => ({ attribute, op: 'in', values });
const rule = (ruleId: string, when: object): object => ({ rule_id: ruleId, when, serve: { variant: 'on' } });
const flags = [
  makeFlag({ flag_id: 'by-id', enabled: true, rules: ids.map((id, i) => rule(`id-${i}`, has('id', id))) }),
  makeFlag({ flag_id: 'by-number', enabled: true, rules: [rule('n', { attribute: 'id', op: 'gt', values: [0] })] }),
  makeFlag({
    flag_id: 'by-name',
    enabled: true,
    rules: names.map((attribute, i) => rule(`name-${i}`, { attribute, op: 'equals', values: ['x', true] })),
  }),
  makeFlag({
    flag_id: 'by-path',
    enabled: true,
    rules: [
      rule('deep-id', has('plan.id', ...ids)),
      rule('proto', { attribute: '__proto__.constructor', op: 'exists' }),
      rule('to-string', { attribute: 'constructor.toString', op: 'exists' }),
      rule('plan', { attribute: 'plan.plan.plan', op: 'exists' }),
    ],
  }),
  makeFlag({ flag_id: 'bucketed', enabled: true, rollout_percentage: 50, bucket_by: 'id' }),
  makeFlag({ flag_id: 'bucketed-deep', enabled: true, rollout_percentage: 50, bucket_by: 'plan.__proto__' }),
];

const scalar: fc.Arbitrary<Meant> = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom(...ids).map((digits) => ({ digits })) },
  { weight: 1, arbitrary: fc.constantFrom(...ids) },
  { weight: 1, arbitrary: fc.oneof(fc.double(), fc.integer()).filter(Number.isFinite).map(digitsOf) },
  { weight: 1, arbitrary: fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n }).map((n) => ({ digits: String(n) })) },
  { weight: 2, arbitrary: fc.constantFrom<Meant>('x', '', 'true', 'null', '1.10', '"', true, false, null) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 12 }) },
);
// A query cannot tell a list of one from its element, and has no empty list or object: those are left to bodies.
const list = fc.array(scalar, { minLength: 2, maxLength: 4 });
const { attributes } = fc.letrec<{ node: Meant; attributes: ReadonlyMap<string, Meant> }>((tie) => ({
  node: fc.oneof({ maxDepth: 3, withCrossShrink: true }, scalar, list, tie('attributes')),
  attributes: fc
    .uniqueArray(fc.tuple(fc.constantFrom(...names), tie('node')), {
      minLength: 1,
      maxLength: 5,
      selector: ([name]) => name,
    })
    .map((entries) => new Map(entries)),
}));

function digitsOf(value: number): Digits {
  return { digits: Object.is(value, -0) ? '-0' : String(value).replace('e+', 'e') };
}

function toJson(meant: Meant): string {
  if (meant instanceof Map) return `{${[...meant].map(([k, v]) => `${JSON.stringify(k)}:${toJson(v)}`).join(',')}}`;
  if (Array.isArray(meant)) return `[${meant.map(toJson).join(' , ')}]`;
  if (typeof meant === 'object' && meant !== null) return (meant as Digits).digits;
  return JSON.stringify(meant);
}

/** `attr.` parameters; a text in quotes whenever it could be taken for something else. */
function toQuery(meant: Meant, path: readonly string[] = []): string[] {
  if (meant instanceof Map) return [...meant].flatMap(([name, value]) => toQuery(value, [...path, name]));
  if (Array.isArray(meant)) return meant.flatMap((element) => toQuery(element, path));
  const plain = typeof meant === 'string' && /^[a-z]+$/.test(meant) && meant !== 'true' && meant !== 'null';
  const text = plain ? (meant as string) : toJson(meant);
  return [`attr.${path.map(encodeURIComponent).join('.')}=${encodeURIComponent(text)}`];
}

async function start(t: Test): Promise<Serving> {
  const serving = await startServing(makeSnapshot(7, flags, [makeKey({ raw: KEY, scope: 'evaluate' })]));
  t.teardown(() => serving.http.close());
  return serving;
}

interface Verdict {
  readonly variant: string;
  readonly reason: string;
  readonly rule_id?: string;
}

async function ask(serving: Serving, path: string, body?: string): Promise<unknown> {
  const init = body === undefined ? {} : { method: 'POST', body };
  const headers = { 'x-api-key': KEY, 'content-type': 'application/json' };
  const response = await fetch(serving.url + path, { ...init, headers });
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  return response.json();
}

function verdictOf(reply: unknown): Verdict {
  const { variant, reason, rule_id: ruleId } = reply as Verdict;
  return { variant, reason, ...(ruleId === undefined ? {} : { rule_id: ruleId }) };
}

test(`${RUNS} random attributes get one answer by GET, by POST and in a batch`, async (t) => {
  const serving = await start(t);
  const seen = new Map<string, number>();
  const property = fc.asyncProperty(attributes, fc.constantFrom(...flags), async (meant, { flagId }) => {
    const json = `{"user_id":"u", "attributes" : ${toJson(meant)}}`;
    const batchJson = `{"contexts":[{"user_id":"u"},${json}]}`;
    const [byGet, byPost, batch] = await Promise.all([
      ask(serving, `/api/v1/flags/${flagId}/evaluate?${['user_id=u', ...toQuery(meant)].join('&')}`),
      ask(serving, `/api/v1/flags/${flagId}/evaluate`, json),
      ask(serving, '/api/v1/evaluate', batchJson),
    ]);
    const row = (batch as { results: Record<string, unknown>[] }).results[1]?.[flagId];
    const verdict = JSON.stringify(verdictOf(byGet));
    seen.set(`${flagId} ${verdict}`, (seen.get(`${flagId} ${verdict}`) ?? 0) + 1);
    return verdict === JSON.stringify(verdictOf(byPost)) && verdict === JSON.stringify(verdictOf(row));
  });
  await fc.assert(property, { numRuns: RUNS });
  for (const [flagId, answers] of Object.entries({ 'by-id': 3, 'by-name': 3, 'by-path': 2, bucketed: 2 })) {
    const found = [...seen.keys()].filter((key) => key.startsWith(`${flagId} `)).length;
    t.ok(found >= answers, `${flagId} had ${found} different answers`);
  }
});

test('numbers that no double has exactly are texts in attributes, and nowhere else', async (t) => {
  const serving = await start(t);
  for (const id of ids) {
    const body = `{"user_id":"u","attributes":{"id":${id}}}`;
    t.match(await ask(serving, '/api/v1/flags/by-id/evaluate', body), { rule_id: `id-${ids.indexOf(id)}` }, id);
  }
  const escaped = '{"user_id":"u","\\u0061ttributes":{"plan":{"attributes":[1],"id":9007199254740993}}}';
  t.match(await ask(serving, '/api/v1/flags/by-path/evaluate', escaped), { rule_id: 'deep-id' });
  const post = (body: string): Promise<Response> =>
    fetch(`${serving.url}/api/v1/flags/by-id/evaluate`, {
      method: 'POST',
      headers: { 'x-api-key': KEY, 'content-type': 'application/json' },
      body,
    });
  const numericUser = await post('{"user_id":9007199254740993}');
  t.match(await numericUser.json(), { status: 400, errors: [{ path: 'user_id', message: 'must be a string' }] });
  // Quoting must not make JSON of what is none.
  for (const broken of ['{"user_id":"u","attributes":{1e400:1}}', '{"user_id":"u","attributes":{"a":01e400}}']) {
    const reply = await post(broken);
    t.match(await reply.json(), { status: 400, detail: /not valid JSON at character \d+/ }, broken);
  }
});

test('of two members of one name the last counts in a body, and both make a list in a query', async (t) => {
  const serving = await start(t);
  const body = '{"user_id":"u","attributes":{"plan":"x","plan":"y"}}';
  t.match(await ask(serving, '/api/v1/flags/by-name/evaluate', body), { reason: 'STATIC' });
  const query = '/api/v1/flags/by-name/evaluate?user_id=u&attr.plan=x&attr.plan=y';
  t.match(await ask(serving, query), { reason: 'RULE_MATCH' });
});

test('the bounds of attributes are the same in a query and in a body', async (t) => {
  const serving = await start(t);
  const statusOf = async (meant: Meant): Promise<readonly number[]> => {
    const url = `${serving.url}/api/v1/flags/by-id/evaluate`;
    const headers = { 'x-api-key': KEY, 'content-type': 'application/json' };
    const body = `{"user_id":"u","attributes":${toJson(meant)}}`;
    const replies = await Promise.all([
      fetch(`${url}?${['user_id=u', ...toQuery(meant)].join('&')}`, { headers }),
      fetch(url, { method: 'POST', headers, body }),
    ]);
    return replies.map(({ status }) => status);
  };
  const wide = (count: number): Meant => new Map(Array.from({ length: count }, (_, i) => [`a${i}`, 'x']));
  const deep = (levels: number, leaf: Meant): Meant => (levels === 0 ? leaf : new Map([['a', deep(levels - 1, leaf)]]));
  t.same(await statusOf(wide(limits.attributesMax)), [200, 200]);
  t.same(await statusOf(wide(limits.attributesMax + 1)), [400, 400]);
  t.same(await statusOf(deep(limits.attributesDepthMax, 'x')), [200, 200]);
  t.same(await statusOf(deep(limits.attributesDepthMax + 1, 'x')), [400, 400]);
  t.same(await statusOf(deep(limits.attributesDepthMax - 1, ['x', 'y'])), [200, 200]);
  t.same(await statusOf(deep(limits.attributesDepthMax, ['x', 'y'])), [400, 400]);
});
