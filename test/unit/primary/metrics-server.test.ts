// The metrics port, over real HTTP.
import { type Test, test } from 'tap';
import { createMetricsServer } from '../../../src/primary/metrics-server.ts';

const deps: Parameters<typeof createMetricsServer>[0] = {
  host: '127.0.0.1',
  port: 0,
  metrics: () => Promise.resolve('burgee_workers 4\n'),
  metricsContentType: 'text/plain; version=0.0.4; charset=utf-8',
  health: () => ({ status: 503, body: { status: 'starting' } }),
  warn: () => {},
};

test('serves the whole of /metrics and /healthz without a key', async (t) => {
  const url = await start(t);
  const metrics = await fetch(`${url}/metrics?x=1`);
  t.equal(metrics.status, 200);
  t.equal(metrics.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  t.equal(await metrics.text(), 'burgee_workers 4\n');
  const health = await fetch(`${url}/healthz`);
  t.equal(health.status, 503);
  t.same(await health.json(), { status: 'starting' });
  const head = await fetch(`${url}/metrics`, { method: 'HEAD' });
  t.equal(head.headers.get('content-length'), '17');
});

test('refuses everything else as a problem', async (t) => {
  const url = await start(t);
  for (const path of ['/', '/constructor', '/api/v1/flags', '/metrics/']) {
    const reply = await fetch(url + path);
    t.equal(reply.status, 404);
    t.match(await reply.json(), { code: 'ROUTE_NOT_FOUND', status: 404 });
  }
  const reply = await fetch(`${url}/metrics`, { method: 'POST', body: 'x' });
  t.equal(reply.status, 405);
  t.equal(reply.headers.get('allow'), 'GET, HEAD');
});

test('a page that fails is 500 and a log line, and the next one is served', async (t) => {
  const warnings: string[] = [];
  let broken = true;
  const url = await start(t, {
    metrics: () => (broken ? Promise.reject(new Error('no')) : Promise.resolve('ok')),
    warn: (_fields, message) => void warnings.push(message),
  });
  t.equal((await fetch(`${url}/metrics`)).status, 500);
  t.same(warnings, ['a page of the metrics port failed']);
  broken = false;
  t.equal((await fetch(`${url}/metrics`)).status, 200);
});

test('rejects an address that is taken, and closes twice', async (t) => {
  const url = await start(t);
  const second = createMetricsServer({ ...deps, port: Number(new URL(url).port) });
  await t.rejects(second.start(), { code: 'EADDRINUSE' });
  await second.close();
  await second.close();
});

async function start(t: Test, more: Partial<typeof deps> = {}): Promise<string> {
  const server = createMetricsServer({ ...deps, ...more });
  t.teardown(() => server.close());
  return `http://127.0.0.1:${await server.start()}`;
}
