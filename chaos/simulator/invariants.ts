// What must hold, always and once the faults have ended.
import type { ReloadReason } from '../../src/primary/sync-counts.ts';
import { isOfKeys } from '../../src/snapshot/checksum.ts';
import type { KeyItem, SnapshotHead, SnapshotItem } from '../../src/snapshot/item.ts';
import type { Items, ModelStore } from './model-store.ts';
import type { Node } from './node.ts';
import type { Primary } from './primary.ts';
import type { Served } from './reader.ts';
import type { Worker } from './worker.ts';

type Violated = (rule: string, detail: string) => void;

/** Of each worker, what it served last. */
const last = new WeakMap<Worker, { readonly epoch: string; readonly revision: number }>();

/** To be called whenever a worker begins to serve something else. */
export function checkSwap(deps: {
  readonly store: ModelStore;
  readonly worker: Worker;
  readonly isHolder: boolean;
  /** What its node published with keys that may be older: without the store, Redis gives no keys. */
  readonly stitched: SnapshotHead | undefined;
  readonly violated: Violated;
}): void {
  const { store, worker, isHolder, stitched, violated } = deps;
  const { epoch, revision } = worker.reader;
  const { name } = worker.process;
  const before = last.get(worker);
  last.set(worker, { epoch, revision });
  if (before?.epoch === epoch && revision < before.revision)
    violated('revision-went-back', `${name} serves ${revision} after ${before.revision}`);
  const states = store.statesAt(epoch, revision);
  const served = worker.reader.served();
  const hasOlderKeys = stitched?.epoch === epoch && stitched.revision === revision;
  if (!states.some((items) => isServed(items, served, isHolder, hasOlderKeys)))
    violated('torn-read', `${name} serves at ${revision} of ${epoch} what the store never held there`);
}

function isServed(items: Items, served: Served, isHolder: boolean, hasOlderKeys: boolean): boolean {
  let count = 0;
  let others = 0;
  for (const [address, item] of items) {
    if (hasOlderKeys && isOfKeys(item.kind)) continue;
    const expected = isHolder ? shownByHolder(item) : item.json;
    if (expected === undefined) continue;
    if (served.get(address) !== expected) return false;
    count++;
  }
  if (hasOlderKeys) for (const address of served.keys()) if (/^(key|secret)/.test(address)) others++;
  return count + others === served.size;
}

/** Secrets are not compared there, and of keys their hashes. */
function shownByHolder({ kind, json }: SnapshotItem): string | undefined {
  if (kind === 'secret') return undefined;
  return kind === 'key' ? (JSON.parse(json) as KeyItem).key_hash : json;
}

/** Everything is read again only for a reason. */
export function checkReloads(store: ModelStore, { process, sync, stitched }: Primary, violated: Violated): void {
  const { pruned, restored, exchanged, accepted } = store.happened;
  const reasons: Readonly<Record<ReloadReason, boolean>> = {
    epoch: exchanged,
    pruned: pruned || accepted || exchanged,
    // Keys that were older than the rest are found out by the first look.
    sums: restored || stitched !== undefined,
    delta: restored || stitched !== undefined,
    mended: false,
    accepted,
  };
  for (const [reason, count] of Object.entries(sync.counts.reloads)) {
    if (count > 0 && !reasons[reason as ReloadReason])
      violated('reload-without-reason', `${process.name}: ${count} for "${reason}"`);
  }
}

/** Nothing has happened for longer than the poll takes: all are equal. */
export function checkQuiet(store: ModelStore, nodes: readonly Node[], violated: Violated): void {
  const { head } = store;
  for (const { name, primary, workers } of nodes) {
    if (primary === undefined) return violated('not-running', name);
    const { sync, publisher } = primary;
    checkReloads(store, primary, violated);
    if (sync.wentBack !== undefined) violated('loss-not-over', `${name}: ${sync.wentBack}`);
    if (sync.tier !== 'store') violated('tier', `${name} serves from ${sync.tier}`);
    const own = publisher.head;
    if (own?.epoch !== head.epoch || own.revision !== head.revision)
      violated('not-equal', `${name} publishes ${own?.revision} of ${own?.epoch}, the store has ${textOf(store)}`);
    else if (own.sumKeys !== head.sumKeys || own.sumRest !== head.sumRest) violated('sums', name);
    if (workers.size === 0) violated('no-worker', name);
    for (const { reader, process } of workers) {
      if (reader.epoch !== head.epoch || reader.revision !== head.revision)
        violated('not-equal', `${process.name} serves ${reader.revision} of ${reader.epoch}, not ${textOf(store)}`);
    }
  }
}

function textOf({ epoch, revision }: ModelStore): string {
  return `${revision} of ${epoch}`;
}
