// One of many nodes, as far as PostgreSQL and Redis can tell: what a primary has, less its workers.
import { randomUUID } from 'node:crypto';
import { createHotCopyUpkeep } from '../../src/primary/hot-copy-upkeep.ts';
import { createPublisher } from '../../src/primary/publisher.ts';
import { createSyncLoop } from '../../src/primary/sync.ts';
import type { SyncCounts } from '../../src/primary/sync-counts.ts';
import { systemClock } from '../../src/run/clock.ts';
import { createHashBytes } from '../../src/snapshot/checksum.ts';
import { migrate } from '../../src/storage/migrate.ts';
import { openPostgres } from '../../src/storage/postgres.ts';
import { openRedis } from '../../src/storage/redis/connection.ts';
import { createHotCopy } from '../../src/storage/redis/hot-copy.ts';
import type { Queryable, Sql } from '../../src/storage/sql.ts';
import { createStore } from '../../src/storage/sql-store.ts';
import { pause } from '../figures.ts';

const CONNECTIONS_MAX = 10;
const REDIS_TIMEOUT_MS = 250;

export interface FleetNode {
  /** Statements by their first words, since it was opened. */
  readonly queries: ReadonlyMap<string, number>;
  readonly revision: number;
  readonly loads: SyncCounts['loads'];
  start(): Promise<void>;
  /** Resolves when Redis has what this node serves. */
  hotCopyThere(): Promise<void>;
  close(): Promise<void>;
}

export async function openFleetNode(urls: {
  readonly databaseUrl: string;
  readonly redisUrl?: string;
}): Promise<FleetNode> {
  const nothing = (): void => {};
  const queries = new Map<string, number>();
  const store = createStore(
    counting(openPostgres({ url: urls.databaseUrl, connectionsMax: CONNECTIONS_MAX }), queries),
  );
  const hash = await createHashBytes();
  const publisher = createPublisher({ hash, now: () => performance.now(), fence: nothing, kill: nothing });
  const redis =
    urls.redisUrl === undefined
      ? undefined
      : openRedis({ url: urls.redisUrl, timeoutMs: REDIS_TIMEOUT_MS, info: nothing, warn: nothing });
  const hotCopy = redis && createHotCopy({ redis, hash, nodeId: randomUUID(), warn: nothing });
  const sync = createSyncLoop({
    store,
    // All of them in one process can be too much for a deadline: then they try again, as nodes do.
    prepareStore: async () => {},
    publisher,
    // These flags use no segments.
    blobs: {
      prepareAll: async (content) => content,
      prepareDelta: async (delta) => delta,
      mended: async () => false,
    },
    hotCopy,
    file: undefined,
    clock: systemClock,
    wallClock: Date.now,
    random: Math.random,
    onConfirmed: () => upkeep?.published(),
    warn: nothing,
  });
  const upkeep =
    hotCopy &&
    createHotCopyUpkeep({
      hotCopy,
      publisher,
      confirmedAtMs: () => sync.confirmedAtMs,
      witnessed: sync.witnessed,
      clock: systemClock,
      random: Math.random,
    });
  return {
    queries,
    get revision() {
      return publisher.head?.revision ?? 0;
    },
    get loads() {
      return sync.counts.loads;
    },
    async start() {
      await sync.start();
      while (publisher.head === undefined) await pause(20);
      upkeep?.start();
    },
    async hotCopyThere() {
      const { epoch = '', revision = 0 } = publisher.head ?? {};
      while ((await hotCopy?.standing(epoch).catch(nothing))?.revision !== revision) await pause(50);
    },
    async close() {
      sync.close();
      await upkeep?.close();
      await redis?.close();
      await store.close();
    },
  };
}

/** The schema, and flags in prod. */
export async function fillStore(url: string, flags: number): Promise<void> {
  const sql = openPostgres({ url, connectionsMax: CONNECTIONS_MAX });
  await migrate(sql);
  const store = createStore(sql);
  for (let i = 0; i < flags; i++) {
    const when = { attribute: 'country', op: 'in', values: ['PL', 'CZ', 'DE'] };
    const rules = [{ rule_id: 'some', when, serve: { rollout_percentage: i % 100 } }];
    const body = { flag_id: `flag-${i}`, enabled: true, rollout_percentage: i % 100, tags: ['fleet'], rules };
    const outcome = await store.run({
      id: i,
      actor: 'fleet',
      requestId: `fleet-${i}`,
      idempotency: undefined,
      command: { type: 'flag.create', environment: 'prod', body },
    });
    if (!outcome.ok) throw new Error(outcome.detail);
  }
  await store.close();
}

function counting(sql: Sql, queries: Map<string, number>): Sql {
  const counted = <Q extends Queryable>(queryable: Q): Queryable['query'] => {
    return (text, values) => {
      const name = nameOf(text);
      queries.set(name, (queries.get(name) ?? 0) + 1);
      return queryable.query(text, values);
    };
  };
  return {
    kind: sql.kind,
    query: counted(sql),
    transaction: (run, options) => sql.transaction((tx) => run({ query: counted(tx) }), options),
    close: () => sql.close(),
  };
}

/** The verb and the table; the head is what each poll reads. */
function nameOf(text: string): string {
  const [verb = ''] = text.trim().split(/\s+/);
  if (text.includes('sum_keys') && verb === 'SELECT') return 'heads';
  const table = /\b(?:FROM|INTO|UPDATE)\s+(\w+)/i.exec(text)?.[1] ?? '';
  return `${verb.toUpperCase()} ${table}`.trim();
}
