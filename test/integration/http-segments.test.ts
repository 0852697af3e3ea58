// Segments over HTTP: documents and lists from the snapshot, changes as commands to the primary.
import { connect } from 'node:net';
import { test } from 'tap';
import { makeSegment, makeSnapshot } from '../support/serving.ts';
import { ask, keys, MANY, MEMBERS, receiving, start, turn, WRITE } from './fixtures/serving-segments.ts';

test('a segment is read from the snapshot', async (t) => {
  const serving = await start(t);
  const read = await ask(serving, '/api/v1/segments/staff');
  t.match(JSON.parse(read.text), {
    segment_id: 'staff',
    environment: 'prod',
    included_count: 3,
    when: null,
    version: 3,
  });
  t.same([read.headers.get('etag'), read.headers.get('x-flags-revision')], ['"3"', '11']);
  const same = await ask(serving, '/api/v1/segments/staff', { headers: { 'if-none-match': 'W/"3"' } });
  t.same([same.status, same.text, same.headers.get('etag')], [304, '', '"3"']);
  t.equal((await ask(serving, '/api/v1/segments/staff', { headers: { 'if-none-match': '"2"' } })).status, 200);
  t.equal((await ask(serving, '/api/v1/segments/staff', { key: 'tagged' })).status, 200, 'tags are about flags');
  t.equal((await ask(serving, '/api/v1/segments/staff?environment=dev')).code, 'SEGMENT_NOT_FOUND');
  t.equal((await ask(serving, '/api/v1/segments/__proto__')).code, 'SEGMENT_NOT_FOUND');
  t.equal((await ask(serving, '/api/v1/segments/staff?environment=nowhere')).code, 'ENVIRONMENT_NOT_FOUND');
});

test('segments are listed in order, page by page, as far as the key may see', async (t) => {
  const serving = await start(t);
  const list = async (query: string, key = WRITE): Promise<{ ids: string[]; next: string | null }> => {
    const { items, next_cursor: next } = JSON.parse(
      (await ask(serving, `/api/v1/segments?${query}`, { key })).text,
    ) as {
      items: { environment: string; segment_id: string }[];
      next_cursor: string | null;
    };
    return { ids: items.map((item) => `${item.environment}/${item.segment_id}`), next };
  };
  t.same(await list(''), { ids: ['prod/beta', 'prod/staff'], next: null });
  t.same((await list('environment=*')).ids, ['dev/beta', 'prod/beta', 'prod/staff']);
  t.same((await list('environment=*', 'write-dev')).ids, ['dev/beta']);
  t.same((await list('q=OWN')).ids, ['prod/staff'], 'in the description, whatever the case');
  t.same((await list('q=bet')).ids, ['prod/beta']);
  const first = await list('environment=*&limit=2');
  t.same(first.ids, ['dev/beta', 'prod/beta']);
  t.same(await list(`environment=*&limit=2&cursor=${first.next}`), { ids: ['prod/staff'], next: null });
  t.equal((await ask(serving, '/api/v1/segments?cursor=!')).code, 'INVALID_REQUEST');
  t.match((await ask(serving, '/api/v1/segments?tag=x')).detail, /tag/, 'segments have no tags');
});

test('changes go to the primary as commands, with what they are held to', async (t) => {
  const serving = await start(t);
  const received = receiving(serving);
  const json = { 'content-type': 'application/json', 'if-match': '"3"' };
  const send = (method: string, path: string, body?: object): Promise<{ status: number; headers: Headers }> =>
    ask(serving, `/api/v1/segments${path}`, { method, headers: json, ...(body ? { body: JSON.stringify(body) } : {}) });
  const made = await send('POST', '', { segment_id: 'new' });
  t.same([made.headers.get('etag'), made.headers.get('x-flags-revision')], ['"4"', '12']);
  await send('PUT', '/staff', { match_by: 'email', when: null });
  await send('PATCH', '/staff', { when: null });
  await send('DELETE', '/staff');
  await send('POST', '/staff/restore');
  await send('POST', '/staff/members', { list: 'excluded', add: ['x'], remove: ['y'] });
  const addressed = { environment: 'prod', segmentId: 'staff', ifMatch: [3] };
  t.same(
    received.map(({ command }) => command),
    [
      { type: 'segment.create', environment: 'prod', body: { segment_id: 'new' } },
      { type: 'segment.replace', ...addressed, body: { match_by: 'email', when: null } },
      { type: 'segment.patch', ...addressed, body: { when: null } },
      { type: 'segment.archive', ...addressed },
      { type: 'segment.restore', ...addressed },
      { type: 'segment.members', ...addressed, body: { list: 'excluded', add: ['x'], remove: ['y'] } },
    ],
  );
  serving.command = () => ({ ok: false, code: 'IN_USE', detail: 'two flags', dependents: ['a', 'b'] });
  const refused = await ask(serving, '/api/v1/segments/staff', { method: 'DELETE' });
  t.match([refused.status, JSON.parse(refused.text)], [409, { code: 'IN_USE', dependents: ['a', 'b'] }]);
});

