// The store over SQL: one lock, one transaction and one revision for each write; reads that see one state.
import type { CommandOutcome, CommandRequest } from '../ipc/messages.ts';
import { acceptStore, requireSeen } from './accept.ts';
import { pruneBlobs, readBlob } from './blobs.ts';
import { createCompaction } from './compaction.ts';
import { createEnvironment } from './environments.ts';
import { runFlagCommand } from './flags.ts';
import { prepareReplay, type Replay, readReplay, storeReplay } from './idempotency.ts';
import { listKeys, runKeyWrite } from './keys.ts';
import { prune } from './prune.ts';
import { type OnQuarantine, readAll, readHead, readKeys, readSince } from './read.ts';
import type { SegmentBlobs } from './segment-blobs.ts';
import { type PreparedMembers, StalePreparation, startPreparing } from './segment-members.ts';
import { requireNoTags, runSegmentCommand } from './segments.ts';
import { OutcomeUnknown, type Sql, SqlError, StorageUnavailable } from './sql.ts';
import type { Store } from './store.ts';
import { beginWrite, type Done, finishWrite, Refusal, type Write } from './write.ts';

const PRUNE_EVERY_MS = 60_000;
/**
 * Classes and codes of SQLSTATE that say "not now", before a commit: connection, resources (a full disk), an operator,
 * a lock not had in time, a transaction that lost against another.
 */
const UNAVAILABLE = /^(?:08|53|57|58|55P03|40001|40P01|25006)/;

export interface StoreOptions {
  /** The clock; a test may have its own. */
  readonly now?: () => Date;
  readonly onQuarantine?: OnQuarantine;
  /** A failure that became an INTERNAL outcome, or befell the pruning: for the log. */
  readonly onError?: (error: unknown, during: string) => void;
  /** Who works on packed ids. Left out, as by the burgee command, members cannot be changed. */
  readonly blobs?: SegmentBlobs;
}

/** A write of members whose list changes under it is prepared again so many times. */
const PREPARATIONS_MAX = 5;

const NO_BLOBS: SegmentBlobs = {
  open: unavailableBlobs,
  pack: unavailableBlobs,
  fold: unavailableBlobs,
};

function unavailableBlobs(): Promise<never> {
  return Promise.reject(new StorageUnavailable('members can only be changed through a running service'));
}

