// The node's metrics: the primary adds up what its workers report and shows the sums as Prometheus text. A worker that
// dies takes nothing with it: its last report stays in the sums.
import { Counter, collectDefaultMetrics, Gauge, type Metric, Registry } from 'prom-client';
import type { TallyReport } from '../ipc/messages.ts';
import { limits } from '../limits.ts';
import { LATENCY_BUCKETS, partsOfSeries, SERIES_LENGTH } from './latency-buckets.ts';
import { logLinesDropped } from './logger.ts';
import { createRedisMetrics, REDIS_METRICS, type RedisTallies } from './redis-metrics.ts';

/** What only the primary knows, at the moment the text is made. */
export interface NodeGauges {
  /** Of the primary's snapshot. */
  readonly revision: number;
  /** Seconds since the snapshot was last confirmed with the store. */
  readonly staleSeconds: number;
  /** Workers that serve. */
  readonly workers: number;
  /** Of these, workers that are to be replaced. */
  readonly workersOld: number;
  /** Workers told to drain because others serve in their place, since the primary's start. */
  readonly workerReplacements: number;
  /** The primary's term; 0: there is none. */
  readonly primaryTerm: number;
  /** Workers started in place of one that ended, since the primary's start. */
  readonly workerRestarts: number;
  /** Flags whose newest version does not compile. */
  readonly quarantinedFlags: number;
  /** 1: the store answered last time. */
  readonly storeUp: number;
  /** 1: the store lacks revisions that were served; writes are refused. */
  readonly storeWentBack: number;
  /** Of PostgreSQL; the embedded database has none of these. */
  readonly databaseConnections?: number;
  /** Reads and writes that wait for a connection. */
  readonly databaseWaiting?: number;
  /** 1: the last attempt to reach it failed. */
  readonly databaseDown?: number;
  /** 1: it sends hints of changes. */
  readonly databaseHints?: number;
}

export interface NodeMetrics {
  /** `workerId` names one process for its whole life: pid and start time, not the slot, which its successor inherits. */
  receive(workerId: string, report: TallyReport): void;
  /** The worker is gone, or its link is: what it counted stays. Should it report again it goes on where it was. */
  retire(workerId: string): void;
  /** Prometheus text, format 0.0.4. Names no flag. `redis`: where there is one. */
  text(gauges: NodeGauges, redis?: RedisTallies): Promise<string>;
  readonly contentType: string;
}

