// Evaluations by POST have a short way beside the pipeline. Whatever is sent, both say the same, byte for byte; and what
// happens while a body is on its way happens to neither of them twice.
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import fc from 'fast-check';
import { type Test, test } from 'tap';
import { ADMITTED, SPENT, WAIT } from '../../src/worker/limiter.ts';
import { makeFlag, makeKey, makeSnapshot, type Serving, sendRaw, startServing } from '../support/serving.ts';
import { ofrepFlags } from './fixtures/ofrep-flags.ts';

const KEY = 'evaluate-key-of-32-characters-00';
const ORIGIN = 'https://app.example.com';
const RUNS = 1000;
const keys = [
  makeKey({ raw: KEY, scope: 'evaluate' }),
  makeKey({ raw: 'tagged-key', scope: 'evaluate', tags: ['web'] }),
  makeKey({ raw: 'dev-key', scope: 'read', environments: ['dev'] }),
  makeKey({ raw: 'two-key', scope: 'evaluate', environments: ['dev', 'prod'] }),
  makeKey({ raw: 'limited-key', scope: 'evaluate', rateLimit: 60 }),
  makeKey({ raw: 'expired-key', scope: 'evaluate', expiresAtMs: 1 }),
  { ...makeKey({ raw: 'unscoped-key', scope: 'evaluate' }), rank: 0 },
];
const flags = [
  ...ofrepFlags.map((flag) => makeFlag(flag)),
  makeFlag({ flag_id: 'web', tags: ['web'], enabled: true, rollout_percentage: 50 }),
  makeFlag({ flag_id: 'in-dev', enabled: true, rollout_percentage: 50 }, 'dev'),
];

interface Way {
  readonly path: string;
  /** The same request by the pipeline. */
  readonly long: string;
  /** A body that is answered with 200. */
  readonly body: string;
}
const ways: readonly Way[] = [
  { path: '/ofrep/v1/evaluate/flags', long: '//ofrep/v1/evaluate/flags', body: '{"context":{"targetingKey":"u1"}}' },
  { path: '/api/v1/evaluate', long: '/api/v1/evaluate?&', body: '{"contexts":[{"user_id":"u1"}]}' },
];

async function start(t: Test, origins: readonly string[] = []): Promise<Serving> {
  const serving = await startServing(makeSnapshot(812, flags, keys), origins);
  t.teardown(() => serving.http.close());
  return serving;
}

function head(path: string, lines: readonly string[], method = 'POST'): string {
  return [`${method} ${path} HTTP/1.1`, 'Host: x', ...lines].join('\r\n').concat('\r\n\r\n');
}

const PLAIN = [`X-API-Key: ${KEY}`, 'Content-Type: application/json'];
const plainHead = (path: string, bodyBytes: number): string => head(path, [...PLAIN, `Content-Length: ${bodyBytes}`]);

/** A reply with what may differ blanked. */
function blank(reply: string): string {
  return reply
    .replace(/^Date: .*$/m, 'Date')
    .replace(/^X-Request-Id: [0-9a-f]{8}-[0-9a-f-]{27}\r$/m, 'X-Request-Id: made\r')
    .replace(/"request_id":"[0-9a-f]{8}-[0-9a-f-]{27}"/, '"request_id":"made"')
    .replace(/"evaluated_at":"[^"]+"/, '"evaluated_at":"now"');
}

/** Chosen nearly always, so that most requests are plain but for one or two things. */
const mostly = <T>(usual: T, ...others: readonly T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 5, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...others) });

const user = fc.constantFrom<unknown>('u1', 'żółw', '\ud800', '', 'a"\\b', 7, null, undefined, 'x'.repeat(65_536));
const attributes = fc.dictionary(
  fc.constantFrom('country', 'user_id', 'plan', 'constructor', 'a'),
  fc.oneof(fc.constantFrom<fc.JsonValue>('PL', 'DE', 33, null, [1, 2], { deep: [{}] }), fc.jsonValue({ maxDepth: 3 })),
  { maxKeys: 4 },
);
const environment = mostly<unknown>(undefined, 'prod', 'dev', 'nowhere', '', 7, null);
const ofrepBody = fc
  .record({ user, attributes, environment, beside: mostly<unknown>(undefined, 1, {}) })
  .map(({ user: targetingKey, attributes: others, environment: named, beside }) =>
    JSON.stringify({ context: { targetingKey, ...others }, environment: named, beside }),
  );
