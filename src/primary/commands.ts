// Runs what clients ask of the store. A write's outcome leaves here only when every worker of the node serves it.
import type { Command, CommandOutcome, CommandRequest } from '../ipc/messages.ts';
import { OutcomeUnknown, StorageUnavailable } from '../storage/sql.ts';
import type { Store } from '../storage/store.ts';
import type { Publisher } from './publisher.ts';
import type { SyncLoop } from './sync.ts';

const AWAY = 'The store cannot be reached; nothing was written. Evaluations go on.';
const ADVICE = 'nothing is written until an operator has run `burgee store accept`.';
const SHUTTING_DOWN = 'The service is shutting down; nothing was written.';

export interface Commands {
  /** Never rejects. */
  run(request: CommandRequest): Promise<CommandOutcome>;
  /** Refuses what comes from now on for the reason of `why`, and resolves when what had begun is answered. */
  close(why?: string): Promise<void>;
}

export function createCommands(deps: {
  readonly store: Pick<Store, 'run'>;
  readonly sync: Pick<SyncLoop, 'reach' | 'wentBack' | 'storeAway' | 'checked' | 'lookNow'>;
  readonly publisher: Pick<Publisher, 'served' | 'head'>;
  /** To be called before a transaction: ends this process when another primary has taken its place. */
  readonly fence: () => void;
  /** Resolves when every worker from before this primary has joined or is dead; nothing is written earlier. */
  readonly settled: Promise<void>;
  /** The highest revision that is known here or in Redis. Never rejects. */
  readonly highest: () => Promise<number>;
  /** The reply of a write that made this revision is on its way. */
  readonly onWritten: (revision: number) => void;
  readonly warn: (fields: object, message: string) => void;
  readonly error: (fields: object, message: string) => void;
}): Commands {
  const running = new Set<Promise<CommandOutcome>>();
  /** Why nothing is written any more. */
  let closed: string | undefined;

  async function execute(request: CommandRequest): Promise<CommandOutcome> {
    try {
      if (closed !== undefined) return refused('STORAGE_UNAVAILABLE', closed);
      // A list changes nothing that anybody would have to serve.
      if (request.command.type === 'key.list') {
        return deps.sync.storeAway === undefined ? await deps.store.run(request) : refused('STORAGE_UNAVAILABLE', AWAY);
      }
      await deps.settled;
      await deps.sync.checked();
      const refusal = refusalOf(request.command);
      if (refusal !== undefined) return refusal;
      deps.fence();
      return await write(request);
    } catch (error) {
      if (error instanceof OutcomeUnknown) {
        return refused('OUTCOME_UNKNOWN', 'The store broke while it committed; repeat with the same Idempotency-Key.');
      }
      deps.error({ err: error, command: request.command.type, request_id: request.requestId }, 'command failed');
      if (error instanceof StorageUnavailable)
        return refused('STORAGE_UNAVAILABLE', 'The store could not be reached in time; nothing was written.');
      return refused('INTERNAL', 'The write failed for a reason that is in the log under this request_id.');
    }
  }

  /** Of what is known of the store just now. */
  function refusalOf(command: Command): CommandOutcome | undefined {
    if (closed !== undefined) return refused('STORAGE_UNAVAILABLE', closed);
    // The sync loop asks it each second, so nobody else has to wait to learn that it is still away.
    if (deps.sync.storeAway !== undefined) return refused('STORAGE_UNAVAILABLE', AWAY);
    if (deps.sync.wentBack === undefined || command.type === 'store.accept') return undefined;
    return refused('STORE_WENT_BACK', `${deps.sync.wentBack}; ${ADVICE}`);
  }

  async function write(request: CommandRequest): Promise<CommandOutcome> {
    const { command } = request;
    const isAccept = command.type === 'store.accept';
    const above = isAccept ? Math.max(command.above, await deps.highest()) : 0;
    // One that has grown past what it lost does not look like one that went back.
    const force = isAccept && (command.force === true || deps.sync.wentBack !== undefined);
    const outcome = await deps.store.run(
      isAccept ? { ...request, command: { ...command, above, force } } : { ...request, seen: deps.publisher.head },
    );
    // The store may have gone back since it was asked last.
    if (!outcome.ok && outcome.code === 'STORE_WENT_BACK') deps.sync.lookNow();
    if (!outcome.ok) return outcome;
    if (isAccept) deps.warn({ actor: request.actor, above, revision: outcome.revision }, 'the store was accepted');
    await deps.sync.reach(outcome.revision);
    await deps.publisher.served(outcome.revision);
    return outcome;
  }

  return {
    run(request) {
      const outcome = execute(request);
      running.add(outcome);
      void outcome.then((done) => {
        running.delete(outcome);
        if (done.ok && request.command.type !== 'key.list') setImmediate(deps.onWritten, done.revision);
      });
      return outcome;
    },
    async close(why = SHUTTING_DOWN) {
      closed ??= why;
      await Promise.all(running);
    },
  };
}

function refused(code: Extract<CommandOutcome, { ok: false }>['code'], detail: string): CommandOutcome {
  return { ok: false, code, detail };
}
