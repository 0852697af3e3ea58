// What flags and segments need of each other, and what is wrong with that: circles, chains that are too long, sums that
// are too large. Flags and segments are counted as the evaluator counts them (evaluate.ts, holds.ts). The conditions that
// one evaluation looks at are not: how many depends on the context, and the evaluator's own bound answers for them.
import { documentLimits } from './document-limits.ts';
import { at } from './issues.ts';
import type { ConditionNode, FlagDefinition } from './model.ts';

/** One place of a definition that names another item of its environment. */
export interface Reference {
  readonly kind: 'flag' | 'segment';
  readonly id: string;
  /** The variant that a prerequisite asks for; empty for a segment. */
  readonly variant: string;
  /** Where it is named: `prerequisites[0]`, `rules[0].when.all[1]`. */
  readonly path: string;
}

export function referencesOfFlag(definition: Pick<FlagDefinition, 'prerequisites' | 'rules'>): readonly Reference[] {
  const prerequisites = definition.prerequisites.map(
    ({ flag_id: id, variant }, i): Reference => ({ kind: 'flag', id, variant, path: at('prerequisites', i) }),
  );
  const segments = definition.rules.flatMap(({ when }, i) => segmentsIn(when, at(at('rules', i), 'when')));
  return [...prerequisites, ...segments];
}

/** @param when null: the segment has no condition */
export function referencesOfSegment(when: ConditionNode | null): readonly Reference[] {
  return when === null ? [] : segmentsIn(when, 'when');
}

function segmentsIn(node: ConditionNode, path: string): readonly Reference[] {
  if ('segment' in node) return [{ kind: 'segment', id: node.segment, variant: '', path }];
  if ('all' in node) return node.all.flatMap((member, i) => segmentsIn(member, at(at(path, 'all'), i)));
  if ('any' in node) return node.any.flatMap((member, i) => segmentsIn(member, at(at(path, 'any'), i)));
  return [];
}

/** What one item needs of others: how often it asks each of them. */
export type Needs = ReadonlyMap<string, number>;

export function needsOf(references: readonly Reference[], kind: Reference['kind']): Needs {
  const needs = new Map<string, number>();
  for (const reference of references) {
    if (reference.kind === kind) needs.set(reference.id, (needs.get(reference.id) ?? 0) + 1);
  }
  return needs;
}

/** Items of one kind, each with what it needs of its own kind. */
export type Graph = ReadonlyMap<string, Needs>;

/** The shortest circle through `start`: ["a", "b", "a"]; undefined when there is none. */
export function circleThrough(start: string, graph: Graph): readonly string[] | undefined {
  const cameFrom = new Map<string, string>();
  let front: readonly string[] = [start];
  while (front.length > 0) {
    const next: string[] = [];
    for (const id of front) {
      for (const needed of graph.get(id)?.keys() ?? []) {
        if (needed === start) return [...wayTo(id, cameFrom), start];
        if (cameFrom.has(needed)) continue;
        cameFrom.set(needed, id);
        next.push(needed);
      }
    }
    front = next;
  }
  return undefined;
}

function wayTo(end: string, cameFrom: ReadonlyMap<string, string>): readonly string[] {
  const way: string[] = [end];
  for (let id = cameFrom.get(end); id !== undefined; id = cameFrom.get(id)) way.unshift(id);
  return way;
}

/** Bounds of what may hang below one item. */
export interface ChainLimits {
  /** Items in the longest chain below it. */
  readonly depthMax: number;
  /** Evaluations of items below it, one that is asked twice counted twice. */
  readonly evaluationsMax: number;
}

export const PREREQUISITE_CHAIN: ChainLimits = {
  depthMax: documentLimits.prerequisiteDepthMax,
  evaluationsMax: documentLimits.prerequisiteEvaluationsMax,
};

/** The limit counts the segment that a rule names, and this counts those below it. */
export const SEGMENT_CHAIN: ChainLimits = {
  depthMax: documentLimits.segmentDepthMax - 1,
  evaluationsMax: documentLimits.segmentEvaluationsMax,
};

export type ChainProblem =
  | { readonly kind: 'depth'; readonly id: string; readonly chain: readonly string[] }
  | { readonly kind: 'evaluations'; readonly id: string; readonly evaluations: number };

/**
 * The first of `ids` below which hangs more than the limits allow. An item in a circle counts as if the circle were cut,
 * so that this ends whatever the graph is.
 */
export function chainProblem(ids: Iterable<string>, graph: Graph, limits: ChainLimits): ChainProblem | undefined {
  const known = new Map<string, Below>();
  for (const id of ids) {
    const below = measure(id, graph, known);
    if (below.depth > limits.depthMax) return { kind: 'depth', id, chain: longestChain(id, graph, known) };
    if (below.evaluations > limits.evaluationsMax) return { kind: 'evaluations', id, evaluations: below.evaluations };
  }
  return undefined;
}

interface Below {
  readonly depth: number;
  readonly evaluations: number;
}

const NOTHING: Below = { depth: 0, evaluations: 0 };
/** Sums stop here: they double with each item of a chain. */
const EVALUATIONS_COUNTED_MAX = 1_000_000_000;

/** Without recursion: bad rows may make a chain of any length. */
function measure(start: string, graph: Graph, known: Map<string, Below>): Below {
  const stack = [start];
  const open = new Set<string>();
  while (stack.length > 0) {
    const id = stack.at(-1) as string;
    const needs = graph.get(id);
    if (known.has(id) || needs === undefined) {
      stack.pop();
      continue;
    }
    if (!open.has(id)) {
      open.add(id);
      for (const needed of needs.keys()) {
        if (!open.has(needed) && !known.has(needed)) stack.push(needed);
      }
      continue;
    }
    stack.pop();
    let depth = 0;
    let evaluations = 0;
    for (const [needed, times] of needs) {
      const below = known.get(needed) ?? NOTHING;
      depth = Math.max(depth, 1 + below.depth);
      evaluations += times * (1 + below.evaluations);
    }
    known.set(id, { depth, evaluations: Math.min(evaluations, EVALUATIONS_COUNTED_MAX) });
  }
  return known.get(start) ?? NOTHING;
}

function longestChain(start: string, graph: Graph, known: ReadonlyMap<string, Below>): readonly string[] {
  const chain = [start];
  const seen = new Set(chain);
  for (;;) {
    let deepest: string | undefined;
    for (const needed of graph.get(chain.at(-1) as string)?.keys() ?? []) {
      if (seen.has(needed)) continue;
      if (deepest === undefined || depthOf(known, needed) > depthOf(known, deepest)) deepest = needed;
    }
    if (deepest === undefined) return chain;
    chain.push(deepest);
    seen.add(deepest);
  }
}

function depthOf(known: ReadonlyMap<string, Below>, id: string): number {
  return known.get(id)?.depth ?? 0;
}
