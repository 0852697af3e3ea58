// The WebSockets of a worker: who may open one, what all of them share, and how they end.
import { routes } from '../../api/routes.ts';
import { limits } from '../../limits.ts';
import { systemClock } from '../../run/clock.ts';
import { type Auth, rawKeyOf } from '../auth.ts';
import type { Clients } from '../http/client-address.ts';
import type { Deliver, Delivery } from '../http/deliver.ts';
import type { HttpDeps } from '../http/deps.ts';
import { type Refusal, refuse } from '../http/refusal.ts';
import { copyRequest, type RawRequest } from '../http/request.ts';
import { overloaded, RETRY_MS, shedsMessage, shedsRequest } from '../http/shedding.ts';
import { ADMITTED, SPENT } from '../limiter.ts';
import type { Overload } from '../overload.ts';
import type { ServingKey, ServingSnapshot } from '../serving.ts';
import { createSlices } from '../slices.ts';
import type { SocketOwner, SocketRoute } from '../transport/socket.ts';
import type { Exchange } from '../transport/transport.ts';
import { CLOSE } from './connection.ts';
import type { Dispatch } from './dispatch.ts';
import { createGoodbyes } from './goodbyes.ts';
import type { Hub } from './hub.ts';
import { createKeyGroups } from './key-groups.ts';
import { LiveConnection } from './live-connection.ts';
import { createOriginCheck } from './origin.ts';
import { welcomeText } from './welcome.ts';
import { createWithoutKey } from './without-key.ts';

/** Keys that expire are looked for this often. */
const EXPIRY_LOOK_MS = 1000;
/** The library pings in time; proxies cut what was silent for a minute. */
const IDLE_SECONDS = 60;

const RETRY: Refusal['headers'] = [['Retry-After', '5']];
const ROUTE_INDEX = routes.findIndex(({ operationId }) => operationId === 'openSocket');

export interface Sockets {
  readonly route: SocketRoute;
  /** Takes no new ones, says goodbye to each, and closes each at a time of its own: all within `msMax`. */
  drain(msMax: number): void;
  /** Ends the timers. May be called twice. */
  close(): void;
}

/** Kept up to date here. */
export interface SocketCounts {
  /** Messages since the start. */
  messages: number;
  /** Open now. */
  sockets: number;
}

export interface SocketsDeps {
  readonly http: Pick<HttpDeps, 'holder' | 'limiter' | 'tallies' | 'logger' | 'config'>;
  readonly auth: Auth;
  readonly deliver: Deliver;
  readonly clients: Pick<Clients, 'ofExchange'>;
  readonly dispatch: Dispatch;
  readonly overload: Overload;
  readonly counts: SocketCounts;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** From 0 to below 1. */
  readonly random: () => number;
  /** For the key to come when the handshake has none. */
  readonly authMs: number;
}

