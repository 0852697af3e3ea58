// On the transport of node:http a handshake of a WebSocket right behind a request whose reply was not out yet threw where
// nobody catches: two requests in one packet, without a key, ended the worker.
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'tap';
import { createNodeTransport } from '../../src/worker/transport/node.ts';
import { makeHead } from '../../src/worker/transport/transport.ts';
import { sendRaw } from '../support/serving.ts';

const HEAD = makeHead([['Content-Type', 'text/plain']]);
const FIRST = 'GET /first HTTP/1.1\r\nHost: h\r\n\r\n';
const HANDSHAKE =
  'GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';

for (const when of ['at once', 'later'] as const) {
  test(`a handshake in a row behind a request that is answered ${when} is a request like any other`, async (t) => {
    const transport = createNodeTransport({
      onFailure: (error) => t.fail(String(error)),
      tls: undefined,
      admits: () => true,
      crowdedCount: Number.POSITIVE_INFINITY,
    });
    t.teardown(() => transport.close());
    transport.socket('/ws', {
      messageBytesMax: 1000,
      idleSeconds: 60,
      accept(exchange) {
        exchange.send('401 Unauthorized', HEAD, 'no key');
        return undefined;
      },
    });
    transport.fallback((exchange) => {
      const path = exchange.path();
      if (when === 'at once') return exchange.send('200 OK', HEAD, `<${path}>`);
      const held = exchange.hold(0);
      held.whenEnded(() => setImmediate(() => held.send('200 OK', HEAD, `<${path}>`)));
    });
    const port = await transport.listen('127.0.0.1', 0);
    t.match(await sendRaw(port, FIRST + HANDSHAKE, (text) => text.includes('</ws>')), /<\/first>[^]*<\/ws>/);

    const socket = connect(port, '127.0.0.1');
    t.teardown(() => socket.destroy());
    socket.write(FIRST);
    t.match(String((await once(socket, 'data'))[0]), '</first>');
    socket.write(HANDSHAKE);
    t.match(String((await once(socket, 'data'))[0]), '401 Unauthorized', 'it is one once the reply before it is out');
  });
}
