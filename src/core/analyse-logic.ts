// What follows from conditions by their form alone: which of them holds whenever another does, and which can never hold.
// Every yes is certain, for any context; a no may be "not known".
import { areDisjoint, type Comparison, isWithin, matchesNoText, type Work } from './analyse-values.ts';
import { at } from './issues.ts';
import type { ConditionNode } from './model.ts';

/** What looking at two comparisons of one attribute costs beside telling that two have not the same. */
const COMPARISON_STEPS = 9;

/** A condition whose negations stand at its leaves, and whose groups hold no group of their own kind. */
export type Logic = Group | Leaf;

interface Group {
  readonly kind: 'all' | 'any';
  readonly members: readonly Logic[];
}

interface Leaf {
  readonly kind: 'leaf';
  readonly negate: boolean;
  readonly test: Comparison | { readonly segment: string };
  /** Where it stands in the flag. */
  readonly path: string;
}

export function toLogic(node: ConditionNode, path: string, negated = false): Logic {
  const negate = (node.negate === true) !== negated;
  if (!('all' in node || 'any' in node)) return { kind: 'leaf', negate, test: node, path };
  const isAll = 'all' in node;
  const own = isAll ? at(path, 'all') : at(path, 'any');
  const members = (isAll ? node.all : node.any).map((member, i) => toLogic(member, at(own, i), negate));
  return group(isAll === negate ? 'any' : 'all', members);
}

function group(kind: 'all' | 'any', members: readonly Logic[]): Group {
  return { kind, members: members.flatMap((member) => (member.kind === kind ? member.members : [member])) };
}

/** Whether `b` holds whenever `a` does. */
export function implies(a: Logic, b: Logic, work: Work): boolean {
  if (--work.left < 0) return false;
  if (a.kind === 'any') return a.members.every((member) => implies(member, b, work));
  if (b.kind === 'all') return b.members.every((member) => implies(a, member, work));
  if (a.kind === 'all' && a.members.some((member) => implies(member, b, work))) return true;
  if (b.kind === 'any') return b.members.some((member) => implies(a, member, work));
  return a.kind === 'leaf' && b.kind === 'leaf' && leafImplies(a, b, work);
}

export function alwaysHolds(logic: Logic, work: Work): boolean {
  if (logic.kind === 'leaf') return logic.negate && isImpossible(logic);
  if (logic.kind === 'all') return logic.members.every((member) => alwaysHolds(member, work));
  return (
    logic.members.some((member) => alwaysHolds(member, work)) ||
    firstOfPairs(leavesOf(logic), work, (a, b) => leafImplies({ ...a, negate: !a.negate }, b, work) || undefined) ===
      true
  );
}

/** Why a condition cannot hold. */
export interface Conflict {
  /** `unless a list`: only an attribute that is a list can satisfy both. */
  readonly certainty: 'never' | 'unless a list';
  /** The leaves that exclude each other, or the one that excludes itself. */
  readonly leaves: readonly Leaf[];
}

/** undefined: it can hold, as far as is known. */
export function findConflict(logic: Logic, work: Work): Conflict | undefined {
  if (logic.kind === 'leaf')
    return !logic.negate && isImpossible(logic) ? { certainty: 'never', leaves: [logic] } : undefined;
  if (logic.kind === 'any') return weakest(logic.members.map((member) => findConflict(member, work)));
  const leaves = leavesOf(logic);
  let found: Conflict | undefined;
  const certain = firstOfPairs(leaves, work, (a, b) => {
    const conflict = conflictOf(a, b, work);
    found ??= conflict;
    return conflict?.certainty === 'never' ? conflict : undefined;
  });
  if (certain !== undefined) return certain;
  return strongest([
    ...logic.members.map((member) => findConflict(member, work)),
    ...logic.members.map((member) => (member.kind === 'leaf' ? undefined : conflictWith(member, leaves, work))),
    found,
  ]);
}

/** Why a group cannot hold beside leaves that do. */
function conflictWith(logic: Logic, leaves: readonly Leaf[], work: Work): Conflict | undefined {
  if (--work.left < 0) return undefined;
  if (logic.kind === 'leaf') return strongest(leaves.map((leaf) => conflictOf(logic, leaf, work)));
  const conflicts = logic.members.map((member) => conflictWith(member, leaves, work));
  return logic.kind === 'all' ? strongest(conflicts) : weakest(conflicts);
}

function strongest(conflicts: readonly (Conflict | undefined)[]): Conflict | undefined {
  return conflicts.find((conflict) => conflict?.certainty === 'never') ?? conflicts.find(Boolean);
}

/** What is certain of all of them. An "any" of none, which is a negated empty "all", cannot hold. */
function weakest(conflicts: readonly (Conflict | undefined)[]): Conflict | undefined {
  if (conflicts.length === 0) return { certainty: 'never', leaves: [] };
  if (conflicts.includes(undefined)) return undefined;
  return conflicts.find((conflict) => conflict?.certainty === 'unless a list') ?? conflicts[0];
}

function conflictOf(a: Leaf, b: Leaf, work: Work): Conflict | undefined {
  if (--work.left < 0) return undefined;
  if (leafImplies(a, { ...b, negate: !b.negate }, work)) return { certainty: 'never', leaves: [a, b] };
  if (a.negate || b.negate || 'segment' in a.test || 'segment' in b.test) return undefined;
  return a.test.attribute === b.test.attribute && areDisjoint(a.test, b.test, work)
    ? { certainty: 'unless a list', leaves: [a, b] }
    : undefined;
}

/** A comparison matches an attribute when it matches one of its values: so what holds for single values holds for lists. */
function leafImplies(a: Leaf, b: Leaf, work: Work): boolean {
  if (--work.left < 0) return false;
  if ('segment' in a.test || 'segment' in b.test) {
    return 'segment' in a.test && 'segment' in b.test && a.test.segment === b.test.segment && a.negate === b.negate;
  }
  if (a.test.attribute !== b.test.attribute) return false;
  work.left -= COMPARISON_STEPS;
  if (!a.negate && !b.negate) return isWithin(a.test, b.test, work);
  if (a.negate && b.negate) return isWithin(b.test, a.test, work);
  // Two elements of a list may match one each; the user_id is never a list.
  return !a.negate && a.test.attribute === 'user_id' && areDisjoint(a.test, b.test, work);
}

/** The user_id is a text. */
function isImpossible({ test }: Leaf): boolean {
  return !('segment' in test) && test.attribute === 'user_id' && matchesNoText(test);
}

function leavesOf(logic: Group): readonly Leaf[] {
  return logic.members.filter((member) => member.kind === 'leaf');
}

/** What `find` finds first, in the pairs of leaves that ask the same; the others have nothing to do with each other. */
function firstOfPairs<T>(
  leaves: readonly Leaf[],
  work: Work,
  find: (a: Leaf, b: Leaf) => T | undefined,
): T | undefined {
  const bySubject = new Map<string, Leaf[]>();
  for (const leaf of leaves) {
    const subject = 'segment' in leaf.test ? `segment ${leaf.test.segment}` : `attribute ${leaf.test.attribute}`;
    const earlier = bySubject.get(subject);
    if (earlier === undefined) bySubject.set(subject, [leaf]);
    else {
      for (const other of earlier) {
        if (work.left < 0) return undefined;
        const found = find(other, leaf);
        if (found !== undefined) return found;
      }
      earlier.push(leaf);
    }
  }
  return undefined;
}
