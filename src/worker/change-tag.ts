// Names a state of an environment: the store it is of and the revision of its last change. Event streams say it, and
// whoever comes back for the flags repeats it, perhaps to a worker that has not got so far.
import { limits } from '../limits.ts';
import type { ServingEnvironment, ServingSnapshot } from './serving.ts';

/** Of the store's identity: enough to tell two stores apart, for a stale tag costs a second of waiting at most. */
const EPOCH_CHARS = 8;
const TAG = /^([A-Za-z0-9]{1,8})-([0-9]{1,15})$/;

export function changeTag(snapshot: ServingSnapshot, environment: ServingEnvironment): string {
  return `${snapshot.epoch.slice(0, EPOCH_CHARS)}-${environment.changedAt}`;
}

/** The revision that a tag names; undefined for what is no tag, of another store, or too far ahead to be waited for. */
export function revisionOf(tag: string, snapshot: ServingSnapshot): number | undefined {
  const [, epoch, digits] = TAG.exec(tag) ?? [];
  if (epoch !== snapshot.epoch.slice(0, EPOCH_CHARS)) return undefined;
  const revision = Number(digits);
  return revision > snapshot.revision + limits.minRevisionAheadMax ? undefined : revision;
}
