// What three nodes under a constant load do while PostgreSQL, Redis or both are away, hang, or lose the news of a write:
// no evaluation may fail, and each says how old it is. Then how long it takes until a write works again, until every
// worker of all nodes serves it, and that no acknowledged write was lost. And a cold start with both away.
//
//   npm run chaos:outages [-- --seconds 30 --only "redis stopped"]
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { type Backends, type Eyes, makeEverywhere, openEyes, startNodes, stopNodes } from '../test/support/nodes.ts';
import { ADMIN_KEY, type Service, signalQuietly } from '../test/support/service.ts';
import { openConnection, quantile, reopen } from './connection.ts';
import { backendsOrEnd, ms, optionsOf, pause, startNodesLoad } from './figures.ts';
import { coldStarts } from './outages/cold-starts.ts';

const EVALUATE = '/api/v1/flags/steady/evaluate?user_id=user-1';
/** Between an answer and the next try of the writer. */
const WRITE_EACH_MS = 250;

interface Outage {
  readonly name: string;
  begin(): Promise<void>;
  end(): Promise<void>;
}

const asked = optionsOf({ seconds: '30', only: '' });
const seconds = Number(asked['seconds']);
const backends = await backendsOrEnd();
try {
  await outages();
  if (asked['only'] === '' || asked['only'] === 'cold start') await coldStarts(backends);
} finally {
  await backends.close();
}

async function outages(): Promise<void> {
  const chosen = outagesOf(backends).filter(({ name }) => asked['only'] === '' || name === asked['only']);
  if (chosen.length === 0) return;
  const nodes = await startNodes(backends, { count: 3, workers: 2, news: 'redis' });
  try {
    await makeEverywhere(nodes, { flag_id: 'steady', enabled: true });
    const eyes = await openEyes(nodes);
    for (const outage of chosen) await live(nodes, eyes, outage);
    eyes.close();
  } finally {
    await stopNodes(nodes);
  }
}

async function live(nodes: readonly Service[], eyes: Eyes, outage: Outage): Promise<void> {
  const load = startNodesLoad(nodes, EVALUATE);
  await pause(Math.min(10, seconds) * 1000);
  const before = load.figures();
  const writer = startTries((nodes[0] as Service).port, eyes);
  await outage.begin();
  await pause(seconds * 1000);
  const tried = writer.sofar();
  await outage.end();
  const endedMs = performance.now();
  const recovery = await writer.recovered(endedMs);
  const during = load.figures();
  await writer.stop();
  // Until the loops have looked once more, a worker may say that it is stale.
  await pause(2000);
  await load.stop();
  const lost = await writer.lost();
  console.log(
    `${outage.name}, ${seconds} s: evaluations ${during.answers}, failed ${during.failed}, stale ${during.staleSecondsMax} s at most; ` +
      `p99 ${ms(before.p99Ms)} before, ${ms(during.p99Ms)} during, slowest ${ms(during.slowestMs)}; ` +
      `writes meanwhile ${tried.accepted} accepted, ${tried.refused} refused, ${tried.unknown} unknown, ` +
      `p50 ${ms(quantile(tried.tookMs, 0.5))}, slowest answer ${ms(Math.max(0, ...tried.tookMs))}, ` +
      `slowest until all serve it ${ms(Math.max(0, ...tried.everywhereMs))}; ` +
      `then a write works after ${ms(recovery.writtenMs)}, all ${eyes.count} workers serve it after ${ms(recovery.servedMs)}; ` +
      `acknowledged and lost ${lost}${[...new Set([...during.reasons, ...tried.reasons])].map((reason) => `\n    ${reason.split('\r\n')[0]}`).join('')}`,
  );
}

interface Tries {
  accepted: number;
  refused: number;
  unknown: number;
  readonly tookMs: number[];
  /** From sending an accepted write until every worker of all nodes served it. */
  readonly everywhereMs: number[];
  readonly reasons: string[];
}

interface Writer {
  sofar(): Tries;
  /** From `endedMs` until a write that was sent later was accepted, and until all serve it. */
  recovered(endedMs: number): Promise<{ readonly writtenMs: number; readonly servedMs: number }>;
  stop(): Promise<void>;
  /** Versions that were acknowledged, and are not there. */
  lost(): Promise<number>;
}

