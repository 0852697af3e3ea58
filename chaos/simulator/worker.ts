// A worker of a node: a reader, and its link to whatever primary there is, in which messages keep their order.
import type { ToPrimary, ToWorker } from '../../src/ipc/messages.ts';
import type { Network } from './network.ts';
import type { Reader, ReaderDeps } from './reader.ts';
import type { Process, Timeline } from './timeline.ts';

export interface Worker {
  readonly pid: number;
  readonly process: Process;
  readonly reader: Reader;
  /** The next delta that is sent to it is lost, as by a bug. */
  missesDelta: boolean;
  /** Each message takes so much longer, in milliseconds. */
  slowMs: number;
  /** A new connection: what is on its way over the one before is lost. */
  connect(primary: Process, receive: (message: ToPrimary) => void): (message: ToWorker) => void;
  /** Once over the present link, in order with all that is said over it. */
  tell(run: () => void): void;
}

export function createWorker(deps: {
  readonly pid: number;
  readonly name: string;
  readonly timeline: Timeline;
  readonly network: Network;
  readonly open: (deps: Pick<ReaderDeps, 'send' | 'onSwap'>) => Reader;
  readonly takesConfirmations: boolean;
  readonly onSwap: (worker: Worker) => void;
}): Worker {
  const { timeline, network } = deps;
  const process: Process = { name: deps.name, alive: true, frozenUntilMs: 0 };
  let link = 0;
  let downAtMs = 0;
  let upAtMs = 0;
  let primary: Process | undefined;
  let receive: (message: ToPrimary) => void = () => {};

  function up(run: () => void): void {
    const mine = link;
    upAtMs = Math.max(upAtMs, timeline.nowMs + network.latencyMs() / 10);
    timeline.after(upAtMs - timeline.nowMs, primary, () => {
      if (mine === link) run();
    });
  }

  const reader = deps.open({
    send: (message) => up(() => receive(message)),
    onSwap: () => deps.onSwap(worker),
  });
  const worker: Worker = {
    pid: deps.pid,
    process,
    reader,
    missesDelta: false,
    slowMs: 0,
    tell: up,
    connect(to, take) {
      const mine = ++link;
      primary = to;
      receive = take;
      return (message) => {
        if (mine !== link || (message.type === 'confirmed' && !deps.takesConfirmations)) return;
        if (message.type === 'delta' && worker.missesDelta) {
          worker.missesDelta = false;
          return;
        }
        downAtMs = Math.max(downAtMs, timeline.nowMs + network.latencyMs() / 10 + worker.slowMs);
        timeline.after(downAtMs - timeline.nowMs, process, () => {
          if (mine === link) reader.receive(message);
        });
      };
    },
  };
  return worker;
}