const DURATION = 'burgee_http_request_duration_seconds';
const REQUESTS = 'burgee_requests_total';
const REQUESTS_HELP = 'Requests answered.';
const DURATION_HELP = "Time from a request's arrival at a worker to its answer.";
const DROPPED = 'burgee_log_lines_dropped_total';
const NODE_GAUGES: { readonly [Name in keyof NodeGauges]-?: readonly [name: string, help: string] } = {
  revision: ['burgee_snapshot_revision', 'Revision of the snapshot this node serves.'],
  staleSeconds: ['burgee_snapshot_stale_seconds', 'Seconds since the snapshot was last confirmed with the store.'],
  workers: ['burgee_workers', 'Worker processes that serve.'],
  workersOld: [
    'burgee_workers_old',
    'Worker processes that serve and are of another build or generation than the primary.',
  ],
  workerReplacements: ['burgee_worker_replacements_total', 'Workers drained because others serve in their place.'],
  primaryTerm: ['burgee_primary_term', 'Grows with each primary of this DATA_DIR; 0 while there is none.'],
  workerRestarts: [
    'burgee_worker_restarts_total',
    'Workers that died and were started again; replaced ones are not among them.',
  ],
  storeUp: ['burgee_store_up', '1 when the store answered when it was last asked, 0 while it is away.'],
  storeWentBack: [
    'burgee_store_went_back',
    '1 while the store lacks revisions that were served: writes are refused until `burgee store accept`.',
  ],
  databaseConnections: ['burgee_database_connections', 'Connections to PostgreSQL, that for hints apart.'],
  databaseWaiting: ['burgee_database_waiting', 'Reads and writes that wait for a connection to PostgreSQL.'],
  databaseDown: ['burgee_database_down', '1 while PostgreSQL cannot be reached; what is known goes on being served.'],
  databaseHints: [
    'burgee_database_hints',
    '1 while PostgreSQL sends hints of changes; without them they are polled for.',
  ],
  quarantinedFlags: ['burgee_quarantined_flags', 'Flags whose newest version does not compile; an older one serves.'],
};
const HELP: Readonly<Record<string, string>> = {
  [DROPPED]: 'Log lines that a slow or missing reader of standard output has cost.',
  burgee_connections_refused_address_total:
    'Connections closed as they opened because their address has CONNECTIONS_PER_ADDRESS open.',
  burgee_connections_refused_full_total:
    'Connections closed as they opened because their worker has as many as it may.',
  burgee_rate_limited_total: 'Requests refused because their key had used up its minute.',
  burgee_shed_total: 'Requests and messages refused with OVERLOADED.',
  burgee_slow_readers_cut_total: 'Connections cut because their client took a reply or sent a body too slowly.',
  burgee_socket_messages_total: 'Messages and frames of clients of WebSockets.',
  burgee_socket_closes_1001_total: 'WebSockets closed because their worker stopped.',
  burgee_socket_closes_1008_total: 'WebSockets closed after messages that could not be read.',
  burgee_socket_closes_1009_total: 'WebSockets closed after a message that was too large.',
  burgee_socket_closes_1011_total: 'WebSockets closed by an error of the service; the log has it.',
  burgee_socket_closes_1013_total:
    'WebSockets closed because their client asked for more, or read less, than is kept for it.',
  burgee_socket_closes_4401_total: 'WebSockets closed because their key was none, or was none any more.',
  burgee_sync_delta_reads_total: 'Questions to the store for what has changed.',
  burgee_sync_deltas_total: 'Changes that were published, in groups as they were read.',
  burgee_sync_hints_false_total: 'Hints of writes that led to nothing.',
  burgee_sync_hints_total: 'Hints of writes that this node had not seen, from PostgreSQL or Redis.',
  burgee_sync_item_chars_total: 'Of documents that were read from the store.',
  burgee_sync_loads_file_total: 'Starts that served what the snapshot file had, for the store was away.',
  burgee_sync_loads_redis_total: 'Starts that took the hot copy in Redis.',
  burgee_sync_loads_store_total: 'Starts that read everything from the store.',
  burgee_sync_polls_total: 'Questions to the store for its newest revision.',
  burgee_sync_reloads_accepted_total: 'Whole reads because a store that went back was accepted.',
  burgee_sync_reloads_delta_total: 'Whole reads because changes did not lead to the sums of the store.',
  burgee_sync_reloads_epoch_total: 'Whole reads because another store was found.',
  burgee_sync_reloads_mended_total: 'Whole reads because ids of a segment that could not be read can be.',
  burgee_sync_reloads_pruned_total: 'Whole reads because changes were no longer kept.',
  burgee_sync_reloads_sums_total: 'Whole reads because sums differed at one revision.',
  burgee_unknown_flag_evaluations_total:
    'Evaluations of flags that do not exist; GET /api/v1/reports/unknown names them.',
  burgee_worker_body_bytes: 'Of request bodies that have begun to come to a worker and not ended.',
  burgee_worker_connections: 'Connections open on a worker, WebSockets included.',
  burgee_worker_cpu_seconds_total: 'CPU time of workers.',
  burgee_worker_event_loop_delay_seconds:
    'Longest delay of the event loop of a worker since its last report, 250 ms before.',
  burgee_worker_kernel_wasm:
    '1 where batches are evaluated by the kernel in WebAssembly, 0 where by the slower one in JavaScript.',
  burgee_worker_loop_lag_seconds:
    'By which the last three turns of a worker came late through its own work, in CPU time; past 0.1 it refuses requests.',
  burgee_worker_resident_memory_bytes: 'Resident memory of a worker.',
  burgee_worker_shed_pressure:
    'What a worker refuses: up to 1 that share of what is costly, from there that share, less 1, of everything.',
  burgee_worker_stale_primaries_total: 'Links that workers dropped because they had heard of a later primary.',
  burgee_worker_snapshot_revision: 'Revision of the snapshot a worker serves.',
  burgee_worker_snapshot_stale_seconds: 'Seconds since a worker heard its snapshot confirmed.',
  burgee_worker_transport_uws: "1 where uWebSockets.js serves, 0 where Node.js's own server does, which is slower.",
  burgee_worker_unread_reply_bytes: 'Of HTTP replies that the clients of a worker have not taken.',
  burgee_worker_tls_expiry_timestamp_seconds:
    'When the certificate that a worker serves with expires, seconds since 1970.',
  burgee_worker_sockets: 'WebSockets open on a worker.',
};
/** What workers count, less what has labels. Shown as 0 from the start: an alarm on what is not there says nothing. */
const COUNTERS = Object.keys(HELP).filter((name) => name.endsWith('_total'));
const NAME = /^burgee_[a-z0-9_]{1,100}$/;
const TAKEN = new Set([
  DURATION,
  REQUESTS,
  ...Object.values(NODE_GAUGES).map(([name]) => name),
  ...REDIS_METRICS.map(({ name }) => name),
]);

