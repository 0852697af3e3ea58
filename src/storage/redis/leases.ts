// Counts rate limits for all nodes in Redis. One hash a key and minute: what each node holds of it, and the sums. It goes by
// itself when the minute is over.
//
//   burgee:{epoch}:rate:<windowEndMs>:<keyId>   used, unused, lost; <node> -> "sequence total unused"
//   burgee:{epoch}:rate:since                   ms since 1970 since when this Redis has counted; 0: for ever
//   burgee:{epoch}:nodes                        node -> ms since 1970 of its last beat
import type { Holding, LeaseCounter } from '../lease-counter.ts';
import { TierUnavailable } from '../tiers.ts';
import { type RedisConnection, redisScript } from './connection.ts';

/** Long after a minute's end nobody asks for it; until then a late statement must find what it may not change. */
const KEPT_MS = 10_000;
/** A node that has been silent for this long is no longer counted. */
const NODE_MS = 10_000;
/** Without any node for this long nobody remembers either what was there. */
const SINCE_MS = 86_400_000;

// `since` is missing where Redis is new, or has lost everything. Only a node that knew it can tell: then windows that had
// begun are not complete, and nothing is granted of them. One hash may be lost too (a replica that took over, eviction):
// the node whose last answered statement is missing tells.
const SINCE = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function counting_since(key, knew)
  local since = redis.call('GET', key)
  if not since then
    since = knew and string.format('%.0f', now) or '0'
    redis.call('SET', key, since, 'PX', ${SINCE_MS})
  end
  return tonumber(since)
end
`;

const STATE = redisScript(`${SINCE}
local node, sequence, answered = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local keep, want, unused = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local limit, ends = tonumber(ARGV[7]), tonumber(ARGV[8])
if now >= ends or ends > now + 120000 then return {2} end
local mine = redis.call('HGET', KEYS[1], node)
local last, total, spare = 0, 0, 0
if mine then
  local a, b, c = string.match(mine, '^(%d+) (%d+) (%d+)$')
  last, total, spare = tonumber(a), tonumber(b), tonumber(c)
end
if last >= sequence then return {1, last} end
local since = counting_since(KEYS[2], true)
if last < answered then redis.call('HSET', KEYS[1], 'lost', '1') end
local sums = redis.call('HMGET', KEYS[1], 'used', 'unused', 'lost')
local used = (tonumber(sums[1]) or 0) - total + keep
local elsewhere = (tonumber(sums[2]) or 0) - spare
local complete = not sums[3] and since <= ends - 60000
local granted = 0
local left = math.max(0, limit - used)
if complete and want > 0 and left > 0 then
  local nodes = math.max(1, redis.call('ZCOUNT', KEYS[3], now - ${NODE_MS}, '+inf'))
  granted = math.min(want, left, math.max(1, math.floor(left / (2 * nodes))))
end
local function text(number) return string.format('%.0f', number) end
redis.call('HSET', KEYS[1], node, ARGV[2] .. ' ' .. text(keep + granted) .. ' ' .. text(unused + granted),
  'used', text(used + granted), 'unused', text(elsewhere + unused + granted))
redis.call('PEXPIREAT', KEYS[1], text(ends + ${KEPT_MS}))
return {0, keep + granted, left - granted, elsewhere, complete and 1 or 0}
`);

const BEAT = redisScript(`${SINCE}
counting_since(KEYS[1], ARGV[2] == '1')
redis.call('PEXPIRE', KEYS[1], ${SINCE_MS})
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. string.format('%.0f', now - ${NODE_MS}))
redis.call('PEXPIRE', KEYS[2], ${6 * NODE_MS})
return {now, redis.call('ZCARD', KEYS[2])}
`);

/** `epoch` undefined: the store has not been read yet, and nothing is counted. */
export function createLeaseCounter(
  redis: Pick<RedisConnection, 'run' | 'command'>,
  epoch: () => string | undefined,
): LeaseCounter {
  /** What is in braces puts all of them on one node of a cluster. */
  function names(): { readonly prefix: string; readonly since: string; readonly nodes: string } {
    const known = epoch();
    if (known === undefined) throw new TierUnavailable('The store has not been read yet.');
    const prefix = `burgee:{${known}}:`;
    return { prefix, since: `${prefix}rate:since`, nodes: `${prefix}nodes` };
  }

  return {
    async state(nodeId, { keyId, windowEndMs, limit, sequence, answered, keep, want, unused }) {
      const { prefix, since, nodes } = names();
      const keys = [`${prefix}rate:${windowEndMs}:${keyId}`, since, nodes];
      const args = [nodeId, sequence, answered, keep, want, unused, limit, windowEndMs];
      const [kind, first, left, elsewhere, complete] = numbersOf(await redis.run(STATE, keys, args));
      if (kind === 2) return undefined;
      if (kind === 1) return first as number;
      return {
        total: first as number,
        left: left as number,
        unusedElsewhere: elsewhere as number,
        complete: complete === 1,
      } satisfies Holding;
    },
    async beat(nodeId, knew) {
      const { since, nodes } = names();
      const reply = numbersOf(await redis.run(BEAT, [since, nodes], [nodeId, knew ? 1 : 0]));
      return { nowMs: reply[0] as number, nodes: Math.max(1, reply[1] as number) };
    },
    async leave(nodeId) {
      await redis.command('zrem', [names().nodes, nodeId]);
    },
  };
}

/** What a server says that is not ours is not believed further than that it is numbers. */
function numbersOf(reply: unknown): readonly number[] {
  if (!Array.isArray(reply) || !reply.every((part) => Number.isSafeInteger(part)))
    throw new TierUnavailable('Redis answered something else than numbers.');
  return reply;
}
