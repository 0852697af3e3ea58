// The routes at the root: how the worker is, what build it is, what it counts.
import { RANK } from '../../core/scopes.ts';
import type { OpenHandlers } from '../http/call.ts';
import type { HttpDeps } from '../http/deps.ts';
import { refuse } from '../http/refusal.ts';
import { emptyReply, jsonReply } from '../http/reply.ts';
import type { ServingKey } from '../serving.ts';

export interface ServiceState {
  /** Set when the worker is told to go: /readyz says no from then on. */
  draining: boolean;
  /** Name of the transport in use. */
  transport: string;
}

type ServiceHandlers = Pick<OpenHandlers, 'home' | 'livez' | 'readyz' | 'healthz' | 'metrics' | 'version' | 'openapi'>;

/** `openapi`: the document's text. */
export function createServiceHandlers(
  deps: Pick<HttpDeps, 'holder' | 'link' | 'build' | 'kernel' | 'ownMetrics'>,
  state: ServiceState,
  openapi: string,
): ServiceHandlers {
  const { holder } = deps;

  function status(): string {
    if (holder.current === undefined) return 'starting';
    if (state.draining) return 'draining';
    return holder.staleSeconds() > 0 ? 'stale' : 'ok';
  }

  return {
    home: () =>
      emptyReply(302, [
        ['Location', '/docs'],
        ['Cache-Control', 'no-store'],
      ]),
    livez: () => jsonReply(200, '{"status":"ok"}'),
    readyz: () => {
      if (holder.current === undefined) return refuse('NOT_READY', undefined, RETRY);
      if (state.draining) return refuse('NOT_READY', 'This worker is draining.', RETRY);
      return jsonReply(200, JSON.stringify({ status: 'ready', stale_seconds: holder.staleSeconds() }));
    },
    healthz: ({ key }) => {
      const code = holder.current === undefined ? 503 : 200;
      if (!mayRead(key)) return jsonReply(code, JSON.stringify({ status: status() }));
      return jsonReply(
        code,
        JSON.stringify({
          status: status(),
          ...deps.build,
          revision: holder.current?.revision ?? 0,
          epoch: holder.current?.epoch ?? null,
          tier: holder.tier,
          stale_seconds: holder.staleSeconds(),
          primary_connected: deps.link.connected,
          term: deps.link.term,
          transport: state.transport,
          kernel: deps.kernel.name,
          pid: process.pid,
        }),
      );
    },
    metrics: async ({ key }) => {
      const text =
        (await deps.link.metrics()) ??
        `# The primary does not answer: this is worker process ${process.pid} alone.\n${await deps.ownMetrics()}`;
      return {
        status: 200,
        mediaType: 'text/plain; version=0.0.4; charset=utf-8',
        body: mayRead(key) ? text : withoutFlagNames(text),
        headers: [['Cache-Control', 'no-store']],
        revision: undefined,
      };
    },
    version: () => jsonReply(200, JSON.stringify(deps.build)),
    openapi: () => jsonReply(200, openapi),
  };
}

const RETRY = [['Retry-After', '1']] as const;

function mayRead(key: ServingKey | undefined): boolean {
  return key !== undefined && key.rank >= RANK.read;
}

/** Without a key nobody learns what flags there are. */
function withoutFlagNames(text: string): string {
  return text
    .split('\n')
    .filter((line) => line.startsWith('#') || !/[{,]flag(?:_id)?="/.test(line))
    .join('\n');
}