interface Sums {
  readonly counters: Map<string, number>;
  readonly histograms: Map<string, Float64Array>;
}

/** `processMetrics` adds this process's own (CPU, memory, event loop, garbage collection), as the primary shows them. */
export function createNodeMetrics(
  options: { readonly processMetrics: boolean } = { processMetrics: true },
): NodeMetrics {
  const live = new Map<string, TallyReport>();
  // Kept apart for a while: a worker whose link broke comes back with the same numbers, which must not count twice.
  const retired = new Map<string, TallyReport>();
  const gone = emptySums();
  const { register, show } = createRegistry(options.processMetrics);
  const redisMetrics = createRedisMetrics(register);

  function receive(workerId: string, report: TallyReport): void {
    const last = live.get(workerId) ?? retired.get(workerId);
    retired.delete(workerId);
    // Numbers of one process never fall: this is another one under its name.
    if (last !== undefined && wentBack(last, report)) add(gone, last);
    live.set(workerId, report);
  }

  function retire(workerId: string): void {
    const last = live.get(workerId);
    if (last === undefined) return;
    live.delete(workerId);
    retired.set(workerId, last);
    for (const [oldest, report] of retired) {
      if (retired.size <= limits.retiredWorkersMax) break;
      retired.delete(oldest);
      add(gone, report);
    }
  }

  return {
    receive,
    retire,
    contentType: register.contentType,
    text(gauges, redis) {
      const sums = emptySums();
      for (const name of COUNTERS) sums.counters.set(name, 0);
      sums.counters.set(DROPPED, logLinesDropped());
      for (const [name, value] of gone.counters) addTo(sums.counters, name, value);
      for (const [series, row] of gone.histograms) addRow(sums.histograms, series, row);
      for (const report of [...retired.values(), ...live.values()]) add(sums, report);
      show(sums, gauges, live);
      if (redis !== undefined) redisMetrics.show(redis);
      return register.metrics();
    },
  };
}

/** The table of docs/operations.md: every metric whose name begins with burgee_, by name. */
export function metricsMarkdown(): string {
  const told: Readonly<Record<string, string>> = {
    ...HELP,
    ...Object.fromEntries(Object.values(NODE_GAUGES)),
    ...Object.fromEntries(REDIS_METRICS.map(({ name, help }) => [name, help])),
    [REQUESTS]: REQUESTS_HELP,
    [DURATION]: DURATION_HELP,
  };
  const rows = Object.entries(told)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, help]) => `| \`${name}\` | ${labelsOf(name)} | ${help} |`);
  return ['| Metric | Labels | What it says |', '|---|---|---|', ...rows].join('\n');
}

function labelsOf(name: string): string {
  if (name === REQUESTS || name === DURATION) return '`route`, `status_class`';
  const label = REDIS_METRICS.find((metric) => metric.name === name)?.label;
  if (label) return `\`${label}\``;
  return name.startsWith('burgee_worker_') && !name.endsWith('_total') ? '`worker`' : '';
}

