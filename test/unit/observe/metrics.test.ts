// Metrics from the count in a worker to the text of the node.
import { type Test, test } from 'tap';
import type { TallyReport } from '../../../src/ipc/messages.ts';
import { LATENCY_BUCKETS } from '../../../src/observe/latency-buckets.ts';
import { createNodeMetrics, type NodeGauges } from '../../../src/observe/metrics.ts';
import { createTallies } from '../../../src/worker/tallies.ts';

const GAUGES: NodeGauges = {
  revision: 812,
  staleSeconds: 0,
  workers: 4,
  workersOld: 3,
  workerReplacements: 5,
  primaryTerm: 7,
  workerRestarts: 1,
  quarantinedFlags: 2,
  storeUp: 1,
  storeWentBack: 0,
};
const ROUTES = ['GET /api/v1/flags/{flag_id}/evaluate', 'POST /api/v1/evaluate'];

test('a request is counted once, in the bucket of its duration, by route and status class', async (t) => {
  const tallies = createTallies(ROUTES);
  tallies.request(0, 200, 0.000_03);
  tallies.request(0, 204, 0.00005);
  tallies.request(0, 200, 0.3);
  tallies.request(0, 404, 0.001);
  tallies.request(1, 503, 60);
  const text = await textOf({ a: tallies.report() });
  const series = 'route="GET /api/v1/flags/{flag_id}/evaluate",status_class="2xx"';
  t.equal(value(text, `burgee_http_request_duration_seconds_bucket{${series},le="0.00005"}`), 2);
  t.equal(value(text, `burgee_http_request_duration_seconds_bucket{${series},le="0.25"}`), 2);
  t.equal(value(text, `burgee_http_request_duration_seconds_bucket{${series},le="0.5"}`), 3);
  t.equal(value(text, `burgee_http_request_duration_seconds_bucket{${series},le="+Inf"}`), 3);
  t.equal(value(text, `burgee_http_request_duration_seconds_count{${series}}`), 3);
  t.equal(value(text, `burgee_http_request_duration_seconds_sum{${series}}`), 0.000_03 + 0.000_05 + 0.3);
  const slow = 'route="POST /api/v1/evaluate",status_class="5xx"';
  t.equal(value(text, `burgee_http_request_duration_seconds_bucket{${slow},le="10"}`), 0);
  t.equal(value(text, `burgee_http_request_duration_seconds_count{${slow}}`), 1);
  t.equal(value(text, `burgee_requests_total{${series}}`), 3);
  t.equal(value(text, 'burgee_requests_total{route="GET /api/v1/flags/{flag_id}/evaluate",status_class="4xx"}'), 1);
});

