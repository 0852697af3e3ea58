// The tables' semantics in memory: the store row with its sums, items with tags, `changes` with pruning, idempotency,
// consistent reads, one write at a time; and what befalls a database: a restored backup, another database in its place.
import type { CommandOutcome, CommandRequest } from '../../src/ipc/messages.ts';
import { isOfKeys, toggle } from '../../src/snapshot/checksum.ts';
import type {
  DeltaContent,
  ItemAddress,
  SnapshotContent,
  SnapshotHead,
  SnapshotItem,
} from '../../src/snapshot/item.ts';
import { addressOf } from '../../src/snapshot/state.ts';
import type { Random } from '../../test/support/random.ts';
import { environmentItem, flagItem, keyItem, secretItem } from '../../test/support/snapshot.ts';

export type Items = ReadonlyMap<string, SnapshotItem>;

/** A write that was committed. */
export interface Commit {
  readonly revision: number;
  readonly epoch: string;
  /** Restores and exchanges before it. */
  readonly generation: number;
  /** False: there was nothing to do, and the revision is one that was there. */
  readonly isChange: boolean;
}

/** Never in Redis: what is found there is looked for these. */
export const SECRETS = ['feedbeef'.repeat(8), 'hash-of-a-key'] as const;

export interface ModelStore {
  readonly epoch: string;
  readonly revision: number;
  readonly head: SnapshotHead;
  readonly items: Items;
  /** Grows by one when the database is restored or exchanged. */
  readonly generation: number;
  readonly happened: { pruned: boolean; restored: boolean; exchanged: boolean; accepted: boolean };
  readAll(): SnapshotContent;
  readKeys(): SnapshotContent;
  readSince(revision: number): DeltaContent | undefined;
  run(request: CommandRequest): CommandOutcome;
  /** By the request's Idempotency-Key; undefined: never committed, or lost. */
  commitOf(key: string): Commit | undefined;
  /** What the store held at this revision of this epoch: more than one after a restore. */
  statesAt(epoch: string, revision: number): readonly Items[];
  prune(): void;
  restore(back: number): void;
  exchange(revision: number): void;
}

interface Row {
  epoch: string;
  revision: number;
  sums: { keys: bigint; rest: bigint };
  items: Items;
  prunedTo: number;
  changes: { readonly revision: number; readonly address: ItemAddress }[];
}

