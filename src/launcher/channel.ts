// What launcher and primary say to each other over the primary's ipc channel, and the primary's side of it.
import { type Clock, systemClock } from '../run/clock.ts';

/** Each side sends a beat this often. */
export const BEAT_MS = 500;

export type FromLauncher =
  | { readonly type: 'beat' }
  | { readonly type: 'drain'; readonly reason: string }
  /** To end well and leave the workers serving: another primary takes over at once. */
  | { readonly type: 'leave'; readonly reason: string };
export type ToLauncher = { readonly type: 'beat' } | { readonly type: 'ready'; readonly url: string };

export interface LauncherChannel {
  /** Once the service answers; `url` is what a user would open. */
  ready(url: string): void;
  /** Stops beating and listening; the signals stay ignored. May be called twice. */
  close(): void;
}

/**
 * The primary's end; to be made first of all, since the launcher ends a primary that does not beat. While the channel
 * stands SIGTERM, SIGINT and SIGHUP are the launcher's business and do nothing here. `onDrain` is called once. `onLost` is
 * called once when the launcher is gone: the primary is to exit and leave its workers serving. Throws when this process
 * was not started by a launcher.
 */
export function createLauncherChannel(deps: {
  readonly onDrain: (reason: string) => void;
  /** Called once: to end and leave the workers serving, for another primary is about to take over. */
  readonly onLeave: (reason: string) => void;
  readonly onLost: () => void;
  readonly clock?: Clock;
}): LauncherChannel {
  if (process.send === undefined) {
    throw new Error('the primary is started by the launcher (npm start, or node dist/main.js), not by hand');
  }
  const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
  const ignore = (): void => {};
  for (const signal of signals) process.on(signal, ignore);

  const told = new Set<string>();
  const receive = (raw: unknown): void => {
    const message = readFromLauncher(raw);
    if (message === undefined || message.type === 'beat' || told.has(message.type)) return;
    told.add(message.type);
    if (message.type === 'drain') deps.onDrain(message.reason);
    else deps.onLeave(message.reason);
  };
  let isStopped = false;
  const lost = (): void => {
    if (isStopped) return;
    stop();
    deps.onLost();
  };
  const say = createSender<ToLauncher>(process);
  const stopBeats = (deps.clock ?? systemClock).every(BEAT_MS, () => say({ type: 'beat' }));
  const stop = (): void => {
    isStopped = true;
    stopBeats();
    process.off('message', receive);
    process.off('disconnect', lost);
  };
  process.on('message', receive);
  process.once('disconnect', lost);
  // A launcher that died while this process was loaded is not heard of again.
  if (!process.connected) setImmediate(lost);
  say({ type: 'beat' });

  return {
    ready: (url) => say({ type: 'ready', url }),
    close: stop,
  };
}

interface IpcEnd {
  readonly connected: boolean;
  send?(message: unknown, handle: undefined, options: undefined, done: (error: Error | null) => void): boolean;
}

/**
 * Sends over an ipc channel and never throws: a channel that is gone says so by its 'disconnect'. A beat is left out while
 * the one before is still on its way, so that a receiver that is stopped does not fill this process's memory.
 */
export function createSender<Message extends { readonly type: string }>(end: IpcEnd): (message: Message) => void {
  let beatOnItsWay = false;
  return (message) => {
    const beat = message.type === 'beat';
    if (!end.connected || (beat && beatOnItsWay)) return;
    if (beat) beatOnItsWay = true;
    end.send?.(message, undefined, undefined, () => {
      if (beat) beatOnItsWay = false;
    });
  };
}

/** undefined for anything that is not one of the messages. */
export function readFromLauncher(raw: unknown): FromLauncher | undefined {
  const { type, reason } = asRecord(raw);
  if (type === 'beat') return { type };
  return (type === 'drain' || type === 'leave') && typeof reason === 'string' ? { type, reason } : undefined;
}

/** undefined for anything that is not one of the messages. */
export function readToLauncher(raw: unknown): ToLauncher | undefined {
  const message = asRecord(raw);
  if (message['type'] === 'beat') return { type: 'beat' };
  const url = message['url'];
  return message['type'] === 'ready' && typeof url === 'string' ? { type: 'ready', url } : undefined;
}

function asRecord(raw: unknown): Readonly<Record<string, unknown>> {
  return typeof raw === 'object' && raw !== null ? (raw as Readonly<Record<string, unknown>>) : {};
}
