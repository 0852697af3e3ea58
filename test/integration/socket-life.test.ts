// The life of a WebSocket: who is let in, how it is greeted, what it may not do, and how it ends.
import { type Test, test } from 'tap';
import { limits } from '../../src/limits.ts';
import { SPENT, WAIT } from '../../src/worker/limiter.ts';
import { makeFlag, makeKey, makeSnapshot, type Serving, startServing } from '../support/serving.ts';
import { openSocket, refusedSocket, type SocketClient, type SocketOptions } from '../support/socket-client.ts';
import { transportUnderTest } from '../support/transport.ts';

const KEY = 'evaluate-key-of-32-characters-000';
const LIMITED = 'limited-key-of-32-characters-0000';
const BOUND = 'bound-key-of-32-characters-000000';

const keys = [
  makeKey({ raw: KEY, scope: 'evaluate' }),
  makeKey({ raw: LIMITED, scope: 'evaluate', rateLimit: 10 }),
  makeKey({ raw: BOUND, scope: 'evaluate', environments: ['staging', 'prod', 'gone'] }),
];
const snapshot = makeSnapshot(812, [makeFlag({ flag_id: 'a' })], keys);

async function start(t: Test, origins: readonly string[] = [], authMs = 5000): Promise<Serving> {
  const serving = await startServing(snapshot, origins, authMs);
  t.teardown(() => {
    serving.http.close();
    if (serving.failures.length > 0) throw new Error(serving.failures.join('; '));
  });
  return serving;
}

async function open(t: Test, serving: Serving, options: SocketOptions = {}): Promise<SocketClient> {
  const client = await openSocket(serving.port, options);
  t.teardown(() => client.socket.terminate());
  return client;
}

test('a key in a header opens a socket, and the welcome is its first message', async (t) => {
  const serving = await start(t);
  for (const headers of [{ 'x-api-key': KEY }, { authorization: `Bearer ${KEY}` }]) {
    const client = await open(t, serving, { headers });
    const welcome = await client.next();
    t.match(welcome, { type: 'welcome', revision: 812, environments: ['dev', 'prod', 'staging'] });
    t.match(welcome['limits'], { frame_bytes: 1_048_576, contexts: 1000, requests_in_flight: 256 });
    client.close(1000);
    t.match(await client.closed, { code: 1000 });
  }
  t.match(serving.counted, [{ status: 101 }, { status: 101 }], 'each counts as a request');
});

test('the welcome names the environments of the key that exist', async (t) => {
  const client = await open(t, await start(t), { key: BOUND });
  t.same((await client.nextOf('welcome'))['environments'], ['prod', 'staging']);
});

test('a ping is answered with its id', async (t) => {
  const client = await open(t, await start(t), { key: KEY });
  for (const id of [0, 9, 4_294_967_295]) t.same(await client.ping(id), { type: 'pong', id });
});

test('without a key in the handshake it comes in the first message', async (t) => {
  const client = await open(t, await start(t));
  client.send({ type: 'auth', api_key: KEY });
  client.send({ type: 'ping', id: 1 });
  t.match(await client.next(), { type: 'welcome', revision: 812 });
  t.same(await client.next(), { type: 'pong', id: 1 });
  client.send({ type: 'auth', api_key: KEY });
  t.match(await client.nextOf('error', null), { code: 'INVALID_REQUEST' }, 'once is enough');
});

test('a bad, late or other first message closes with 4401', async (t) => {
  const serving = await start(t, [], 50);
  const first: readonly (string | Uint8Array | object | undefined)[] = [
    { type: 'auth', api_key: 'no-such-key-of-32-characters-0000' },
    { type: 'auth' },
    { type: 'auth', api_key: '' },
    { type: 'auth', api_key: KEY, extra: 1 },
    { type: 'ping', id: 1 },
    'no JSON',
    '',
    new Uint8Array([1, 2, 3]),
    undefined,
  ];
  for (const message of first) {
    const client = await open(t, serving);
    if (message !== undefined) client.send(message);
    t.match(await client.closed, { code: 4401, reason: /key|first message/ }, JSON.stringify(message));
    t.same(client.messages, []);
  }
  await t.resolves(open(t, serving, { key: KEY }));
});

test('a handshake is refused before the upgrade, as a problem', async (t) => {
  const serving = await start(t);
  t.match(await refusedSocket(serving.port, { 'x-api-key': 'wrong' }), {
    status: 401,
    headers: { 'content-type': 'application/problem+json', 'www-authenticate': /Bearer/ },
    body: /"code":"UNAUTHORIZED"/,
  });
  serving.verdict = SPENT;
  t.match(await refusedSocket(serving.port, { 'x-api-key': LIMITED }), {
    status: 429,
    headers: { 'retry-after': '17' },
    body: /RATE_LIMITED/,
  });
  serving.snapshot = undefined;
  t.match(await refusedSocket(serving.port, { 'x-api-key': KEY }), {
    status: 503,
    headers: { 'retry-after': /\d/ },
    body: /NOT_READY/,
  });
});

