// The connection to Redis and the hints over it, against real servers and all that goes wrong with them.
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { test } from 'tap';
import { openRedis, redisScript } from '../../src/storage/redis/connection.ts';
import { createRedisHints } from '../../src/storage/redis/hints.ts';
import { TierUnavailable } from '../../src/storage/tiers.ts';
import { prepareRedis, startRedis } from '../support/redis.ts';
import { answered, connected, hotCopyOn, listener, snapshotAt } from '../support/redis-clients.ts';
import { startRedisCluster, startSentinels } from '../support/redis-topologies.ts';
import { EPOCH } from '../support/snapshot.ts';

const missing = prepareRedis()?.missing;
const options = { skip: process.env['CI'] === 'true' ? false : (missing ?? false) };

test('one server', options, async (t) => {
  const server = await startRedis();
  t.teardown(() => server.close());

  t.test('a hung one is left alone until it has answered, and collects nothing', async (t) => {
    const redis = await connected(server.url, 100);
    t.teardown(() => redis.close());
    process.kill(server.pid(), 'SIGSTOP');
    await t.rejects(redis.command('get', ['a']), TierUnavailable);
    for (let i = 0; i < 5_000; i++) await t.rejects(redis.command('get', ['a']), TierUnavailable);
    process.kill(server.pid(), 'SIGCONT');
    t.equal(await answered(() => redis.command('get', ['a'])), null);
    const calls = /cmdstat_get:calls=(\d+)/.exec(server.cli('info', 'commandstats'))?.[1];
    t.equal(calls, '2', 'only the first and the last were sent');
    t.equal(redis.spoken.lines.filter((line) => line.startsWith('warn')).length, 1, 'said once');
  });

  t.test('what is more than may be in flight is refused at once', async (t) => {
    const redis = await connected(server.url);
    t.teardown(() => redis.close());
    const all = await Promise.allSettled(Array.from({ length: 1_500 }, () => redis.command('get', ['a'])));
    t.equal(all.filter(({ status }) => status === 'rejected').length, 500);
    t.equal(redis.failures.get('busy'), 500);
  });

  t.test('a script that the server forgot is told again', async (t) => {
    const redis = await connected(server.url);
    t.teardown(() => redis.close());
    const script = redisScript('return ARGV[1] .. KEYS[1]');
    t.equal(String(await redis.run(script, ['k'], ['v'])), 'vk');
    server.cli('script', 'flush');
    t.equal(String(await redis.run(script, ['k'], ['v'])), 'vk');
  });

  t.test('one that cannot do it is said with the reason, never with the URL', async (t) => {
    const redis = await connected(server.url);
    const script = redisScript("return redis.call('SET', KEYS[1], 'v')");
    server.cli('config', 'set', 'maxmemory', '1');
    await t.rejects(redis.run(script, ['k'], []), /out of memory/);
    t.ok(redis.isUp, 'others may well succeed');
    server.cli('config', 'set', 'maxmemory', '0');
    server.cli('replicaof', '127.0.0.1', '1');
    await t.rejects(redis.run(script, ['k'], []), /replica/);
    server.cli('replicaof', 'no', 'one');
    await answered(() => redis.run(script, ['k'], []));
    await redis.close();
    for (const [login, why] of [
      ['', /refuses the user name or password/],
      [':wrong@', /refuses the user name or password/],
      ['nobody:wrong@', /refuses the user name or password/],
      [`:${server.password}@`, /not used: Redis refused a command/],
    ] as const) {
      const spoken = listener();
      const url = `redis://${login}127.0.0.1:${server.port}/${login === `:${server.password}@` ? 99 : 0}`;
      const refused = openRedis({ url, timeoutMs: 200, ...spoken });
      await spoken.heard(/^warn/);
      t.match(spoken.lines[0], why);
      t.notMatch(spoken.lines.join('\n'), /wrong@|only-for-tests/);
      await t.rejects(refused.command('get', ['a']), TierUnavailable);
      await refused.close();
    }
    const spoken = listener();
    const tls = openRedis({ url: server.url.replace('redis:', 'rediss:'), timeoutMs: 200, ...spoken });
    await spoken.heard(/^warn/);
    t.match(spoken.lines[0], /TLS|cannot be reached|in time/);
    await tls.close();
  });

  t.test('a user with the documented rules may do everything', async (t) => {
    const rules =
      '+ping +client|setname +get +set +del +strlen +getrange +append +rename +pttl +pexpire +evalsha +eval +publish +subscribe +unsubscribe';
    server.cli('acl', 'setuser', 'burgee', 'on', '>secret', '~burgee:*', '&burgee:*', '-@all', ...rules.split(' '));
    const redis = await connected(`redis://burgee:secret@127.0.0.1:${server.port}`);
    const copy = await hotCopyOn(redis, { pieceBytes: 500 });
    t.equal(await copy.write(snapshotAt(4)), 4);
    t.equal((await copy.read(EPOCH))?.items.length, 2);
    await copy.noteSeen(EPOCH, 4);
    t.equal(await copy.highestSeen(EPOCH), 4);
    const heard = await hearing(redis);
    heard.hints.publish(EPOCH, 5);
    t.equal(await heard.next(), 5);
    await t.rejects(redis.command('get', ['other']), /docs\/decisions/);
    t.ok(redis.isUp);
    await heard.hints.close();
    await redis.close();
  });

  t.test('hints are numbers or nothing, and are heard again after the connection was cut', async (t) => {
    const redis = await connected(server.url);
    const heard = await hearing(redis);
    for (const text of ['', 'x', '-1', '1.5', '1e3', '007', ' 8', '99999999999999999999', '9007199254740993'])
      server.cli('publish', `burgee:{${EPOCH}}:hints`, text);
    server.cli('publish', 'burgee:{other}:hints', '3');
    heard.hints.publish(EPOCH, 12);
    t.equal(await heard.next(), 12, 'the first that is one');
    const again = heard.again();
    server.cli('client', 'kill', 'type', 'pubsub');
    await again;
    heard.hints.publish(EPOCH, 13);
    t.equal(await heard.next(), 13);
    heard.hints.listen('other');
    await heard.again();
    server.cli('publish', `burgee:{${EPOCH}}:hints`, '14');
    server.cli('publish', 'burgee:{other}:hints', '15');
    t.equal(await heard.next(), 15);
    for (let revision = 20; revision <= 1_020; revision++) heard.hints.publish('other', revision);
    while ((await heard.next()) !== 1_020);
    t.ok(heard.count() < 20, 'of many at once the first and the last are told');
    await heard.hints.close();
    await redis.close();
  });

  t.test('a server that dies and comes back is used again', async (t) => {
    const redis = await connected(server.url);
    const lost = redis.spoken.heard(/^warn Redis is not used: Redis cannot be reached/);
    await server.stop('SIGKILL');
    await lost;
    await t.rejects(redis.command('get', ['a']), TierUnavailable);
    await server.start();
    t.equal(await answered(() => redis.command('get', ['a'])), null);
    t.equal(redis.spoken.lines.filter((line) => line.startsWith('info')).length, 2);
    await redis.close();
    await redis.close();
    await t.rejects(redis.command('get', ['a']), TierUnavailable);
  });
});

