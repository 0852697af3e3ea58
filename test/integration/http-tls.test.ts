// The worker's HTTP side behind TLS: the same answers, what old and broken clients get, and who they are said to be.
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import type { OutgoingHttpHeaders } from 'node:http';
import type { RequestOptions } from 'node:https';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { test } from 'tap';
import { WebSocket } from 'ws';
import { writeCertificate } from '../support/certificate.ts';
import { askSecurely, type SecureReply } from '../support/https.ts';
import { makeFlag, makeKey, makeSnapshot, type Serving, sendRaw, startServing } from '../support/serving.ts';

const KEY = 'k'.repeat(40);
const PATH = '/api/v1/flags/on/evaluate?user_id=u1';
const HEAD = `Host: localhost\r\nX-API-Key: ${KEY}\r\n`;
const GET = `GET ${PATH} HTTP/1.1\r\n${HEAD}\r\n`;

const files = writeCertificate();
const snapshot = makeSnapshot(
  7,
  [makeFlag({ flag_id: 'on', enabled: true, rollout_percentage: 100 })],
  [makeKey({ raw: KEY, scope: 'admin' })],
);

test('over TLS', async (t) => {
  const serving = await startServing(snapshot, [], 5000, { host: '::', tls: files, trustProxy: ['127.0.0.0/8'] });
  t.teardown(() => {
    serving.http.close();
    rmSync(dirname(files.certFile), { recursive: true });
  });
  const secure = (options: ConnectionOptions = {}): TLSSocket =>
    connectTls({ port: serving.port, host: '127.0.0.1', ca: files.certPem, ...options });

  await t.test('a flag is evaluated, and the certificate is the one configured', async (t) => {
    const reply = await ask(serving, PATH);
    t.equal(reply.status, 200);
    t.match(JSON.parse(reply.body), { flag_id: 'on', enabled: true });
    t.equal(reply.serialNumber, files.serialNumber);
  });

  await t.test('HEAD, large replies and large bodies are whole', async (t) => {
    t.equal((await ask(serving, '/openapi.json', { method: 'HEAD' })).body, '');
    const document = await ask(serving, '/openapi.json');
    t.ok(document.body.length > 100_000);
    t.match(JSON.parse(document.body), { openapi: /^3/ });
    const contexts = Array.from({ length: 1000 }, (_, i) => ({
      user_id: `user-${i}`,
      attributes: { pad: 'x'.repeat(500) },
    }));
    const reply = await ask(
      serving,
      '/api/v1/evaluate',
      { method: 'POST' },
      JSON.stringify({ environment: 'prod', contexts }),
    );
    t.equal(reply.status, 200, reply.body.slice(0, 200));
    t.equal(JSON.parse(reply.body).results.length, 1000);
  });

  await t.test('requests sent at once are answered in turn', async (t) => {
    const socket = secure();
    socket.write(GET.repeat(20));
    const text = await textUntil(socket, (text) => text.split('"evaluated_at"').length > 20);
    t.equal(text.split('HTTP/1.1 200 OK').length - 1, 20);
    socket.destroy();
  });

  await t.test('a WebSocket opens', async (t) => {
    const socket = new WebSocket(`wss://127.0.0.1:${serving.port}/api/v1/ws`, {
      ca: files.certPem,
      headers: { 'x-api-key': KEY },
    });
    const welcome = await new Promise<string>((resolve, reject) => {
      socket.once('message', (message) => resolve(String(message)));
      socket.once('error', reject);
    });
    t.match(JSON.parse(welcome), { type: 'welcome', revision: 7 });
    socket.terminate();
  });

  for (const version of ['TLSv1', 'TLSv1.1'] as const) {
    await t.test(`${version} is refused`, async (t) => {
      // This side has to be talked into it.
      const socket = secure({ minVersion: version, maxVersion: version, ciphers: 'ALL:@SECLEVEL=0' });
      t.match(await failureOf(socket), /protocol version|unsupported protocol|wrong version/i);
    });
  }

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    await t.test(`${version} is spoken, with HTTP/1.1 for whoever asks for more`, async (t) => {
      const socket = secure({ minVersion: version, maxVersion: version, ALPNProtocols: ['h2', 'http/1.1'] });
      socket.write(GET);
      t.match(await textUntil(socket, (text) => text.includes('"evaluated_at"')), /^HTTP\/1\.1 200 OK/);
      t.equal(socket.getProtocol(), version);
      t.not(socket.alpnProtocol, 'h2');
      socket.destroy();
    });
  }

  await t.test('ciphers without forward secrecy, or of old modes, are refused', async (t) => {
    for (const ciphers of ['AES128-SHA', 'AES128-GCM-SHA256', 'ECDHE-ECDSA-AES128-SHA', 'ECDHE-ECDSA-AES128-SHA256']) {
      const socket = secure({ maxVersion: 'TLSv1.2', ciphers: `${ciphers}:@SECLEVEL=0` });
      t.match(await failureOf(socket), /handshake failure/i, ciphers);
    }
  });

  await t.test('what is no TLS is closed, and others are served meanwhile', async (t) => {
    const plain = await sendRaw(serving.port, GET, () => false).catch(codeOf);
    t.notMatch(plain, /HTTP\/1\.1 200/);
    const garbage = await sendRaw(serving.port, Buffer.alloc(4096, 0xff), () => false).catch(codeOf);
    t.notMatch(garbage, /HTTP/);
    const hello = await clientHello();
    // Cut off in each of the ways that a handshake can be.
    for (const bytes of [hello.subarray(0, 1), hello.subarray(0, 50), hello]) await cutOff(serving.port, bytes);
    const damaged = Buffer.from(hello);
    damaged.fill(0xff, 9, 60);
    t.notMatch(await sendRaw(serving.port, damaged, () => false).catch(codeOf), /HTTP/);
    t.equal((await ask(serving, PATH)).status, 200);
  });

  await t.test('a client without SNI is served, and so is one that leaves without a word', async (t) => {
    for (let i = 0; i < 20; i++) {
      const socket = secure({ servername: '' });
      socket.write(GET);
      await textUntil(socket, (text) => text.includes('"evaluated_at"'));
      // No close_notify.
      socket.destroy();
    }
    t.equal((await ask(serving, PATH)).status, 200);
  });

  await t.test('a client that resumes its session is served', async (t) => {
    const first = secure({ maxVersion: 'TLSv1.2' });
    first.write(GET);
    await textUntil(first, (text) => text.includes('"evaluated_at"'));
    const session = first.getSession();
    first.destroy();
    const second = secure({ maxVersion: 'TLSv1.2', ...(session === undefined ? {} : { session }) });
    second.write(GET);
    t.match(await textUntil(second, (text) => text.includes('"evaluated_at"')), /200 OK/);
    second.destroy();
  });

  await t.test('the log names the client on every way, whichever family it comes by', async (t) => {
    const last = (): string | undefined => serving.logged.at(-1)?.client;
    await ask(serving, PATH);
    t.equal(last(), '127.0.0.1', 'IPv4 on a listener of both families');
    await ask(serving, PATH, { host: '::1' });
    t.equal(last(), '::1');
    const forwarded = { headers: { 'x-api-key': KEY, 'x-forwarded-for': '9.9.9.9, 203.0.113.7' } };
    await ask(serving, PATH, { host: '::1', ...forwarded });
    t.equal(last(), '::1', 'not a trusted proxy');
    const body = JSON.stringify({ environment: 'prod', contexts: [{ user_id: 'u' }] });
    for (const [method, path, text] of [
      ['GET', PATH, ''],
      ['GET', '/api/v1/flags?environment=prod', ''],
      ['GET', '/docs', ''],
      ['GET', '/none', ''],
      ['POST', '/api/v1/evaluate', body],
      ['POST', '/api/v1/evaluate', '{'],
    ]) {
      await ask(serving, path as string, { method: method as string, ...forwarded }, text);
      t.equal(last(), '203.0.113.7', `${method} ${path}`);
    }
  });

  t.same(serving.failures, []);
});

