// The primary's connection to Redis. Nobody may ever wait for it: each command has a deadline, none is kept for later or
// sent twice, and after a failure none is sent for a second. A command whose deadline has passed is still the server's to
// answer; until it has been, nothing else is sent, so a server that hangs collects no more than was on its way.
import { createHash } from 'node:crypto';
import { limits } from '../../limits.ts';
import { parseRedisUrl, type RedisTarget } from '../../redis-url.ts';
import { type CancelTimer, type Clock, systemClock } from '../../run/clock.ts';
import { TierUnavailable } from '../tiers.ts';
import { dial, type RedisClient } from './client.ts';
import { failureOf, type RedisFailure, sentenceOf } from './failure.ts';
import { openLink, type RedisLink, type Say } from './link.ts';

/** After a failure that the next command would meet too. */
const PAUSE_MS = 1_000;

/** These say something of one command only: others may well succeed. */
const OF_ONE_COMMAND: ReadonlySet<RedisFailure> = new Set(['memory', 'other', 'permission']);

export type RedisArgument = string | number | Buffer;

/** A program in Lua that runs as one step. */
export interface RedisScript {
  readonly lua: string;
  readonly sha1: string;
}

export interface RedisConnection {
  /** Whether the last that was asked of it was done, so that asking again makes sense. */
  readonly isUp: boolean;
  /** Commands that were not done, by reason, since the start. */
  readonly failures: ReadonlyMap<RedisFailure, number>;
  /**
   * One command. Its first key, if it has one, must be where ioredis expects it: that says which node of a cluster is
   * asked. Texts come as Buffers, whole numbers as numbers, nothing as null. Rejects with TierUnavailable and nothing else.
   * @param deadlineMs REDIS_TIMEOUT_MS if it is not given
   */
  command(name: string, args: readonly RedisArgument[], deadlineMs?: number): Promise<unknown>;
  /** A script, in one step, by its name where the server knows it. All keys must share what is in braces. */
  run(
    script: RedisScript,
    keys: readonly string[],
    args: readonly RedisArgument[],
    deadlineMs?: number,
  ): Promise<unknown>;
  /** What was parsed of the URL, for a connection of another kind. */
  readonly target: RedisTarget;
  close(): Promise<void>;
}

export interface RedisOptions {
  /** As in REDIS_URL. Never logged. */
  readonly url: string;
  /** For each command, ms. */
  readonly timeoutMs: number;
  readonly info: Say;
  readonly warn: Say;
  readonly clock?: Clock;
  /** 0 to 1. */
  readonly random?: () => number;
}

export function redisScript(lua: string): RedisScript {
  return { lua, sha1: createHash('sha1').update(lua).digest('hex') };
}

/** Dials at once, and as often as it takes. Throws when the URL is none, which the configuration has ruled out. */
export function openRedis(options: RedisOptions): RedisConnection {
  const { timeoutMs, info, warn, clock = systemClock, random = Math.random } = options;
  const parsed = parseRedisUrl(options.url);
  if ('wrong' in parsed) throw new Error(`REDIS_URL ${parsed.wrong}`);
  const { target } = parsed;
  const link = openLink({
    dial: (attempt) => dial(target, attempt, false),
    prove: (client) => client.ping(),
    onUp: () => breaker.reset(),
    clock,
    random,
    name: 'Redis',
    info,
    warn,
  });
  const breaker = createBreaker(link, clock);

  function send(deadlineMs: number, ask: (client: RedisClient) => Promise<unknown>): Promise<unknown> {
    const client = breaker.clientOr();
    return client instanceof TierUnavailable ? Promise.reject(client) : breaker.watch(client, deadlineMs, ask(client));
  }

  return {
    target,
    failures: breaker.failures,
    get isUp() {
      return breaker.isUp();
    },
    command: (name, args, deadlineMs = timeoutMs) => send(deadlineMs, (client) => client.callBuffer(name, [...args])),
    run: ({ lua, sha1 }, keys, args, deadlineMs = timeoutMs) =>
      send(deadlineMs, (client) => {
        const rest = [keys.length, ...keys, ...args];
        return client.callBuffer('evalsha', [sha1, ...rest]).catch((error: unknown) => {
          if (error instanceof Error && error.message.startsWith('NOSCRIPT'))
            return client.callBuffer('eval', [lua, ...rest]);
          throw error;
        });
      }),
    close: () => link.close(),
  };
}

