// Who loses what when percentages change, and whether a rule gives what would be given without it.
import type { Warning } from './analyse.ts';
import { at, quote } from './issues.ts';
import type { AllocationRange, FlagDefinition, Serve } from './model.ts';
import { BUCKET_COUNT, edgeToPercentage, percentageToEdge } from './percentage.ts';

/** What the flag serves to whom neither target nor rule gives anything. */
export function fallthroughOf(flag: FlagDefinition): Serve {
  return flag.type === 'boolean'
    ? { rollout_percentage: flag.rollout_percentage ?? 0 }
    : { rollout: flag.rollout ?? [], allocation: flag.allocation ?? [] };
}

/** Whether both give the same to every bucket. */
export function servesSame(a: Serve, b: Serve): boolean {
  return JSON.stringify(rangesOf(a)) === JSON.stringify(rangesOf(b));
}

/** The variant that every bucket gets; undefined when there is more than one. */
export function onlyVariant(serve: Serve): string | undefined {
  const ranges = rangesOf(serve);
  return ranges.length === 1 ? ranges[0]?.[2] : undefined;
}

/** The variants that some bucket gets. */
export function variantsOf(serve: Serve): readonly string[] {
  return rangesOf(serve).map(([, , variant]) => variant);
}

/** What users lose of what a percentage gave them, when one definition follows another. */
export function* shrinking(next: FlagDefinition, previous: FlagDefinition): Generator<Warning> {
  // Nobody is served a percentage by a flag that is off.
  if (!next.enabled || !previous.enabled) return;
  const places = placesOf(next, previous);
  const anew = (['salt', 'bucket_by'] as const).filter((name) => next[name] !== previous[name]);
  if (anew.length > 0) {
    if (places.some(({ before }) => onlyVariant(before) === undefined)) {
      const message = 'changes which bucket a user falls into: whoever has a variant by percentage may lose it';
      for (const path of anew) yield { code: 'ROLLOUT_RESHUFFLES', path, message };
    }
    return;
  }
  for (const { path, who, before, after } of places) {
    const losses = lossesOf(rangesOf(before), rangesOf(after), next.off_variant ?? 'off');
    if (losses.length === 0 || !(isPercentage(before) || isPercentage(after))) continue;
    yield { code: 'ROLLOUT_SHRINKS', path, message: `takes users away: of ${who}, ${losses.join(', ')}` };
  }
}

interface Place {
  readonly path: string;
  readonly who: string;
  readonly before: Serve;
  readonly after: Serve;
}

function placesOf(next: FlagDefinition, previous: FlagDefinition): readonly Place[] {
  const earlier = new Map(previous.rules.map((rule) => [rule.rule_id, rule.serve]));
  const rules = next.rules.flatMap((rule, i) => {
    const before = earlier.get(rule.rule_id);
    if (before === undefined) return [];
    const who = `those whom rule ${quote(rule.rule_id)} matched before and matches now`;
    return [{ path: at(at('rules', i), 'serve'), who, before, after: rule.serve }];
  });
  const path = next.type === 'boolean' ? 'rollout_percentage' : 'rollout';
  const who = 'those who got to the rollout before and get to it now';
  return [{ path, who, before: fallthroughOf(previous), after: fallthroughOf(next) }, ...rules];
}

function isPercentage(serve: Serve): boolean {
  return !('variant' in serve);
}

/** Each variant but the one that stands for off, with the share of all buckets that had it and have another now. */
function lossesOf(
  before: readonly AllocationRange[],
  after: readonly AllocationRange[],
  offVariant: string,
): readonly string[] {
  const lost = new Map<string, number>();
  for (const [from, to, variant] of before) {
    if (variant === offVariant) continue;
    for (const [nextFrom, nextTo, nextVariant] of after) {
      const common = Math.min(to, nextTo) - Math.max(from, nextFrom);
      if (common > 0 && nextVariant !== variant) lost.set(variant, (lost.get(variant) ?? 0) + common);
    }
  }
  return [...lost].map(([variant, buckets]) => `${edgeToPercentage(buckets)} % lose ${quote(variant)}`);
}

function rangesOf(serve: Serve): readonly AllocationRange[] {
  if ('variant' in serve) return [[0, BUCKET_COUNT, serve.variant]];
  if ('allocation' in serve) return serve.allocation;
  const edge = percentageToEdge(serve.rollout_percentage) ?? 0;
  const ranges: AllocationRange[] = [
    [0, edge, 'on'],
    [edge, BUCKET_COUNT, 'off'],
  ];
  return ranges.filter(([from, to]) => to > from);
}
