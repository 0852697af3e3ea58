// Commands to the running service, over the local socket that only its own user can open.
import { connect } from 'node:net';
import { buildInfo } from '../build-info.ts';
import { createFrameReader, decodeToWorker, encodeToPrimary } from '../ipc/frame.ts';
import type { CommandOutcome, CommandRequest } from '../ipc/messages.ts';
import { limits } from '../limits.ts';
import { ownIdentity } from '../run/process-identity.ts';

const ANSWER_MS_MAX = 15_000;

const UNKNOWN: CommandOutcome = {
  ok: false,
  code: 'OUTCOME_UNKNOWN',
  detail: 'the service did not answer in time; look at what it has now, as with `burgee keys list`',
};

/** undefined when no service listens there. */
export function askSocket(socketPath: string, request: CommandRequest): Promise<CommandOutcome | undefined> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    const timer = setTimeout(() => settle(UNKNOWN), ANSWER_MS_MAX);
    let connected = false;
    function settle(outcome: CommandOutcome | undefined): void {
      clearTimeout(timer);
      socket.destroy();
      resolve(outcome);
    }
    const reader = createFrameReader(limits.ipcFrameBytesMax, (type, bytes) => {
      const message = decodeToWorker(type, bytes);
      if (message?.type === 'outcome') settle(message.outcome);
    });
    socket.on('connect', () => {
      connected = true;
      const { startTime } = ownIdentity();
      socket.write(
        encodeToPrimary({
          type: 'hello',
          role: 'cli',
          pid: process.pid,
          startTime,
          slot: 0,
          build: buildInfo().build,
          epoch: '',
          revision: 0,
          leases: [],
        }),
      );
      socket.write(encodeToPrimary({ type: 'command', request }));
    });
    socket.on('data', (chunk: Buffer) => reader.push(chunk));
    socket.on('error', () => {});
    socket.on('close', () => settle(connected ? UNKNOWN : undefined));
  });
}
