// GET /ofrep/v1/stream?token=: who may listen, then an endless reply. The token stands for the key that it was made for.
import { routes } from '../../api/routes.ts';
import { type EventStreams, mayListen } from '../event-streams.ts';
import type { OpenHandler } from '../http/call.ts';
import type { HttpDeps } from '../http/deps.ts';
import { readQuery } from '../http/query.ts';
import { type Refusal, refuse, refuseIssues } from '../http/refusal.ts';
import { SPENT, WAIT } from '../limiter.ts';
import type { ServingKey } from '../serving.ts';
import { readStreamToken, type StreamGrant } from '../stream-token.ts';

const RETRY: Refusal['headers'] = [['Retry-After', '5']];
const ROUTE = routes.find(({ operationId }) => operationId === 'ofrepStream') as (typeof routes)[number];

export function createStreamHandler(
  deps: Pick<HttpDeps, 'holder' | 'limiter'>,
  streams: EventStreams,
  now: () => number,
): OpenHandler {
  const { holder, limiter } = deps;

  /** The same refusal whatever is wrong with the token: it tells nothing to who tries. */
  function admit(token: string): { readonly key: ServingKey; readonly grant: StreamGrant } | undefined {
    const snapshot = holder.current;
    if (snapshot?.streamSecret === undefined) return undefined;
    const grant = readStreamToken(token, snapshot.streamSecret, now());
    const key = grant === undefined ? undefined : snapshot.keysById.get(grant.keyId);
    return grant !== undefined && key !== undefined && now() < key.expiresAtMs ? { key, grant } : undefined;
  }

  return async ({ request }) => {
    if (holder.current === undefined) return refuse('NOT_READY', undefined, RETRY);
    const query = readQuery(request.query, ROUTE);
    const admitted = admit(query.values.get('token') ?? '');
    if (admitted === undefined)
      return refuse('UNAUTHORIZED', 'The token is not valid any more; evaluate all flags again for a new one.');
    const { key, grant } = admitted;
    const verdict = limiter.tryTake(key, now());
    if (verdict === SPENT || (verdict === WAIT && !(await limiter.waitTake(key)))) {
      const seconds = Math.max(1, Math.ceil(limiter.standing(key, now()).resetSeconds));
      return refuse('RATE_LIMITED', undefined, [['Retry-After', String(seconds)]]);
    }
    if (!mayListen(key, grant.environment, now()))
      return refuse('ENVIRONMENT_FORBIDDEN', 'The key of this token is not bound to that environment any more.');
    if (query.issues.length > 0) return refuseIssues(query.issues);
    if (!streams.hasRoom(key.keyId)) return refuse('TOO_MANY_STREAMS', undefined, RETRY);
    const known = request.headers.get('last-event-id') ?? query.values.get('since');
    return {
      status: 200,
      mediaType: 'text/event-stream',
      headers: [
        ['Cache-Control', 'no-store'],
        // Proxies that collect replies would keep events back.
        ['X-Accel-Buffering', 'no'],
      ],
      revision: undefined,
      kind: 'endless',
      run: (reply) => streams.add(grant, reply, known),
    };
  };
}