test('what a body must not say is told by field', async (t) => {
  const serving = await start(t);
  const issues = async (method: string, path: string, body: object): Promise<string[]> => {
    const { text } = await ask(serving, `/api/v1/segments${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return (JSON.parse(text) as { errors: { path: string }[] }).errors.map((issue) => issue.path);
  };
  t.same(await issues('POST', '', { segment_id: '-', members: [] }), ['segment_id', 'members']);
  t.same(await issues('POST', '', { segment_id: 'x', when: { all: [], any: [] } }), ['when']);
  t.same(await issues('PUT', '/staff', { when: 'all', match_by: null }), ['match_by', 'when']);
  t.same(await issues('PATCH', '/staff', { included: ['u'] }), ['included']);
  t.same(await issues('POST', '/staff/members', { list: 'both', add: 'u', remove: [1] }), ['list', 'add', 'remove[0]']);
  t.same(await issues('POST', '/staff/members', {}), ['list']);
});

test('a list is read as text, one id a line', async (t) => {
  const serving = await start(t);
  const read = await ask(serving, MEMBERS, { key: 'read' });
  t.same([read.status, read.text], [200, 'ann\nbob\nZoë\n']);
  t.same(
    ['etag', 'x-flags-revision', 'content-type', 'transfer-encoding', 'cache-control'].map((name) =>
      read.headers.get(name),
    ),
    ['"3"', '11', 'text/plain; charset=utf-8', 'chunked', 'no-store'],
  );
  const empty = await ask(serving, '/api/v1/segments/staff/members/excluded');
  t.same([empty.status, empty.text, empty.headers.get('etag')], [200, '', '"3"']);
  const none = await ask(serving, `${MEMBERS.replace('staff', 'beta')}?environment=dev`);
  t.same([none.status, none.text], [200, ''], 'a list that never had a member');
  t.equal((await ask(serving, MEMBERS, { headers: { 'if-none-match': '"3"' } })).status, 304);
  const head = await ask(serving, MEMBERS, { method: 'HEAD' });
  t.same(
    [head.status, head.text, head.headers.get('etag'), head.headers.get('content-length')],
    [200, '', '"3"', null],
  );
  t.equal((await ask(serving, MEMBERS)).text, 'ann\nbob\nZoë\n', 'and the connection goes on');
  t.equal((await ask(serving, MEMBERS, { key: 'evaluate' })).code, 'SCOPE_REQUIRED');
  t.same(serving.counted.at(-1)?.status, 403);
  t.equal(serving.counted.length, 7);
});

test('a large list arrives whole, of one revision, at the pace of its reader', async (t) => {
  const serving = await start(t);
  const socket = connect(serving.port, '127.0.0.1');
  t.teardown(() => socket.destroy());
  socket.pause();
  socket.write(
    `GET ${MEMBERS.replace('staff', 'beta')} HTTP/1.1\r\nHost: x\r\nX-API-Key: ${WRITE}\r\nConnection: close\r\n\r\n`,
  );
  while (serving.counted.length === 0) await turn();
  // Whoever publishes meanwhile does not change what is being read.
  serving.swap(makeSnapshot(12, [], keys, [makeSegment({ segmentId: 'beta', version: 9, included: ['other'] })]));
  const pieces: Buffer[] = [];
  socket.on('data', (piece: Buffer) => {
    pieces.push(piece);
    socket.pause();
    setImmediate(() => socket.resume());
  });
  socket.resume();
  await new Promise((resolve) => socket.once('close', resolve));
  const reply = Buffer.concat(pieces).toString('latin1');
  t.match(reply, /^HTTP\/1\.1 200 OK\r\n[^]*X-Flags-Revision: 11\r\n/);
  t.ok(reply.endsWith('\r\n0\r\n\r\n'));
  const lines = Buffer.from(
    reply.slice(reply.indexOf('\r\n\r\n') + 2).replaceAll(/\r\n[0-9a-f]+\r\n/gi, ''),
    'latin1',
  ).toString();
  t.equal(lines.replaceAll('\r\n', ''), `${MANY.join('\n')}\n`);
  t.equal((await ask(serving, MEMBERS.replace('staff', 'beta'))).text, 'other\n');
});

test('a reader that goes away stops the work, and a list that fails half way is cut off', async (t) => {
  const serving = await start(t);
  let walked = 0;
  let failing = false;
  const endless = {
    count: 1,
    has: () => true,
    *ids(): Generator<string> {
      for (;;) {
        walked += 1;
        if (failing && walked > 100_000) throw new Error('a broken list');
        yield `user-${walked}`;
      }
    },
  };
  serving.swap(makeSnapshot(12, [], keys, [{ ...makeSegment({ segmentId: 'staff' }), included: endless }]));
  const gone = new AbortController();
  const reply = await fetch(serving.url + MEMBERS, { headers: { 'x-api-key': WRITE }, signal: gone.signal });
  t.equal(reply.status, 200);
  gone.abort();
  let before = -1;
  while (walked !== before) {
    before = walked;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  t.ok(walked > 0, `stopped after ${walked} ids`);
  walked = 0;
  failing = true;
  await t.rejects(ask(serving, MEMBERS), 'half a list is not taken for a whole one');
  t.match(serving.failures, [/a broken list/]);
});
