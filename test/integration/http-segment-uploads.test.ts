// Lists of members sent as files: where they go, what is refused, and that nothing is left behind.
import { statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'tap';
import { limits } from '../../src/limits.ts';
import { makeSnapshot } from '../support/serving.ts';
import {
  ask,
  DONE,
  filesOf,
  MANY,
  MEMBERS,
  put,
  type Received,
  receiving,
  type Sent,
  segments,
  start,
  turn,
  WRITE,
} from './fixtures/serving-segments.ts';

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
