// Segments of a whole service: from a file of ids over HTTP to what a flag says to one user.
import { test } from 'tap';
import { ADMIN_KEY, flagWith, startService } from '../support/service.ts';

const COUNT = 100_000;
const TEXT = { 'content-type': 'text/plain' };

test('a segment from its first member to its archive', async (t) => {
  const service = await startService({ workers: 2 });
  t.teardown(() => service.stop());
  const { api } = service;
  const ids = Array.from({ length: COUNT }, (_, i) => `user-${i}-${i % 7 === 0 ? 'zażółć' : 'x'}`);
  const path = '/api/v1/segments/staff';

  /** A list as a set of its lines, which come once each. */
  async function download(list: 'included' | 'excluded'): Promise<{ ids: Set<string>; headers: Headers }> {
    const reply = await fetch(`${service.url}${path}/members/${list}`, { headers: { 'x-api-key': ADMIN_KEY } });
    const text = await reply.text();
    t.equal(reply.status, 200);
    const lines = text === '' ? [] : text.slice(0, -1).split('\n');
    const set = new Set(lines);
    t.equal(set.size, lines.length, 'no id comes twice');
    return { ids: set, headers: reply.headers };
  }

  async function verdict(userId: string): Promise<unknown> {
    const query = new URLSearchParams({ user_id: userId });
    const { body } = await api(`/api/v1/flags/door/evaluate?${query}`);
    return [body.enabled, body.reason];
  }

  const made = await api('/api/v1/segments', { method: 'POST', json: { segment_id: 'staff', description: 'Own' } });
  t.match(made, { status: 201, body: { segment_id: 'staff', environment: 'prod', version: 1, included_count: 0 } });
  t.equal(made.headers.get('location'), `${path}?environment=prod`);
  t.match(await api('/api/v1/segments', { method: 'POST', json: { segment_id: 'staff' } }), {
    status: 409,
    body: { code: 'SEGMENT_EXISTS' },
  });
  const rule = { rule_id: 'staff', when: { segment: 'staff' }, serve: { variant: 'on' } };
  await flagWith(service, { flag_id: 'door', enabled: true, rules: [rule] });
  t.same(await verdict('user-5-x'), [false, 'STATIC']);

  await t.test('a file replaces a list, and comes back the same', async (t) => {
    const put = await api(`${path}/members/included`, {
      method: 'PUT',
      headers: { ...TEXT, 'idempotency-key': 'load-1', 'if-match': '"1"' },
      body: `${ids.join('\n')}\n`,
    });
    t.match(put, { status: 200, body: { version: 2, included_count: COUNT, excluded_count: 0 } });
    t.equal(put.headers.get('etag'), '"2"');
    const back = await download('included');
    t.same([back.headers.get('etag'), back.headers.get('x-flags-revision')], ['"2"', String(put.body.revision)]);
    t.equal(back.ids.size, COUNT);
    t.ok(ids.every((id) => back.ids.has(id)));
    t.same(await verdict('user-5-x'), [true, 'RULE_MATCH'], 'every flag that uses it knows at once');
    t.same(await verdict('user-7-zażółć'), [true, 'RULE_MATCH']);
    t.same(await verdict('user-5-y'), [false, 'STATIC']);
    const again = await api(`${path}/members/included`, {
      method: 'PUT',
      headers: { ...TEXT, 'idempotency-key': 'load-1', 'if-match': '"1"' },
      body: `${ids.join('\n')}\n`,
    });
    t.match(again, { status: 200, body: { version: 2 } }, 'the same file under the same key is the same write');
    const other = await api(`${path}/members/included`, {
      method: 'PUT',
      headers: { ...TEXT, 'idempotency-key': 'load-1', 'if-match': '"1"' },
      body: 'user-1\n',
    });
    t.match(other, { status: 422, body: { code: 'IDEMPOTENCY_MISMATCH' } });
  });

  await t.test('ids are put in and taken out one by one', async (t) => {
    const members = (json: object): ReturnType<typeof api> => api(`${path}/members`, { method: 'POST', json });
    t.match(await members({ list: 'included', add: ['new-1', 'new-2'], remove: ['user-5-x'] }), {
      status: 200,
      body: { version: 3, included_count: COUNT + 1 },
    });
    t.match(await members({ list: 'excluded', add: ['user-7-zażółć'] }), {
      status: 200,
      body: { version: 4, excluded_count: 1 },
    });
    t.match(await members({ list: 'included', add: ['new-1'] }), { status: 200, body: { version: 4 } });
    t.same(await verdict('new-1'), [true, 'RULE_MATCH']);
    t.same(await verdict('user-5-x'), [false, 'STATIC']);
    t.same(await verdict('user-7-zażółć'), [false, 'STATIC'], 'excluded wins');
    const { ids: now } = await download('included');
    t.same([now.size, now.has('new-2'), now.has('user-5-x')], [COUNT + 1, true, false]);
    t.same([...(await download('excluded')).ids], ['user-7-zażółć']);
  });

  await t.test('a file that is wrong is refused by line, and changes nothing', async (t) => {
    const bad = await api(`${path}/members/included`, { method: 'PUT', headers: TEXT, body: 'a\n\nb\n' });
    t.match(bad, { status: 400, body: { code: 'INVALID_REQUEST', errors: [{ path: 'line 2' }] } });
    const stale = await api(`${path}/members/included`, {
      method: 'PUT',
      headers: { ...TEXT, 'if-match': '"1"' },
      body: 'a\n',
    });
    t.match(stale, { status: 412, body: { code: 'VERSION_MISMATCH' } });
    const nowhere = '/api/v1/segments/nobody/members/included';
    t.match(await api(nowhere, { method: 'PUT', headers: TEXT, body: 'a\n' }), {
      status: 404,
      body: { code: 'SEGMENT_NOT_FOUND' },
    });
    t.match((await api(path)).body, { version: 4, included_count: COUNT + 1 });
  });

  await t.test('what a flag needs is not archived', async (t) => {
    t.match(await api(path, { method: 'DELETE' }), { status: 409, body: { code: 'IN_USE', dependents: ['door'] } });
    await api('/api/v1/flags/door', { method: 'PATCH', json: { rules: [] } });
    t.match(await api(path, { method: 'DELETE' }), { status: 200 });
    t.equal((await api(path)).status, 404);
    t.match(await api(`${path}/restore`, { method: 'POST' }), { status: 200, body: { included_count: COUNT + 1 } });
    t.equal((await download('included')).ids.size, COUNT + 1);
    const emptied = await api(`${path}/members/included`, { method: 'PUT', headers: TEXT, body: '' });
    t.match(emptied, { status: 200, body: { included_count: 0 } });
    t.equal((await download('included')).ids.size, 0);
  });
});