/** What one connection has been sent and has not answered. */
interface Sent {
  inFlight: number;
  /** Of these, commands whose caller was told that there was no answer. */
  late: number;
  cancelSilence: CancelTimer;
}

interface Breaker {
  isUp(): boolean;
  readonly failures: ReadonlyMap<RedisFailure, number>;
  /** The client to send by; or why nothing is sent. */
  clientOr(): RedisClient | TierUnavailable;
  /** Settles by the deadline at the latest, with the reply or a TierUnavailable. */
  watch(client: RedisClient, deadlineMs: number, reply: Promise<unknown>): Promise<unknown>;
  /** The connection is new: what was, was the old one's. */
  reset(): void;
}

function createBreaker(link: RedisLink, clock: Clock): Breaker {
  const failures = new Map<RedisFailure, number>();
  let sent: Sent = { inFlight: 0, late: 0, cancelSilence: () => {} };
  let pausedUntilMs = Number.NEGATIVE_INFINITY;

  function fail(why: RedisFailure): TierUnavailable {
    failures.set(why, (failures.get(why) ?? 0) + 1);
    return new TierUnavailable(sentenceOf(why));
  }

  function failed(client: RedisClient, why: RedisFailure): TierUnavailable {
    const ofOne = OF_ONE_COMMAND.has(why);
    link.tell(why, ofOne);
    if (!ofOne) pausedUntilMs = clock.nowMs() + PAUSE_MS;
    // Whoever is asked for the server again may name another one.
    if (why === 'readonly') link.drop(client, why);
    return fail(why);
  }

  function whyNot(): RedisFailure | undefined {
    if (link.client === undefined) return link.lost;
    if (sent.late > 0) return 'timeout';
    return clock.nowMs() < pausedUntilMs ? 'paused' : undefined;
  }

  return {
    failures,
    isUp: () => whyNot() === undefined,
    clientOr() {
      const why = whyNot() ?? (sent.inFlight >= limits.redisCommandsInFlightMax ? 'busy' : undefined);
      return why === undefined ? (link.client as RedisClient) : fail(why);
    },
    watch(client, deadlineMs, reply) {
      const own = sent;
      own.inFlight += 1;
      return new Promise((resolve, reject) => {
        let isLate = false;
        const abandon = (): void => {
          isLate = true;
          own.late += 1;
          if (own.late === 1)
            own.cancelSilence = clock.after(limits.redisSilenceMsMax, () => link.drop(client, 'timeout'));
          reject(failed(client, 'timeout'));
        };
        let isSettled = false;
        const cancelDeadline = clock.after(deadlineMs, () => {
          // A process that was busy itself finds the answer in the socket only after its timers have run.
          setImmediate(() => isSettled || abandon());
        });
        const settle = (): void => {
          isSettled = true;
          cancelDeadline();
          own.inFlight -= 1;
          if (!isLate) return;
          own.late -= 1;
          if (own.late === 0) own.cancelSilence();
        };
        reply.then(
          (value) => {
            settle();
            link.tellAnswered();
            resolve(value);
          },
          (error: unknown) => {
            settle();
            if (!isLate) reject(failed(client, failureOf(error)));
          },
        );
      });
    },
    reset() {
      sent.cancelSilence();
      sent = { inFlight: 0, late: 0, cancelSilence: () => {} };
      pausedUntilMs = Number.NEGATIVE_INFINITY;
    },
  };
}
