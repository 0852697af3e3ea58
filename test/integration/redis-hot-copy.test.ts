// The snapshot in Redis, against a real server: who may write over whom, and what a reader believes.
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { test } from 'tap';
import { createHashBytes, isOfKeys } from '../../src/snapshot/checksum.ts';
import { encodeSnapshot } from '../../src/snapshot/encoding.ts';
import type { RedisConnection } from '../../src/storage/redis/connection.ts';
import { prepareRedis, startRedis } from '../support/redis.ts';
import { connected, hotCopyOn, snapshotAt } from '../support/redis-clients.ts';
import { EPOCH, flagItem } from '../support/snapshot.ts';

const missing = prepareRedis()?.missing;
const COPY = `burgee:{${EPOCH}}:snapshot:f2`;
const HIGHEST = `burgee:{${EPOCH}}:highest`;

test('the hot copy', { skip: process.env['CI'] === 'true' ? false : (missing ?? false) }, async (t) => {
  const server = await startRedis();
  const redis = await connected(server.url);
  t.teardown(async () => {
    await redis.close();
    await server.close();
  });
  t.beforeEach(() => void server.cli('flushall'));

  t.test('comes back as it went, less keys and secrets', async (t) => {
    const writer = await hotCopyOn(redis);
    const content = snapshotAt(7, 300);
    t.equal(await writer.standing(EPOCH), undefined);
    t.equal(await writer.write(content), 7);
    const standing = await writer.standing(EPOCH);
    t.equal(standing?.revision, 7);
    t.ok((standing?.ttlMs ?? 0) > 50_000 && (standing?.ttlMs ?? 0) <= 60_000);
    const reader = await hotCopyOn(redis, { nodeId: 'b' });
    t.equal(await reader.read(EPOCH), undefined, 'nothing is believed before the secret is known');
    reader.trust(content.items);
    const read = await reader.read(EPOCH);
    t.same(read?.head, { ...content.head, sumKeys: 0n });
    t.same(
      read?.items,
      content.items.filter(({ kind }) => !isOfKeys(kind)),
    );
    const bytes = (await redis.command('get', [COPY])) as Buffer;
    t.notOk(bytes.includes('hash-of-key') || bytes.includes('abababab'));
    t.equal(await reader.read('another-epoch'), undefined);
    t.equal(server.cli('keys', '*'), COPY, 'nothing else is left');
  });

  t.test('only a higher revision goes over another, an equal one gets its time again', async (t) => {
    const copy = await hotCopyOn(redis);
    const seven = snapshotAt(7);
    await copy.write(seven);
    t.equal(await copy.write(snapshotAt(6)), 7);
    server.cli('pexpire', COPY, '5000');
    t.equal(await copy.write(seven), 7);
    t.ok(Number(server.cli('pttl', COPY)) > 50_000);
    t.equal(await copy.write(snapshotAt(8)), 8);
    t.same(
      [...copy.writes],
      [
        ['written', 2],
        ['kept', 1],
        ['renewed', 1],
      ],
    );
  });

  t.test('compares revisions near 2^53 exactly', async (t) => {
    const copy = await hotCopyOn(redis);
    const highest = Number.MAX_SAFE_INTEGER;
    t.equal(await copy.write(snapshotAt(highest - 1)), highest - 1);
    t.equal(await copy.write(snapshotAt(highest)), highest);
    t.equal(await copy.write(snapshotAt(highest - 1)), highest);
    await copy.noteSeen(EPOCH, highest);
    await copy.noteSeen(EPOCH, highest - 1);
    t.equal(await copy.highestSeen(EPOCH), highest);
  });

  t.test('goes and comes in pieces', async (t) => {
    const copy = await hotCopyOn(redis, { pieceBytes: 1_000 });
    const content = snapshotAt(3, 50);
    t.equal(await copy.write(content), 3);
    t.equal((await copy.read(EPOCH))?.items.length, 50);
    t.equal(await copy.write(snapshotAt(2, 50)), 3);
    t.equal(server.cli('keys', '*'), COPY);
  });

  t.test('a snapshot over the limit is not kept, and that is said once', async (t) => {
    const said: string[] = [];
    const copy = await hotCopyOn(redis, { bytesMax: 4_000, warn: (_, message) => said.push(message) });
    await copy.write(snapshotAt(3, 50));
    await copy.write(snapshotAt(4, 50));
    t.equal(said.length, 1);
    t.equal(server.cli('exists', COPY), '0');
    server.cli('set', COPY, 'x'.repeat(5_000));
    copy.trust(snapshotAt(1).items);
    t.equal(await copy.read(EPOCH), undefined, 'nor is one read');
  });

  t.test('no garbage and no forgery is believed, and each is mended by the next write', async (t) => {
    const hash = await createHashBytes();
    const content = snapshotAt(7);
    const [first, ...rest] = content.items.filter(({ kind }) => !isOfKeys(kind));
    const forged = { ...first!, json: flagItem('flag-0', 7, first!.tag, { enabled: false }).json };
    const sameSums = { ...content.head, sumKeys: 0n };
    const more = [first!, ...rest, flagItem('flag-new', 7, 0n)];
    const forgeries: Record<string, Uint8Array | string> = {
      garbage: 'garbage',
      nothing: '',
      'a document changed under its tag': encodeSnapshot({ head: sameSums, items: [forged, ...rest] }, hash),
      'a flag more': encodeSnapshot({ head: sameSums, items: more }, hash),
      'keys with it': encodeSnapshot(content, hash),
      'signed by another': Buffer.concat([encodeSnapshot({ head: sameSums, items: more }, hash), Buffer.alloc(32)]),
    };
    for (const [name, bytes] of Object.entries(forgeries)) {
      const copy = await hotCopyOn(redis);
      copy.trust(content.items);
      await redis.command('set', [COPY, Buffer.from(bytes)]);
      t.equal(await copy.read(EPOCH), undefined, name);
      t.equal(await copy.write(content), 7, name);
      t.equal((await copy.read(EPOCH))?.items.length, 2, name);
      server.cli('del', COPY);
    }
    const copy = await hotCopyOn(redis);
    server.cli('lpush', COPY, 'x');
    t.equal(await copy.standing(EPOCH), undefined, 'another type');
    t.equal(await copy.write(content), 7, 'another type');
    // One that claims a higher revision stays, but not for ever: no node gave it more than a minute.
    const bytes = (await redis.command('get', [COPY])) as Buffer;
    bytes.writeBigUInt64LE(99n, 24);
    await redis.command('set', [COPY, bytes]);
    t.same(await copy.standing(EPOCH), { revision: 99, ttlMs: 0 });
    t.equal(await copy.read(EPOCH), undefined);
    t.equal(await copy.write(content), 99);
    t.ok(Number(server.cli('pttl', COPY)) > 0);
    bytes.writeBigUInt64LE(2n ** 60n, 24);
    await redis.command('set', [COPY, bytes]);
    t.equal(await copy.write(content), 7, 'no revision is so high');
  });

  t.test('the highest revision is believed only when a node noted it', async (t) => {
    const copy = await hotCopyOn(redis);
    copy.trust(snapshotAt(1).items);
    t.equal(await copy.highestSeen(EPOCH), 0);
    await copy.noteSeen(EPOCH, 12);
    await copy.noteSeen(EPOCH, 5);
    t.equal(await copy.highestSeen(EPOCH), 12);
    t.equal(server.cli('pttl', HIGHEST), '-1');
    const noted = server.cli('get', HIGHEST);
    for (const text of ['9007199254740991', 'x', '', noted.replace('12', '9000'), `99999:${'0'.repeat(64)}`]) {
      server.cli('set', HIGHEST, text);
      t.equal(await copy.highestSeen(EPOCH), 0, text);
      await copy.noteSeen(EPOCH, 13);
      t.equal(await copy.highestSeen(EPOCH), 13, text);
    }
    server.cli('del', HIGHEST);
    server.cli('lpush', HIGHEST, 'x');
    await copy.noteSeen(EPOCH, 14);
    t.equal(await copy.highestSeen(EPOCH), 14);
  });

  t.test('no interleaving of writes, deaths of writers and expiries lowers the revision', async (t) => {
    await fc.assert(
      interleavings(redis, (lua) => lua),
      { numRuns: 40 },
    );
    for (const broken of [/if there > mine then return text\(there\) end/, /there > mine or /]) {
      const result = await fc.check(
        interleavings(redis, (lua) => lua.replace(broken, '')),
        { numRuns: 1_000, seed: 7 },
      );
      t.ok(result.failed, `caught: without ${broken}`);
      t.comment(`after ${result.numRuns} schedules`);
    }
  });
});

