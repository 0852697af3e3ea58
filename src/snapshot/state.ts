// The items a holder has, with their running sums: what a delta is checked against before anybody believes it.
import { type Sums, toggle } from './checksum.ts';
import type { DeltaContent, ItemAddress, SnapshotContent, SnapshotHead, SnapshotItem } from './item.ts';

/** The primary's copy of the published snapshot, mutable, with the head it stands at. */
export interface SnapshotState {
  readonly head: SnapshotHead;
  readonly items: ReadonlyMap<string, SnapshotItem>;
  /**
   * Applies a delta that starts at this head. Returns why it cannot be true, and changes nothing, when the sums that
   * result are not the sums the store states.
   */
  apply(delta: DeltaContent): string | undefined;
}

export function addressOf(item: ItemAddress): string {
  return `${item.kind}/${item.environment}/${item.id}`;
}

/** Throws when the content's sums are not its head's: the store itself is inconsistent. */
export function createSnapshotState(content: SnapshotContent): SnapshotState {
  const items = new Map<string, SnapshotItem>();
  const sums: Sums = { keys: 0n, rest: 0n };
  for (const item of content.items) {
    items.set(addressOf(item), item);
    toggle(sums, item.kind, item.tag);
  }
  const wrong = mismatch(sums, content.head);
  if (wrong !== undefined) throw new Error(`snapshot at revision ${content.head.revision}: ${wrong}`);
  let head = content.head;
  return {
    get head() {
      return head;
    },
    items,
    apply(delta) {
      if (delta.from !== head.revision || delta.head.epoch !== head.epoch) {
        return `delta from revision ${delta.from} of epoch ${delta.head.epoch} onto ${head.revision} of ${head.epoch}`;
      }
      const next: Sums = { keys: head.sumKeys, rest: head.sumRest };
      for (const address of [...delta.puts, ...delta.removes]) {
        const old = items.get(addressOf(address));
        if (old !== undefined) toggle(next, old.kind, old.tag);
      }
      for (const put of delta.puts) toggle(next, put.kind, put.tag);
      const different = mismatch(next, delta.head);
      if (different !== undefined) return `delta to revision ${delta.head.revision}: ${different}`;
      for (const remove of delta.removes) items.delete(addressOf(remove));
      for (const put of delta.puts) items.set(addressOf(put), put);
      head = delta.head;
      return undefined;
    },
  };
}

/** Why `sums` are not what `head` states; undefined when they are. */
export function mismatch(sums: Sums, head: SnapshotHead): string | undefined {
  if (sums.keys !== head.sumKeys) return 'the sum over keys and secrets differs';
  if (sums.rest !== head.sumRest) return 'the sum over flags, segments and environments differs';
  return undefined;
}