/** The schema must be there (migrate). Closing the store closes `sql`. */
export function createStore(sql: Sql, options: StoreOptions = {}): Store {
  const { now = () => new Date(), onQuarantine = () => {}, onError = () => {}, blobs = NO_BLOBS } = options;
  const compaction = createCompaction({ sql, blobs, now, onError: (error) => onError(error, 'compaction') });
  const running = new Set<string>();
  let prunedAtMs = Number.NEGATIVE_INFINITY;
  let prunedBlobsTo = '';
  let pruning: Promise<void> = Promise.resolve();

  async function run(request: CommandRequest): Promise<CommandOutcome> {
    const { actor, idempotency } = request;
    const mark = idempotency === undefined ? undefined : JSON.stringify([actor, idempotency.key]);
    if (mark !== undefined && running.has(mark)) {
      return {
        ok: false,
        code: 'IDEMPOTENCY_RUNNING',
        detail: 'wait for its reply, then repeat the request to see it again',
      };
    }
    if (mark !== undefined) running.add(mark);
    try {
      return await attempt(request);
    } catch (error) {
      return outcomeOf(error, request.command.type);
    } finally {
      if (mark !== undefined) running.delete(mark);
    }
  }

  async function attempt(request: CommandRequest): Promise<CommandOutcome> {
    const { command } = request;
    if (command.type === 'key.list') {
      const body = await listKeys(sql, command);
      return { ok: true, status: 200, headers: {}, body, revision: (await readHead(sql)).revision };
    }
    if (command.type.startsWith('segment.')) requireNoTags(request.tags);
    const replay = await prepareReplay(request);
    const isOfMembers = command.type === 'segment.members' || command.type === 'segment.replace_members';
    const prepare = isOfMembers ? startPreparing({ sql, blobs, compaction, now }, command) : undefined;
    for (let left = PREPARATIONS_MAX - 1; ; left--) {
      const prepared = await prepare?.();
      try {
        const outcome = await commit(request, replay, prepared);
        prepared?.settle();
        considerPruning();
        return outcome;
      } catch (error) {
        if (!(error instanceof StalePreparation) || left === 0) throw error;
      }
    }
  }

  function commit(
    request: CommandRequest,
    replay: Replay | undefined,
    prepared: PreparedMembers | undefined,
  ): Promise<CommandOutcome> {
    return sql.transaction(async (tx) => {
      const write = await beginWrite(sql, tx, { actor: request.actor, requestId: request.requestId, at: now() });
      if (request.command.type !== 'store.accept') requireSeen(write, request.seen);
      const before = replay === undefined ? undefined : await readReplay(write, replay);
      if (before !== undefined) return { ...before, headers: { ...before.headers, 'Idempotent-Replayed': 'true' } };
      const done = await perform(write, request, prepared);
      const made = await finishWrite(write);
      // Accepting a store changes no item, but the revision.
      const outcome: Done = {
        ...done,
        revision: Math.max(made, request.command.type === 'store.accept' ? done.revision : 0),
      };
      if (replay !== undefined) await storeReplay(write, replay, outcome);
      return outcome;
    });
  }

  function outcomeOf(error: unknown, during: string): CommandOutcome {
    if (error instanceof Refusal) return error.outcome;
    if (error instanceof StorageUnavailable || error instanceof OutcomeUnknown) throw error;
    if (error instanceof StalePreparation) {
      throw new StorageUnavailable('others change the same list too fast', { cause: error });
    }
    if (error instanceof SqlError && UNAVAILABLE.test(error.code)) {
      throw new StorageUnavailable(`the store cannot write now: ${error.message}`, { cause: error });
    }
    onError(error, during);
    return { ok: false, code: 'INTERNAL', detail: 'the write was not made; the log says why' };
  }

  /** After a write, at most once a minute, and nobody waits for it. */
  function considerPruning(): void {
    const at = now();
    if (at.getTime() - prunedAtMs < PRUNE_EVERY_MS) return;
    prunedAtMs = at.getTime();
    pruning = prune(sql, at)
      .then(async () => {
        prunedBlobsTo = await pruneBlobs(sql, at, prunedBlobsTo);
      })
      .catch((error: unknown) => onError(error, 'prune'));
  }

  return {
    readHead: () => readHead(sql),
    readAll: () => readAll(sql, onQuarantine),
    readKeys: () => readKeys(sql),
    readSince: (revision) => readSince(sql, revision, onQuarantine),
    run,
    readBlob: (hash) => readBlob(sql, hash),
    async close() {
      await compaction.close();
      await pruning;
      await sql.close();
    },
  };
}

function perform(
  write: Write,
  { command, tags }: CommandRequest,
  prepared: PreparedMembers | undefined,
): Promise<Done> {
  switch (command.type) {
    case 'flag.create':
    case 'flag.replace':
    case 'flag.patch':
    case 'flag.archive':
    case 'flag.restore':
      return runFlagCommand(write, command, tags);
    case 'segment.create':
    case 'segment.replace':
    case 'segment.patch':
    case 'segment.archive':
    case 'segment.restore':
    case 'segment.members':
    case 'segment.replace_members':
      return runSegmentCommand(write, command, prepared);
    case 'environment.create':
      return createEnvironment(write, command.body);
    case 'key.create':
    case 'key.revoke':
    case 'key.rotate':
      return runKeyWrite(write, command);
    case 'store.accept':
      return acceptStore(write, command);
    case 'key.list':
      throw new Error('key.list is a read');
  }
}