const oddBody = fc.constantFrom(
  '',
  ' ',
  '{}',
  '[]',
  'null',
  '"x"',
  '{"context":',
  '\ufeff{}',
  '{"context":null}',
  '{"contexts":{}}',
  '{"contexts":[[],null,7]}',
  '{"contexts":[{"user_id":"u1","attributes":{"a":9007199254740993}}]}',
  '{"context":[]}',
  '{"context":{"targetingKey":"u1","a":9007199254740993}}',
  '{"context":{"targetingKey":"u1","__proto__":{"country":"PL"}}}',
  `{"context":{"a":${'['.repeat(70)}${']'.repeat(70)}}}`,
  `{"context":{"a":"${'x'.repeat(66_000)}"}}`,
  JSON.stringify({ context: Object.fromEntries(Array.from({ length: 258 }, (_, i) => [`a${i}`, i])) }),
);
const batchBody = fc
  .record({
    contexts: fc.array(
      fc.record({
        user_id: mostly<unknown>('u1', 'żółw', '\ud800', '', 7, undefined),
        attributes,
        x: mostly<unknown>(undefined, 1),
      }),
      { maxLength: 4 },
    ),
    flags: mostly<unknown>(undefined, ['boolean', 'web', 'none', 'web'], [], ['__proto__'], 'web', [7], null),
    environment,
    beside: mostly<unknown>(undefined, 1),
  })
  .map((body) => JSON.stringify(body));
const bodies = fc.oneof(
  { weight: 4, arbitrary: ofrepBody },
  { weight: 4, arbitrary: batchBody },
  { weight: 1, arbitrary: oddBody },
);
const bytes = fc.oneof(
  { weight: 20, arbitrary: bodies.map((text) => Buffer.from(text)) },
  { weight: 1, arbitrary: fc.constant(Buffer.from([0x7b, 0xff, 0x7d])) },
);

const lines = fc
  .record({
    key: mostly(
      `X-API-Key: ${KEY}`,
      `Authorization: Bearer ${KEY}`,
      `authorization: bearer  ${KEY}`,
      `X-API-Key: unknown\r\nAuthorization: Bearer ${KEY}`,
      'X-API-Key:',
      'X-API-Key: tagged-key',
      'X-API-Key: dev-key',
      'X-API-Key: two-key',
      'X-API-Key: limited-key',
      'X-API-Key: limited-key',
      'X-API-Key: limited-key',
      'X-API-Key: expired-key',
      'X-API-Key: unscoped-key',
    ),
    type: mostly(
      'Content-Type: application/json',
      'Content-Type: application/json; charset=utf-8',
      'Content-Type: Application/JSON;charset="UTF-8"',
      'Content-Type: application/json; charset=latin1',
      'Content-Type: text/plain',
      'Content-Type:',
      'X-Other: none',
    ),
    environment: mostly(
      'X-Other: a',
      'X-Flags-Environment: prod',
      'X-Flags-Environment: dev',
      'X-Flags-Environment: nowhere',
      'X-Flags-Environment:',
      'X-Flags-Environment: dev\r\nX-Flags-Environment: prod',
    ),
    revision: mostly(
      'X-Other: b',
      'X-Flags-Min-Revision: 812',
      'X-Flags-Min-Revision: 99999',
      'X-Flags-Min-Revision: x',
      'X-Flags-Min-Revision:',
      'X-Flags-At-Revision: 3',
      'X-Flags-At-Revision: 3\r\nX-Flags-Min-Revision: 3',
    ),
    id: mostly('X-Request-Id: r-1', 'X-Request-Id: not one!', 'X-Other: c'),
    trace: mostly(
      'X-Other: d',
      'traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
      'traceparent: %',
    ),
    origin: mostly('X-Other: e', `Origin: ${ORIGIN}`, 'Origin: https://other.example.com', 'Origin:'),
    known: mostly('X-Other: f', 'If-None-Match: *', 'If-None-Match: "x", W/"y"', 'If-None-Match:'),
    length: mostly('X-Other: g', 'Content-Length: 3', 'Transfer-Encoding: gzip'),
  })
  .map((all) => Object.values(all));

