// The lists of flags that clients name, each kept once however many follow it.
import type { FlagList } from './views.ts';

export interface SharedList extends FlagList {
  /** What equal lists have in common. */
  readonly text: string;
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
      let found = kept.get(text);
      if (found === undefined) kept.set(text, (found = { list: { ids, set, text }, uses: 0 }));
      found.uses += 1;
      return found.list;
    },
    release({ text }) {
      const found = kept.get(text);
      if (found === undefined) return;
      found.uses -= 1;
      if (found.uses === 0) kept.delete(text);
    },
    get count() {
      return kept.size;
    },
  };
}