interface Write {
  readonly type: 'write';
  readonly revision: number;
  readonly pieceBytes: number;
}

type Step = Write | { readonly type: 'expire' } | { readonly type: 'unclaim' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('write' as const),
      revision: fc.integer({ min: 1, max: 6 }),
      pieceBytes: fc.constantFrom(400, 100_000),
    }),
  },
  { weight: 1, arbitrary: fc.constant<Step>({ type: 'expire' }) },
  { weight: 2, arbitrary: fc.constant<Step>({ type: 'unclaim' }) },
);

/** All steps begin together; which of their statements Redis sees next is drawn. */
function interleavings(redis: RedisConnection, change: (lua: string) => string): fc.IAsyncProperty<unknown> {
  return fc.asyncProperty(
    fc.array(step, { minLength: 2, maxLength: 6 }),
    fc.infiniteStream(fc.nat(1_000)),
    async (steps, draws) => {
      await redis.command('flushall', []);
      const waiting: (() => Promise<void>)[] = [];
      const inTurn = <T>(call: () => Promise<T>): Promise<T> =>
        new Promise((resolve, reject) => waiting.push(() => call().then(resolve, reject)));
      let highest = 0;
      let open = steps.length;
      const begin = async (each: Step, index: number): Promise<void> => {
        if (each.type === 'expire') {
          await inTurn(async () => {
            await redis.command('del', [COPY]);
            highest = 0;
          });
        } else if (each.type === 'unclaim') await inTurn(() => redis.command('del', [`${COPY}:claim`]));
        else {
          const copy = await hotCopyOn(
            {
              command: (...args) => inTurn(() => redis.command(...args)),
              run: ({ lua }, keys, args) =>
                inTurn(() => redis.command('eval', [change(lua), keys.length, ...keys, ...args])),
            },
            { nodeId: String(index), pieceBytes: each.pieceBytes },
          );
          await copy.write(snapshotAt(each.revision));
        }
      };
      const all = Promise.all(steps.map((each, index) => begin(each, index).finally(() => (open -= 1))));
      const watcher = await hotCopyOn(redis);
      while (open > 0) {
        // All have gone as far as they can without Redis: so what is drawn does not depend on how fast they are.
        if (waiting.length < open) {
          await nextTurn();
          continue;
        }
        const [next] = waiting.splice((draws.next().value as number) % waiting.length, 1);
        if (next === undefined) continue;
        await next();
        const revision = (await watcher.standing(EPOCH))?.revision ?? 0;
        if (revision < highest) throw new Error(`${highest} became ${revision}`);
        highest = revision;
      }
      await all;
    },
  );
}