// POST /evaluate has no tag.
for (const way of ways.filter(({ path }) => path.startsWith('/ofrep'))) {
  test(`a tag of one way is known to the other: ${way.path}`, async (t) => {
    const serving = await start(t);
    const tagOf = (reply: string): string => /^ETag: (.*)\r$/m.exec(reply)?.[1] ?? '';
    const ask = (path: string, more: readonly string[] = []): Promise<string> =>
      sendRaw(serving.port, `${head(path, [...PLAIN, ...more, `Content-Length: ${way.body.length}`])}${way.body}`);
    const tag = tagOf(await ask(way.path));
    t.match(tag, /^"[A-Za-z0-9_-]{22}[0-9a-f]{16}"$/);
    t.equal(tagOf(await ask(way.long)), tag);
    const known = [`If-None-Match: ${tag}`, 'X-Request-Id: r-1'];
    const short = blank(await ask(way.path, known));
    t.match(short, /^HTTP\/1.1 304 /);
    t.equal(short, blank(await ask(way.long, known)));
  });
}

for (const way of ways) {
  test(`${RUNS} random requests are answered alike by the short way and by the pipeline: ${way.path}`, async (t) => {
    const serving = await start(t, [ORIGIN]);
    const statuses = new Map<string, number>();
    const ask = async (path: string, sent: readonly string[], body: Buffer, chunked: boolean): Promise<unknown> => {
      const length = chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.byteLength}`;
      const chunk = Buffer.concat([Buffer.from(`${body.byteLength.toString(16)}\r\n`), body, Buffer.from('\r\n')]);
      const framed = chunked ? Buffer.concat([body.byteLength > 0 ? chunk : body, Buffer.from('0\r\n\r\n')]) : body;
      for (const list of [serving.counted, serving.logged, serving.taken, serving.unknown]) list.splice(0);
      const request = Buffer.concat([Buffer.from(head(path, [...sent, length])), framed]);
      const reply = blank(await sendRaw(serving.port, request));
      statuses.set(reply.slice(9, 12), (statuses.get(reply.slice(9, 12)) ?? 0) + 1);
      const logged = serving.logged.map((record) => ({ ...record, seconds: 0, requestId: '' }));
      return { reply, logged, counted: [...serving.counted], taken: [...serving.taken], unknown: [...serving.unknown] };
    };
    const property = fc.asyncProperty(
      lines,
      bytes,
      mostly(false, true),
      mostly<0 | 1 | 2>(ADMITTED, SPENT, WAIT),
      mostly(true, false),
      mostly(0, 7),
      async (sent, body, chunked, verdict, waited, staleSeconds) => {
        Object.assign(serving, { verdict, waited, staleSeconds });
        const short = await ask(way.path, sent, body, chunked);
        assert.deepEqual(short, await ask(way.long, sent, body, chunked));
      },
    );
    await fc.assert(property, { numRuns: RUNS, seed: 812 });
    for (const status of ['200', '400', '401', '403', '404', '415', '429'])
      t.ok(statuses.has(status), `${status} was among them`);
    t.same(serving.failures, []);
  });

  test(`a body may come in pieces of any size: ${way.path}`, async (t) => {
    const serving = await start(t);
    const text = way.body.replace('u1', `${'ż'.repeat(40)}`);
    const whole = blank(await sendRaw(serving.port, plainHead(way.path, Buffer.byteLength(text)) + text));
    t.match(whole, /^HTTP\/1.1 200 /);
    const pieces = [...Buffer.from(text)].map((byte) =>
      Buffer.concat([Buffer.from('1\r\n'), Buffer.from([byte, 13, 10])]),
    );
    const chunks = Buffer.concat([...pieces, Buffer.from('0\r\n\r\n')]);
    const chunked = head(way.path, [...PLAIN, 'Transfer-Encoding: chunked']);
    t.equal(blank(await sendRaw(serving.port, Buffer.concat([Buffer.from(chunked), chunks]))), whole);
    const socket = await open(t, serving);
    const reply = next(socket);
    socket.setNoDelay(true);
    // Not so the head: the library answers a request line that comes in two packets with 505.
    socket.write(plainHead(way.path, Buffer.byteLength(text)));
    for (const byte of Buffer.from(text))
      await new Promise<void>((resolve) => socket.write(Buffer.of(byte), () => resolve()));
    t.equal(blank(await reply), whole, 'and one byte a packet');
    t.equal(serving.taken.length, 3, 'each counted once');
  });

  test(`requests in one packet get their answers in order: ${way.path}`, async (t) => {
    const serving = await start(t);
    const one = plainHead(way.path, way.body.length) + way.body;
    const wrong = `${plainHead(way.path, 1)}[`;
    const get = head('/api/v1/flags/boolean/evaluate?user_id=u', [`X-API-Key: ${KEY}`], 'GET');
    const isOver = (text: string): boolean => text.split('HTTP/1.1 ').length === 4 && text.endsWith('}');
    const text = await sendRaw(serving.port, one + one + get, isOver);
    t.same(
      [...text.matchAll(/HTTP\/1.1 (\d+)/g)].map(([, status]) => status),
      ['200', '200', '200'],
    );
    t.match(await sendRaw(serving.port, wrong), /^HTTP\/1.1 400 /);
  });

  test(`other methods of the path, and other spellings, are as they were: ${way.path}`, async (t) => {
    const serving = await start(t);
    const ask = (path: string, method: string): Promise<string> =>
      // Of HEAD there is no body to wait for, whatever its length.
      sendRaw(serving.port, head(path, [...PLAIN, 'Content-Length: 0'], method), (text) => text.includes('\r\n\r\n'));
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'post', 'Post'])
      t.equal(blank(await ask(way.path, method)), blank(await ask(way.long, method)), method);
    t.match(await ask(way.path, 'GET'), /^HTTP\/1.1 405 [^]*Allow: POST, OPTIONS/);
    t.match(await ask(`${way.path}/`, 'POST'), /^HTTP\/1.1 40[04] /);
    t.match(await ask(way.path.toUpperCase(), 'POST'), /^HTTP\/1.1 404 /);
  });

  test(`a key revoked, or with less, while the body comes in is seen: ${way.path}`, async (t) => {
    const serving = await start(t);
    const cases: [name: string, keysThen: typeof keys, status: RegExp][] = [
      ['revoked', [], /^HTTP\/1.1 401 /],
      ['still there', keys, /^HTTP\/1.1 200 [^]*X-Flags-Revision: 813/],
    ];
    for (const [name, keysThen, status] of cases) {
      serving.snapshot = makeSnapshot(812, flags, keys);
      const socket = await open(t, serving);
      await headerRead(socket, way);
      serving.swap(makeSnapshot(813, flags, keysThen));
      const reply = next(socket);
      socket.write(way.body);
      t.match(await reply, status, name);
    }
    t.equal(serving.taken.length, 2, 'each counted once');
  });

  test(`a client that leaves in the middle of its body harms nobody: ${way.path}`, async (t) => {
    const serving = await start(t);
    const socket = await open(t, serving);
    await headerRead(socket, way);
    socket.write(way.body.slice(0, 5));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.destroy();
    await closed;
    t.match(await sendRaw(serving.port, plainHead(way.path, way.body.length) + way.body), /^HTTP\/1.1 200 /);
    t.same(serving.failures, []);
    t.ok(serving.counted.length <= 2);
  });

  test(`a body over the limit is refused by what came: ${way.path}`, async (t) => {
    const serving = await start(t);
    const chunk = `10000\r\n${' '.repeat(65_536)}\r\n`;
    const chunked = head(way.path, [...PLAIN, 'Transfer-Encoding: chunked']);
    t.match(await sendRaw(serving.port, chunked + chunk.repeat(17)), /^HTTP\/1.1 413 [^]*Connection: close/);
    t.match(await sendRaw(serving.port, plainHead(way.path, 10_000_000)), /^HTTP\/1.1 413 [^]*Connection: close/);
  });

  test(`a bug in the evaluation is 500 and a line in the log: ${way.path}`, async (t) => {
    const serving = await start(t);
    const broken = { ...makeSnapshot(813, flags, keys), environments: undefined as unknown as Map<string, never> };
    serving.snapshot = broken;
    const reply = await sendRaw(serving.port, plainHead(way.path, way.body.length) + way.body);
    t.match(reply, /^HTTP\/1.1 500 [^]*INTERNAL|^HTTP\/1.1 500 [^]*GENERAL/);
    t.match(serving.failures, [/a request failed/]);
  });
}

function open(t: Test, serving: Serving): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect(serving.port, '127.0.0.1', () => resolve(socket));
    t.teardown(() => socket.destroy());
  });
}

function next(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const receive = (chunk: Buffer): void => {
      text += chunk.toString('latin1');
      const end = text.indexOf('\r\n\r\n');
      const length = /content-length: (\d+)/i.exec(text)?.[1] ?? '0';
      if (end < 0 || text.length - end - 4 < Number(length)) return;
      socket.off('data', receive);
      resolve(text);
    };
    socket.on('data', receive);
  });
}

/** Sends the head, and resolves when it was read: that is what `100 Continue` tells. */
async function headerRead(socket: Socket, way: Way): Promise<void> {
  const told = next(socket);
  socket.write(head(way.path, [...PLAIN, 'Expect: 100-continue', `Content-Length: ${way.body.length}`]));
  await told;
}