test('a server that speaks nonsense, cuts or says nothing ends nothing', async (t) => {
  const sockets = new Set<Socket>();
  const replies = ['HTTP/1.1 400 Bad Request\r\n\r\n', '-LOADING Redis is loading\r\n', '$99999999999999\r\nx', ''];
  let count = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.end(replies[count++ % replies.length] ?? '');
      if (count === replies.length) server.emit('enough');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const spoken = listener();
  const redis = openRedis({ url: `redis://127.0.0.1:${port}`, timeoutMs: 100, ...spoken, random: () => 0 });
  await once(server, 'enough');
  t.notOk(redis.isUp);
  t.ok(spoken.lines.length >= 1 && spoken.lines.length <= 4);
  await redis.close();
  for (const socket of sockets) socket.destroy();
  server.close();
});

test('a cluster', options, async (t) => {
  const cluster = await startRedisCluster();
  t.teardown(() => cluster.close());
  const redis = await connected(cluster.url);
  const heard = await hearing(redis);
  const copy = await hotCopyOn(redis, { pieceBytes: 500 });
  for (let index = 0; index < 8; index++) {
    const content = snapshotAt(4);
    const epoch = `epoch-${index}`;
    t.equal(await copy.write({ ...content, head: { ...content.head, epoch } }), 4);
    t.equal((await copy.read(epoch))?.items.length, 2);
    await copy.noteSeen(epoch, 4);
  }
  const held = cluster.nodes.map((node) => Number(node.cli('dbsize')));
  t.equal(held[0]! + held[1]! + held[2]!, 16, 'each key once, wherever it belongs');
  heard.hints.publish(EPOCH, 6);
  t.equal(await heard.next(), 6);
  await cluster.nodes[0]!.kill();
  await cluster.nodes[1]!.kill();
  await cluster.nodes[2]!.kill();
  await t.rejects(redis.command('get', ['a']), TierUnavailable);
  await heard.hints.close();
  await redis.close();
});

test('a replica that the sentinels made master is found', options, async (t) => {
  const topology = await startSentinels();
  t.teardown(() => topology.close());
  const redis = await connected(topology.url);
  const heard = await hearing(redis);
  const copy = await hotCopyOn(redis);
  t.equal(await copy.write(snapshotAt(4)), 4);
  const again = heard.again();
  await topology.nodes[0]!.kill();
  await answered(() => redis.run(redisScript("return redis.call('SET', KEYS[1], 'v')"), ['burgee:x'], []));
  t.match(topology.nodes[1]!.cli('role'), /^master/);
  await again;
  heard.hints.publish(EPOCH, 6);
  t.equal(await heard.next(), 6);
  await heard.hints.close();
  await redis.close();
});

/** Hints of EPOCH that are heard, from when they are. */
async function hearing(redis: Parameters<typeof createRedisHints>[0]['redis']) {
  const revisions: number[] = [];
  const takers: ((revision: number) => void)[] = [];
  const listeners: (() => void)[] = [];
  let count = 0;
  const hints = createRedisHints({
    redis,
    onHint(revision) {
      count += 1;
      const take = takers.shift();
      if (take === undefined) revisions.push(revision);
      else take(revision);
    },
    onListening: () => {
      for (const listening of listeners.splice(0)) listening();
    },
    ...listener(),
  });
  const again = (): Promise<void> => new Promise((resolve) => listeners.push(resolve));
  const first = again();
  hints.listen(EPOCH);
  await first;
  return {
    hints,
    again,
    count: () => count,
    next: (): Promise<number> =>
      new Promise((resolve) => {
        const revision = revisions.shift();
        if (revision === undefined) takers.push(resolve);
        else resolve(revision);
      }),
  };
}
