// How a worker stops: nothing that was asked goes unanswered.
import { connect } from 'node:net';
import { type Test, test } from 'tap';
import { makeFlag, makeKey, makeSnapshot, type Serving, sendRaw, startServing } from '../support/serving.ts';

const KEY = 'write-key-of-32-characters-00000';

async function start(t: Test): Promise<Serving> {
  const serving = await startServing(
    makeSnapshot(3, [makeFlag({ flag_id: 'a' })], [makeKey({ raw: KEY, scope: 'write' })]),
  );
  t.teardown(() => serving.http.close());
  return serving;
}

/** A connection that is kept; `ask` resolves with what came back. */
async function keep(serving: Serving): Promise<{ ask(): Promise<string>; readonly closed: Promise<void> }> {
  const socket = connect(serving.port, '127.0.0.1');
  await new Promise((resolve) => socket.once('connect', resolve));
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  return {
    closed,
    ask: () =>
      new Promise((resolve) => {
        socket.once('data', (chunk: Buffer) => resolve(chunk.toString()));
        socket.write(`GET /api/v1/flags/a/evaluate?user_id=u HTTP/1.1\r\nHost: x\r\nX-API-Key: ${KEY}\r\n\r\n`);
      }),
  };
}

/** Resolves once new connections are refused: from then on every reply says that its connection ends. */
async function untilRefused(port: number): Promise<void> {
  const refused = await new Promise<boolean>((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', () => resolve(true));
  });
  if (!refused) await untilRefused(port);
}

test('a kept connection gets its answer and is then closed; a new one is refused', async (t) => {
  const serving = await start(t);
  const kept = await keep(serving);
  t.notMatch(await kept.ask(), /Connection: close/i);
  const drained = serving.http.drain(0, 25_000, 60_000);
  await untilRefused(serving.port);
  const last = await kept.ask();
  t.match(last, /^HTTP\/1.1 200 OK[^]*Connection: close/i);
  await kept.closed;
  await drained;
  await t.rejects(sendRaw(serving.port, 'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n'), { code: 'ECONNREFUSED' });
});

test('what is in flight is waited for', async (t) => {
  const serving = await start(t);
  let finish = (): void => {};
  const begun = new Promise<void>((begin) => {
    serving.command = () =>
      new Promise((resolve) => {
        finish = () => resolve({ ok: true, status: 201, headers: {}, body: '{}', revision: 4 });
        begin();
      });
  });
  const write = fetch(`${serving.url}/flags`, {
    method: 'POST',
    headers: { 'x-api-key': KEY, 'content-type': 'application/json' },
    body: '{"flag_id":"n"}',
  });
  await begun;
  let drained = false;
  const drain = serving.http.drain(0, 25_000, 0).then(() => (drained = true));
  await untilRefused(serving.port);
  t.equal(drained, false);
  finish();
  const reply = await write;
  t.same([reply.status, reply.headers.get('connection')], [201, 'close']);
  await drain;
});

test('an idle connection does not hold it up', async (t) => {
  const serving = await start(t);
  const idle = await keep(serving);
  const drained = serving.http.drain(0, 25_000, 250);
  await idle.closed;
  await drained;
  serving.http.close();
  serving.http.close();
  t.pass('closed twice');
});

test('while it still accepts it already says that it is going', async (t) => {
  const serving = await start(t);
  const drained = serving.http.drain(300, 25_000, 250);
  const ready = await fetch(`${serving.url}/readyz`);
  t.match([ready.status, await ready.json()], [503, { code: 'NOT_READY', detail: /draining/ }]);
  t.same(await (await fetch(`${serving.url}/healthz`)).json(), { status: 'draining' });
  t.equal((await fetch(`${serving.url}/livez`)).headers.get('connection'), null, 'others go on as ever');
  await drained;
});

test('at the deadline it ends, whatever still asks', async (t) => {
  const serving = await start(t);
  serving.command = () => new Promise(() => {});
  const idle = await keep(serving);
  const never = fetch(`${serving.url}/flags`, {
    method: 'POST',
    headers: { 'x-api-key': KEY, 'content-type': 'application/json' },
    body: '{"flag_id":"n"}',
  });
  never.catch(() => {});
  await serving.http.drain(0, 300, 60_000);
  await idle.closed;
  await t.rejects(never);
});

test('asked again to drain it waits for the shorter time', async (t) => {
  const serving = await start(t);
  const idle = await keep(serving);
  const drained = serving.http.drain(0, 25_000, 60_000);
  await untilRefused(serving.port);
  await serving.http.drain(60_000, 120_000, 0);
  await idle.closed;
  await drained;
});
