// One link to Redis for as long as the process lives: dials, proves that somebody answers, and when the client ends dials
// again, slower each time and never two nodes in step. Says once that it is connected and once that it is lost, and why.
import { limits } from '../../limits.ts';
import { type CancelTimer, type Clock, delay } from '../../run/clock.ts';
import type { RedisClient } from './client.ts';
import { failureOf, type RedisFailure, sentenceOf } from './failure.ts';

const BACKOFF_MS_FIRST = 50;
/** Connected for so long, the next loss is a new one. */
const STEADY_MS = 10_000;
/** The same thing is not said again within this. */
const SAY_AGAIN_MS = 60_000;
const CLOSE_MS = 1_000;

export type Say = (fields: object, message: string) => void;

export interface RedisLink {
  /** While it is connected. */
  readonly client: RedisClient | undefined;
  /** Why there is none. */
  readonly lost: RedisFailure;
  /** Ends this client; the next attempt follows. Nothing when it is not the current one any more. */
  drop(client: RedisClient, why: RedisFailure): void;
  /** A failure that leaves the link as it is, for the log: of everything or, `ofOne`, of a single command. */
  tell(why: RedisFailure, ofOne: boolean): void;
  /** A command was done: said when the last that was said is that it is not used. */
  tellAnswered(): void;
  close(): Promise<void>;
}

export interface RedisLinkDeps {
  readonly dial: (attempt: number) => RedisClient;
  /** Resolves when the server answered. Rejects with its error. */
  readonly prove: (client: RedisClient) => Promise<unknown>;
  readonly onUp?: (client: RedisClient) => void;
  readonly onDown?: () => void;
  readonly clock: Clock;
  /** 0 to 1. */
  readonly random: () => number;
  /** What is connected, to begin a sentence: "Redis" or "the subscription to Redis". */
  readonly name: string;
  readonly info: Say;
  readonly warn: Say;
}

/** Dials at once. */
export function openLink(deps: RedisLinkDeps): RedisLink {
  const { clock, random } = deps;
  const saidAtMs = new Map<RedisFailure, number>();
  let saysConnected = false;
  let attempt = 0;
  let failedInRow = 0;
  let current: RedisClient | undefined;
  let isUp = false;
  let upAtMs = 0;
  let lost: RedisFailure = 'connection';
  let closed = false;
  let cancelTimer: CancelTimer = () => {};
  let ended = Promise.resolve();

  function attemptNow(): void {
    const client = deps.dial(attempt++);
    current = client;
    let failed: RedisFailure | undefined;
    let aside: RedisFailure | undefined;
    // What the server or a sentinel said tells more than that the connection then ended.
    const why = (): RedisFailure =>
      failed === undefined || failed === 'connection' ? (aside ?? failed ?? 'connection') : failed;
    let finish = (): void => {};
    ended = new Promise((resolve) => {
      finish = resolve;
    });
    client.on('error', (error) => {
      failed = failureOf(error);
    });
    // Another sentinel may know better.
    client.on('sentinelError', (error) => {
      aside = failureOf(error);
    });
    client.once('end', () => {
      finish();
      onEnd(client, why());
    });
    cancelTimer = clock.after(limits.redisConnectMsMax, () => drop(client, failed ?? aside ?? 'timeout'));
    client.once('ready', () => {
      deps.prove(client).then(
        // A database that does not exist is an error of the handshake, and the client goes on in database 0.
        () => (failed === undefined ? onProven(client) : drop(client, failed)),
        (error: unknown) => drop(client, failureOf(error)),
      );
    });
  }

  function onProven(client: RedisClient): void {
    if (client !== current || closed) return;
    cancelTimer();
    isUp = true;
    upAtMs = clock.nowMs();
    tellAnswered();
    deps.onUp?.(client);
  }

  function onEnd(client: RedisClient, why: RedisFailure): void {
    if (client !== current) return;
    current = undefined;
    cancelTimer();
    if (closed) return;
    lost = why;
    failedInRow = isUp && clock.nowMs() - upAtMs > STEADY_MS ? 0 : failedInRow + 1;
    const wasUp = isUp;
    isUp = false;
    tell(why, false);
    if (wasUp) deps.onDown?.();
    const most = Math.min(limits.redisReconnectMsMax, BACKOFF_MS_FIRST * 2 ** Math.min(failedInRow, 20));
    cancelTimer = clock.after(most * (0.5 + random() / 2), attemptNow);
  }

  /** The client's own end comes later, or never: it is not waited for. */
  function drop(client: RedisClient, why: RedisFailure): void {
    if (client !== current) return;
    onEnd(client, why);
    client.disconnect();
  }

  function tell(why: RedisFailure, ofOne: boolean): void {
    const now = clock.nowMs();
    if (now - (saidAtMs.get(why) ?? Number.NEGATIVE_INFINITY) < SAY_AGAIN_MS) return;
    saidAtMs.set(why, now);
    if (!ofOne) saysConnected = false;
    const what = ofOne ? 'did not do one command' : 'is not used';
    deps.warn({ reason: why }, `${deps.name} ${what}: ${sentenceOf(why)}`);
  }

  function tellAnswered(): void {
    if (saysConnected) return;
    saysConnected = true;
    deps.info({}, `${deps.name} is connected and answers`);
  }

  attemptNow();
  return {
    get client() {
      return isUp ? current : undefined;
    },
    get lost() {
      return lost;
    },
    drop,
    tell,
    tellAnswered,
    close() {
      if (closed) return Promise.resolve();
      closed = true;
      cancelTimer();
      if (current === undefined) return Promise.resolve();
      isUp = false;
      current.disconnect();
      return Promise.race([ended, delay(clock, CLOSE_MS)]);
    },
  };
}