export function createSockets(deps: SocketsDeps): Sockets {
  const { auth, counts, deliver, dispatch, now, overload } = deps;
  const { holder, limiter, tallies, logger } = deps.http;
  const isOriginAllowed = createOriginCheck(deps.http.config.allowedOrigins);
  const connections = new Set<LiveConnection>();
  const groups = createKeyGroups({ current: () => holder.current, now, onFailure });
  const goodbyes = createGoodbyes({ clock: systemClock, random: deps.random, slices: createSlices });
  const withoutKey = createWithoutKey<LiveConnection>();
  let unsentBytes = 0;
  let keptBytes = 0;
  let isDraining = false;
  let expiryLook: NodeJS.Timeout | undefined;

  function onFailure(error: unknown): void {
    logger.error({ err: error }, 'a socket failed');
  }

  function fail(connection: LiveConnection, error: unknown): void {
    onFailure(error);
    connection.close(CLOSE.internal, 'something went wrong here');
  }

  function countMessage(): void {
    counts.messages += 1;
    tallies.count('burgee_socket_messages_total', 1);
  }

  function countSockets(): void {
    counts.sockets = connections.size;
    tallies.gauge('burgee_worker_sockets', connections.size);
  }

  function open(key: ServingKey | undefined, verdict: number, address: string): LiveConnection {
    const connection = new LiveConnection(hub, key, verdict);
    if (key === undefined) withoutKey.add(connection, address);
    connections.add(connection);
    expiryLook ??= setInterval(groups.sweep, EXPIRY_LOOK_MS).unref();
    countSockets();
    return connection;
  }

  const hub: Hub = {
    now,
    keyTimer: (connection) =>
      setTimeout(() => connection.close(CLOSE.unauthorized, 'no key came in time'), deps.authMs).unref(),
    join: (key, connection) => groups.join(key, connection),
    admit(rawKey, connection) {
      const snapshot = holder.current;
      const key = snapshot === undefined ? undefined : auth.find(rawKey, snapshot, now());
      if (key === undefined)
        return { group: undefined, code: CLOSE.unauthorized, reason: 'the key is unknown, revoked or expired' };
      if (!groups.hasRoom(key))
        return { group: undefined, code: CLOSE.tryAgainLater, reason: 'the key has too many sockets open here' };
      withoutKey.remove(connection);
      return { group: groups.join(key, connection) };
    },
    greet(connection, key, verdict) {
      const welcome = (): void => {
        const snapshot = holder.current;
        if (snapshot !== undefined) connection.welcome(welcomeText(snapshot, key));
      };
      if (verdict === ADMITTED) return welcome();
      const refused = (): void =>
        connection.close(CLOSE.tryAgainLater, 'the key has used up its requests for this minute');
      if (verdict === SPENT) return refused();
      return hub.waitTake(connection, key, (admitted) => (admitted ? welcome() : refused()));
    },
    tryTake: (key, nowMs) => limiter.tryTake(key, nowMs),
    waitTake(connection, key, then) {
      limiter
        .waitTake(key)
        .then(then)
        .catch((error: unknown) => fail(connection, error));
    },
    dispatch(connection, message, isBinary) {
      countMessage();
      overload.count();
      if (overload.active && shedsMessage(overload, message.byteLength)) {
        tallies.count('burgee_shed_total', 1);
        dispatch.refused(connection, message, isBinary, 'OVERLOADED', RETRY_MS);
      } else if (isBinary) dispatch.frame(connection, message);
      else dispatch.text(connection, message);
    },
    refuse(connection, key, message, isBinary) {
      countMessage();
      tallies.count('burgee_rate_limited_total', 1);
      const retryMs = 1000 * Math.max(1, Math.ceil(limiter.standing(key, now()).resetSeconds));
      dispatch.refused(connection, message, isBinary, 'RATE_LIMITED', retryMs);
    },
    drained: (connection) => dispatch.drained(connection),
    closing: (code) => tallies.count(`burgee_socket_closes_${code}_total`, 1),
    parted(connection, group, wasOpen) {
      if (group === undefined) withoutKey.remove(connection);
      else groups.leave(group, connection);
      if (wasOpen) dispatch.closed(connection);
    },
    gone(connection) {
      connections.delete(connection);
      countSockets();
      if (connections.size > 0) return;
      clearInterval(expiryLook);
      expiryLook = undefined;
    },
    get unsentBytes() {
      return unsentBytes;
    },
    countUnsent(change) {
      unsentBytes += change;
    },
    get keptBytes() {
      return keptBytes;
    },
    countKept(change) {
      keptBytes += change;
    },
  };

  function admit(request: RawRequest, snapshot: ServingSnapshot | undefined, address: string): Admitted | Refused {
    if (overload.active && shedsRequest(overload, ROUTE_INDEX, request)) return refused(overloaded());
    // Nobody's key can be known yet. From there on in the order of every other route.
    if (snapshot === undefined) return refused(refuse('NOT_READY', undefined, RETRY));
    const rawKey = rawKeyOf(request.headers.get('x-api-key') ?? '', request.headers.get('authorization') ?? '');
    const key = rawKey === '' ? undefined : auth.find(rawKey, snapshot, now());
    if (key === undefined && rawKey !== '')
      return refused(refuse('UNAUTHORIZED', undefined, [['WWW-Authenticate', 'Bearer realm="burgee"']]));
    const verdict = key === undefined ? ADMITTED : limiter.tryTake(key, now());
    if (verdict === SPENT) return refused(refuse('RATE_LIMITED'), key);
    if (!isOriginAllowed(request.headers.get('origin'), request.headers.get('host') ?? ''))
      return refused(refuse('ORIGIN_FORBIDDEN'), key);
    if (isDraining) return refused(refuse('NOT_READY', undefined, RETRY), key);
    const hasRoom = key === undefined ? withoutKey.hasRoom(address) : groups.hasRoom(key);
    if (!hasRoom || connections.size >= limits.socketsMax)
      return refused(refuse('TOO_MANY_SOCKETS', undefined, RETRY), key);
    return { key, verdict, refusal: undefined };
  }

  holder.onSwap(groups.sweep);
  return {
    route: {
      messageBytesMax: limits.socketMessageBytesMax,
      idleSeconds: IDLE_SECONDS,
      accept(exchange: Exchange): SocketOwner | undefined {
        const request = copyRequest(exchange, performance.now());
        const address = deps.clients.ofExchange(exchange);
        const admission = admit(request, holder.current, address);
        const delivery: Delivery = { request, routeIndex: ROUTE_INDEX, key: admission.key, showsLimit: false };
        if (admission.refusal !== undefined) {
          deliver.whole(exchange, delivery, admission.refusal);
          return undefined;
        }
        deliver.switched(exchange, delivery);
        return open(admission.key, admission.verdict, address);
      },
    },
    drain(msMax) {
      if (isDraining) return;
      isDraining = true;
      goodbyes.begin(connections, msMax);
    },
    close() {
      clearInterval(expiryLook);
      goodbyes.close();
    },
  };
}

/** `key` undefined: it comes in the first message. */
interface Admitted {
  readonly key: ServingKey | undefined;
  /** What the limiter said. */
  readonly verdict: number;
  readonly refusal: undefined;
}

interface Refused {
  readonly key: ServingKey | undefined;
  readonly refusal: Refusal;
}

function refused(refusal: Refusal, key?: ServingKey): Refused {
  return { key, refusal };
}
