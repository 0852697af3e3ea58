// A worker's HTTP side with everything around it in memory: a real transport on a free loopback port, real compiled
// flags, and thin holders of a snapshot, a limit and a primary that tests can turn.
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileFlag } from '../../src/core/compile.ts';
import type { CompiledFlag, CompiledSegment, IdSet } from '../../src/core/compiled.ts';
import { renderDocument } from '../../src/core/document.ts';
import type { FlagDocument } from '../../src/core/model.ts';
import { createFlag } from '../../src/core/parse.ts';
import type { CommandOutcome, CommandRequest, UnknownFlags } from '../../src/ipc/messages.ts';
import { createBatchKernel } from '../../src/kernel/create-batch-kernel.ts';
import { hashUser } from '../../src/kernel/murmur3.ts';
import type { AccessRecord } from '../../src/observe/access-log.ts';
import { createHashText } from '../../src/snapshot/checksum.ts';
import type { HttpDeps } from '../../src/worker/http/deps.ts';
import { createHttp, type Http } from '../../src/worker/http.ts';
import { ADMITTED, SPENT } from '../../src/worker/limiter.ts';
import type { Overload } from '../../src/worker/overload.ts';
import type { ServingEnvironment, ServingKey, ServingSnapshot, SnapshotHolder } from '../../src/worker/serving.ts';
import type { TlsFiles } from '../../src/worker/transport/transport.ts';
import { createUploads } from '../../src/worker/uploads.ts';
import { transportUnderTest } from './transport.ts';

const RANKS = { evaluate: 1, read: 2, write: 3, admin: 4 } as const;
type ScopeName = keyof typeof RANKS;

export interface KeySpec {
  readonly raw: string;
  readonly scope: ScopeName;
  readonly environments?: readonly string[];
  readonly tags?: readonly string[];
  readonly rateLimit?: number;
  readonly expiresAtMs?: number;
}

export function makeKey(spec: KeySpec): ServingKey {
  return {
    keyId: `key_${spec.raw.slice(0, 12)}`,
    keyHash: createHash('sha256').update(spec.raw).digest('hex'),
    name: spec.raw,
    rank: RANKS[spec.scope],
    scopes: (Object.keys(RANKS) as ScopeName[]).filter((scope) => RANKS[scope] <= RANKS[spec.scope]),
    environments: spec.environments === undefined ? undefined : new Set(spec.environments),
    tags: spec.tags === undefined ? undefined : new Set(spec.tags),
    rateLimit: spec.rateLimit ?? 0,
    expiresAtMs: spec.expiresAtMs ?? Number.POSITIVE_INFINITY,
  };
}

/** A flag as the store would publish it. Throws when the body is refused. */
export function makeFlag(body: Readonly<Record<string, unknown>>, environment = 'prod', version = 1): CompiledFlag {
  const definition = createFlag(body, environment);
  if (!definition.ok) throw new Error(JSON.stringify(definition.issues));
  const at = '2026-01-05T09:00:00.000Z';
  const document: FlagDocument = {
    ...definition.value,
    version,
    revision: 7,
    created_at: at,
    updated_at: at,
    updated_by: 'key_test',
  };
  return compileFlag(renderDocument(document), { environment, id: definition.value.flag_id });
}

/** A segment as it would be served; its lists are any iterables that can be walked again. */
export function makeSegment(parts: {
  readonly segmentId: string;
  readonly environment?: string;
  readonly description?: string;
  readonly version?: number;
  readonly included?: Iterable<string>;
  readonly excluded?: Iterable<string>;
}): CompiledSegment {
  const { segmentId, environment = 'prod', version = 1, description = '' } = parts;
  const included = idSet(parts.included);
  const excluded = idSet(parts.excluded);
  return {
    segmentId,
    environment,
    version,
    revision: 7,
    json: JSON.stringify({
      segment_id: segmentId,
      environment,
      description,
      match_by: 'user_id',
      included_count: included?.count ?? 0,
      excluded_count: excluded?.count ?? 0,
      when: null,
      version,
    }),
    quarantined: undefined,
    matchBy: undefined,
    matchPath: undefined,
    included,
    excluded,
    when: undefined,
  };
}

