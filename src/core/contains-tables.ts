// Makes tables of the values of `contains`, so that one pass over a text looks for many of them (Aho and Corasick). What
// does not fit into one table is cut into several; how many is known from the values alone, before any is made.
import { caseVariantsOf, foldText } from './case-folding.ts';
import { CLASSES_MAX, type CodePointSet, classesOf } from './character-classes.ts';
import { LOST, TABLE_ENTRIES_MAX, type TextTable } from './text-table.ts';

/** The values, cut into what goes into one table each. */
export function planContains(values: readonly string[], ignoreCase: boolean): readonly (readonly string[])[] {
  const plan: string[][] = [];
  let characters = new Set<number>();
  let nodes = 0;
  for (const value of new Set(ignoreCase ? values.map(foldText) : values)) {
    const codes = codePointsOf(value);
    const fresh = new Set(codes.filter((code) => !characters.has(code)));
    const chunk = plan.at(-1);
    if (chunk !== undefined && fits(nodes + codes.length, characters.size + fresh.size)) {
      chunk.push(value);
      for (const code of fresh) characters.add(code);
      nodes += codes.length;
    } else {
      plan.push([value]);
      characters = new Set(codes);
      nodes = codes.length;
    }
  }
  return plan;
}

/** Rows: LOST, found, the root and the nodes. Columns: a class for each character, one for the others, and the end. */
function fits(nodes: number, characters: number): boolean {
  return characters < CLASSES_MAX && (nodes + 3) * (characters + 2) <= TABLE_ENTRIES_MAX;
}

export function compileContains(values: readonly string[], ignoreCase: boolean): readonly TextTable[] {
  return planContains(values, ignoreCase).map((chunk) => buildContainsTable(chunk, ignoreCase));
}

interface Node {
  readonly offset: number;
  readonly children: Map<number, Node>;
}

function buildContainsTable(values: readonly string[], ignoreCase: boolean): TextTable {
  const characters = [...new Set(values.flatMap(codePointsOf))];
  const classes = classesOf(characters.map((code) => setOf(code, ignoreCase)));
  if (classes === undefined)
    throw new Error('planContains puts no more characters into one table than there are classes');
  const { count, latin, pageOf, pages, members } = classes;
  const width = count + 1;
  const classOf = new Map(
    characters.map((code, index) => [code, members.subarray(index * count, (index + 1) * count).indexOf(1)]),
  );
  const found: Node = { offset: width, children: new Map() };
  let offset = 2 * width;
  const root: Node = { offset, children: new Map() };
  for (const value of values) {
    let node = root;
    const codes = codePointsOf(value);
    for (const [index, code] of codes.entries()) {
      // What another value ends at is found already.
      if (node === found) break;
      const column = classOf.get(code) as number;
      const isLast = index === codes.length - 1;
      let child = isLast ? found : node.children.get(column);
      if (child === undefined) child = { offset: (offset += width), children: new Map() };
      node.children.set(column, child);
      node = child;
    }
  }
  const next = fillRows(root, found, width, offset + width);
  return { next, width, start: root.offset, latin, pageOf, pages };
}

/**
 * Rows level by level: where a node has no child, it goes where the node of its longest ending goes, which is nearer to
 * the root and so has its row already.
 */
function fillRows(root: Node, found: Node, width: number, entries: number): Uint16Array {
  const next = new Uint16Array(entries).fill(LOST);
  next.fill(found.offset, width, 2 * width);
  next.fill(root.offset, root.offset, root.offset + width - 1);
  const queue: { readonly node: Node; readonly ending: number }[] = [];
  const enqueue = (node: Node, ending: number): void => {
    if (node !== found) queue.push({ node, ending });
  };
  for (const [column, child] of root.children) {
    next[root.offset + column] = child.offset;
    enqueue(child, root.offset);
  }
  for (const { node, ending } of queue) {
    next.copyWithin(node.offset, ending, ending + width);
    for (const [column, child] of node.children) {
      const childEnding = next[ending + column] as number;
      // A value that ends here in a longer one is found with the character.
      next[node.offset + column] = childEnding === found.offset ? found.offset : child.offset;
      if (childEnding !== found.offset) enqueue(child, childEnding);
    }
  }
  return next;
}

function codePointsOf(text: string): readonly number[] {
  return Array.from(text, (char) => char.codePointAt(0) as number);
}

function setOf(code: number, ignoreCase: boolean): CodePointSet {
  const variants = ignoreCase ? caseVariantsOf(code) : [code];
  return variants.toSorted((a, b) => a - b).flatMap((variant) => [variant, variant]);
}
