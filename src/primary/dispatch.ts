// Hands what workers say to whoever is concerned. All that is known of a worker hangs on its pid: its link comes and
// goes, and only its death ends it.
import { buildInfo } from '../build-info.ts';
import type { ToPrimary } from '../ipc/messages.ts';
import type { NodeMetrics } from '../observe/metrics.ts';
import { systemClock } from '../run/clock.ts';
import type { Term } from '../run/term.ts';
import type { BlobFiles } from './blob-files.ts';
import type { Commands } from './commands.ts';
import { createEmptyWorkers } from './empty-workers.ts';
import type { Publisher } from './publisher.ts';
import type { RateLeases } from './rate-leases.ts';
import { createResends } from './resends.ts';
import type { SharedClock } from './shared-limits.ts';
import type { Drain, Supervisor } from './supervision.ts';
import type { SyncLoop } from './sync.ts';
import type { NodeUnknownFlags } from './unknown-flags.ts';
import type { Vitals } from './vitals.ts';
import type { WorkerLink } from './worker-links.ts';

/** How long a worker that drains waits for connections on which nothing comes: while others serve, and while none does. */
const IDLE_MS_REPLACED = 5000;
const IDLE_MS_STOPPED = 1000;

/** A pid alone is used again by the system sooner or later. */
export interface WorkerProcess {
  readonly pid: number;
  readonly startTime: string;
}

export function workerIdOf({ pid, startTime }: WorkerProcess): string {
  return `${pid}-${startTime}`;
}

export interface Dispatch {
  onHello(link: WorkerLink): void;
  onMessage(link: WorkerLink, message: Exclude<ToPrimary, { type: 'hello' }>): void;
  onClose(link: WorkerLink): void;
  /** Dropped when the worker has no link now. */
  drain(pid: number, drain: Drain): void;
  /** `drained`: it was told to end, and did so by itself. */
  dead(pid: number, drained: boolean): void;
  /** Workers that ended since this primary started, and were not told to. */
  deaths(): number;
  /** The shared clock has changed. */
  clockChanged(): void;
}

