// How a worker's clients are sent away: spread, each at the time that it was told, and all in time.
import { test } from 'tap';
import type { Clock } from '../../../../src/run/clock.ts';
import type { Slices } from '../../../../src/worker/slices.ts';
import { createGoodbyes } from '../../../../src/worker/socket/goodbyes.ts';

interface Client {
  goodbye(text: string): boolean;
  leave(): void;
  close(code: number): void;
  toldMs: number | undefined;
  leftMs: number | undefined;
  closedMs: number | undefined;
}

/** A clock that a test moves, and clients that remember when what happened to them. */
function scene(): { clock: Clock; run(ms: number): void; client(isOpen?: boolean): Client } {
  let nowMs = 1000;
  const timers = new Set<{ atMs: number; periodMs: number | undefined; run: () => void }>();
  const add = (delayMs: number, periodMs: number | undefined, run: () => void): (() => void) => {
    const timer = { atMs: nowMs + delayMs, periodMs, run };
    timers.add(timer);
    return () => void timers.delete(timer);
  };
  return {
    clock: {
      nowMs: () => nowMs,
      after: (delayMs, run) => add(delayMs, undefined, run),
      every: (periodMs, run) => add(periodMs, periodMs, run),
    },
    run(ms) {
      for (const end = nowMs + ms; nowMs < end; nowMs++) {
        for (const timer of [...timers]) {
          if (timer.atMs > nowMs) continue;
          if (timer.periodMs === undefined) timers.delete(timer);
          else timer.atMs += timer.periodMs;
          timer.run();
        }
      }
    },
    client(isOpen = true) {
      const client: Client = {
        toldMs: undefined,
        leftMs: undefined,
        closedMs: undefined,
        goodbye(text) {
          if (isOpen) client.toldMs = (JSON.parse(text) as { reconnect_after_ms: number }).reconnect_after_ms;
          return isOpen;
        },
        leave: () => void (client.leftMs = nowMs - 1000),
        close: () => void (client.closedMs ??= nowMs - 1000),
      };
      return client;
    },
  };
}

/** Numbers from 0 to below 1 that are spread evenly. */
function spread(): () => number {
  let i = 0;
  return () => (i++ * 0.618034) % 1;
}

/** A slice that lasts as long as it takes. */
const slices = (): Slices => ({ pause: () => undefined });

test('each goes at the time that it was told, no more of them at a time than their share', async (t) => {
  const { clock, run, client } = scene();
  const clients = Array.from({ length: 4500 }, () => client());
  const goodbyes = createGoodbyes({ clock, random: spread(), slices });
  goodbyes.begin(clients, 25_000);
  while (clients.some(({ toldMs }) => toldMs === undefined)) await new Promise(setImmediate);
  await new Promise(setImmediate);
  run(5100);
  t.ok(clients.every(({ toldMs = 0 }) => toldMs >= 500 && toldMs < 5000));
  t.ok(clients.every(({ toldMs = 0, leftMs = 0 }) => leftMs >= toldMs && leftMs <= toldMs + 20));
  const shares = new Map<number, number>();
  for (const { leftMs = 0 } of clients)
    shares.set(Math.floor(leftMs / 100), (shares.get(Math.floor(leftMs / 100)) ?? 0) + 1);
  t.ok(Math.max(...shares.values()) <= 125, 'a tenth of a second has 100 of them');
  t.ok(
    clients.every(({ closedMs }) => closedMs === undefined),
    'with the last answer, not before',
  );
  run(5000);
  t.ok(
    clients.every(({ closedMs }) => closedMs === 10_000),
    'that has an end',
  );
  goodbyes.close();
  goodbyes.close();
});

test('with less time they follow each other faster', async (t) => {
  const { clock, run, client } = scene();
  const clients = Array.from({ length: 100 }, () => client());
  createGoodbyes({ clock, random: spread(), slices }).begin(clients, 600);
  await new Promise(setImmediate);
  run(601);
  t.ok(clients.every(({ toldMs = 0 }) => toldMs >= 300 && toldMs < 600));
  t.ok(clients.every(({ closedMs }) => closedMs === 600));
});

test('who cannot be told yet is closed at once', (t) => {
  const { clock, client } = scene();
  const early = client(false);
  createGoodbyes({ clock, random: spread(), slices }).begin([early], 25_000);
  t.equal(early.closedMs, 0);
  t.end();
});
