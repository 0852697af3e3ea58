// A worker that holds many connections lets them turn over, on either transport.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type Test, test } from 'tap';
import { createTransport } from '../../../../src/worker/transport/create-transport.ts';
import { makeHead } from '../../../../src/worker/transport/transport.ts';

const HEAD = makeHead([['Content-Type', 'text/plain']]);

for (const name of ['uws', 'node'] as const) {
  test(`past so many connections each reply closes its own, and no longer once there are fewer (${name})`, async (t) => {
    const transport = await createTransport(name, {
      onFailure: () => {},
      tls: undefined,
      admits: () => true,
      crowdedCount: 2,
    });
    transport.fallback((exchange) => exchange.send('200 OK', HEAD, 'ok'));
    const port = await transport.listen('127.0.0.1', 0);
    t.teardown(() => transport.close());
    const kept = dial(t, port);
    t.notMatch(await ask(kept), /connection: close/i);
    t.notMatch(await ask(dial(t, port)), /connection: close/i);
    const third = dial(t, port);
    const gone = once(third, 'close');
    t.match(await ask(third), /^HTTP\/1.1 200 OK[^]*connection: close/i);
    await gone;
    while (transport.standing.connections > 2) await new Promise(setImmediate);
    t.notMatch(await ask(kept), /connection: close/i);
  });
}

function dial(t: Test, port: number): Socket {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  t.teardown(() => socket.destroy());
  return socket;
}

/** Resolves with the reply. */
function ask(socket: Socket): Promise<string> {
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  return new Promise((resolve) => {
    let text = '';
    const take = (chunk: Buffer): void => {
      text += chunk.toString('latin1');
      if (!text.endsWith('ok')) return;
      socket.off('data', take);
      resolve(text);
    };
    socket.on('data', take);
  });
}
