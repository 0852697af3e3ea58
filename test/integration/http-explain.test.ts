// explain=true over real connections: by GET, by POST and in a batch, and what is refused.
import { type Test, test } from 'tap';
import { Trace } from '../../src/api/trace-schemas.ts';
import { findIssues } from '../../src/api/validate.ts';
import { compileCondition } from '../../src/core/compile-condition.ts';
import { limits } from '../../src/limits.ts';
import { makeFlag, makeKey, makeSegment, makeSnapshot, type Serving, startServing } from '../support/serving.ts';

const keys = [
  makeKey({ raw: 'read', scope: 'read' }),
  makeKey({ raw: 'evaluate', scope: 'evaluate' }),
  makeKey({ raw: 'evaluate-dev', scope: 'evaluate', environments: ['dev'] }),
  makeKey({ raw: 'read-dev', scope: 'read', environments: ['dev'] }),
  makeKey({ raw: 'read-web', scope: 'read', tags: ['web'] }),
];
const staff = {
  ...makeSegment({ segmentId: 'staff', included: ['ann'], excluded: ['bob'] }),
  when: compileCondition({ attribute: 'team', op: 'equals', values: ['burgee'] }),
};
const flags = [
  makeFlag({
    flag_id: 'checkout',
    enabled: true,
    rollout_percentage: 25,
    tags: ['web'],
    prerequisites: [{ flag_id: 'payments', variant: 'on' }],
    rules: [
      {
        rule_id: 'poland',
        when: { all: [{ attribute: 'address.country', op: 'in', values: ['PL', 'CZ'] }, { segment: 'staff' }] },
        serve: { variant: 'on' },
      },
    ],
  }),
  makeFlag({
    flag_id: 'payments',
    enabled: true,
    rollout_percentage: 0,
    rules: [{ rule_id: 'paying', when: { attribute: 'secret_plan', op: 'exists' }, serve: { variant: 'on' } }],
  }),
  makeFlag({ flag_id: 'plain', enabled: true, rollout_percentage: 25, targets: [{ variant: 'on', user_ids: ['u7'] }] }),
  makeFlag({ flag_id: 'fresh' }),
  makeFlag({
    flag_id: 'theme',
    enabled: true,
    type: 'string',
    variants: { red: 'r', blue: 'b' },
    off_variant: 'red',
    bucket_by: 'company',
    rollout: [
      { variant: 'red', percentage: 50 },
      { variant: 'blue', percentage: 50 },
    ],
  }),
];

interface Reply {
  readonly status: number;
  readonly code?: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
  readonly trace?: Record<string, unknown> & { readonly flips: readonly Record<string, unknown>[] };
  readonly results?: readonly Record<string, Record<string, unknown>>[];
}

async function start(t: Test): Promise<Serving> {
  const serving = await startServing(makeSnapshot(812, flags, keys, [staff]));
  t.teardown(() => serving.http.close());
  return serving;
}

async function ask(serving: Serving, path: string, body?: unknown, key = 'read'): Promise<Reply> {
  const reply = await fetch(serving.url + path, {
    method: body === undefined ? 'GET' : 'POST',
    body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body),
    headers: { 'x-api-key': key, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
  });
  return { ...((await reply.json()) as object), status: reply.status };
}

/** All but the time and the trace. */
function plain({ trace: _, evaluated_at: __, ...rest }: Record<string, unknown>): unknown {
  return rest;
}

test('by GET, by POST and in a batch the same answer and the same trace', async (t) => {
  const serving = await start(t);
  const attributes = { address: { country: 'PL' }, secret_plan: 1 };
  const query = 'user_id=ann&attr.address.country=PL&attr.secret_plan=1';
  const byGet = await ask(serving, `/api/v1/flags/checkout/evaluate?${query}&explain=true`);
  const byPost = await ask(serving, '/api/v1/flags/checkout/evaluate?explain=true', { user_id: 'ann', attributes });
  const batch = await ask(serving, '/api/v1/evaluate?explain=true', {
    contexts: [{ user_id: 'ann', attributes }, { user_id: 'u7' }],
    flags: ['checkout', 'plain', 'nowhere'],
  });
  t.same(byGet.trace, byPost.trace);
  t.same(batch.results?.[0]?.['checkout']?.['trace'], byGet.trace);
  t.same(batch.results?.[0]?.['nowhere'], { error: 'FLAG_NOT_FOUND' });
  t.match(batch.results?.[1]?.['plain'], { reason: 'TARGET_MATCH', trace: { enters_at: null, bucket: Number } });
  t.same(plain(byGet as never), plain((await ask(serving, `/api/v1/flags/checkout/evaluate?${query}`)) as never));
  t.match(byGet, { reason: 'RULE_MATCH', rule_id: 'poland', trace: { enters_at: null, flips_complete: true } });
  t.same(byGet.trace?.['steps'], [
    { step: 'enabled', enabled: true },
    {
      step: 'prerequisite',
      flag_id: 'payments',
      variant: 'on',
      served: { variant: 'on', reason: 'RULE_MATCH', rule_id: 'paying' },
      met: true,
    },
    {
      step: 'rule',
      rule_id: 'poland',
      matched: true,
      when: {
        all: [
          { attribute: 'address.country', op: 'in', values: ['PL', 'CZ'], actual: 'PL', result: true },
          { segment: 'staff', membership: 'included', result: true },
        ],
        result: true,
      },
    },
  ]);
});