export function createDispatch(deps: {
  readonly supervisor: Supervisor;
  readonly publisher: Publisher;
  readonly sync: Pick<SyncLoop, 'wish' | 'witnessed'>;
  readonly commands: Pick<Commands, 'run'>;
  readonly blobs: Pick<BlobFiles, 'recheck'>;
  readonly leases: RateLeases;
  /** Of the counter that several nodes share; undefined: there is none, or it was not heard yet. */
  readonly sharedClock: () => SharedClock | undefined;
  readonly metrics: Pick<NodeMetrics, 'receive' | 'retire'>;
  readonly unknownFlags: NodeUnknownFlags;
  readonly vitals: Pick<Vitals, 'metricsText'>;
  readonly term: Term;
  /** DRAIN_DELAY_MS. */
  readonly drainDelayMs: number;
  readonly onListening: () => void;
  /** Workers that lived before this primary: one that dies without joining has a name all the same. */
  readonly orphans: readonly WorkerProcess[];
}): Dispatch {
  const { supervisor, publisher, leases, metrics } = deps;
  const links = new Map<number, WorkerLink>();
  const workerIds = new Map(deps.orphans.map((orphan) => [orphan.pid, workerIdOf(orphan)]));
  const resends = createResends({ resend: publisher.resend, recheck: deps.blobs.recheck, clock: systemClock });
  const emptyWorkers = createEmptyWorkers({
    isEmpty: () => publisher.head === undefined,
    left: deps.orphans.map(({ pid }) => pid),
  });
  let deaths = 0;

  /** The first message: whatever else is sent is believed only by a worker that has heard of no later primary. */
  function welcome({ hello, send }: WorkerLink): void {
    if (hello.term !== undefined) deps.term.heard(hello.term);
    if ((hello.protocol ?? 1) >= 2) send({ type: 'welcome', term: deps.term.number, build: buildInfo().build });
  }

  function tellClock(link: WorkerLink): void {
    const clock = deps.sharedClock();
    if (clock !== undefined && (link.hello.protocol ?? 1) >= 3) link.send({ type: 'clock', ...clock });
  }

  /** Waits for other nodes' counter where it has to, and never long. */
  function lend(link: WorkerLink, { keyId, limit, tokens }: Extract<ToPrimary, { type: 'lease_request' }>): void {
    const lease = (): void => {
      // A worker that has gone meanwhile could not say what became of its tokens.
      if (links.get(link.hello.pid) !== link) return;
      link.send({ type: 'lease', lease: leases.request(workerIdOf(link.hello), keyId, limit, tokens) });
    };
    const refill = leases.refill(keyId, limit, tokens);
    if (refill === undefined) lease();
    else void refill.then(lease);
  }

  return {
    onHello(link) {
      const { hello } = link;
      if (hello.role === 'cli') return;
      links.set(hello.pid, link);
      workerIds.set(hello.pid, workerIdOf(hello));
      welcome(link);
      if (!supervisor.joined(hello)) {
        links.delete(hello.pid);
        link.close();
        return;
      }
      leases.report(workerIdOf(hello), hello.leases);
      tellClock(link);
      deps.sync.witnessed(hello.epoch, hello.revision);
      const knowsLoaded = (hello.protocol ?? 1) >= 3;
      publisher.joined(hello.pid, hello.epoch, hello.revision, (message) => {
        if (message.type !== 'loaded' || knowsLoaded) link.send(message);
      });
      emptyWorkers.joined(hello.pid, hello.revision, () => {
        if (knowsLoaded) link.send({ type: 'loaded', tier: 'none', staleMs: null });
      });
    },

    onMessage(link, message) {
      const { pid } = link.hello;
      const workerId = workerIdOf(link.hello);
      switch (message.type) {
        case 'ack':
          resends.acked(pid);
          emptyWorkers.serves(pid);
          return publisher.acked(pid, message.epoch, message.revision);
        case 'resend':
          return resends.refused(pid);
        case 'listening':
          supervisor.ready(pid);
          return deps.onListening();
        case 'beat':
          supervisor.beat(pid);
          publisher.beat(pid);
          return leases.report(workerId, message.leases);
        case 'want':
          return deps.sync.wish(message.revision);
        case 'command': {
          const { request } = message;
          void deps.commands.run(request).then((outcome) => link.send({ type: 'outcome', id: request.id, outcome }));
          return;
        }
        case 'lease_request':
          return lend(link, message);
        case 'lease_return':
          return leases.giveBack(workerId, message.keyId, message.windowEndMs, message.tokens);
        case 'tally':
          return metrics.receive(workerId, message.report);
        case 'metrics':
          void deps.vitals.metricsText().then((text) => link.send({ type: 'metrics', id: message.id, text }));
          return;
        case 'unknown_flags':
          return deps.unknownFlags.receive(workerId, message.report);
        case 'unknown_report':
          return link.send({ type: 'unknown_report', id: message.id, report: deps.unknownFlags.report() });
        case 'prepared':
          return supervisor.prepared(pid);
        default:
          return message satisfies never;
      }
    },

    onClose(link) {
      const { pid, role } = link.hello;
      // A worker that came back over a new connection before the old one's end was noticed has not left.
      if (role === 'cli' || links.get(pid) !== link) return;
      links.delete(pid);
      publisher.detached(pid);
      supervisor.left(pid);
    },

    drain(pid, { deadlineMs, isReplaced }) {
      // Where others serve on, nobody in front of the service has to learn that one is going.
      const delayMs = isReplaced ? 0 : deps.drainDelayMs;
      const idleMs = isReplaced ? IDLE_MS_REPLACED : IDLE_MS_STOPPED;
      links.get(pid)?.send({ type: 'drain', deadlineMs, delayMs, idleMs });
    },

    dead(pid, drained) {
      if (!drained) deaths++;
      links.delete(pid);
      resends.dead(pid);
      publisher.dead(pid);
      emptyWorkers.dead(pid);
      // A worker that died before its hello was granted nothing and has counted nothing.
      const workerId = workerIds.get(pid);
      if (workerId === undefined) return;
      workerIds.delete(pid);
      leases.workerDied(workerId);
      metrics.retire(workerId);
      deps.unknownFlags.workerDied(workerId);
    },

    deaths: () => deaths,
    clockChanged: () => links.forEach(tellClock),
  };
}