export function createModelStore(random: Random, onCommit: (revision: number) => void): ModelStore {
  const states = new Map<string, Items[]>();
  const commits = new Map<string, Commit & { readonly outcome: CommandOutcome }>();
  const happened = { pruned: false, restored: false, exchanged: false, accepted: false };
  let epochs = 0;
  let generation = 0;
  let row: Row = begin(1);
  /** Of this database, by revision. */
  let past: Row[] = [{ ...row }];

  function tag(): bigint {
    return (BigInt(random.below(2 ** 31)) << 31n) | BigInt(random.below(2 ** 31) + 1);
  }

  function begin(revision: number): Row {
    const items = [
      environmentItem('prod', 1, tag()),
      secretItem(1, tag(), SECRETS[0]),
      keyItem('k0', 1, tag(), `${SECRETS[1]}-0`),
      flagItem('f0', 1, tag()),
    ];
    const sums = { keys: 0n, rest: 0n };
    for (const item of items) toggle(sums, item.kind, item.tag);
    const begun: Row = {
      epoch: `epoch-${++epochs}`,
      revision,
      sums,
      items: new Map(items.map((item) => [addressOf(item), item])),
      prunedTo: revision,
      changes: [],
    };
    note(begun);
    return begun;
  }

  function note({ epoch, revision, items }: Row): void {
    const at = `${epoch} ${revision}`;
    const known = states.get(at);
    if (known === undefined) states.set(at, [items]);
    else known.push(items);
  }

  function headOf({ epoch, revision, sums }: Row): SnapshotHead {
    return { epoch, revision, sumKeys: sums.keys, sumRest: sums.rest, changedAt: { prod: revision } };
  }

  function commit(next: Row): void {
    row = next;
    note(row);
    past.push(row);
    onCommit(row.revision);
  }

  function change(address: ItemAddress, item: (revision: number) => SnapshotItem | undefined): number {
    const revision = row.revision + 1;
    const items = new Map(row.items);
    const sums = { ...row.sums };
    const at = addressOf(address);
    const old = items.get(at);
    if (old !== undefined) toggle(sums, old.kind, old.tag);
    items.delete(at);
    const put = item(revision);
    if (put !== undefined) {
      toggle(sums, put.kind, put.tag);
      items.set(at, put);
    }
    commit({ ...row, revision, items, sums, changes: [...row.changes, { revision, address }] });
    return revision;
  }

  function accept(above: number, force: boolean): CommandOutcome {
    if (above <= row.revision && !force)
      return { ok: false, code: 'INVALID_REQUEST', detail: 'the store did not go back' };
    happened.accepted = true;
    const revision = Math.max(row.revision + 1, above + 1);
    commit({ ...row, revision, prunedTo: revision, changes: [] });
    return done(revision);
  }

  function write({ command, requestId }: CommandRequest): number {
    switch (command.type) {
      case 'flag.replace': {
        const id = command.flagId;
        const fields = { description: requestId };
        return change({ kind: 'flag', environment: 'prod', id }, (revision) => flagItem(id, revision, tag(), fields));
      }
      case 'flag.archive': {
        const address: ItemAddress = { kind: 'flag', environment: 'prod', id: command.flagId };
        // What is not there cannot be archived: nothing changes.
        return row.items.has(addressOf(address)) ? change(address, () => undefined) : row.revision;
      }
      case 'key.rotate': {
        const id = command.keyId;
        const hash = `${SECRETS[1]}-${requestId}`;
        return change({ kind: 'key', environment: '', id }, (revision) => keyItem(id, revision, tag(), hash));
      }
      default:
        throw new Error(`the model knows no ${command.type}`);
    }
  }

  return {
    get epoch() {
      return row.epoch;
    },
    get revision() {
      return row.revision;
    },
    get head() {
      return headOf(row);
    },
    get items() {
      return row.items;
    },
    get generation() {
      return generation;
    },
    happened,
    readAll: () => ({ head: headOf(row), items: [...row.items.values()] }),
    readKeys: () => ({ head: headOf(row), items: [...row.items.values()].filter(({ kind }) => isOfKeys(kind)) }),
    readSince(revision) {
      if (revision < row.prunedTo || revision > row.revision) return undefined;
      const puts = new Map<string, SnapshotItem>();
      const removes = new Map<string, ItemAddress>();
      for (const { revision: changedAt, address } of row.changes) {
        if (changedAt <= revision) continue;
        const at = addressOf(address);
        const item = row.items.get(at);
        if (item === undefined) removes.set(at, address);
        else puts.set(at, item);
      }
      return { from: revision, head: headOf(row), puts: [...puts.values()], removes: [...removes.values()] };
    },
    run(request) {
      const { command, idempotency } = request;
      if (command.type === 'store.accept') return accept(command.above, command.force === true);
      const { seen } = request;
      if (seen?.epoch === row.epoch && seen.revision > row.revision)
        return { ok: false, code: 'STORE_WENT_BACK', detail: `the store is at ${row.revision}` };
      const key = idempotency?.key as string;
      const known = commits.get(key);
      if (known !== undefined) return known.outcome;
      const before = row.revision;
      const outcome = done(write(request));
      const isChange = row.revision > before;
      commits.set(key, { revision: row.revision, epoch: row.epoch, generation, isChange, outcome });
      return outcome;
    },
    commitOf: (key) => commits.get(key),
    statesAt: (epoch, revision) => states.get(`${epoch} ${revision}`) ?? [],
    prune() {
      happened.pruned = true;
      row = { ...row, prunedTo: row.revision, changes: [] };
      past.push(row);
    },
    restore(back) {
      const to = past[Math.max(0, past.length - 1 - back)] as Row;
      happened.restored = true;
      generation++;
      past = past.slice(0, past.indexOf(to) + 1);
      row = to;
      for (const [key, { revision }] of commits) if (revision > row.revision) commits.delete(key);
    },
    exchange(revision) {
      happened.exchanged = true;
      generation++;
      commits.clear();
      row = begin(revision);
      past = [row];
    },
  };
}

function done(revision: number): CommandOutcome {
  return { ok: true, status: 200, headers: {}, body: '', revision };
}
