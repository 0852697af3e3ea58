// Random environments as a worker serves them.
import type { CompiledFlag, CompiledSegment } from '../../src/core/compiled.ts';
import type { ServingEnvironment, ServingKey, ServingSnapshot } from '../../src/worker/serving.ts';
import { compileEnvironment } from './arbitrary-environments.ts';
import type { NaiveEnvironment } from './naive-evaluator.ts';

/** @param tagsOf the tags of a flag, which random ones have not of their own */
export function servingEnvironment(
  naive: NaiveEnvironment,
  tagsOf: (flagId: string) => readonly string[] = () => [],
): ServingEnvironment {
  const { flags, segments } = compileEnvironment(naive);
  const tagged = [...flags.values()].map((flag): CompiledFlag => {
    const tags = tagsOf(flag.flagId);
    return { ...flag, tags, json: flag.json + tags.join() };
  });
  return {
    environment: 'prod',
    json: '{}',
    changedAt: 1,
    flags: new Map(tagged.map((flag) => [flag.flagId, flag])),
    segments: segments as ReadonlyMap<string, CompiledSegment>,
  };
}

export function servingSnapshot(
  revision: number,
  environments: readonly ServingEnvironment[],
  keys: readonly ServingKey[],
): ServingSnapshot {
  return {
    epoch: 'e1',
    revision,
    environments: new Map(environments.map((environment) => [environment.environment, environment])),
    keysByHash: new Map(keys.map((key) => [key.keyHash, key])),
    keysById: new Map(keys.map((key) => [key.keyId, key])),
    streamSecret: undefined,
  };
}
