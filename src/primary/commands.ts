// Runs what clients ask of the store. A write's outcome leaves here only when every worker of the node serves it.
import type { CommandOutcome, CommandRequest } from '../ipc/messages.ts';
import { OutcomeUnknown, StorageUnavailable } from '../storage/sql.ts';
import type { Store } from '../storage/store.ts';
import type { Publisher } from './publisher.ts';
import type { SyncLoop } from './sync.ts';

const SHUTTING_DOWN = 'The service is shutting down; nothing was written.';

export interface Commands {
  /** Never rejects. */
  run(request: CommandRequest): Promise<CommandOutcome>;
  /** Refuses what comes from now on for the reason of `why`, and resolves when what had begun is answered. */
  close(why?: string): Promise<void>;
}

export function createCommands(deps: {
  readonly store: Pick<Store, 'run'>;
  readonly sync: Pick<SyncLoop, 'reach' | 'wentBack'>;
  readonly publisher: Pick<Publisher, 'served'>;
  /** To be called before a transaction: ends this process when another primary has taken its place. */
  readonly fence: () => void;
  /** Resolves when every worker from before this primary has joined or is dead; nothing is written earlier. */
  readonly settled: Promise<void>;
  readonly error: (fields: object, message: string) => void;
}): Commands {
  const running = new Set<Promise<CommandOutcome>>();
  /** Why nothing is written any more. */
  let closed: string | undefined;

  async function execute(request: CommandRequest): Promise<CommandOutcome> {
    try {
      if (closed !== undefined) return refused('STORAGE_UNAVAILABLE', closed);
      // A list changes nothing that anybody would have to serve.
      if (request.command.type === 'key.list') return await deps.store.run(request);
      await deps.settled;
      if (closed !== undefined) return refused('STORAGE_UNAVAILABLE', closed);
      if (deps.sync.wentBack !== undefined) return refused('STORE_WENT_BACK', deps.sync.wentBack);
      deps.fence();
      const outcome = await deps.store.run(request);
      if (!outcome.ok) return outcome;
      await deps.sync.reach(outcome.revision);
      await deps.publisher.served(outcome.revision);
      return outcome;
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

  return {
    run(request) {
      const outcome = execute(request);
      running.add(outcome);
      void outcome.then(() => running.delete(outcome));
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