/** The metrics as prom-client sees them; `show` sets all of them to what is to be seen next. */
function createRegistry(processMetrics: boolean): {
  register: Registry;
  show: (sums: Sums, gauges: NodeGauges, live: ReadonlyMap<string, TallyReport>) => void;
} {
  const register = new Registry();
  const registers = [register];
  if (processMetrics) collectDefaultMetrics({ register });
  const requests = new Counter({
    name: REQUESTS,
    help: REQUESTS_HELP,
    labelNames: ['route', 'status_class'],
    registers,
  });
  let histograms: Sums['histograms'] = new Map();
  // prom-client's own histogram takes one observation at a time and cannot be given a sum; what it asks of a metric
  // when it makes the text is only this.
  const duration = {
    name: DURATION,
    get: () =>
      Promise.resolve({
        name: DURATION,
        type: 'histogram',
        aggregator: 'sum',
        help: DURATION_HELP,
        values: [...histograms].flatMap(([series, row]) => samplesOf(series, row)),
      }),
    reset: () => {},
  };
  register.registerMetric(duration as unknown as Metric);
  const nodeGauges = Object.entries(NODE_GAUGES).map(([field, [name, help]]) => {
    const Type = name.endsWith('_total') ? Counter : Gauge;
    const metric = new Type({ name, help, registers });
    return { field: field as keyof NodeGauges, metric };
  });
  const counters = new Map<string, Counter>();
  const workerGauges = new Map<string, Gauge>();

  return {
    register,
    show(sums, gauges, live) {
      histograms = sums.histograms;
      requests.reset();
      for (const [series, row] of sums.histograms) {
        const { route, statusClass } = partsOfSeries(series);
        requests.inc({ route, status_class: statusClass }, countOf(row));
      }
      for (const { field, metric } of nodeGauges) {
        metric.reset();
        metric.inc(gauges[field] ?? 0);
      }
      for (const [name, value] of sums.counters) {
        const metric = find(counters, name, (help) => new Counter({ name, help, registers }));
        metric?.reset();
        metric?.inc(value);
      }
      for (const metric of workerGauges.values()) metric.reset();
      for (const [worker, report] of live) {
        for (const [name, value] of Object.entries(report.gauges)) {
          find(workerGauges, name, (help) => new Gauge({ name, help, labelNames: ['worker'], registers }))?.set(
            { worker },
            value,
          );
        }
      }
    },
  };

  /** Workers of another build may report names this one does not know; shown too, unless they would clash. */
  function find<T>(known: Map<string, T>, name: string, make: (help: string) => T): T | undefined {
    const found = known.get(name);
    if (found !== undefined) return found;
    if (!NAME.test(name) || TAKEN.has(name) || register.getSingleMetric(name) !== undefined) return undefined;
    const made = make(HELP[name] ?? 'Reported by workers.');
    known.set(name, made);
    return made;
  }
}

function samplesOf(series: string, row: Float64Array): object[] {
  const { route, statusClass } = partsOfSeries(series);
  const labels = { route, status_class: statusClass };
  let count = 0;
  const buckets = LATENCY_BUCKETS.map((bound, index) => {
    count += row[index] as number;
    return { metricName: `${DURATION}_bucket`, labels: { ...labels, le: bound }, value: count };
  });
  const total = countOf(row);
  return [
    ...buckets,
    { metricName: `${DURATION}_bucket`, labels: { ...labels, le: '+Inf' }, value: total },
    { metricName: `${DURATION}_sum`, labels, value: row[SERIES_LENGTH - 1] },
    { metricName: `${DURATION}_count`, labels, value: total },
  ];
}

function countOf(row: Float64Array): number {
  return row.subarray(0, SERIES_LENGTH - 1).reduce((sum, count) => sum + count, 0);
}

function emptySums(): Sums {
  return { counters: new Map(), histograms: new Map() };
}

function add(sums: Sums, report: TallyReport): void {
  for (const [name, value] of Object.entries(report.counters)) addTo(sums.counters, name, value);
  for (const [series, row] of Object.entries(report.histograms)) addRow(sums.histograms, series, row);
}

function addTo(sums: Map<string, number>, name: string, value: number): void {
  if (Number.isFinite(value) && value >= 0) sums.set(name, (sums.get(name) ?? 0) + value);
}

/** A row of another length is another build's: its buckets mean something else. */
function addRow(sums: Map<string, Float64Array>, series: string, row: ArrayLike<number>): void {
  if (row.length !== SERIES_LENGTH) return;
  const sum = sums.get(series) ?? new Float64Array(SERIES_LENGTH);
  for (let index = 0; index < SERIES_LENGTH; index++) sum[index] = (sum[index] as number) + (row[index] as number);
  sums.set(series, sum);
}

function wentBack(last: TallyReport, next: TallyReport): boolean {
  const fewer = Object.entries(last.counters).some(([name, value]) => (next.counters[name] ?? 0) < value);
  return (
    fewer ||
    Object.entries(last.histograms).some(([series, row]) =>
      row.some((value, index) => (next.histograms[series]?.[index] ?? 0) < value),
    )
  );
}
