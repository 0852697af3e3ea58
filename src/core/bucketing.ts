// Hot path.
// Which text a user is hashed by, and which bucket a hash falls into.
import { attributeOf, idText } from './attribute.ts';
import type { CompiledFlag, EvaluationContext } from './compiled.ts';
import { BUCKET_COUNT } from './percentage.ts';

/** 0 to 9999. `hash` is unsigned. */
export function bucketOf(hash: number): number {
  return hash % BUCKET_COUNT;
}

/** The text to hash: the user_id, or the value of the attribute that the flag names; undefined when there is none. */
export function bucketKey(flag: CompiledFlag, context: EvaluationContext): string | undefined {
  if (flag.bucketBy === undefined) return context.userId === '' ? undefined : context.userId;
  return idText(attributeOf(context, flag.bucketBy, flag.bucketPath));
}
