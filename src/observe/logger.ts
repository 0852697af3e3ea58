// The process's log: JSON lines on standard output, by pino, through a destination that no reader can stop and past
// nets that keep keys and attributes out.
import { pino } from 'pino';
import type { LogLevel } from '../config.ts';
import { createLogDestination, type LogDestination } from './log-destination.ts';
import { cleanFields, cleanMessage, scrubLine } from './redact.ts';

export type Logger = pino.Logger;

const STDOUT = 1;
const FATAL = 60;

let stdout: LogDestination | undefined;

/**
 * A logger whose lines carry `name` ("primary", "worker 2"). All loggers of a process share one destination.
 * `secrets` are texts that must not appear, besides API keys of our own making: the bootstrap key, which may be any.
 */
export function createLogger(options: {
  readonly level: LogLevel;
  readonly name: string;
  readonly secrets?: readonly string[];
}): Logger {
  const destination = standardOutput();
  const secrets = (options.secrets ?? []).map((secret) => JSON.stringify(secret).slice(1, -1));
  return pino(
    {
      level: options.level,
      base: { pid: process.pid, name: options.name },
      timestamp: pino.stdTimeFunctions.isoTime,
      // Errors have become plain objects by then.
      serializers: { err: (error: unknown) => error },
      formatters: {
        level: (label) => ({ level: label }),
        bindings: cleanFields,
        log: cleanFields,
      },
      hooks: {
        logMethod(args, method, level) {
          // The last words need room; pino flushes once more when they are written.
          if (level >= FATAL) destination.flushSync();
          const [first, ...rest] = args as unknown[];
          // pino would take the message of a bare error as it is.
          const safe =
            first instanceof Error ? [{ err: first }, ...(rest.length > 0 ? rest : [first.message])] : [first, ...rest];
          method.apply(this, safe.map((each) => (typeof each === 'string' ? cleanMessage(each) : each)) as typeof args);
        },
      },
    },
    {
      write: (line: string) => destination.write(scrubLine(line, secrets)),
      flushSync: () => destination.flushSync(),
    } as pino.DestinationStream,
  );
}

/** Log lines of this process that a slow or missing reader has cost, since its start. */
export function logLinesDropped(): number {
  return stdout?.linesDropped ?? 0;
}

function standardOutput(): LogDestination {
  if (stdout !== undefined) return stdout;
  const destination = createLogDestination(STDOUT, droppedNotice);
  stdout = destination;
  // Whoever prints to the terminal must not die of a closed pipe either.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  process.on('exit', () => destination.flushSync());
  return destination;
}

function droppedNotice(linesDropped: number): string {
  const msg = `${linesDropped} log lines were dropped because the reader of standard output fell behind`;
  return `${JSON.stringify({ level: 'warn', time: new Date().toISOString(), pid: process.pid, linesDropped, msg })}\n`;
}
