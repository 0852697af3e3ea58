// Subscriptions, watches and live figures over real sockets.
import { type Test, test } from 'tap';
import { makeFlag, makeKey, makeSnapshot, type Serving, startServing } from '../support/serving.ts';
import { openSocket, type ServerMessage, type SocketClient } from '../support/socket-client.ts';

const EVALUATE = 'evaluate-key-of-32-characters-000';
const READ = 'read-key-of-32-characters-0000000';
const keys = [makeKey({ raw: EVALUATE, scope: 'evaluate' }), makeKey({ raw: READ, scope: 'read' })];

let revision = 0;
const state = (percentage: number, description = '') => {
  revision += 1;
  const flag = { flag_id: 'a', enabled: true, rollout_percentage: percentage, description };
  return makeSnapshot(revision, [makeFlag(flag, 'prod', revision)], keys);
};

async function start(t: Test): Promise<Serving> {
  const serving = await startServing(state(0));
  t.teardown(() => {
    serving.http.close();
    if (serving.failures.length > 0) throw new Error(serving.failures.join('; '));
  });
  return serving;
}

async function open(t: Test, serving: Serving, key: string): Promise<SocketClient> {
  const client = await openSocket(serving.port, { key });
  t.teardown(() => client.socket.terminate());
  return client;
}

test('a subscription is told what changed, a watch that something did, figures come each second', async (t) => {
  const serving = await start(t);
  const client = await open(t, serving, READ);
  client.send({ type: 'subscribe', id: 3, environment: 'prod', user_id: 'u1', attributes: {}, flags: ['a'] });
  client.send({ type: 'watch', id: 4, environment: 'prod' });
  client.send({ type: 'stats', id: 10 });
  t.match(await client.nextOf('result', 3), { results: { a: { enabled: false } } });
  await client.ping();
  serving.swap(state(100));
  const flipped = { enabled: true, variant: 'on', value: true, reason: 'STATIC', version: revision };
  t.same(await client.nextOf('change', 3), { type: 'change', id: 3, revision, results: { a: flipped } });
  t.same(await client.nextOf('revision', 4), { type: 'revision', id: 4, revision, flags: ['a'] });
  const { worker } = await client.nextOf('stats', 10);
  t.match(worker, { pid: process.pid, sockets: 1, subscriptions: 2 });
  for (const id of [3, 10]) client.send({ type: 'unsubscribe', id });
  await client.ping();
  serving.swap(state(0));
  await client.nextOf('revision', 4);
  t.same(
    client.messages.filter(({ type }) => type === 'change'),
    [],
  );
});

test('a key that only evaluates may subscribe, and neither watch nor ask for figures', async (t) => {
  const client = await open(t, await start(t), EVALUATE);
  client.send({ type: 'subscribe', id: 1, user_id: 'ż' });
  client.send({ type: 'watch', id: 2 });
  client.send({ type: 'stats', id: 3 });
  t.match(await client.nextOf('result', 1), { results: { a: {} } });
  t.match(await client.nextOf('error', 2), { code: 'SCOPE_REQUIRED' });
  t.match(await client.nextOf('error', 3), { code: 'SCOPE_REQUIRED' });
});

test('all subscriptions of many sockets are told, in order, the latest last', async (t) => {
  const serving = await start(t);
  const clients = await Promise.all(Array.from({ length: 20 }, () => open(t, serving, EVALUATE)));
  for (const client of clients) {
    for (let id = 0; id < 100; id += 1) client.send({ type: 'subscribe', id, user_id: `u${id}`, flags: ['a'] });
    await client.nextOf('result', 99);
  }
  for (const percentage of [100, 0, 100]) serving.swap(state(percentage));
  for (const client of clients) {
    for (let id = 0; id < 100; id += 1) {
      const change = await client.next((message) => message.type === 'change' && message.id === id);
      t.match(change, { revision, results: { a: { enabled: true } } });
    }
  }
});

test('a client that reads nothing for a while has the latest state when it has read everything', async (t) => {
  const serving = await start(t);
  const [slow, quick] = [await open(t, serving, READ), await open(t, serving, READ)];
  for (const client of [slow, quick]) {
    client.send({ type: 'watch', id: 1 });
    client.send({ type: 'subscribe', id: 2, user_id: 'u' });
    await client.nextOf('result', 2);
    await client.ping();
  }
  slow.socket.pause();
  const flags = Array.from({ length: 9000 }, (_, i) => `no-such-flag-${i}`);
  for (let id = 10; id < 30; id += 1) slow.send({ type: 'evaluate', id, user_id: 'u', flags });
  for (const percentage of [100, 0, 100, 0, 100]) {
    serving.swap(state(percentage));
    await quick.nextOf('revision', 1);
  }
  slow.socket.resume();
  const isLatest = (message: ServerMessage): boolean => message['revision'] === revision;
  await slow.next((message) => message.type === 'revision' && isLatest(message));
  for (let id = 10; id < 30; id += 1) await slow.nextOf('result', id);
  await slow.ping();
  t.match(slow.messages.filter(({ type }) => type === 'change').at(-1), { results: { a: { enabled: true } } });
});