function idSet(ids: Iterable<string> | undefined): IdSet | undefined {
  if (ids === undefined) return undefined;
  const set = new Set(ids);
  return { count: set.size, has: (id) => set.has(id), ids: () => set };
}

export function makeSnapshot(
  revision: number,
  flags: readonly CompiledFlag[],
  keys: readonly ServingKey[],
  segments: readonly CompiledSegment[] = [],
): ServingSnapshot {
  const environments = new Map<string, ServingEnvironment>();
  for (const environment of ['dev', 'prod', 'staging']) {
    const own = flags.filter((flag) => flag.environment === environment).sort((a, b) => (a.flagId < b.flagId ? -1 : 1));
    environments.set(environment, {
      environment,
      json: JSON.stringify({ environment, description: '' }),
      changedAt: revision,
      flags: new Map(own.map((flag) => [flag.flagId, flag])),
      segments: new Map(
        segments
          .filter((segment) => segment.environment === environment)
          .sort((a, b) => (a.segmentId < b.segmentId ? -1 : 1))
          .map((segment) => [segment.segmentId, segment]),
      ),
    });
  }
  return {
    epoch: 'e1',
    revision,
    environments,
    keysByHash: new Map(keys.map((key) => [key.keyHash, key])),
    keysById: new Map(keys.map((key) => [key.keyId, key])),
    streamSecret: Buffer.alloc(32, 7),
  };
}

/** What a test can turn while the service runs. */
export interface Serving {
  readonly http: Http;
  readonly port: number;
  readonly url: string;
  snapshot: ServingSnapshot | undefined;
  staleSeconds: number;
  /** Verdict for keys with a limit. */
  verdict: 0 | 1 | 2;
  /** The key_ids that a token was asked for, in turn. */
  readonly taken: string[];
  /** What waiting for a token ends with. */
  waited: boolean;
  /** What the primary answers; undefined: it is away. */
  command: (request: Omit<CommandRequest, 'id'>) => CommandOutcome | Promise<CommandOutcome>;
  metricsText: string | undefined;
  readonly counted: { readonly routeIndex: number; readonly status: number }[];
  readonly counters: Map<string, number>;
  readonly gauges: Map<string, number>;
  readonly logged: AccessRecord[];
  readonly failures: string[];
  /** Evaluations of flags that do not exist: environment, flag_id and how many. */
  readonly unknown: (readonly [environment: string, flagId: string, evaluations: number])[];
  /** What the primary reports of such flags; undefined: it is away. */
  unknownReport: (() => UnknownFlags) | undefined;
  /** DATA_DIR/run; removed with `close`. */
  readonly runPath: string;
  /** Called when a request begins to wait for a revision. */
  onWait: (revision: number) => void;
  /** Swaps the snapshot and wakes who waits for it. */
  swap(snapshot: ServingSnapshot): void;
}

export interface ListenOptions {
  readonly host?: string;
  readonly trustProxy?: readonly string[];
  readonly tls?: TlsFiles;
  /** Left out: the one under test. */
  readonly transport?: 'uws' | 'node';
  readonly overload?: Overload;
}

