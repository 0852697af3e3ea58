// One run of the primary, as the launcher sees it: started, ready, beating or silent, ended.
import { type ChildProcess, spawn } from 'node:child_process';
import { type Clock, createAwakeTime } from '../run/clock.ts';
import { BEAT_MS, createSender, type FromLauncher, readToLauncher } from './channel.ts';

export interface PrimaryExit {
  /** undefined when a signal ended it, or when it could not be started. */
  readonly code: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
  /** Why the launcher killed it, or why it could not be started. */
  readonly why: string | undefined;
  readonly livedMs: number;
  readonly wasReady: boolean;
}

export interface PrimaryProcess {
  readonly pid: number | undefined;
  readonly exited: Promise<PrimaryExit>;
  drain(reason: string): void;
  /** To end and leave its workers serving, because another primary takes over. */
  leave(reason: string): void;
  /** SIGKILL: it also ends a process that is stopped. */
  kill(why: string): void;
}

export interface PrimaryStart {
  /** The main script; the primary runs this very file, and its workers too. */
  readonly main: string;
  /** What it and its workers are told of the configuration they run with; see generation.ts. */
  readonly generation: string;
  readonly execArgv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  /** A primary that was silent for this long is killed. */
  readonly silentMs: number;
  /** The same before its first beat: loading its code takes time on a busy machine. */
  readonly firstBeatMs: number;
  readonly onReady: (url: string) => void;
}

export function startPrimary(start: PrimaryStart): PrimaryProcess {
  const { clock } = start;
  const bornMs = clock.nowMs();
  const awake = createAwakeTime(clock, BEAT_MS);
  let heardMs: number | undefined;
  let wasReady = false;
  let why: string | undefined;

  const child = spawnPrimary(start);
  const say = createSender<FromLauncher>(child);
  const kill = (reason: string): void => {
    why ??= reason;
    child.kill('SIGKILL');
  };
  child.on('message', (raw) => {
    const message = readToLauncher(raw);
    if (message === undefined) return;
    heardMs = awake.ms;
    if (message.type !== 'ready') return;
    wasReady = true;
    start.onReady(message.url);
  });
  const stopBeats = clock.every(BEAT_MS, () => {
    awake.tick();
    say({ type: 'beat' });
    const silentMs = awake.ms - (heardMs ?? 0);
    const limitMs = heardMs === undefined ? start.firstBeatMs : start.silentMs;
    if (silentMs > limitMs) kill(`it was silent for ${Math.round(silentMs)} ms`);
  });
  const exited = new Promise<PrimaryExit>((resolve) => {
    const end = (code: number | null, signal: NodeJS.Signals | null): void => {
      stopBeats();
      resolve({ code: code ?? undefined, signal: signal ?? undefined, why, livedMs: clock.nowMs() - bornMs, wasReady });
    };
    child.once('exit', end);
    child.on('error', (error) => {
      // Also emitted when a signal or a message could not be sent; only a process that never was has no pid.
      if (child.pid !== undefined) return;
      why = error.message;
      end(null, null);
    });
  });
  return {
    pid: child.pid,
    exited,
    drain: (reason) => say({ type: 'drain', reason }),
    leave: (reason) => say({ type: 'leave', reason }),
    kill,
  };
}

function spawnPrimary(start: PrimaryStart): ChildProcess {
  return spawn(process.execPath, [...start.execArgv, start.main], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...start.env, BURGEE_ROLE: 'primary', BURGEE_GENERATION: start.generation },
  });
}
