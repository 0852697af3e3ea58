// What three nodes under a constant load do while PostgreSQL, Redis or both are away, hang, or lose the news of a write:
// no evaluation may fail, and each says how old it is. Then how long it takes until a write works again, until every
// worker of all nodes serves it, and that no acknowledged write was lost. And a cold start with both away.
//
//   npm run chaos:outages [-- --seconds 30 --only "redis stopped"]
import { type Eyes, makeEverywhere, openEyes, startNodes, stopNodes } from '../test/support/nodes.ts';
import { type Outage, outagesOf } from '../test/support/outages.ts';
import { ADMIN_KEY, type Service } from '../test/support/service.ts';
import { openConnection, quantile, reopen } from './connection.ts';
import { backendsOrEnd, ms, optionsOf, pause, startNodesLoad } from './figures.ts';
import { coldStarts } from './outages/cold-starts.ts';

const EVALUATE = '/api/v1/flags/steady/evaluate?user_id=user-1';
/** Between an answer and the next try of the writer. */
const WRITE_EACH_MS = 250;

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
  const chosen = outagesOf(backends, seconds).filter(({ name }) => asked['only'] === '' || name === asked['only']);
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
