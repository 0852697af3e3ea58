// METRICS_PORT: the whole of /metrics and /healthz, without a key, on a port of its own, for the monitoring beside the
// service. The workers' port shows less of both to whoever has no key.
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface MetricsServer {
  /** Resolves with the port in use; rejects when the address cannot be had. */
  start(): Promise<number>;
  /** Stops listening and cuts what is open. May be called twice. */
  close(): Promise<void>;
}

interface Page {
  readonly contentType: string;
  readonly status: number;
  readonly body: string;
}

const REQUEST_MS_MAX = 5000;
const CONNECTIONS_MAX = 64;

/** `metrics` makes Prometheus text; `health` the whole /healthz, with the status it should have. */
export function createMetricsServer(deps: {
  readonly host: string;
  readonly port: number;
  readonly metrics: () => Promise<string>;
  readonly metricsContentType: string;
  readonly health: () => { readonly status: number; readonly body: object };
  readonly warn: (fields: object, message: string) => void;
}): MetricsServer {
  const pages: Readonly<Record<string, () => Promise<Page>>> = {
    '/metrics': async () => ({ contentType: deps.metricsContentType, status: 200, body: await deps.metrics() }),
    '/healthz': async () => {
      const { status, body } = deps.health();
      return { contentType: 'application/json', status, body: JSON.stringify(body) };
    },
  };
  const server = createServer(
    { requestTimeout: REQUEST_MS_MAX, headersTimeout: REQUEST_MS_MAX },
    (request, response) => {
      const path = (request.url ?? '').split('?', 1)[0] ?? '';
      const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
      if (page === undefined) return refuse(response, 404, 'ROUTE_NOT_FOUND', 'Only /metrics and /healthz are here.');
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        response.setHeader('Allow', 'GET, HEAD');
        return refuse(response, 405, 'METHOD_NOT_ALLOWED', 'Only GET and HEAD.');
      }
      page().then(
        ({ contentType, status, body }) => answer(response, status, contentType, body),
        (error: unknown) => {
          deps.warn({ err: error, route: path }, 'a page of the metrics port failed');
          refuse(response, 500, 'INTERNAL', 'See the log.');
        },
      );
    },
  );
  server.maxConnections = CONNECTIONS_MAX;

  return {
    start() {
      return new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(deps.port, deps.host, () => {
          server.off('error', reject);
          // A failed accept (out of file descriptors) is no reason to die.
          server.on('error', (error) => deps.warn({ err: error }, 'the metrics port has a problem'));
          resolve((server.address() as AddressInfo).port);
        });
      });
    },
    close() {
      return new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

function answer(response: ServerResponse, status: number, contentType: string, body: string): void {
  response.writeHead(status, {
    'Content-Type': contentType,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
  });
  response.end(body);
}

function refuse(response: ServerResponse, status: number, code: string, detail: string): void {
  answer(
    response,
    status,
    'application/problem+json',
    JSON.stringify({ type: 'about:blank', title: detail, status, detail, code }),
  );
}
