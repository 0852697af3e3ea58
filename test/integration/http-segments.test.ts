// Segments over HTTP: documents from the snapshot, commands to the primary, lists of members streamed both ways.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import type { Command, CommandOutcome } from '../../src/ipc/messages.ts';
import { limits } from '../../src/limits.ts';
import { makeKey, makeSegment, makeSnapshot, type Serving, startServing } from '../support/serving.ts';

const WRITE = 'write-key-of-32-characters-00000';
const MEMBERS = '/api/v1/segments/staff/members/included';

const keys = [
  makeKey({ raw: WRITE, scope: 'write' }),
  makeKey({ raw: 'read', scope: 'read' }),
  makeKey({ raw: 'tagged', scope: 'write', tags: ['shop'] }),
  makeKey({ raw: 'evaluate', scope: 'evaluate' }),
  makeKey({ raw: 'write-dev', scope: 'write', environments: ['dev'] }),
];
const MANY = Array.from({ length: 300_000 }, (_, i) => `user-${i}-ł`);
const segments = [
  makeSegment({
    segmentId: 'staff',
    version: 3,
    included: ['ann', 'bob', 'Zoë'],
    excluded: [],
    description: 'Own people',
  }),
  makeSegment({ segmentId: 'beta', included: MANY }),
  makeSegment({ segmentId: 'beta', environment: 'dev' }),
];

const DONE: CommandOutcome = { ok: true, status: 200, headers: { ETag: '"4"' }, body: '{"version":4}', revision: 12 };

async function start(t: Test): Promise<Serving> {
  const serving = await startServing(makeSnapshot(11, [], keys, segments));
  t.teardown(() => serving.http.close());
  return serving;
}

interface Sent extends RequestInit {
  readonly key?: string;
}

async function ask(
  serving: Serving,
  path: string,
  sent: Sent = {},
): Promise<{ status: number; headers: Headers; text: string; code: unknown; detail: unknown }> {
  const { key = WRITE, headers, ...rest } = sent;
  const reply = await fetch(serving.url + path, { ...rest, headers: { 'x-api-key': key, ...headers } });
  const text = await reply.text();
  const problem = reply.status < 400 ? {} : (JSON.parse(text) as { code: unknown; detail: unknown });
  return { status: reply.status, headers: reply.headers, text, code: undefined, detail: undefined, ...problem };
}

const put = (body: string | Uint8Array<ArrayBuffer>, more: Sent = {}): Sent => ({
  ...more,
  method: 'PUT',
  body,
  headers: { 'content-type': 'text/plain', ...more.headers },
});

/** What the command said, and the file as it was then. */
interface Received {
  readonly command: Command;
  readonly file: Buffer | undefined;
  readonly fingerprint: string | undefined;
}

/** The primary answers every command with 200. */
function receiving(serving: Serving): Received[] {
  const received: Received[] = [];
  serving.command = ({ command, idempotency }) => {
    const file =
      command.type === 'segment.replace_members'
        ? readFileSync(join(serving.runPath, 'uploads', command.upload))
        : undefined;
    received.push({ command, file, fingerprint: idempotency?.fingerprint });
    return DONE;
  };
  return received;
}

const filesOf = (serving: Serving): string[] => {
  const folder = join(serving.runPath, 'uploads');
  return existsSync(folder) ? readdirSync(folder) : [];
};
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

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

test('a list is replaced by a file that the command names', async (t) => {
  const serving = await start(t);
  const received = receiving(serving);
  const body = `${MANY.join('\n')}\n`;
  const reply = await ask(serving, MEMBERS, put(body, { headers: { 'if-match': '"3"', 'idempotency-key': 'k1' } }));
  t.same([reply.status, reply.headers.get('etag'), reply.text], [200, '"4"', '{"version":4}']);
  const { command, file, fingerprint } = received[0] as Received;
  t.match(command, {
    type: 'segment.replace_members',
    environment: 'prod',
    segmentId: 'staff',
    list: 'included',
    upload: /^[0-9a-f]{32}$/,
    bytes: Buffer.byteLength(body),
    ifMatch: [3],
  });
  t.equal(file?.toString(), body);
  t.same(filesOf(serving), [], 'it is gone with the answer');
  t.equal(statSync(join(serving.runPath, 'uploads')).mode & 0o777, 0o700);

  await ask(serving, MEMBERS, put(body, { headers: { 'idempotency-key': 'k1' } }));
  await ask(serving, MEMBERS, put(`${body}x`, { headers: { 'idempotency-key': 'k1' } }));
  await ask(serving, MEMBERS.replace('included', 'excluded'), put(body, { headers: { 'idempotency-key': 'k1' } }));
  t.equal(received[1]?.fingerprint, fingerprint, 'the same request has the same fingerprint');
  t.equal(new Set(received.map((each) => each.fingerprint)).size, 3, 'another body or list has another');
  t.match(received[3]?.command, { list: 'excluded' });

  await ask(serving, MEMBERS, put('', { headers: { 'content-type': 'text/plain; charset=UTF-8' } }));
  t.match(received[4], { command: { bytes: 0 }, file: Buffer.alloc(0), fingerprint: undefined });
});

