// What is really in use in a worker, garbage collected first: resident memory alone says as much of the garbage as of
// what is kept. Node opens its inspector at SIGUSR1, whatever the process was started with.
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { freePort } from '../../test/support/service.ts';
import { residentBytes } from './machine.ts';
import type { MeasuredService } from './measured-service.ts';

const ANSWER_TIMEOUT_MS = 30_000;

export interface WorkerMemory {
  readonly heapBytes: number;
  /** Outside V8's heap, as far as Node knows of it. */
  readonly externalBytes: number;
  readonly residentBytes: number;
}

/** What a service has to be started with, so that the inspector of its worker takes a port that is free. */
export async function inspectable(): Promise<Readonly<Record<string, string>>> {
  return { NODE_OPTIONS: `--inspect-port=127.0.0.1:${await freePort()}` };
}

/** Stops the worker for the time of a collection. The service was started with `inspectable()`. */
export async function workerMemory({ service, workerPid }: MeasuredService): Promise<WorkerMemory> {
  process.kill(workerPid, 'SIGUSR1');
  const deadlineMs = performance.now() + ANSWER_TIMEOUT_MS;
  let url: string | undefined;
  while (url === undefined) {
    if (performance.now() > deadlineMs) throw new Error('the inspector of the worker did not open');
    url = /Debugger listening on (ws:\S+)/.exec(service.output())?.[1];
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const socket = new WebSocket(url);
  try {
    await once(socket, 'open', { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
    // Twice: what the first collection finalises, the second frees.
    await call(socket, 'HeapProfiler.collectGarbage', {});
    await call(socket, 'HeapProfiler.collectGarbage', {});
    const { result } = await call(socket, 'Runtime.evaluate', {
      expression: 'JSON.stringify(process.memoryUsage())',
      returnByValue: true,
    });
    const usage = JSON.parse(result.value);
    return {
      heapBytes: usage.heapUsed,
      externalBytes: usage.external,
      residentBytes: residentBytes(workerPid),
    };
  } finally {
    socket.terminate();
  }
}

let lastId = 0;

// biome-ignore lint/suspicious/noExplicitAny: replies of the inspector's many methods
async function call(socket: WebSocket, method: string, params: object): Promise<any> {
  const id = ++lastId;
  socket.send(JSON.stringify({ id, method, params }));
  for (;;) {
    const [message] = await once(socket, 'message', { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
    const answer = JSON.parse(String(message));
    if (answer.id !== id) continue;
    if (answer.error !== undefined) throw new Error(`${method}: ${JSON.stringify(answer.error)}`);
    return answer.result;
  }
}
