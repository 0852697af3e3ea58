// What the server on Node's own library does by itself, and the other one does not: requests that no parser of the house
// sees, upgrades to something else, requests that wait in a row.
import { type Test, test } from 'tap';
import { sharesPortByNode } from '../../../../src/run/server-library.ts';
import { createNodeTransport } from '../../../../src/worker/transport/node.ts';
import { Patterns } from '../../../../src/worker/transport/node-patterns.ts';
import { type HeldExchange, makeHead, type Transport } from '../../../../src/worker/transport/transport.ts';
import { sendRaw } from '../../../support/serving.ts';

const HEAD = makeHead([['Content-Type', 'text/plain']]);

function make(t: Test): Transport {
  const transport = createNodeTransport({
    onFailure: (error) => t.fail(String(error)),
    tls: undefined,
    admits: () => true,
    crowdedCount: Number.POSITIVE_INFINITY,
  });
  t.teardown(() => transport.close());
  return transport;
}

/** Answers with what was asked: method, path, query and body. */
async function echo(t: Test): Promise<number> {
  const transport = make(t);
  transport.fallback((exchange) => {
    const line = `${exchange.method()} ${exchange.path()} ${exchange.query()}`;
    const held = exchange.hold(1000);
    held.whenEnded((bytes) => held.send('200 OK', HEAD, `${line} ${Buffer.from(bytes ?? []).toString()}`));
  });
  return transport.listen('127.0.0.1', 0);
}

const closed = (): boolean => false;

test('what is not HTTP is refused in words, and closed', async (t) => {
  const port = await echo(t);
  for (const bytes of [
    'nonsense\r\n\r\n',
    'GET x HTTP/1.1\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n',
  ])
    t.match(await sendRaw(port, bytes, closed), /^HTTP\/1\.1 400 [^]*Connection: close[^]*INVALID_REQUEST/, bytes);
  const chunk = 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n';
  t.match(await sendRaw(port, chunk, closed), /^HTTP\/1\.1 400 /, 'a body that breaks off its framing');
  const long = `GET / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`;
  t.match(await sendRaw(port, long, closed), /^HTTP\/1\.1 431 /);
});

test('targets in other forms, other versions and an upgrade to something else are requests like any other', async (t) => {
  const port = await echo(t);
  t.match(await sendRaw(port, 'GET http://h/p?q=1 HTTP/1.1\r\nHost: h\r\n\r\n'), /GET \/p q=1 $/);
  t.match(await sendRaw(port, 'OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n'), /OPTIONS \* {2}$/);
  t.match(await sendRaw(port, 'GET /p HTTP/1.0\r\n\r\n', closed), /Connection: close[^]*GET \/p {2}$/);
  const h2c = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n';
  t.match(
    await sendRaw(port, `POST /p HTTP/1.1\r\nHost: h\r\n${h2c}Content-Length: 4\r\n\r\nbody`),
    /POST \/p {2}body$/,
  );
  t.match(await sendRaw(port, 'CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n', closed), /Connection: close[^]*CONNECT h:80/);
});

test('a client that waits to send its body is told to when it is wanted', async (t) => {
  const port = await echo(t);
  const head = 'POST /p HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n';
  t.match(await sendRaw(port, head), /^HTTP\/1\.1 100 Continue\r\n/);
});

test('requests that wait in a row are answered in their order, and too many are cut', async (t) => {
  const transport = make(t);
  const waiting: HeldExchange[] = [];
  transport.fallback((exchange) => {
    waiting.push(exchange.hold(0));
    if (waiting.length === 3)
      for (const [i, held] of [...waiting.entries()].reverse()) held.send('200 OK', HEAD, `<${i}>`);
  });
  const port = await transport.listen('127.0.0.1', 0);
  const one = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
  const reply = await sendRaw(port, one.repeat(3), (text) => text.includes('<2>'));
  t.match(reply, /<0>[^]*<1>[^]*<2>/);
  t.equal(await sendRaw(port, one.repeat(100), closed), '', 'none of them is answered');
});

test('a taken port is refused, and had by asking again once the other has let go', async (t) => {
  const [first, second] = [make(t), make(t)];
  const port = await first.listen('127.0.0.1', 0);
  if (first.sharesPort) {
    t.equal(await second.listen('127.0.0.1', port), port, 'it is shared');
    return;
  }
  await t.rejects(second.listen('127.0.0.1', port), /cannot listen on 127\.0\.0\.1/);
  await first.drain(0, 1000);
  t.equal(await second.listen('127.0.0.1', port), port);
  await t.rejects(make(t).listen('203.0.113.1', port), /cannot listen on 203\.0\.113\.1/);
});

test('ports are shared from Node 22.12 and 23.1 on, on Linux', (t) => {
  const versions = ['20.20.2', '22.11.0', '22.12.0', '23.0.0', '23.1.0', '24.0.0'];
  t.same(
    versions.map((version) => sharesPortByNode('linux', version)),
    [false, false, true, false, true, true],
  );
  t.equal(sharesPortByNode('darwin', '24.0.0'), false);
  t.end();
});

test('a pattern takes a path of its own, no part of it empty', (t) => {
  const patterns = new Patterns();
  const [exact, one, two] = [(): void => {}, (): void => {}, (): void => {}];
  patterns.add('GET', '/a', exact);
  patterns.add('GET', '/a/{x}/b', one);
  patterns.add('GET', '/c/{x}/{y}', two);
  const parameters: string[] = [];
  t.equal(patterns.find('GET', '/a', parameters), exact);
  t.equal(patterns.find('GET', '/a/%7A/b', parameters), one);
  t.equal(parameters[0], '%7A');
  t.equal(patterns.find('GET', '/c/1/2', parameters), two);
  t.same(parameters, ['1', '2']);
  for (const path of ['/', '/a/', '/a//b', '/a/x/b/', '/a/x/y/b', '/c/1', '/c/1/', '/c/1/2/3'])
    t.equal(patterns.find('GET', path, parameters), undefined, path);
  t.equal(patterns.find('POST', '/a', parameters), undefined);
  t.end();
});
