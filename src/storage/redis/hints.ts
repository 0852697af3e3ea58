// News of writes over Redis' pub/sub, on a connection of its own: one that subscribes may ask nothing else. The channel
// carries the store's epoch, which is known after the first load only. What comes is a number or is nothing; what was
// missed while the connection was away is found by the look that each new connection asks for.
import { limits } from '../../limits.ts';
import type { RedisTarget } from '../../redis-url.ts';
import { type CancelTimer, type Clock, systemClock } from '../../run/clock.ts';
import type { Hints } from '../tiers.ts';
import { dial, type RedisClient } from './client.ts';
import type { RedisConnection } from './connection.ts';
import { openLink, type Say } from './link.ts';

/** How often a silent subscription is asked whether it still is one. */
const CHECK_MS = 10_000;

export interface RedisHints extends Hints {
  /** Hears this epoch's channel from now on, and no other's. Called as often as one likes. */
  listen(epoch: string): void;
  /** Whether hints would come. */
  readonly isListening: boolean;
}

export interface RedisHintsDeps {
  readonly redis: Pick<RedisConnection, 'command' | 'target'>;
  /** A write, as somebody says. */
  readonly onHint: (revision: number) => void;
  /** The channel is heard from now on: what came before may have been missed. */
  readonly onListening: () => void;
  readonly info: Say;
  readonly warn: Say;
  readonly clock?: Clock;
  /** 0 to 1. */
  readonly random?: () => number;
  readonly checkMs?: number;
}

/** Dials when the first epoch is told. */
export function createRedisHints(deps: RedisHintsDeps): RedisHints {
  const { redis, clock = systemClock, random = Math.random, checkMs = CHECK_MS } = deps;
  let subscription: Subscription | undefined;
  let epoch = '';
  let publishing = false;
  let next: { readonly epoch: string; readonly revision: number } | undefined;
  let closed = false;

  /** One at a time: while Redis is slow, of many writes only the last is told. */
  async function publishAll(): Promise<void> {
    publishing = true;
    for (let told = next; told !== undefined; told = next) {
      next = undefined;
      // Nobody waits for it, and each node's poll finds what it would have told.
      await redis.command('publish', [channelOf(told.epoch), String(told.revision)]).catch(() => {});
    }
    publishing = false;
  }

  return {
    publish(toEpoch, revision) {
      if (closed) return;
      next = { epoch: toEpoch, revision };
      if (!publishing) void publishAll();
    },
    listen(toEpoch) {
      if (closed || toEpoch === epoch) return;
      epoch = toEpoch;
      const gone = subscription;
      subscription = subscribe({ ...deps, target: redis.target, clock, random, checkMs }, channelOf(epoch));
      void gone?.close();
    },
    get isListening() {
      return subscription?.isUp ?? false;
    },
    async close() {
      closed = true;
      await subscription?.close();
    },
  };
}

interface Subscription {
  readonly isUp: boolean;
  close(): Promise<void>;
}

interface SubscriptionDeps extends Pick<RedisHintsDeps, 'onHint' | 'onListening' | 'info' | 'warn'> {
  readonly target: RedisTarget;
  readonly clock: Clock;
  readonly random: () => number;
  readonly checkMs: number;
}

function subscribe(deps: SubscriptionDeps, channel: string): Subscription {
  const { clock } = deps;
  let cancelCheck: CancelTimer = () => {};
  let cancelSilence: CancelTimer = () => {};
  const link = openLink({
    dial: (attempt) => dial(deps.target, attempt, true),
    prove: (client) => {
      client.on('message', onMessage);
      return client.subscribe(channel);
    },
    onUp(client) {
      // One that was black-holed would else be waited for until TCP gives up.
      cancelCheck = clock.every(deps.checkMs, () => check(client));
      deps.onListening();
    },
    onDown: stopChecks,
    clock,
    random: deps.random,
    name: 'the subscription to Redis',
    info: deps.info,
    warn: deps.warn,
  });

  function onMessage(from: string, text: string): void {
    if (from !== channel) return;
    const revision = parseRevision(text);
    if (revision !== undefined) deps.onHint(revision);
  }

  function check(client: RedisClient): void {
    cancelSilence();
    cancelSilence = clock.after(limits.redisSilenceMsMax, () => link.drop(client, 'timeout'));
    client.ping().then(cancelSilence, () => {});
  }

  function stopChecks(): void {
    cancelCheck();
    cancelSilence();
  }

  return {
    get isUp() {
      return link.client !== undefined;
    },
    close() {
      stopChecks();
      return link.close();
    },
  };
}

function channelOf(epoch: string): string {
  return `burgee:{${epoch}}:hints`;
}

/** Decimal, without sign, blank or leading zero, below 2^53. */
function parseRevision(text: string): number | undefined {
  if (!/^[1-9]\d{0,15}$/.test(text)) return undefined;
  const revision = Number(text);
  return Number.isSafeInteger(revision) ? revision : undefined;
}