test('what asks for no upgrade of version 13 is told so', async (t) => {
  const serving = await start(t);
  const lacking: readonly Record<string, string>[] = [
    { upgrade: '', connection: '' },
    { upgrade: 'h2c' },
    { connection: 'close' },
    { 'sec-websocket-version': '8' },
    { 'sec-websocket-version': '' },
    { 'sec-websocket-key': '' },
    { 'sec-websocket-key': 'short' },
  ];
  for (const headers of lacking) {
    t.match(
      await refusedSocket(serving.port, { 'x-api-key': KEY, ...headers }),
      { status: 426, headers: { upgrade: 'websocket', 'sec-websocket-version': '13' }, body: /UPGRADE_REQUIRED/ },
      JSON.stringify(headers),
    );
  }
  t.match(await refusedSocket(serving.port, {}, 'POST'), { status: 405, headers: { allow: /GET/ } });
  t.equal((await fetch(`${serving.url}/api/v1/ws`)).status, 426);
});

test('pages of other origins are refused, those listed and its own are let in', async (t) => {
  const serving = await start(t, ['https://app.example']);
  const own = `http://127.0.0.1:${serving.port}`;
  for (const origin of ['https://app.example', own, own.toUpperCase()])
    await t.resolves(open(t, serving, { key: KEY, headers: { origin } }), origin);
  const others = ['https://evil.example', 'null', 'http://app.example', `${own}1`, own.replace('http', 'ftp'), ' '];
  for (const origin of others) {
    const refusal = await refusedSocket(serving.port, { 'x-api-key': KEY, origin });
    t.match(refusal, { status: 403, body: /ORIGIN_FORBIDDEN/ }, origin);
  }
});

test('a handshake is refused in the order of every route: key, rate limit, origin', async (t) => {
  const serving = await start(t, ['https://app.example']);
  const origin = 'https://evil.example';
  t.match(await refusedSocket(serving.port, { 'x-api-key': 'wrong', origin }), { status: 401, body: /UNAUTHORIZED/ });
  serving.verdict = SPENT;
  t.match(await refusedSocket(serving.port, { 'x-api-key': LIMITED, origin }), { status: 429, body: /RATE_LIMITED/ });
  t.match(await refusedSocket(serving.port, { origin }), { status: 403, body: /ORIGIN_FORBIDDEN/ });
});

test('a revoked key closes its sockets, idle ones too, and a refreshed one goes on', async (t) => {
  const serving = await start(t);
  const [one, other] = [await open(t, serving, { key: KEY }), await open(t, serving, { key: BOUND })];
  const without = makeSnapshot(813, [], [makeKey({ raw: BOUND, scope: 'read', environments: ['dev'] })]);
  serving.swap(without);
  t.match(await one.closed, { code: 4401 });
  t.match(await other.ping(), { type: 'pong' });
});

test('a key of the same id with another secret closes the sockets of the old one', async (t) => {
  const serving = await start(t);
  const client = await open(t, serving, { key: KEY });
  const replaced = { ...makeKey({ raw: KEY, scope: 'evaluate' }), keyHash: '0'.repeat(64) };
  serving.swap(makeSnapshot(813, [], [replaced]));
  t.match(await client.closed, { code: 4401 });
});

test('a key that expires closes its idle sockets', async (t) => {
  const serving = await start(t);
  const client = await open(t, serving, { key: KEY });
  const expiresAtMs = Date.now() + 200;
  serving.swap(makeSnapshot(813, [], [makeKey({ raw: KEY, scope: 'evaluate', expiresAtMs })]));
  t.match(await client.closed, { code: 4401 });
  t.ok(Date.now() >= expiresAtMs);
});

test('over the rate limit each message is refused with its id, and the connection stays', async (t) => {
  const serving = await start(t);
  const client = await open(t, serving, { key: LIMITED });
  serving.verdict = SPENT;
  client.send({ type: 'evaluate', flags: ['{"id":1}'], attributes: { id: 5 }, id: 7, user_id: 'u' });
  t.match(await client.nextOf('error'), { id: 7, code: 'RATE_LIMITED', retry_after_ms: 17_000 });
  client.send('nonsense');
  t.match(await client.nextOf('error'), { id: null, code: 'RATE_LIMITED' });
  client.send(Uint8Array.of(1, 0, 1, 0, 42, 0, 0, 0, 0, 0, 0, 0));
  t.match(await client.nextOf('error'), { id: 42, code: 'RATE_LIMITED' });
  serving.verdict = WAIT;
  t.match(await client.ping(8), { type: 'pong' });
  serving.waited = false;
  client.send({ type: 'ping', id: 9 });
  t.match(await client.nextOf('error'), { id: 9, code: 'RATE_LIMITED' });
});

