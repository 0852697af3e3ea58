// What a worker that has too much to do refuses, at which place in the order of refusal, and what it never refuses.
import { once } from 'node:events';
import { test } from 'tap';
import { WebSocket } from 'ws';
import type { Overload } from '../../src/worker/overload.ts';
import { makeFlag, makeKey, makeSnapshot, startServing } from '../support/serving.ts';

const KEY = 'admin-key-of-32-characters-00000';
const SPENT_KEY = 'spent-key-of-32-characters-00000';
const EVALUATE = '/api/v1/flags/a/evaluate?user_id=u';
const LONG = JSON.stringify({ user_id: 'u', attributes: { a: 'x'.repeat(5000) } });

test('a worker with too much to do', async (t) => {
  const asked: string[] = [];
  const overload: Overload & { active: boolean } = {
    active: true,
    count() {},
    sheds: (cost) => asked.push(cost) > 0,
    start: () => {},
    close: () => {},
  };
  const keys = [makeKey({ raw: KEY, scope: 'admin' }), makeKey({ raw: SPENT_KEY, scope: 'evaluate', rateLimit: 1 })];
  const snapshot = makeSnapshot(3, [makeFlag({ flag_id: 'a', enabled: true })], keys);
  const serving = await startServing(snapshot, [], 5000, { overload });
  t.teardown(() => serving.http.close());

  function ask(method: string, path: string, key = KEY, body?: string): Promise<Response> {
    asked.length = 0;
    serving.taken.length = 0;
    const headers = { 'x-api-key': key, 'content-type': 'application/json' };
    return fetch(serving.url + path, { method, headers, ...(body === undefined ? {} : { body }) });
  }

  await t.test('refuses by what a request costs, and says when to come again', async (t) => {
    for (const [cost, method, path, body] of [
      ['cheap', 'GET', EVALUATE],
      ['cheap', 'POST', '/api/v1/flags/a/evaluate', '{"user_id":"u"}'],
      ['cheap', 'POST', '/ofrep/v1/evaluate/flags/a', '{"context":{"targetingKey":"u"}}'],
      ['cheap', 'GET', '/flags/a'],
      ['costly', 'POST', '/api/v1/flags/a/evaluate', LONG],
      ['costly', 'GET', `${EVALUATE}&explain=true`],
      ['costly', 'POST', '/api/v1/flags/a/evaluate?explain=true', '{"user_id":"u"}'],
      ['costly', 'POST', '/api/v1/evaluate', '{"contexts":[{"user_id":"u"}]}'],
      ['costly', 'POST', '/ofrep/v1/evaluate/flags', '{"context":{"targetingKey":"u"}}'],
      ['costly', 'GET', '/flags'],
      ['costly', 'GET', '/api/v1/ws'],
    ] as const) {
      const what = `${method} ${path}`;
      const reply = await ask(method, path, KEY, body);
      t.same([reply.status, reply.headers.get('retry-after')], [503, '1'], what);
      t.not(reply.headers.get('connection'), 'close', 'the connection is kept');
      if (!path.startsWith('/ofrep')) t.match(await reply.json(), { code: 'OVERLOADED' }, what);
      t.same(asked, [cost], what);
      t.same(serving.taken, [], 'it does not count against the limit');
    }
  });

  await t.test('after 404 and 405, before 401 and 429', async (t) => {
    serving.verdict = 2;
    t.equal((await ask('GET', '/api/v1/nothing')).status, 404);
    t.equal((await ask('DELETE', '/api/v1/evaluate')).status, 405);
    for (const key of ['an-unknown-key-of-32-characters-', SPENT_KEY])
      for (const path of [EVALUATE, '/flags']) t.equal((await ask('GET', path, key)).status, 503, `${key} ${path}`);
    serving.verdict = 0;
  });

  await t.test('never what tells how it is, and never a change', async (t) => {
    serving.metricsText = '';
    serving.command = () => ({ ok: true, status: 200, headers: {}, body: '{}', revision: 4 });
    for (const path of ['/livez', '/readyz', '/healthz', '/metrics', '/version', '/openapi.json', '/docs']) {
      t.equal((await ask('GET', path)).status, 200, path);
      t.same(asked, [], path);
    }
    t.equal((await ask('PATCH', '/flags/a', KEY, '{"enabled":false}')).status, 200);
    t.same(asked, []);
  });

  await t.test('a message of a socket is answered with an error that says when to send it again', async (t) => {
    overload.active = false;
    const socket = new WebSocket(`${serving.url}/api/v1/ws`, { headers: { 'x-api-key': KEY } });
    const next = async (): Promise<unknown> => JSON.parse(String((await once(socket, 'message'))[0]));
    t.match(await next(), { type: 'welcome' });
    overload.active = true;
    asked.length = 0;
    for (const [id, cost, attributes] of [
      [1, 'cheap', {}],
      [2, 'costly', { a: 'x'.repeat(5000) }],
    ] as const) {
      socket.send(JSON.stringify({ type: 'evaluate', id, user_id: 'u', flags: ['a'], attributes }));
      t.match(await next(), { type: 'error', id, code: 'OVERLOADED', retry_after_ms: 1000 });
      t.equal(asked.at(-1), cost);
    }
    const closed = once(socket, 'close');
    socket.close();
    await closed;
  });
});