test('plain HTTP on a listener of IPv4', async (t) => {
  const serving = await startServing(snapshot, [], 5000, { trustProxy: ['127.0.0.1/32'] });
  t.teardown(() => serving.http.close());
  const lines = `X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 203.0.113.7\r\n`;
  for (const path of [PATH, '/api/v1/flags/on?environment=prod']) {
    await sendRaw(serving.port, `GET ${path} HTTP/1.1\r\n${HEAD}${lines}\r\n`);
    t.equal(serving.logged.at(-1)?.client, '203.0.113.7', `the proxy's own line counts, not the client's: ${path}`);
  }
  const evil = '"}{{$x}} \u00ff\u0080, 127.0.0.1';
  await sendRaw(serving.port, Buffer.from(`GET ${PATH} HTTP/1.1\r\n${HEAD}X-Forwarded-For: ${evil}\r\n\r\n`, 'latin1'));
  t.equal(serving.logged.at(-1)?.client, '127.0.0.1', 'nothing of it is logged');
  t.same(serving.failures, []);
});

/** On a connection of its own. */
function ask(serving: Serving, path: string, options: RequestOptions = {}, body = ''): Promise<SecureReply> {
  const headers = {
    'x-api-key': KEY,
    ...(body === '' ? {} : { 'content-type': 'application/json' }),
    ...(options.headers as OutgoingHttpHeaders),
  };
  return askSecurely({ ...options, port: serving.port, path, ca: files.certPem, headers }, body);
}

function textUntil(socket: Socket, isEnough: (text: string) => boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
      if (isEnough(text)) resolve(text);
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`closed after ${text}`)));
  });
}

function failureOf(socket: TLSSocket): Promise<string> {
  return new Promise((resolve) => {
    socket.once('secureConnect', () => {
      socket.destroy();
      resolve(`it was spoken: ${socket.getProtocol()} ${socket.getCipher().name}`);
    });
    socket.once('error', (error) => resolve(error.message));
  });
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}

/** The first flight of a real client. */
async function clientHello(): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connectTls({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' });
  client.on('error', () => {});
  const [socket] = (await once(server, 'connection')) as [Socket];
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  client.destroy();
  server.close();
  return bytes;
}

/** Sends it, waits until it is on its way, and resets the connection. */
function cutOff(port: number, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes, () => socket.resetAndDestroy()));
    socket.on('error', reject);
    socket.on('close', () => resolve());
  });
}
