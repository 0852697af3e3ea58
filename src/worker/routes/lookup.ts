// Looks up what a request names in a snapshot, as far as its key may see.
import type { CompiledFlag, CompiledSegment } from '../../core/compiled.ts';
import { type Refusal, refuse } from '../http/refusal.ts';
import type { ServingEnvironment, ServingKey, ServingSnapshot } from '../serving.ts';
import type { UnknownFlagCounts } from '../unknown-flags.ts';

/** Whether the key may see the flag: a key with tags sees only flags that carry one of them. */
export function isVisible(key: Pick<ServingKey, 'tags'>, flag: Pick<CompiledFlag, 'tags'>): boolean {
  if (key.tags === undefined) return true;
  for (const tag of flag.tags) if (key.tags.has(tag)) return true;
  return false;
}

export function findEnvironment(snapshot: ServingSnapshot, environment: string): ServingEnvironment | Refusal {
  return (
    snapshot.environments.get(environment) ??
    refuse('ENVIRONMENT_NOT_FOUND', `There is no environment ${JSON.stringify(environment.slice(0, 64))}.`)
  );
}

/** A flag that the key may not see is told from one that does not exist by nothing. */
export function findFlag(environment: ServingEnvironment, flagId: string, key: ServingKey): CompiledFlag | Refusal {
  const flag = environment.flags.get(flagId);
  if (flag !== undefined && isVisible(key, flag)) return flag;
  return refuse(
    'FLAG_NOT_FOUND',
    `There is no flag ${JSON.stringify(flagId.slice(0, 128))} in ${environment.environment}.`,
  );
}

/** As findFlag, for an evaluation: a flag that does not exist is counted, one that the key may not see is not. */
export function findFlagToEvaluate(
  environment: ServingEnvironment,
  flagId: string,
  key: ServingKey,
  unknownFlags: Pick<UnknownFlagCounts, 'count'>,
): CompiledFlag | Refusal {
  if (!environment.flags.has(flagId)) unknownFlags.count(environment.environment, flagId, 1);
  return findFlag(environment, flagId, key);
}

export function findSegment(environment: ServingEnvironment, segmentId: string): CompiledSegment | Refusal {
  return (
    environment.segments.get(segmentId) ??
    refuse(
      'SEGMENT_NOT_FOUND',
      `There is no segment ${JSON.stringify(segmentId.slice(0, 128))} in ${environment.environment}.`,
    )
  );
}
