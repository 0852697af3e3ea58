// What no honest client sends: bodies that lie about their length, bad percents, clients that leave.
import { test } from 'tap';
import { makeSnapshot, sendRaw } from '../support/serving.ts';
import { flags, KEY, keys, send, start } from './fixtures/refusing.ts';

test('a body whose length is told twice, or in an odd way, ends the connection', async (t) => {
  const serving = await start(t);
  const head = `POST /api/v1/flags/a/evaluate HTTP/1.1\r\nHost: x\r\nX-API-Key: ${KEY}\r\nContent-Type: application/json\r\n`;
  const closed = (): boolean => false;
  const body = '{"user_id":"u"}';
  const chunks = `f\r\n${body}\r\n0\r\n\r\n`;
  for (const [lengths, bytes] of [
    ['Content-Length: 15\r\nContent-Length: 15', body],
    ['Content-Length: 15\r\nContent-Length: 16', body],
    ['Transfer-Encoding: gzip', chunks],
    ['Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', chunks],
  ] as const) {
    t.match(
      await sendRaw(serving.port, `${head}${lengths}\r\n\r\n${bytes}`, closed),
      /^HTTP\/1.1 400 [^]*Connection: close[^]*INVALID_REQUEST/,
      lengths,
    );
  }
  t.match(
    await sendRaw(serving.port, `${head}Content-Length: 15\r\nTransfer-Encoding: chunked\r\n\r\n`, closed),
    /^HTTP\/1.1 400 /,
  );
  t.match(
    await sendRaw(
      serving.port,
      `GET /api/v1/flags/a/evaluate?user_id=u HTTP/1.1\r\nHost: x\r\nX-API-Key: ${KEY}\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n`,
      closed,
    ),
    /^HTTP\/1.1 400 /,
    'on the hot path too',
  );
  t.match(
    await sendRaw(serving.port, `${head}Transfer-Encoding: chunked\r\n\r\n5\r\n{"use\r\na\r\nr_id":"u"}\r\n0\r\n\r\n`),
    /^HTTP\/1.1 200 /,
    'chunks are fine',
  );
});

test('a body over the limit is refused as soon as that is known', async (t) => {
  const serving = await start(t);
  const head = `POST /api/v1/flags/a/evaluate HTTP/1.1\r\nHost: x\r\nX-API-Key: ${KEY}\r\nContent-Type: application/json\r\n`;
  t.match(
    await sendRaw(serving.port, `${head}Content-Length: 10000000\r\n\r\n{`),
    /^HTTP\/1.1 413 [^]*Connection: close/,
    'by its declared length',
  );
  const chunk = `10000\r\n${' '.repeat(65_536)}\r\n`;
  t.match(
    await sendRaw(serving.port, `${head}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(17)}`),
    /^HTTP\/1.1 413 /,
    'by what came',
  );
  const sent = await send(serving, '/api/v1/flags/a/evaluate', {
    method: 'POST',
    key: KEY,
    body: 'x'.repeat(10_000_000),
  });
  t.same([sent.status, sent.code], [413, 'BODY_TOO_LARGE'], 'and who sends all of it first still reads the answer');
  const fits = `{"user_id":"u"${' '.repeat(1_048_576 - 15)}}`;
  t.equal(
    (await send(serving, '/api/v1/flags/a/evaluate', { method: 'POST', key: KEY, body: fits })).status,
    200,
    'one that just fits is served',
  );
});

test('a bad percent-encoding anywhere is 400', async (t) => {
  const serving = await start(t);
  for (const path of [
    '/api/v1/flags/%zz/evaluate?user_id=u',
    '/api/v1/flags/a/evaluate?user_id=%',
    '/api/v1/flags/%ff',
    '/api/v1/flags?q=%c3',
    '/api/v1/flags/a/evaluate?user_id=u&%zz=1',
  ]) {
    const text = await sendRaw(serving.port, `GET ${path} HTTP/1.1\r\nHost: x\r\nX-API-Key: ${KEY}\r\n\r\n`);
    t.match(text, /^HTTP\/1.1 400 [^]*INVALID_REQUEST/, path);
  }
  t.equal(
    (await send(serving, '/api/v1/flags/%61/evaluate?user_id=u', { key: KEY })).status,
    200,
    'a good one is decoded',
  );
  t.equal((await send(serving, '/api/v1/flags/a%2Fb/evaluate?user_id=u', { key: KEY })).code, 'FLAG_NOT_FOUND');
});

test('two requests in one packet are two answers', async (t) => {
  const serving = await start(t);
  const one = `GET /api/v1/flags/a/evaluate?user_id=u HTTP/1.1\r\nHost: x\r\nX-API-Key: ${KEY}\r\n\r\n`;
  const text = await sendRaw(serving.port, one + one, (reply) => reply.split('"revision":5}').length === 3);
  t.equal(text.split('HTTP/1.1 200 OK').length, 3);
});

test('a client that leaves in the middle harms nobody', async (t) => {
  const serving = await start(t);
  const head = `POST /api/v1/flags/a/evaluate HTTP/1.1\r\nHost: x\r\nX-API-Key: ${KEY}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`;
  const { connect } = await import('node:net');
  await new Promise<void>((resolve) => {
    const socket = connect(serving.port, '127.0.0.1', () => socket.write(head, () => socket.destroy()));
    socket.on('close', () => resolve());
  });
  t.equal((await send(serving, '/api/v1/flags/a/evaluate?user_id=u', { key: KEY })).status, 200);
  t.same(serving.failures, []);
});

test('a bug in a route is 500 and a line in the log, not the end', async (t) => {
  const serving = await start(t);
  serving.command = () => {
    throw new Error('a bug');
  };
  const refused = await send(serving, '/api/v1/flags', {
    method: 'POST',
    key: KEY,
    body: '{"flag_id":"x"}',
    headers: { 'x-request-id': 'r1' },
  });
  t.same([refused.status, refused.code, refused.problem['request_id']], [500, 'INTERNAL', 'r1']);
  t.match(serving.failures[0], /a bug/);
  serving.snapshot = { ...makeSnapshot(6, flags, keys), environments: undefined as unknown as Map<string, never> };
  t.equal((await send(serving, '/api/v1/flags/a/evaluate?user_id=u', { key: KEY })).status, 500, 'on the hot path too');
});