test('a key whose token comes later is greeted then; what it sent meanwhile follows the welcome', async (t) => {
  const serving = await start(t);
  serving.verdict = WAIT;
  const client = await open(t, serving, { key: LIMITED });
  client.send({ type: 'ping', id: 1 });
  t.match(await client.next(), { type: 'welcome' });
  t.match(await client.next(), { type: 'pong', id: 1 });
  serving.waited = false;
  t.match(await (await open(t, serving, { key: LIMITED })).closed, { code: 1013 });
  const late = await open(t, serving);
  late.send({ type: 'auth', api_key: LIMITED });
  t.match(await late.closed, { code: 1013, reason: /used up/ });
});

test('ten messages that cannot be read close with 1008; wrong values do not count', async (t) => {
  const client = await open(t, await start(t), { key: KEY });
  for (let i = 0; i < 30; i++) {
    client.send({ type: 'ping', id: i, extra: true });
    t.match(await client.nextOf('error', i), { code: 'INVALID_REQUEST', message: /^extra: is not known here/ });
  }
  const malformed: readonly (string | object)[] = [
    'no JSON',
    '',
    '[]',
    'null',
    '{"type":"ping","id":1',
    { id: 5 },
    { type: 'nonsense', id: 6 },
    { type: 'ping' },
    { type: 'ping', id: -1 },
    { type: 'ping', id: 4_294_967_296 },
  ];
  const ids = [null, null, null, null, null, 5, 6, null, null, null];
  for (const [i, message] of malformed.entries()) {
    client.send(message);
    t.match(await client.nextOf('error'), { id: ids[i], code: 'INVALID_REQUEST', retry_after_ms: 0 });
  }
  t.match(await client.closed, { code: 1008, reason: /10 messages/ });
});

test('a message over a mebibyte closes with 1009, one of a mebibyte is read', async (t) => {
  const serving = await start(t);
  const client = await open(t, serving, { key: KEY });
  const largest = JSON.stringify({ type: 'ping', id: 1, extra: '' });
  client.send(largest.replace('""', `"${'x'.repeat(limits.socketMessageBytesMax - largest.length)}"`));
  t.match(await client.nextOf('error', 1), { code: 'INVALID_REQUEST' });
  client.send(`${largest}${' '.repeat(limits.socketMessageBytesMax)}`);
  t.match(await client.closed, { code: 1009, reason: /1048576 bytes/ });
});

test('text that is not UTF-8 ends the connection, and the worker goes on', async (t) => {
  const serving = await start(t);
  const client = await open(t, serving, { key: KEY });
  client.socket.on('error', () => {});
  client.socket.send(Buffer.from([0xff, 0xfe]), { binary: false });
  // The first transport's library cuts the connection, the second one's says why.
  t.match(await client.closed, { code: transportUnderTest === 'uws' ? 1006 : 1007 });
  t.match(await (await open(t, serving, { key: KEY })).ping(), { type: 'pong' });
});

test('a drain says goodbye, answers on, and closes with 1001', async (t) => {
  const serving = await start(t);
  const client = await open(t, serving, { key: KEY });
  const waiting = await open(t, serving);
  const drained = serving.http.drain(0, 25_000, 250);
  const goodbye = await client.nextOf('goodbye');
  t.ok((goodbye['reconnect_after_ms'] as number) >= 500 && (goodbye['reconnect_after_ms'] as number) < 5000);
  t.match(await client.ping(3), { type: 'pong' });
  t.match(await waiting.closed, { code: 1001 }, 'nobody to say goodbye to');
  t.match(await client.closed, { code: 1001 });
  await drained;
  t.equal(serving.gauges.get('burgee_worker_sockets'), 0);
});

test('a flood of pings whose pongs nobody reads is cut', async (t) => {
  const serving = await start(t);
  const client = await open(t, serving, { key: KEY });
  client.socket.on('error', () => {});
  client.socket.pause();
  const other = await open(t, serving, { key: KEY });
  const payload = Buffer.alloc(125);
  while (serving.gauges.get('burgee_worker_sockets') === 2) {
    for (let i = 0; i < 5000 && client.socket.readyState === client.socket.OPEN; i++) client.socket.ping(payload);
    await other.ping();
  }
  t.match(await other.ping(), { type: 'pong' });
});

test('so many may be without a key at once, and no more', async (t) => {
  const serving = await start(t);
  const opening = Array.from({ length: limits.socketsUnauthenticatedMax }, () => open(t, serving));
  const [first] = await Promise.all(opening);
  t.match(await refusedSocket(serving.port), {
    status: 503,
    headers: { 'retry-after': /\d/ },
    body: /TOO_MANY_SOCKETS/,
  });
  await t.resolves(open(t, serving, { key: KEY }), 'who has one is let in');
  first?.send({ type: 'auth', api_key: KEY });
  await first?.nextOf('welcome');
  await t.resolves(open(t, serving));
});