test('while the primary works the file is there, for it alone, and only so many at once', async (t) => {
  const serving = await start(t);
  const answers: (() => void)[] = [];
  serving.command = () => new Promise((resolve) => answers.push(() => resolve(DONE)));
  const puts = Array.from({ length: limits.uploadsInFlightMax }, (_, i) => ask(serving, MEMBERS, put(`user-${i}\n`)));
  while (answers.length < puts.length) await turn();
  t.equal(filesOf(serving).length, puts.length);
  for (const name of filesOf(serving)) t.equal(statSync(join(serving.runPath, 'uploads', name)).mode & 0o777, 0o600);
  const refused = await ask(serving, MEMBERS, put('one too many\n'));
  t.same([refused.status, refused.code, refused.headers.get('retry-after')], [503, 'STORAGE_UNAVAILABLE', '1']);
  for (const answer of answers.splice(0)) answer();
  t.same(
    (await Promise.all(puts)).map(({ status }) => status),
    puts.map(() => 200),
  );
  t.same(filesOf(serving), []);
  const next = ask(serving, MEMBERS, put('user-9\n'));
  while (answers.length === 0) await turn();
  answers[0]?.();
  t.equal((await next).status, 200, 'and there is a place again');
});

test('an upload is refused in order, and leaves no file', async (t) => {
  const serving = await start(t);
  const received = receiving(serving);
  const large = 'x'.repeat(limits.uploadBytesMax + 1);
  const code = async (path: string, sent: Sent): Promise<unknown> => (await ask(serving, path, sent)).code;
  const html = { 'content-type': 'text/html' };
  t.equal(await code('/api/v1/segments/staff/members/both', put('', { key: 'none' })), 'ROUTE_NOT_FOUND');
  t.equal(await code(MEMBERS, { method: 'PATCH', key: 'none' }), 'METHOD_NOT_ALLOWED');
  t.equal(await code(MEMBERS, put('a', { key: 'none' })), 'UNAUTHORIZED');
  t.equal(await code(`${MEMBERS}?environment=prod`, put('a', { key: 'read', headers: html })), 'SCOPE_REQUIRED');
  t.equal(
    await code(`${MEMBERS}?environment=prod`, put('a', { key: 'write-dev', headers: html })),
    'ENVIRONMENT_FORBIDDEN',
  );
  const long = `PUT ${MEMBERS} HTTP/1.1\r\nHost: x\r\nX-API-Key: ${WRITE}\r\nContent-Type: text/html\r\nContent-Length: ${large.length}\r\n\r\n`;
  const socket = connect(serving.port, '127.0.0.1');
  t.teardown(() => socket.destroy());
  socket.write(long);
  const answer = await new Promise<string>((resolve) => socket.once('data', (piece) => resolve(String(piece))));
  t.match(answer, /^HTTP\/1\.1 413 [^]*Connection: close[^]*BODY_TOO_LARGE/, 'by what it declares');
  for (const headers of [
    html,
    { 'content-type': 'text/plain; charset=latin1' },
    { 'content-type': 'application/json' },
    { 'content-encoding': 'gzip' },
  ] as Record<string, string>[])
    t.equal(await code(`${MEMBERS}?nope=1`, put('a', { headers })), 'UNSUPPORTED_MEDIA_TYPE', JSON.stringify(headers));
  t.equal(await code(`${MEMBERS}?nope=1`, put('a')), 'INVALID_REQUEST');
  t.equal(await code(MEMBERS, put('a', { headers: { 'if-match': '3' } })), 'INVALID_REQUEST');
  t.equal(await code(MEMBERS, put('a', { headers: { 'idempotency-key': 'x'.repeat(300) } })), 'INVALID_REQUEST');
  t.same(received, []);
  t.same(filesOf(serving), []);
  t.equal(await code(MEMBERS, put('a')), undefined);
  t.equal(received.length, 1);
});

test('a file without a declared length is cut off at the limit', async (t) => {
  const serving = await start(t);
  const received = receiving(serving);
  const piece = new Uint8Array(1_048_576).fill(0x61);
  let sent = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      sent += 1;
      if (sent > 66) controller.close();
      else controller.enqueue(piece);
    },
  });
  const refused = await ask(serving, MEMBERS, { ...put(''), body, duplex: 'half' } as Sent);
  t.same([refused.status, refused.code], [413, 'BODY_TOO_LARGE']);
  t.same(received, []);
  t.same(filesOf(serving), []);
});

test('a client that goes away while it sends leaves no file, and no command', async (t) => {
  const serving = await start(t);
  const received = receiving(serving);
  const socket = connect(serving.port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write(
    `PUT ${MEMBERS} HTTP/1.1\r\nHost: x\r\nX-API-Key: ${WRITE}\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\nuser-1\n`,
  );
  while (filesOf(serving).length === 0) await turn();
  socket.destroy();
  while (filesOf(serving).length > 0) await turn();
  t.same(received, []);
});

test('a key that is revoked while its file comes in does nothing', async (t) => {
  const serving = await start(t);
  const received = receiving(serving);
  const socket = connect(serving.port, '127.0.0.1');
  t.teardown(() => socket.destroy());
  socket.write(
    `PUT ${MEMBERS} HTTP/1.1\r\nHost: x\r\nX-API-Key: ${WRITE}\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nuser-1\n`,
  );
  while (filesOf(serving).length === 0) await turn();
  serving.swap(makeSnapshot(12, [], [], segments));
  const answer = new Promise<string>((resolve) => socket.once('data', (piece) => resolve(String(piece))));
  socket.write('ab\n');
  t.match(await answer, /^HTTP\/1\.1 401 /);
  t.same(received, []);
  while (filesOf(serving).length > 0) await turn();
});
