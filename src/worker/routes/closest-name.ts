// Finds what a misspelt name probably means: the known one that the fewest edits lead to.

export interface NameFinder {
  /** The known name nearest to this one; undefined when none is near, or the finder has compared enough. */
  closest(name: string): string | undefined;
}

/** Edits that a name may be away; of a short one only a third of its characters. */
const EDITS_MAX = 4;

/** `comparisonsMax`: of all names that are asked for together. Case does not count. */
export function createNameFinder(names: readonly string[], comparisonsMax: number): NameFinder {
  const byLength = new Map<number, { readonly name: string; readonly lower: string }[]>();
  for (const name of names) {
    const known = { name, lower: name.toLowerCase() };
    const alike = byLength.get(name.length);
    if (alike === undefined) byLength.set(name.length, [known]);
    else alike.push(known);
  }
  let comparisonsLeft = comparisonsMax;

  return {
    closest(wanted) {
      const lower = wanted.toLowerCase();
      let bound = Math.min(EDITS_MAX, Math.max(1, Math.floor(wanted.length / 3)));
      let found: string | undefined;
      // From names of the same length outwards: the nearest are mostly there.
      for (let apart = 0; apart <= bound; apart += 1) {
        for (const length of apart === 0 ? [lower.length] : [lower.length - apart, lower.length + apart]) {
          for (const known of byLength.get(length) ?? []) {
            if (apart > bound || comparisonsLeft === 0) return found;
            comparisonsLeft -= 1;
            const edits = editsBetween(lower, known.lower, bound);
            if (edits > bound) continue;
            found = known.name;
            if (edits === 0) return found;
            // Only one that is nearer still counts from here.
            bound = edits - 1;
          }
        }
      }
      return found;
    },
  };
}

/**
 * How many characters must be put in, taken out, changed, or swapped with their neighbour; above `bound`, any number
 * above it. Looks only at what can stay within the bound.
 */
export function editsBetween(a: string, b: string, bound: number): number {
  const beyond = bound + 1;
  if (Math.abs(a.length - b.length) > bound) return beyond;
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => (j <= bound ? j : beyond));
  for (let i = 1; i <= a.length; i += 1) {
    const row = new Array<number>(b.length + 1).fill(beyond);
    if (i <= bound) row[0] = i;
    let least = row[0] as number;
    for (let j = Math.max(1, i - bound); j <= Math.min(b.length, i + bound); j += 1) {
      const changed = a[i - 1] === b[j - 1] ? 0 : 1;
      let edits = Math.min((last[j - 1] as number) + changed, (last[j] as number) + 1, (row[j - 1] as number) + 1);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwap) edits = Math.min(edits, (before[j - 2] as number) + 1);
      row[j] = Math.min(edits, beyond);
      least = Math.min(least, row[j] as number);
    }
    // A swap reaches over one row.
    if (least > bound && Math.min(...last) > bound) return beyond;
    before = last;
    last = row;
  }
  return last[b.length] as number;
}
