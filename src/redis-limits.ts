// The bounds of what a node asks of Redis and holds for it: a part of the table in limits.ts, which is the one to read
// them from.
import { type Bound, bound } from './core-limits.ts';

const MIB = 1_048_576;

export const redis = {
  redisTimeoutMsMax: bound(10_000, 'ms', 'Of REDIS_TIMEOUT_MS: what takes longer is no help any more.'),
  redisCommandsInFlightMax: bound(
    1_000,
    'commands',
    'Sent to Redis and not answered. Past it the next is refused at once: a server so far behind is as good as away.',
  ),
  redisConnectMsMax: bound(
    3_000,
    'ms',
    'From dialling Redis, sentinels and cluster included, to its first answer; then the next attempt begins.',
  ),
  redisSilenceMsMax: bound(
    5_000,
    'ms',
    'That a command, or the check of an idle subscription, stays unanswered before its connection is given up for a new one.',
  ),
  redisReconnectMsMax: bound(
    5_000,
    'ms',
    'Between two attempts to reach Redis. It doubles from 50 ms and is drawn between half of it and all of it, so that many nodes do not come back at once.',
  ),
  hotCopyBytesMax: bound(
    64 * MIB,
    'bytes',
    'Of the snapshot in Redis. A larger one is not kept there: to carry it would hold up the server, and with it the rate limits of all nodes.',
  ),
  hotCopyMsMax: bound(2_000, 'ms', 'For the snapshot to come from Redis or go there.'),
} as const satisfies Record<string, Bound>;
