// The lists of flags that clients name, each kept once however many follow it.
import { listName } from './list-name.ts';
import type { FlagList } from './views.ts';

export interface SharedList extends FlagList {
  /** What equal lists have in common. */
  readonly name: string;
  /** Of the names as JSON. */
  readonly textBytes: number;
}

export interface FlagLists {
  /** The shared one, in use once more. Names that come twice count once. */
  take(flagIds: readonly string[]): SharedList;
  /** Once for each `take`. */
  release(list: SharedList): void;
  readonly count: number;
}

interface Kept {
  readonly list: SharedList;
  uses: number;
}

export function createFlagLists(): FlagLists {
  const kept = new Map<string, Kept>();
  return {
    take(flagIds) {
      const set = new Set(flagIds);
      const ids = [...set];
      const text = JSON.stringify(ids);
      const name = listName(text);
      let found = kept.get(name);
      if (found === undefined)
        kept.set(name, (found = { list: { ids, set, name, textBytes: Buffer.byteLength(text) }, uses: 0 }));
      found.uses += 1;
      return found.list;
    },
    release({ name }) {
      const found = kept.get(name);
      if (found === undefined) return;
      found.uses -= 1;
      if (found.uses === 0) kept.delete(name);
    },
    get count() {
      return kept.size;
    },
  };
}
