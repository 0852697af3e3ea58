// The Redis of this node, where the configuration names one.
import type { Config } from '../config.ts';
import type { Logger } from '../observe/logger.ts';
import { openRedis, type RedisConnection } from '../storage/redis/connection.ts';

export function openNodeRedis(config: Config, logger: Logger): RedisConnection | undefined {
  if (config.redisUrl === undefined) return undefined;
  return openRedis({
    url: config.redisUrl,
    timeoutMs: config.redisTimeoutMs,
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
  });
}
