// Three nodes on one PostgreSQL and Redis: a write on one is served by all, and whatever is away meanwhile no evaluation
// fails, and everything is as it should be once it is back. How long it takes is measured by chaos/nodes.ts and
// chaos/outages.ts.
import { test } from 'tap';
import { startLoad } from '../support/load.ts';
import {
  type Eyes,
  findBackends,
  makeEverywhere,
  openEyes,
  startBackends,
  startNodes,
  stopNodes,
} from '../support/nodes.ts';
import { required, skipWithout } from '../support/optional.ts';
import { type Outage, outagesOf } from '../support/outages.ts';
import { ADMIN_KEY, type Service } from '../support/service.ts';

const EVALUATE = '/api/v1/flags/steady/evaluate?user_id=user-1';
/** Good answers of each node while something is away. */
const ANSWERS = 100;

/** With what a write is answered meanwhile: those that lack PostgreSQL are refused. */
const LIVED: readonly { readonly name: string; readonly refusesWrites: boolean }[] = [
  { name: 'postgres stopped', refusesWrites: true },
  { name: 'redis stopped', refusesWrites: false },
  { name: 'both stopped', refusesWrites: true },
  { name: 'redis hung (SIGSTOP)', refusesWrites: false },
  { name: 'hints lost', refusesWrites: false },
];

const found = findBackends();

test('three nodes on one store', { skip: skipWithout(found) }, async (t) => {
  const backends = await startBackends(required(found));
  t.teardown(backends.close);
  const nodes = await startNodes(backends, { count: 3, workers: 1, news: 'redis' });
  t.teardown(() => stopNodes(nodes));
  await makeEverywhere(nodes, { flag_id: 'steady', enabled: true });
  const eyes = await openEyes(nodes);
  t.teardown(eyes.close);

  await t.test('a write on any of them is served by all, and read elsewhere by its revision', async (t) => {
    for (const [i, node] of nodes.entries()) {
      const revision = await write(node, i + 1);
      for (const other of nodes) {
        const { status, body } = await other.api(`${EVALUATE}&min_revision=${revision}`);
        t.equal(status, 200);
        t.ok(body.revision >= revision);
      }
      await eyes.reached(revision);
    }
  });

  const outages = outagesOf(backends, 1);
  for (const { name, refusesWrites } of LIVED) {
    const outage = outages.find((each) => each.name === name) as Outage;
    await t.test(`${name}: no evaluation fails`, async (t) => {
      const loads = nodes.map(({ port }) =>
        startLoad({ port, path: EVALUATE, key: ADMIN_KEY, connections: 2, thinkMs: 5 }),
      );
      await outage.begin();
      const [first] = nodes as readonly [Service];
      const refused = await tryWrite(first, 50);
      await Promise.all(loads.map((load) => load.answered(ANSWERS)));
      await outage.end();
      t.equal(refused.status, refusesWrites ? 503 : 200);
      await servedAgain(first, eyes);
      const records = await Promise.all(loads.map((load) => load.stop()));
      t.same(
        records.map(({ failed, reasons }) => ({ failed, reasons })),
        nodes.map(() => ({ failed: 0, reasons: [] })),
      );
    });
  }
});

/** Resolves when a write works and all serve it. */
async function servedAgain(node: Service, eyes: Eyes): Promise<void> {
  for (let percentage = 1; ; percentage = (percentage % 90) + 1) {
    const { status, headers } = await tryWrite(node, percentage);
    if (status === 200) return void (await eyes.reached(Number(headers.get('x-flags-revision'))));
  }
}

async function write(node: Service, percentage: number): Promise<number> {
  const { status, headers } = await tryWrite(node, percentage);
  if (status !== 200) throw new Error(`a write was answered ${status}`);
  return Number(headers.get('x-flags-revision'));
}

function tryWrite(node: Service, percentage: number): ReturnType<Service['api']> {
  return node.api('/api/v1/flags/steady', { method: 'PATCH', json: { rollout_percentage: percentage } });
}