export async function startServing(
  snapshot: ServingSnapshot | undefined,
  allowedOrigins: readonly string[] = [],
  socketAuthMs = 5000,
  { host = '127.0.0.1', trustProxy = [], tls, transport = transportUnderTest, overload }: ListenOptions = {},
): Promise<Serving> {
  const waiters = new Set<{ readonly revision: number; readonly done: (reached: boolean) => void }>();
  const swapListeners: (() => void)[] = [];
  const holder: SnapshotHolder = {
    get current() {
      return serving.snapshot;
    },
    staleSeconds: () => serving.staleSeconds,
    tier: 'store',
    waitFor: (revision, timeoutMs) =>
      new Promise((resolve) => {
        const waiter = {
          revision,
          done: (reached: boolean): void => {
            clearTimeout(timer);
            waiters.delete(waiter);
            resolve(reached);
          },
        };
        const timer = setTimeout(() => waiter.done(false), timeoutMs);
        waiters.add(waiter);
        serving.onWait(revision);
      }),
    onSwap: (tell) => void swapListeners.push(tell),
  };
  const limiter: HttpDeps['limiter'] = {
    tryTake: (key) => {
      serving.taken.push(key.keyId);
      return key.rateLimit === 0 ? ADMITTED : serving.verdict;
    },
    waitTake: () => Promise.resolve(serving.waited),
    standing: (key) => ({ limit: key.rateLimit, remaining: serving.verdict === SPENT ? 0 : 5, resetSeconds: 17 }),
  };
  const counted: Serving['counted'][number][] = [];
  const gauges = new Map<string, number>();
  const runPath = mkdtempSync(join(tmpdir(), 'burgee-run-'));
  const http = createHttp({
    uploads: createUploads({
      folder: join(runPath, 'uploads'),
      warn: (_fields, message) => void serving.failures.push(message),
    }),
    holder,
    limiter,
    hash: hashUser,
    hashText: await createHashText(),
    kernel: createBatchKernel().kernel,
    build: { version: '1.2.3', build: 'abc' },
    link: {
      connected: true,
      term: 1,
      command: async (request) => serving.command(request),
      metrics: async () => serving.metricsText,
      unknownFlags: async () => serving.unknownReport?.(),
    },
    tallies: {
      request: (routeIndex, status) => void counted.push({ routeIndex, status }),
      count: (name, by) => void serving.counters.set(name, (serving.counters.get(name) ?? 0) + by),
      answered: (route) => counted.filter(({ routeIndex }) => routeIndex === route).length,
      gauge: (name, value) => void gauges.set(name, value),
    },
    unknownFlags: { count: (...counted) => void serving.unknown.push(counted) },
    accessLog: { wants: () => true, record: (entry) => void serving.logged.push(entry) },
    config: {
      host,
      port: 0,
      allowedOrigins,
      transport,
      trustProxy,
      workers: 1,
      connectionsPerAddress: 0,
    },
    tls,
    logger: {
      error: (fields, message) => void serving.failures.push(`${message} ${String((fields as { err?: unknown }).err)}`),
    },
    ownMetrics: () => 'own 1\n',
    socketAuthMs,
    overload,
    onLongTurn: () => {},
  });
  const port = await http.listen();
  const serving: Serving = {
    http: {
      ...http,
      close() {
        http.close();
        rmSync(runPath, { recursive: true, force: true });
      },
    },
    runPath,
    port,
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    snapshot,
    staleSeconds: 0,
    verdict: ADMITTED,
    taken: [],
    waited: true,
    command: () => ({ ok: false, code: 'STORAGE_UNAVAILABLE', detail: 'away' }),
    metricsText: undefined,
    counted,
    counters: new Map(),
    gauges,
    logged: [],
    failures: [],
    unknown: [],
    unknownReport: () => ({ sinceMs: 0, flags: [], otherCount: 0 }),
    onWait: () => {},
    swap(next) {
      serving.snapshot = next;
      for (const waiter of [...waiters]) if (next.revision >= waiter.revision) waiter.done(true);
      for (const tell of swapListeners) tell();
    },
  };
  return serving;
}

/**
 * Sends bytes as they are and resolves with all that came back by the time `until` says enough, or the other side closed.
 * The default is one whole reply.
 */
export function sendRaw(
  port: number,
  bytes: string | Uint8Array,
  until: (text: string) => boolean = isWholeReply,
): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (until(text)) socket.destroy();
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
  });
}

function isWholeReply(text: string): boolean {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return false;
  const length = /content-length: (\d+)/i.exec(text.slice(0, end))?.[1];
  return length === undefined || text.length - end - 4 >= Number(length) || length === undefined;
}