test('every trace has the shape that the API description gives it', async (t) => {
  const serving = await start(t);
  for (const { flagId } of flags) {
    for (const userId of ['ann', 'bob', 'u7', 'u8']) {
      for (const attributes of ['', '&attr.secret_plan=x', '&attr.company=acme&attr.secret_plan=2&attr.team=burgee']) {
        const path = `/api/v1/flags/${flagId}/evaluate?user_id=${userId}&explain=true${attributes}`;
        const { trace, status } = await ask(serving, path);
        t.equal(status, 200);
        t.same(findIssues(Trace, trace), [], path);
      }
    }
  }
});

test('false is as if it were not there, and anything else is refused', async (t) => {
  const serving = await start(t);
  const path = '/api/v1/flags/plain/evaluate?user_id=u8';
  const off = await ask(serving, `${path}&explain=false`, undefined, 'evaluate');
  t.equal(off.status, 200);
  t.notOk('trace' in off);
  for (const wrong of [
    'explain=1',
    'explain=',
    'explain',
    'explain=TRUE',
    'explain=true&explain=true',
    'explain=%ff',
  ]) {
    const reply = await ask(serving, `${path}&${wrong}`);
    t.match(reply, { status: 400, code: 'INVALID_REQUEST', errors: [{ path: 'explain' }] }, wrong);
  }
  t.match(await ask(serving, '/api/v1/flags/plain/evaluate', { user_id: 'u', explain: true }), {
    status: 400,
    errors: [{ path: 'explain' }],
  });
  t.match(await ask(serving, '/api/v1/flags?explain=true'), { status: 400, errors: [{ path: 'explain' }] });
});

test('it needs the scope read, and says so in its turn', async (t) => {
  const serving = await start(t);
  const get = '/api/v1/flags/plain/evaluate?user_id=u&explain=true';
  for (const [path, body] of [
    [get, undefined],
    // Before the body is looked at, before 415, before 400 of another parameter, before the flag is looked up.
    ['/api/v1/flags/plain/evaluate?explain=true', 'not json'],
    ['/api/v1/flags/nowhere/evaluate?explain=true&nonsense=1', {}],
    ['/api/v1/evaluate?explain=true', { contexts: 7 }],
  ] as const) {
    const reply = await ask(serving, path, body, 'evaluate');
    t.match(reply, {
      status: 403,
      code: 'SCOPE_REQUIRED',
      detail: 'explain needs the scope read; this key has evaluate.',
    });
  }
  t.match(await ask(serving, `${get}&environment=prod`, undefined, 'evaluate-dev'), { status: 403 });
  t.match(await ask(serving, `${get}&environment=prod`, undefined, 'read-dev'), { code: 'ENVIRONMENT_FORBIDDEN' });
  t.match(await ask(serving, get, undefined, 'nobody'), { status: 401 });
  t.match(await ask(serving, '/api/v1/flags/nowhere/evaluate?user_id=u&explain=true'), { code: 'FLAG_NOT_FOUND' });
});

test('a key with tags is told nothing of flags that it may not see', async (t) => {
  const serving = await start(t);
  const path = '/api/v1/flags/checkout/evaluate?user_id=ann&explain=true';
  const all = await ask(serving, path);
  t.match(JSON.stringify(all.trace), /secret_plan/, 'others are told what the prerequisite wants');
  const web = await ask(serving, path, undefined, 'read-web');
  t.equal(web.status, 200);
  t.notMatch(JSON.stringify(web.trace), /secret_plan|paying/);
  t.match(web.trace?.['steps'], [{}, { step: 'prerequisite', flag_id: 'payments', served: null, met: false }]);
});

test('a batch explains a bounded number of evaluations', async (t) => {
  const serving = await start(t);
  const contexts = (count: number): object[] => Array.from({ length: count }, (_, i) => ({ user_id: `u${i}` }));
  const max = limits.explainedEvaluationsMax;
  const ask2 = (count: number, flagIds: string[]): Promise<Reply> =>
    ask(serving, '/api/v1/evaluate?explain=true', { contexts: contexts(count), flags: flagIds });
  t.equal((await ask2(max, ['plain'])).results?.length, max);
  t.match(await ask2(max / 2 + 1, ['plain', 'fresh']), {
    status: 400,
    errors: [{ path: 'contexts', message: new RegExp(`over ${max} explained evaluations`) }],
  });
});

test('the five things that a page wants to say', async (t) => {
  const serving = await start(t);
  const flipsOf = async (path: string): Promise<unknown> =>
    (await ask(serving, `/api/v1/flags/${path}&explain=true`)).trace?.flips;
  t.match(await flipsOf('plain/evaluate?user_id=u8'), [{ rollout_percentage: Number, gives: { variant: 'on' } }]);
  t.match(await flipsOf('plain/evaluate?user_id=u7'), [
    { target: { action: 'remove', variant: 'on' }, gives: { variant: 'off', reason: 'SPLIT' } },
    { enabled: false, gives: { variant: 'off', reason: 'DISABLED' } },
  ]);
  t.match(await flipsOf('fresh/evaluate?user_id=u8'), [{ enabled: true, rollout_percentage: Number }]);
  t.match(await flipsOf('theme/evaluate?user_id=u8'), [{ attributes: { set: { company: String } } }]);
  t.match(await flipsOf('checkout/evaluate?user_id=bob&attr.address.country=PL&attr.secret_plan=1&attr.team=burgee'), [
    { rollout_percentage: Number },
    { segment: { segment_id: 'staff', list: 'excluded', action: 'remove', id: 'bob' }, gives: { rule_id: 'poland' } },
  ]);
});
