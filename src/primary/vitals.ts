// What the node says of itself: the metrics with what only the primary knows, and the whole of /healthz on METRICS_PORT.
import { buildInfo } from '../build-info.ts';
import { type Config, ConfigError } from '../config.ts';
import type { NodeGauges, NodeMetrics } from '../observe/metrics.ts';
import type { RedisTallies } from '../observe/redis-metrics.ts';
import type { Term } from '../run/term.ts';
import type { PostgresListener } from '../storage/postgres-listener.ts';
import type { Sql, SqlStanding } from '../storage/sql.ts';
import { createMetricsServer, type MetricsServer } from './metrics-server.ts';
import type { Publisher } from './publisher.ts';
import type { Supervisor } from './supervision.ts';
import type { SyncLoop } from './sync.ts';
import { countersOf } from './sync-counts.ts';

/** Under which the primary's own counters are kept beside those of its workers. */
const OWN = 'primary';

export interface Vitals {
  readonly metricsText: () => Promise<string>;
  /** On METRICS_PORT; undefined without one. Rejects with a ConfigError when the address cannot be had. */
  startServer(warn: (fields: object, message: string) => void): Promise<MetricsServer | undefined>;
}

export function createVitals(deps: {
  readonly config: Pick<Config, 'workers' | 'metricsHost' | 'metricsPort'>;
  readonly supervisor: Pick<Supervisor, 'standing'>;
  readonly publisher: Pick<Publisher, 'head' | 'standing'>;
  readonly sync: Pick<SyncLoop, 'confirmedAtMs' | 'wentBack' | 'storeAway' | 'tier' | 'counts'>;
  readonly metrics: Pick<NodeMetrics, 'text' | 'contentType' | 'receive'>;
  readonly deaths: () => number;
  readonly quarantinedFlags: () => number;
  readonly term: Pick<Term, 'number'>;
  readonly database: Pick<Sql, 'standing'>;
  readonly hints?: Pick<PostgresListener, 'connected'> | undefined;
  readonly redis?: () => RedisTallies | undefined;
}): Vitals {
  const { config, supervisor, publisher, sync, metrics } = deps;
  const confirmedSecondsAgo = (): number => (performance.now() - sync.confirmedAtMs) / 1000;

  function metricsText(): Promise<string> {
    const { serving, old, replaced } = supervisor.standing();
    metrics.receive(OWN, { counters: countersOf(sync.counts), histograms: {}, gauges: {} });
    const gauges: NodeGauges = {
      revision: publisher.head?.revision ?? 0,
      staleSeconds: confirmedSecondsAgo(),
      workers: serving,
      workersOld: old,
      workerReplacements: replaced,
      primaryTerm: deps.term.number,
      workerRestarts: deps.deaths(),
      quarantinedFlags: deps.quarantinedFlags(),
      storeUp: sync.storeAway === undefined ? 1 : 0,
      storeWentBack: sync.wentBack === undefined ? 0 : 1,
      ...databaseGauges(deps.database.standing, deps.hints?.connected === true),
    };
    return metrics.text(gauges, deps.redis?.());
  }

  function health(): { readonly status: number; readonly body: object } {
    const { serving, old, replaced } = supervisor.standing();
    const body = {
      status: serving > 0 ? 'ok' : 'unavailable',
      ...buildInfo(),
      term: deps.term.number,
      revision: publisher.head?.revision ?? 0,
      epoch: publisher.head?.epoch ?? '',
      tier: sync.tier,
      confirmed_seconds_ago: confirmedSecondsAgo(),
      store_away: sync.storeAway ?? null,
      store_went_back: sync.wentBack ?? null,
      workers: { wanted: config.workers, serving, old, replaced, revisions: Object.fromEntries(publisher.standing()) },
    };
    return { status: serving > 0 ? 200 : 503, body };
  }

  return {
    metricsText,
    async startServer(warn) {
      if (config.metricsPort === undefined) return undefined;
      const server = createMetricsServer({
        host: config.metricsHost,
        port: config.metricsPort,
        metrics: metricsText,
        metricsContentType: metrics.contentType,
        health,
        warn,
      });
      try {
        await server.start();
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        throw new ConfigError([
          `METRICS_PORT ${config.metricsPort} cannot be had on METRICS_HOST ${config.metricsHost}: ${why}.`,
        ]);
      }
      return server;
    },
  };
}

function databaseGauges(standing: SqlStanding | undefined, hasHints: boolean): Partial<NodeGauges> {
  if (standing === undefined) return {};
  return {
    databaseConnections: standing.connections,
    databaseWaiting: standing.waiting,
    databaseDown: standing.isUp ? 0 : 1,
    databaseHints: hasHints ? 1 : 0,
  };
}
