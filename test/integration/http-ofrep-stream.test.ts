// OFREP's event stream, by raw connections.
import { connect, type Socket } from 'node:net';
import { type Test, test } from 'tap';
import { SPENT } from '../../src/worker/limiter.ts';
import { makeStreamToken } from '../../src/worker/stream-token.ts';
import { schemaErrors } from '../support/ofrep-schema.ts';
import { makeFlag, makeKey, makeSnapshot, type Serving, startServing } from '../support/serving.ts';

const KEY = 'evaluate-key-of-32-characters-00';
const key = makeKey({ raw: KEY, scope: 'evaluate' });
const dev = makeKey({ raw: 'dev-key', scope: 'evaluate', environments: ['dev'] });
const limited = makeKey({ raw: 'limited-key', scope: 'evaluate', rateLimit: 60 });
const keys = [key, dev, limited];
const flags = [makeFlag({ flag_id: 'a' }), makeFlag({ flag_id: 'a' }, 'dev')];
const SECRET = Buffer.alloc(32, 7);

async function start(t: Test): Promise<Serving> {
  const serving = await startServing(makeSnapshot(812, flags, keys));
  t.teardown(() => serving.http.close());
  return serving;
}

/** One end of a stream: what came so far, and a wait for more. */
interface Listener {
  readonly socket: Socket;
  text(): string;
  /** Resolves when what came matches; rejects when the other side closes first. */
  seen(pattern: RegExp): Promise<void>;
  readonly closed: Promise<void>;
}