test('what the primary knows is there under its names', async (t) => {
  const text = await textOf({});
  t.equal(value(text, 'burgee_snapshot_revision'), 812);
  t.equal(value(text, 'burgee_snapshot_stale_seconds'), 0);
  t.equal(value(text, 'burgee_workers'), 4);
  t.equal(value(text, 'burgee_worker_restarts_total'), 1);
  t.equal(value(text, 'burgee_quarantined_flags'), 2);
  t.equal(value(text, 'burgee_log_lines_dropped_total'), 0);
  t.match(text, /^# TYPE burgee_http_request_duration_seconds histogram$/m);
  t.match(text, /^# TYPE burgee_worker_restarts_total counter$/m);
  t.match(text, /^process_cpu_seconds_total /m);
});

test('counters are summed over workers, gauges shown for each', async (t) => {
  const text = await textOf({
    a: report({ burgee_rate_limited_total: 3 }, { burgee_worker_snapshot_revision: 811 }),
    b: report({ burgee_rate_limited_total: 4 }, { burgee_worker_snapshot_revision: 812 }),
  });
  t.equal(value(text, 'burgee_rate_limited_total'), 7);
  t.equal(value(text, 'burgee_worker_snapshot_revision{worker="a"}'), 811);
  t.equal(value(text, 'burgee_worker_snapshot_revision{worker="b"}'), 812);
});

// That every name of the sources has its words is held by test/unit/operations-page.test.ts.
test('what a worker reports is shown with its own words, and what is not known all the same', async (t) => {
  const text = await textOf({ a: report({}, { burgee_worker_kernel_wasm: 1, burgee_worker_unheard_of: 2 }) });
  t.match(text, 'burgee_worker_kernel_wasm{worker="a"} 1');
  t.match(text, '# HELP burgee_worker_kernel_wasm 1 where batches');
  t.match(text, '# HELP burgee_worker_unheard_of Reported by workers.');
});

test('reports that are repeated or lost change nothing', async (t) => {
  const metrics = createNodeMetrics();
  for (const total of [1, 5, 5, 9]) metrics.receive('a', report({ burgee_rate_limited_total: total }));
  t.equal(value(await metrics.text(GAUGES), 'burgee_rate_limited_total'), 9);
});

test("a worker's death lowers no counter, and its gauges go", async (t) => {
  const metrics = createNodeMetrics();
  const tallies = createTallies(ROUTES);
  tallies.request(0, 200, 0.001);
  metrics.receive('a', { ...tallies.report(), gauges: { burgee_worker_x: 1 } });
  metrics.retire('a');
  metrics.retire('a');
  metrics.receive('b', tallies.report());
  const text = await metrics.text(GAUGES);
  t.equal(value(text, `burgee_http_request_duration_seconds_count{route="${ROUTES[0]}",status_class="2xx"}`), 2);
  t.notMatch(text, /burgee_worker_x\{/);
});

test('a worker whose link broke, and that comes back, is not counted twice', async (t) => {
  const metrics = createNodeMetrics();
  metrics.receive('a', report({ burgee_rate_limited_total: 5 }));
  metrics.retire('a');
  metrics.receive('a', report({ burgee_rate_limited_total: 6 }));
  t.equal(value(await metrics.text(GAUGES), 'burgee_rate_limited_total'), 6);
});

test('another process under the same name adds to the first', async (t) => {
  const metrics = createNodeMetrics();
  metrics.receive('slot 1', report({ burgee_rate_limited_total: 5 }));
  metrics.receive('slot 1', report({ burgee_rate_limited_total: 2 }));
  t.equal(value(await metrics.text(GAUGES), 'burgee_rate_limited_total'), 7);
});

test('a thousand dead workers keep no thousand reports, and lose nothing', async (t) => {
  const metrics = createNodeMetrics();
  for (let index = 0; index < 1000; index++) {
    metrics.receive(`w${index}`, report({ burgee_rate_limited_total: 1 }));
    metrics.retire(`w${index}`);
  }
  t.equal(value(await metrics.text(GAUGES), 'burgee_rate_limited_total'), 1000);
});

test('names of another build are shown, those that clash or are none are not', async (t) => {
  const text = await textOf({
    a: {
      counters: {
        burgee_new_total: 1,
        burgee_snapshot_revision: 9,
        'a b': 1,
        burgee_requests_total: 5,
        burgee_nan_total: Number.NaN,
      },
      gauges: { burgee_snapshot_revision: 1, burgee_new_total: 3, burgee_worker_new: 2 },
      histograms: { 'GET /x 2xx': [1, 2, 3] },
    },
  });
  t.equal(value(text, 'burgee_new_total'), 1);
  t.equal(value(text, 'burgee_worker_new{worker="a"}'), 2);
  t.equal(value(text, 'burgee_snapshot_revision'), 812);
  t.notMatch(text, /GET \/x/);
});

test('buckets rise from 50 microseconds to 10 seconds', (t) => {
  t.equal(LATENCY_BUCKETS[0], 0.000_05);
  t.equal(LATENCY_BUCKETS.at(-1), 10);
  t.same(
    [...LATENCY_BUCKETS].sort((a, b) => a - b),
    LATENCY_BUCKETS,
  );
  t.end();
});

test('only what happened is reported', (t: Test) => {
  const tallies = createTallies(ROUTES);
  t.same(Object.keys(tallies.report().histograms), []);
  tallies.count('burgee_rate_limited_total', 2);
  tallies.count('burgee_rate_limited_total', 1);
  tallies.gauge('burgee_worker_x', 4);
  tallies.request(1, 301, 0.1);
  t.match(tallies.report(), { counters: { burgee_rate_limited_total: 3 }, gauges: { burgee_worker_x: 4 } });
  t.same(Object.keys(tallies.report().histograms), ['POST /api/v1/evaluate 3xx']);
  t.end();
});

function report(counters: Record<string, number>, gauges: Record<string, number> = {}): TallyReport {
  return { counters, gauges, histograms: {} };
}

async function textOf(reports: Record<string, TallyReport>): Promise<string> {
  const metrics = createNodeMetrics();
  for (const [workerId, each] of Object.entries(reports)) metrics.receive(workerId, each);
  return metrics.text(GAUGES);
}

function value(text: string, series: string): number | undefined {
  const line = text.split('\n').find((each) => each.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}
