// Clients that read from every worker over kept connections. To each worker there are loopers, which ask all the time,
// and sentinels, which ask only when a write was acknowledged: a request that begins after an acknowledgement and goes to
// a worker that is frozen is the one that can tell whether the write should have been acknowledged.
import { ADMIN_KEY } from '../service.ts';
import { type KeptConnection, keepConnection, type Lost, type Reply } from './kept-connection.ts';
import type { Floor, Ledger } from './ledger.ts';
import { type NodeUnderFault, pause } from './node.ts';
import { openSocketReader } from './socket-reader.ts';
import type { Touched } from './touched.ts';

export interface Readers {
  /** True when each of these has all its readers. */
  cover(pids: readonly number[]): boolean;
  /** Closes all. */
  stop(): void;
}

type Role = 'looper' | 'sentinel' | 'socket';
const ROLES: Readonly<Record<Role, number>> = { looper: 1, sentinel: 2, socket: 1 };
const LOOK_MS = 15;
const THINK_MS_MAX = 12;
/** Connections that wait to be accepted, by a frozen worker say, keep no others from being opened: up to this many. */
const WAITING_MAX = 12;
const PATIENCE_MS = 250;

export interface ReaderDeps {
  readonly node: NodeUnderFault;
  readonly ledger: Ledger;
  readonly touched: Touched;
  readonly flagIds: readonly string[];
}

export function startReaders(deps: ReaderDeps): Readers {
  const { node } = deps;
  const placed = new Map<number, Record<Role, number>>();
  let waiting = 0;
  let stopped = false;
  const closers = new Set<() => void>();

  function lacks(role: Role, pids: readonly number[]): boolean {
    return pids.some((pid) => (placed.get(pid)?.[role] ?? 0) < ROLES[role]);
  }
  /** Counts a connection to this worker as one of its readers; undefined when it has enough. */
  function place(pid: number, roles: readonly Role[]): Role | undefined {
    let counts = placed.get(pid);
    if (counts === undefined) placed.set(pid, (counts = { looper: 0, sentinel: 0, socket: 0 }));
    const role = roles.find((each) => counts[each] < ROLES[each]);
    if (role !== undefined) counts[role]++;
    return role;
  }
  function leave(pid: number, role: Role): void {
    const counts = placed.get(pid);
    if (counts !== undefined) counts[role]--;
  }

  async function run(): Promise<void> {
    while (!stopped) {
      const pids = node.workerPids();
      if (waiting < WAITING_MAX && (lacks('looper', pids) || lacks('sentinel', pids))) await patiently(openHttp());
      if (waiting < WAITING_MAX && lacks('socket', pids)) await patiently(openSocket());
      await pause(LOOK_MS);
    }
  }
  /** A frozen worker does not answer: its connection is left to itself, and another one tried. */
  function patiently(opening: Promise<void>): Promise<void> {
    waiting++;
    void opening.finally(() => waiting--);
    return Promise.race([opening, pause(PATIENCE_MS)]);
  }

  async function openHttp(): Promise<void> {
    const connection = await keepConnection(node.port, ADMIN_KEY).catch(() => undefined);
    if (connection === undefined || stopped) return connection?.close();
    const close = (): void => connection.close();
    closers.add(close);
    const reader = createHttpReader(connection, deps, () => stopped);
    const pid = await reader.health();
    const role = pid === undefined || !connection.open ? undefined : place(pid, ['looper', 'sentinel']);
    if (pid === undefined || role === undefined) {
      closers.delete(close);
      return close();
    }
    const reading = role === 'looper' ? reader.loop() : reader.watch();
    void reading.finally(() => {
      leave(pid, role);
      closers.delete(close);
      close();
    });
  }

  async function openSocket(): Promise<void> {
    const socket = await openSocketReader(deps, () => stopped);
    if (socket === undefined) return;
    if (stopped || place(socket.pid, ['socket']) === undefined) return socket.close();
    closers.add(socket.close);
    void socket.loop().finally(() => {
      leave(socket.pid, 'socket');
      closers.delete(socket.close);
      socket.close();
    });
  }

  void run();
  return {
    cover: (pids) => !lacks('looper', pids) && !lacks('sentinel', pids) && !lacks('socket', pids),
    stop() {
      stopped = true;
      for (const close of closers) close();
    },
  };
}

interface HttpReader {
  /** The worker's pid; undefined when it did not tell. */
  health(): Promise<number | undefined>;
  loop(): Promise<void>;
  watch(): Promise<void>;
}

function createHttpReader(connection: KeptConnection, deps: ReaderDeps, stopped: () => boolean): HttpReader {
  const { ledger, touched, flagIds } = deps;
  const openedMs = performance.now();
  let pid: number | undefined;
  let lastRevision = 0;
  let asked = 0;

  async function ask(path: string): Promise<{ readonly floor: Floor; readonly reply: Reply } | undefined> {
    const floor = ledger.floor(pid);
    const outcome: Reply | Lost = await connection.ask('GET', path);
    if (stopped()) return undefined;
    if (outcome.kind === 'reply' && outcome.status === 200) return { floor, reply: outcome };
    const why = outcome.kind === 'lost' ? outcome.reason : `${outcome.status} ${JSON.stringify(outcome.body)}`;
    touched.failed(pid, openedMs, `GET ${path}: ${why}`);
    return undefined;
  }
  function inOrder(revision: number, where: string): void {
    if (revision < lastRevision) ledger.violate('revision went back', `${lastRevision} to ${revision}: ${where}`);
    lastRevision = Math.max(lastRevision, revision);
  }
  async function health(): Promise<number | undefined> {
    const answer = await ask('/healthz');
    if (answer === undefined) return undefined;
    const { body } = answer.reply;
    const where = `worker ${body.pid}, GET /healthz`;
    pid = body.pid as number;
    inOrder(body.revision, where);
    ledger.saw({ pid, revision: body.revision, term: body.term }, answer.floor, where);
    return pid;
  }
  async function evaluate(): Promise<void> {
    const flagId = flagIds[asked++ % flagIds.length] as string;
    const answer = await ask(`/api/v1/flags/${flagId}/evaluate?user_id=user-1`);
    if (answer === undefined) return;
    const { revision, version, enabled } = answer.reply.body;
    const where = `worker ${pid}, GET evaluate ${flagId}`;
    inOrder(revision, where);
    ledger.saw({ pid, revision, flags: new Map([[flagId, { version, enabled }]]) }, answer.floor, where);
  }

  return {
    health,
    async loop() {
      while (connection.open && !stopped()) {
        if (asked % 5 === 4) {
          asked++;
          await health();
        } else await evaluate();
        await pause(Math.random() * THINK_MS_MAX);
      }
    },
    async watch() {
      while (connection.open && !stopped()) {
        // A connection on which nothing comes for 10 s is closed by the worker.
        await Promise.race([ledger.nextAcknowledged(), pause(3000)]);
        if (connection.open && !stopped()) await evaluate();
      }
    },
  };
}
