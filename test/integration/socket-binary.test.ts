// Prepared handles and binary frames over real WebSockets.
import { type Test, test } from 'tap';
import type { ServingSnapshot } from '../../src/worker/serving.ts';
import { decodeReply, encodeRequest, type Prepared, PreparedLists } from '../support/binary-client.ts';
import { makeFlag, makeKey, makeSnapshot, type Serving, startServing } from '../support/serving.ts';
import { openSocket, type SocketClient } from '../support/socket-client.ts';

const KEY = 'evaluate-key-of-32-characters-000';
const NONE = 'no-scope-key-of-32-characters-000';
const keys = [
  makeKey({ raw: KEY, scope: 'evaluate' }),
  { ...makeKey({ raw: NONE, scope: 'evaluate' }), rank: 0, scopes: [] },
];
const on = makeFlag({ flag_id: 'on', enabled: true, rollout_percentage: 100 });
const half = makeFlag({ flag_id: 'half', enabled: true, rollout_percentage: 50 });

function color(names: readonly string[]) {
  const variants = Object.fromEntries(names.map((name) => [name, name]));
  return makeFlag({ flag_id: 'color', enabled: true, type: 'string', variants, off_variant: 'red' });
}

function snapshotOf(revision: number, names: readonly string[]): ServingSnapshot {
  return makeSnapshot(revision, [on, half, color(names)], keys);
}

async function start(t: Test): Promise<Serving> {
  const serving = await startServing(snapshotOf(812, ['red', 'blue']));
  t.teardown(() => {
    serving.http.close();
    if (serving.failures.length > 0) throw new Error(serving.failures.join('; '));
  });
  return serving;
}

async function open(t: Test, serving: Serving, key = KEY): Promise<SocketClient> {
  const client = await openSocket(serving.port, { key });
  t.teardown(() => client.close());
  await client.nextOf('welcome');
  return client;
}

async function prepare(client: SocketClient, flags?: readonly string[]): Promise<Prepared> {
  client.send({ type: 'prepare', id: 5, environment: 'prod', flags });
  return (await client.nextOf('prepared', 5)) as unknown as Prepared;
}

function frame(
  id: number,
  userIds: readonly string[],
  fields: { op?: number; options?: number; handle?: number } = {},
) {
  return encodeRequest({ op: 1, options: 0, handle: 1, id, ...fields, users: userIds.map((userId) => ({ userId })) });
}

test('64 frames in flight are answered, packed and not, the same as by JSON', async (t) => {
  const serving = await start(t);
  const client = await open(t, serving);
  const { flags } = await prepare(client);
  t.same(
    flags.map(({ flag_id: flagId }) => flagId),
    ['color', 'half', 'on'],
  );
  const users = Array.from({ length: 50 }, (_, i) => `użytkownik-${i}`);
  for (let id = 0; id < 64; id++) client.send(frame(id, users, { options: id & 1, op: 1 + ((id >> 1) & 1) }));
  client.send({ type: 'evaluate_batch', id: 900, contexts: users.map((userId) => ({ user_id: userId })) });
  const { results } = await client.nextOf('results', 900);
  const rows = results as readonly Record<string, { enabled: boolean; variant: string }>[];
  const seen = new Set<number>();
  for (let i = 0; i < 64; i++) {
    const reply = decodeReply(await client.nextBinary());
    seen.add(reply.id);
    const wrong = rows.flatMap((row, user) =>
      flags.filter(({ flag_id: flagId, variants }, column) => {
        const { enabled, variant } = row[flagId] as { enabled: boolean; variant: string };
        const cell = reply.cell(user, column);
        return reply.isPacked ? cell !== Number(enabled) : variants[cell] !== variant;
      }),
    );
    if (wrong.length > 0) t.same(wrong, [], `frame ${reply.id}`);
  }
  t.equal(seen.size, 64);
});

test('a frame of any size is answered, with others in between', async (t) => {
  const serving = await start(t);
  const client = await open(t, serving);
  await prepare(client, Array(100).fill('half'));
  const users = Array.from({ length: 10_000 }, (_, i) => `user-${i}`);
  client.send(frame(1, users));
  client.send(frame(2, ['user-1']));
  const other = await open(t, serving);
  await prepare(other, ['half']);
  other.send(frame(3, ['user-1']));
  t.equal(decodeReply(await other.nextBinary()).id, 3);
  const big = decodeReply(await client.nextBinary());
  const small = decodeReply(await client.nextBinary());
  t.same([big.id, big.userCount, big.flagCount, small.id], [1, 10_000, 100, 2]);
  t.equal(big.cell(1, 99), small.cell(0, 0));
});

test('a changed list of variants is told before the reply that it is for, and to who does not ask', async (t) => {
  const serving = await start(t);
  const asking = await open(t, serving);
  const silent = await open(t, serving);
  const lists = new PreparedLists();
  lists.add(await prepare(asking, ['color']));
  await prepare(silent, ['color']);
  serving.swap(snapshotOf(813, ['blue', 'red']));
  asking.send(frame(1, ['a']));
  const reply = decodeReply(await asking.nextBinary());
  lists.add((await asking.nextOf('prepared')) as unknown as Prepared);
  t.equal(reply.revision, 813);
  t.same(lists.variantsOf(reply), [new Map([['color', 'red']])]);
  t.match(await silent.nextOf('prepared', 5), { handle: 1, revision: 813, flags: [{ variants: ['blue', 'red'] }] });
});

test('malformed frames are told one by one, and the tenth closes with 1008', async (t) => {
  const serving = await start(t);
  const client = await open(t, serving);
  await prepare(client);
  // Wrong in a value: they do not count.
  for (let i = 0; i < 20; i++) client.send(frame(i, ['']));
  for (let i = 0; i < 20; i++) t.match(await client.nextOf('error', i), { code: 'INVALID_REQUEST' });
  for (let i = 0; i < 10; i++) client.send(frame(i, ['a']).subarray(0, -1));
  for (let i = 0; i < 10; i++) t.match(await client.nextOf('error', i), { code: 'INVALID_REQUEST' });
  t.match(await client.closed, { code: 1008 });
});

test('a key without the scope prepares nothing and is answered no frame', async (t) => {
  const serving = await start(t);
  const client = await open(t, serving, NONE);
  client.send({ type: 'prepare', id: 5, environment: 'prod' });
  t.match(await client.nextOf('error', 5), { code: 'SCOPE_REQUIRED' });
  client.send(frame(6, ['a']));
  t.match(await client.nextOf('error', 6), { code: 'SCOPE_REQUIRED' });
});

test('released handles, and those of another socket, are not known', async (t) => {
  const serving = await start(t);
  const client = await open(t, serving);
  const other = await open(t, serving);
  await prepare(client);
  other.send(frame(1, ['a']));
  t.match(await other.nextOf('error', 1), { code: 'INVALID_REQUEST', message: /handle 1 is not prepared/ });
  client.send({ type: 'release', handle: 1 });
  client.send({ type: 'release', handle: 1 });
  client.send(frame(2, ['a']));
  t.match(await client.nextOf('error', 2), { code: 'INVALID_REQUEST', message: /handle 1 is not prepared/ });
  await client.ping();
  t.same(client.messages, [], 'release has no answer');
});
