// Puts an answer on its connection: header lines, problem bodies, HEAD, and what is counted and logged of it.
import { routeLabels } from '../../api/routes.ts';
import { errors } from '../../errors.ts';
import type { ServingKey } from '../serving.ts';
import { type HeldExchange, makeHead } from '../transport/transport.ts';
import type { Answer } from './call.ts';
import type { Clients, Sender } from './client-address.ts';
import type { Cors } from './cors.ts';
import type { HttpDeps } from './deps.ts';
import { failureJson } from './ofrep-failure.ts';
import { ofrepPath } from './ofrep-path.ts';
import { isRefusal, problemJson, type Refusal } from './refusal.ts';
import { type Reply, type StreamedReply, statusLine } from './reply.ts';
import type { RawRequest } from './request.ts';

/** Either kind of exchange. */
export type Outlet = Pick<HeldExchange, 'send' | 'sendEmpty' | 'closeAfterReply' | 'remoteAddress'>;

export interface Delivery {
  readonly request: RawRequest;
  /** Into the route table's labels. */
  readonly routeIndex: number;
  readonly key: ServingKey | undefined;
  /** Whether RateLimit headers go with it: management replies, and every 429. */
  readonly showsLimit: boolean;
}

export interface Deliver {
  /**
   * For a reply that its route writes itself. To be asked once, before it goes out and with it the connection's address:
   * the client that its log line will name; undefined when no line is wanted.
   */
  clientForLine(sender: Sender, delivery: Delivery, status: number): string | undefined;
  /** Counts the reply, and logs it when `client` is given. */
  count(delivery: Delivery, status: number, client: string | undefined): void;
  whole(outlet: Outlet, delivery: Delivery, answer: Answer): void;
  /** Counted and logged when it begins. */
  streamed(held: HeldExchange, delivery: Delivery, reply: StreamedReply): Promise<void>;
  /** Counts and logs a handshake; the connection is no longer one of HTTP. */
  switched(sender: Sender, delivery: Delivery): void;
}

type Lines = (readonly [name: string, value: string])[];

export function createDeliver(
  deps: Pick<HttpDeps, 'holder' | 'limiter' | 'tallies' | 'accessLog'>,
  cors: Cors,
  clients: Pick<Clients, 'clientOf'>,
): Deliver {
  function linesOf(delivery: Delivery, reply: Omit<Reply, 'body'>, code: string | undefined): Lines {
    const { request, key } = delivery;
    const lines: Lines = reply.mediaType === '' ? [] : [['Content-Type', reply.mediaType]];
    lines.push(['X-Flags-Revision', String(reply.revision ?? deps.holder.current?.revision ?? 0)]);
    const staleSeconds = deps.holder.current === undefined ? 0 : deps.holder.staleSeconds();
    if (staleSeconds > 0) lines.push(['X-Flags-Stale', String(staleSeconds)]);
    lines.push(['X-Request-Id', request.requestId], ...reply.headers);
    if (key !== undefined && (delivery.showsLimit || code === 'RATE_LIMITED'))
      lines.push(...limitLines(deps, key, code));
    lines.push(...cors.headers(request.headers.get('origin') ?? ''));
    return lines;
  }

  function clientForLine(sender: Sender, { request }: Delivery, status: number): string | undefined {
    if (!deps.accessLog.wants(status)) return undefined;
    return clients.clientOf(sender.remoteAddress(), request.headers.get('x-forwarded-for') ?? '');
  }

  function count({ request, routeIndex, key }: Delivery, status: number, client: string | undefined): void {
    const seconds = (performance.now() - request.startedMs) / 1000;
    deps.tallies.request(routeIndex, status, seconds);
    if (status === 429) deps.tallies.count('burgee_rate_limited_total', 1);
    if (client === undefined) return;
    deps.accessLog.record({
      requestId: request.requestId,
      method: request.method,
      route: routeLabels[routeIndex] ?? '',
      status,
      seconds,
      keyId: key?.keyId,
      client,
      traceparent: request.traceparent,
    });
  }

  return {
    clientForLine,
    count,
    whole(outlet, delivery, answer) {
      if (isRefusal(answer) && answer.code === 'OVERLOADED') deps.tallies.count('burgee_shed_total', 1);
      const reply = isRefusal(answer) ? toError(answer, delivery.request) : answer;
      const head = makeHead(linesOf(delivery, reply, isRefusal(answer) ? answer.code : undefined));
      const status = statusLine(reply.status);
      const client = clientForLine(outlet, delivery, reply.status);
      if (reply.body === undefined)
        outlet.sendEmpty(status, head, reply.status === 204 || reply.status === 304 ? undefined : 0);
      else if (delivery.request.method === 'HEAD') outlet.sendEmpty(status, head, Buffer.byteLength(reply.body));
      else outlet.send(status, head, reply.body);
      count(delivery, reply.status, client);
    },
    async streamed(held, delivery, reply) {
      const head = makeHead(linesOf(delivery, reply, undefined));
      const status = statusLine(reply.status);
      count(delivery, reply.status, clientForLine(held, delivery, reply.status));
      if (delivery.request.method === 'HEAD') held.sendEmpty(status, head, undefined);
      else await reply.run(held.stream(status, head, reply.kind));
    },
    switched: (sender, delivery) => count(delivery, 101, clientForLine(sender, delivery, 101)),
  };
}

function toError(refusal: Refusal, request: RawRequest): Reply {
  const ofrep = ofrepPath(request.path);
  return {
    status: errors[refusal.code].status,
    mediaType: ofrep === undefined ? 'application/problem+json' : 'application/json',
    body: ofrep === undefined ? problemJson(refusal, request.requestId) : failureJson(refusal, ofrep),
    headers: [['Cache-Control', 'no-store'], ...refusal.headers],
    revision: undefined,
  };
}

function limitLines(deps: Pick<HttpDeps, 'limiter'>, key: ServingKey, code: string | undefined): Lines {
  const { limit, remaining, resetSeconds } = deps.limiter.standing(key, Date.now());
  if (limit === 0) return [];
  const seconds = Math.max(1, Math.ceil(resetSeconds));
  const lines: Lines = [
    ['RateLimit-Policy', `"default";q=${limit};w=60`],
    ['RateLimit', `"default";r=${Math.max(0, Math.floor(remaining))};t=${seconds}`],
  ];
  if (code === 'RATE_LIMITED') lines.push(['Retry-After', String(seconds)]);
  return lines;
}
