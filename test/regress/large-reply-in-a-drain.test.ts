// A large reply that a drain met was given to uWebSockets.js whole and waited for no longer: a client that did not take it
// within the idle time was cut in the middle of it.
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'tap';
import { quietTurn } from '../../src/worker/transport/quiet-turn.ts';
import { makeKey, makeSnapshot, startServing } from '../support/serving.ts';

const KEY = 'write-key-of-32-characters-00000';
const REPLY = JSON.stringify('x'.repeat(16_000_000));
const HEAD = /^HTTP\/1\.1 201 Created\r\n[^]*?Connection: close\r\n[^]*?\r\n\r\n/i;

for (const transport of ['uws', 'node'] as const) {
  test(`on ${transport} a drain waits until a large reply is taken`, async (t) => {
    const serving = await startServing(makeSnapshot(3, [], [makeKey({ raw: KEY, scope: 'write' })]), [], 5000, {
      transport,
    });
    t.teardown(() => serving.http.close());
    let finish = (): void => {};
    const begun = new Promise<void>((begin) => {
      serving.command = () =>
        new Promise((resolve) => {
          finish = () => resolve({ ok: true, status: 201, headers: {}, body: REPLY, revision: 4 });
          begin();
        });
    });
    const socket = connect(serving.port, '127.0.0.1');
    const head = `POST /api/v1/flags HTTP/1.1\r\nHost: x\r\nX-API-Key: ${KEY}\r\nContent-Type: application/json\r\n`;
    socket.write(`${head}Content-Length: 15\r\n\r\n{"flag_id":"n"}`);
    await begun;
    const drained = serving.http.drain(0, 25_000, 0);
    // Others than those that are open already are not taken any more.
    for (let isOpen = true; isOpen; ) {
      const other = connect(serving.port, '127.0.0.1');
      isOpen = await once(other, 'connect').then(
        () => true,
        () => false,
      );
      other.destroy();
    }
    socket.pause();
    finish();
    // The drain looks once in each, and the client takes nothing.
    for (let i = 0; i < 4; i++) await quietTurn();
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => void chunks.push(chunk));
    socket.resume();
    await once(socket, 'close');
    const reply = Buffer.concat(chunks).toString('latin1');
    t.match(reply.slice(0, 2000), HEAD);
    t.equal(reply.replace(HEAD, '').length, REPLY.length);
    await drained;
  });
}