function listen(t: Test, serving: Serving, target: string, headers = ''): Listener {
  let text = '';
  const looks = new Set<() => void>();
  const socket = connect(serving.port, '127.0.0.1', () =>
    socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`),
  );
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    for (const look of looks) look();
  });
  t.teardown(() => socket.destroy());
  return {
    socket,
    closed,
    text: () => text,
    seen: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (pattern.test(text)) resolve();
        };
        looks.add(look);
        look();
        void closed.then(() => reject(new Error(`closed before ${pattern}: ${text}`)));
      }),
  };
}

const tokenOf = (keyId: string, environment = 'prod', nowMs = Date.now()): string =>
  makeStreamToken({ keyId, environment }, SECRET, nowMs) ?? '';
const address = (token: string, since = 'e1-812'): string => `/ofrep/v1/stream?token=${token}&since=${since}`;
const OPEN = /\r\n\r\n[0-9a-f]+\r\nretry: \d+\n\n/;
const END = /\r\n0\r\n\r\n$/;
const changes = (listener: Listener): string[] =>
  [...listener.text().matchAll(/^id: (.*)$/gm)].map(([, id]) => id ?? '');

test('a stream opens at once, with the head of an event stream', async (t) => {
  const serving = await start(t);
  const listener = listen(t, serving, address(tokenOf(key.keyId)));
  await listener.seen(OPEN);
  t.match(listener.text(), /^HTTP\/1\.1 200 OK\r\nContent-Type: text\/event-stream\r\n/);
  t.match(listener.text(), /\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\n/);
  const retryMs = Number(/retry: (\d+)/.exec(listener.text())?.[1]);
  t.ok(retryMs >= 1000 && retryMs < 5000, `comes back after ${retryMs} ms`);
  t.same(changes(listener), [], 'nothing happened yet');
});

test('a change is told as an event of the published form', async (t) => {
  const serving = await start(t);
  const listener = listen(t, serving, address(tokenOf(key.keyId)));
  await listener.seen(OPEN);
  serving.swap(makeSnapshot(813, flags, keys));
  await listener.seen(/\ndata: .*\n\n/);
  t.match(listener.text(), /id: e1-813\nevent: message\ndata: \{/);
  const event = JSON.parse(/data: (.*)/.exec(listener.text())?.[1] ?? '');
  t.match(event, { type: 'refetchEvaluation', etag: 'e1-813', lastModified: Number });
  t.same(schemaErrors('sseEventData', event), []);
});

test('many changes at once are told as the last one, and one of another environment not at all', async (t) => {
  const serving = await start(t);
  const listener = listen(t, serving, address(tokenOf(key.keyId)));
  await listener.seen(OPEN);
  const elsewhere = makeSnapshot(813, flags, keys);
  const prod = elsewhere.environments.get('prod') as NonNullable<ReturnType<typeof elsewhere.environments.get>>;
  serving.swap({
    ...elsewhere,
    environments: new Map(elsewhere.environments).set('prod', { ...prod, changedAt: 812 }),
  });
  for (let revision = 814; revision <= 900; revision += 1) serving.swap(makeSnapshot(revision, flags, keys));
  await listener.seen(/id: e1-900/);
  t.same(changes(listener), ['e1-900']);
});

test('what changed before the stream opened is told at its opening', async (t) => {
  const serving = await start(t);
  serving.swap(makeSnapshot(820, flags, keys));
  const token = tokenOf(key.keyId);
  const cases: [name: string, target: string, headers: string, told: string[]][] = [
    ['an older state', address(token, 'e1-812'), '', ['e1-820']],
    ['this state', address(token, 'e1-820'), '', []],
    ['a newer state: another worker was faster', address(token, 'e1-821'), '', []],
    ['a state of another store', address(token, 'e9-820'), '', ['e1-820']],
    ['no state', `/ofrep/v1/stream?token=${token}`, '', []],
    ['coming back', address(token, 'e1-812'), 'Last-Event-ID: e1-820\r\n', []],
    ['coming back late', address(token, 'e1-812'), 'Last-Event-ID: e1-819\r\n', ['e1-820']],
  ];
  for (const [name, target, headers, told] of cases) {
    const listener = listen(t, serving, target, headers);
    await listener.seen(told.length === 0 ? OPEN : /\ndata: .*\n\n/);
    t.same(changes(listener), told, name);
  }
});

test('a token that is none, is old, or is of a key that is gone, opens nothing', async (t) => {
  const serving = await start(t);
  const tokens: [name: string, token: string][] = [
    ['none', ''],
    ['nonsense', 'abc'],
    [
      'of another secret',
      makeStreamToken({ keyId: key.keyId, environment: 'prod' }, Buffer.alloc(32, 8), Date.now()) ?? '',
    ],
    ['of an hour ago', tokenOf(key.keyId, 'prod', Date.now() - 3_600_000)],
    ['of an unknown key', tokenOf('key_gone')],
  ];
  for (const [name, token] of tokens) {
    const response = await fetch(serving.url + address(token));
    t.equal(response.status, 401, name);
    t.match(await response.json(), { errorCode: 'GENERAL', errorDetails: /token/ });
  }
  const bare = await fetch(`${serving.url}/ofrep/v1/stream`, { headers: { 'x-api-key': KEY } });
  t.equal(bare.status, 401, 'a key in a header is no token');
});

test('a token for an environment that its key has lost is refused', async (t) => {
  const serving = await start(t);
  t.equal((await fetch(serving.url + address(tokenOf(dev.keyId, 'prod')))).status, 403);
  const listener = listen(t, serving, address(tokenOf(dev.keyId, 'dev')));
  await listener.seen(OPEN);
  t.pass('and for its own it opens');
});

test('opening a stream counts against the limit of its key', async (t) => {
  const serving = await start(t);
  serving.verdict = SPENT;
  const response = await fetch(serving.url + address(tokenOf(limited.keyId)));
  t.equal(response.status, 429);
  t.equal(response.headers.get('retry-after'), '17');
  t.match(await response.json(), { errorCode: 'GENERAL' });
});

test('a stream ends with its key, with its place in an environment, and with the environment', async (t) => {
  const serving = await start(t);
  const open = async (): Promise<Listener> => {
    const listener = listen(t, serving, address(tokenOf(key.keyId)));
    await listener.seen(OPEN);
    return listener;
  };
  const revoked = await open();
  serving.swap(makeSnapshot(812, flags, [dev]));
  await revoked.seen(END);
  serving.swap(makeSnapshot(812, flags, keys));
  const replaced = await open();
  serving.swap(makeSnapshot(812, flags, [{ ...key, keyHash: 'f'.repeat(64) }]));
  await replaced.seen(END);
  serving.swap(makeSnapshot(812, flags, keys));
  const rebound = await open();
  serving.swap(makeSnapshot(812, flags, [{ ...key, environments: new Set(['dev']) }]));
  await rebound.seen(END);
  serving.swap(makeSnapshot(812, flags, keys));
  const homeless = await open();
  const without = makeSnapshot(813, flags, keys);
  serving.swap({ ...without, environments: new Map([...without.environments].filter(([name]) => name !== 'prod')) });
  await homeless.seen(END);
  t.pass('four ends');
});

test('a drain ends streams without waiting for them', async (t) => {
  const serving = await start(t);
  const listener = listen(t, serving, address(tokenOf(key.keyId)));
  await listener.seen(OPEN);
  const drained = serving.http.drain(0, 25_000, 250);
  await listener.seen(END);
  await drained;
  t.pass('drained');
});

test('HEAD tells the head, POST is refused, and an unknown parameter is named', async (t) => {
  const serving = await start(t);
  const target = serving.url + address(tokenOf(key.keyId));
  const head = await fetch(target, { method: 'HEAD' });
  t.equal(head.status, 200);
  t.equal(head.headers.get('content-type'), 'text/event-stream');
  t.equal((await fetch(target, { method: 'POST' })).status, 405);
  const told = await fetch(`${target}&colour=red`);
  t.match(await told.json(), { errorCode: 'GENERAL', errorDetails: /colour/ });
});

test('no token stands in the log or in the counts', async (t) => {
  const serving = await start(t);
  const token = tokenOf(key.keyId);
  const listener = listen(t, serving, address(token));
  await listener.seen(OPEN);
  await fetch(serving.url + address(`${token}x`));
  t.same(
    serving.logged.map(({ route, status }) => `${route} ${status}`),
    ['GET /ofrep/v1/stream 200', 'GET /ofrep/v1/stream 401'],
  );
  t.notMatch(JSON.stringify([serving.logged, serving.counted, serving.failures]), token.slice(0, 40));
});
