// Live figures of this worker, each second, to whoever asked for them.
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import { limits } from '../../limits.ts';
import type { SnapshotHolder } from '../serving.ts';
import type { Connection } from './connection.ts';
import { requireScope } from './followed.ts';

/** What has happened since the worker started, and what there is now. */
export interface WorkerCounts {
  /** Answered over HTTP. */
  readonly requests: number;
  /** Messages and frames of clients. */
  readonly messages: number;
  /** Answers given for one flag and one context, however they were asked for; pushes are not counted. */
  readonly evaluations: number;
  /** Open now. */
  readonly sockets: number;
}

export interface Stats {
  /** False: it was answered with an error. One with the same id is replaced. */
  start(connection: Connection, id: number): boolean;
  end(connection: Connection, id: number): void;
  isAsked(connection: Connection, id: number): boolean;
  countOf(connection: Connection): number;
  closed(connection: Connection): void;
  /** Ends the timer. May be called twice. */
  close(): void;
}

const PERIOD_MS = 1000;
const LOOP_DELAY_RESOLUTION_MS = 10;
const NOTHING_YET = { atMs: 0, counts: { requests: 0, messages: 0, evaluations: 0, sockets: 0 } };

export function createStats(deps: {
  readonly holder: Pick<SnapshotHolder, 'current' | 'staleSeconds'>;
  readonly counts: () => WorkerCounts;
  /** Subscriptions and watches now. */
  readonly subscriptions: () => number;
  /** Milliseconds that never go back. */
  readonly clock: () => number;
}): Stats {
  const { holder, counts, clock } = deps;
  const asked = new Map<Connection, Set<number>>();
  let timer: NodeJS.Timeout | undefined;
  let loopDelay: IntervalHistogram | undefined;
  let last = NOTHING_YET;

  function run(): void {
    if (timer !== undefined) return;
    last = { atMs: clock(), counts: counts() };
    loopDelay = monitorEventLoopDelay({ resolution: LOOP_DELAY_RESOLUTION_MS });
    loopDelay.enable();
    timer = setInterval(tellAll, PERIOD_MS).unref();
  }

  function stop(): void {
    clearInterval(timer);
    timer = undefined;
    loopDelay?.disable();
    loopDelay = undefined;
  }

  function tellAll(): void {
    const worker = JSON.stringify(measure());
    const head = `,"revision":${holder.current?.revision ?? 0},"stale_seconds":${holder.staleSeconds()},"worker":`;
    for (const [connection, ids] of asked) {
      const refused = requireScope(connection.key, 'read');
      for (const id of ids) {
        if (refused !== undefined) {
          end(connection, id);
          connection.sendError(id, refused.code, refused.detail);
        } else if (connection.unsentBytes() <= limits.socketPushPauseBytes) {
          connection.sendText(`{"type":"stats","id":${id}${head}${worker}}`);
        }
      }
    }
  }

  /** Of the time since this was asked last, and of this worker alone: a node has others. */
  function measure(): Readonly<Record<string, number>> {
    const now = { atMs: clock(), counts: counts() };
    const seconds = Math.max(0.001, (now.atMs - last.atMs) / 1000);
    const rate = (name: 'requests' | 'messages' | 'evaluations'): number =>
      Math.round((now.counts[name] - last.counts[name]) / seconds);
    const figures = {
      pid: process.pid,
      sockets: now.counts.sockets,
      subscriptions: deps.subscriptions(),
      messages_per_second: rate('messages'),
      requests_per_second: rate('requests'),
      evaluations_per_second: rate('evaluations'),
      event_loop_delay_p99_ms: Math.round((loopDelay?.percentile(99) ?? 0) / 1e4) / 100,
      memory_bytes: process.memoryUsage.rss(),
    };
    loopDelay?.reset();
    last = now;
    return figures;
  }

  function end(connection: Connection, id: number): void {
    const ids = asked.get(connection);
    if (ids?.delete(id) !== true || ids.size > 0) return;
    asked.delete(connection);
    if (asked.size === 0) stop();
  }

  return {
    start(connection, id) {
      const refused = requireScope(connection.key, 'read');
      if (refused !== undefined) {
        connection.sendError(id, refused.code, refused.detail);
        return false;
      }
      const ids = asked.get(connection);
      if (ids === undefined) asked.set(connection, new Set([id]));
      else ids.add(id);
      run();
      return true;
    },
    end,
    isAsked: (connection, id) => asked.get(connection)?.has(id) === true,
    countOf: (connection) => asked.get(connection)?.size ?? 0,
    closed(connection) {
      for (const id of [...(asked.get(connection) ?? [])]) end(connection, id);
    },
    close: stop,
  };
}
