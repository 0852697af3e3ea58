// A key is checked when a request's header is there. Its body, or the revision it waits for, may come much later.
import { connect } from 'node:net';
import { test } from 'tap';
import { makeFlag, makeKey, makeSnapshot, startServing } from '../support/serving.ts';

const KEY = 'write-key-of-32-characters-00000';
const flags = [makeFlag({ flag_id: 'a' })];

test('a write whose key is revoked before its body is complete is refused', async (t) => {
  const serving = await startServing(makeSnapshot(3, flags, [makeKey({ raw: KEY, scope: 'write' })]));
  t.teardown(() => serving.http.close());
  let commands = 0;
  serving.command = () => {
    commands += 1;
    return { ok: true, status: 201, headers: {}, body: '{}', revision: 4 };
  };
  const head = `POST /api/v1/flags HTTP/1.1\r\nHost: x\r\nX-API-Key: ${KEY}\r\nContent-Type: application/json\r\n`;
  const socket = connect(serving.port, '127.0.0.1');
  t.teardown(() => socket.destroy());
  const reply = new Promise<string>((resolve) => socket.once('data', (chunk: Buffer) => resolve(chunk.toString())));
  // `100 Continue` tells that the header was read and the key found.
  socket.write(`${head}Expect: 100-continue\r\nContent-Length: 15\r\n\r\n`);
  t.match(await reply, /^HTTP\/1.1 100/);
  serving.swap(makeSnapshot(4, flags, []));
  const final = new Promise<string>((resolve) => socket.once('data', (chunk: Buffer) => resolve(chunk.toString())));
  socket.write('{"flag_id":"b"}');
  t.match(await final, /^HTTP\/1.1 401/);
  t.equal(commands, 0, 'nothing was sent to the store');
});

test('a reader that waits for the revision which revokes its key is refused', async (t) => {
  const serving = await startServing(makeSnapshot(3, flags, [makeKey({ raw: KEY, scope: 'write' })]));
  t.teardown(() => serving.http.close());
  serving.onWait = () => serving.swap(makeSnapshot(4, flags, []));
  const reply = await fetch(`${serving.url}/api/v1/flags/a/evaluate?user_id=u&min_revision=4`, {
    headers: { 'x-api-key': KEY },
  });
  t.same([reply.status, ((await reply.json()) as { code: string }).code], [401, 'UNAUTHORIZED']);
});