/** Somebody who goes on trying to write. */
function startTries(port: number, eyes: Eyes): Writer {
  let tries: Tries = { accepted: 0, refused: 0, unknown: 0, tookMs: [], everywhereMs: [], reasons: [] };
  let stopping = false;
  let versionAcknowledged = 0;
  let onAccepted: (sentMs: number, revision: number) => void = () => {};

  async function run(): Promise<void> {
    let connection = await openConnection(port, ADMIN_KEY);
    while (!stopping) {
      const sentMs = performance.now();
      try {
        const json = { rollout_percentage: (Math.floor(sentMs) % 9_999) / 100 + 0.01 };
        const reply = await connection.request('PATCH', '/api/v1/flags/steady', { json });
        tries.tookMs.push(performance.now() - sentMs);
        if (reply.status === 200) accepted(sentMs, reply.body.version, Number(reply.headers.get('x-flags-revision')));
        else refused(reply.body);
      } catch (error) {
        tries.unknown++;
        tries.reasons.push(String(error));
        connection = await reopen(port, ADMIN_KEY);
      }
      await pause(WRITE_EACH_MS);
    }
    connection.close();
  }

  function accepted(sentMs: number, version: number, revision: number): void {
    tries.accepted++;
    versionAcknowledged = Math.max(versionAcknowledged, version);
    const { everywhereMs } = tries;
    void eyes.reached(revision).then((atMs) => everywhereMs.push(atMs - sentMs));
    onAccepted(sentMs, revision);
  }

  function refused(body: { readonly code: string; readonly detail: string }): void {
    if (body.code === 'OUTCOME_UNKNOWN') tries.unknown++;
    else tries.refused++;
    const reason = `${body.code}: ${body.detail}`;
    if (tries.reasons.length < 20 && !tries.reasons.includes(reason)) tries.reasons.push(reason);
  }

  const running = run();
  return {
    sofar() {
      const sofar = tries;
      tries = { accepted: 0, refused: 0, unknown: 0, tookMs: [], everywhereMs: [], reasons: [] };
      return sofar;
    },
    async recovered(endedMs) {
      const { revision, writtenMs } = await new Promise<{ revision: number; writtenMs: number }>((resolve) => {
        onAccepted = (sentMs, revision) => {
          if (sentMs >= endedMs) resolve({ revision, writtenMs: performance.now() - endedMs });
        };
      });
      await eyes.reached(revision);
      return { writtenMs, servedMs: performance.now() - endedMs };
    },
    async stop() {
      stopping = true;
      await running;
    },
    async lost() {
      const connection = await openConnection(port, ADMIN_KEY);
      const { body } = await connection.request('GET', '/api/v1/flags/steady');
      connection.close();
      return Math.max(0, versionAcknowledged - body.version);
    },
  };
}

function outagesOf({ postgres, redis, postgresProxy, redisProxy }: Backends): Outage[] {
  const nothing = async (): Promise<void> => {};
  let sleeping: ChildProcess | undefined;
  let killing: NodeJS.Timeout | undefined;
  return [
    { name: 'nothing', begin: nothing, end: nothing },
    { name: 'postgres stopped', begin: () => postgres.stop('immediate'), end: postgres.start },
    { name: 'redis stopped', begin: () => redis.stop('SIGKILL'), end: redis.start },
    {
      name: 'both stopped',
      begin: async () => void (await Promise.all([postgres.stop('immediate'), redis.stop('SIGKILL')])),
      end: async () => void (await Promise.all([postgres.start(), redis.start()])),
    },
    {
      name: 'redis hung (DEBUG SLEEP)',
      async begin() {
        const auth = ['-p', String(redis.port), '-a', redis.password, '--no-auth-warning'];
        sleeping = spawn('redis-cli', [...auth, 'DEBUG', 'SLEEP', String(seconds)], { stdio: 'ignore' });
      },
      async end() {
        if (sleeping?.exitCode === null) await new Promise((resolve) => sleeping?.once('exit', resolve));
      },
    },
    {
      name: 'redis hung (SIGSTOP)',
      begin: async () => void process.kill(redis.pid(), 'SIGSTOP'),
      end: async () => void process.kill(redis.pid(), 'SIGCONT'),
    },
    {
      name: 'postgres black-holed',
      begin: async () => postgresProxy.set('silent'),
      end: async () => postgresProxy.set('pass'),
    },
    {
      name: 'postgres hung (SIGSTOP)',
      begin: async () => void signalCluster(postgres.pid(), 'SIGSTOP'),
      end: async () => void signalCluster(postgres.pid(), 'SIGCONT'),
    },
    {
      name: 'LISTEN backends terminated each second',
      async begin() {
        killing = setInterval(() => void terminateListeners(), 1000);
      },
      end: async () => clearInterval(killing),
    },
    {
      name: 'hints lost',
      async begin() {
        // What carries them stands and is silent: nobody can see that a hint did not come.
        postgresProxy.alter('burgee\0', 'nobody\0');
        redisProxy.alter(':hints', ':hintz');
      },
      async end() {
        postgresProxy.alter();
        redisProxy.alter();
      },
    },
    {
      name: 'postgres 200 ms away',
      begin: async () => postgresProxy.delay(100),
      end: async () => postgresProxy.delay(0),
    },
    {
      name: 'every connection cut each second',
      async begin() {
        killing = setInterval(() => {
          postgresProxy.cut();
          redisProxy.cut();
        }, 1000);
      },
      end: async () => clearInterval(killing),
    },
  ];

  async function terminateListeners(): Promise<void> {
    await postgres.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ILIKE 'LISTEN%'");
  }
}

/** The server first, so that it starts no more of the processes that do its work; these are its children. */
function signalCluster(pid: number, signal: NodeJS.Signals): void {
  process.kill(pid, signal);
  for (const name of readdirSync('/proc').filter((each) => /^\d+$/.test(each))) {
    if (parentOf(name) === pid) signalQuietly(Number(name), signal);
  }
}

function parentOf(name: string): number {
  try {
    return Number(/\) \S (\d+)/.exec(readFileSync(`/proc/${name}/stat`, 'latin1'))?.[1]);
  } catch {
    return 0;
  }
}
