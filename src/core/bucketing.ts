// Hot path.
// Which text a user is hashed by, and which bucket a hash falls into.
import type { CompiledFlag, EvaluationContext } from './compiled.ts';
import type { Json } from './model.ts';
import { BUCKET_COUNT } from './percentage.ts';

/** 0 to 9999. `hash` is unsigned. */
export function bucketOf(hash: number): number {
  return hash % BUCKET_COUNT;
}

/**
 * The text to hash: the user_id, or the value of the attribute that the flag names; strings as they are, the empty one
 * too, and safe integers in decimal. undefined for anything else. An empty user_id is refused before it gets here.
 */
export function bucketKey(flag: CompiledFlag, context: EvaluationContext): string | undefined {
  if (flag.bucketBy === undefined) return context.userId === '' ? undefined : context.userId;
  const value = attributeOf(context, flag.bucketBy, flag.bucketPath);
  if (typeof value === 'string') return value;
  // -0 is 0 in decimal.
  return typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : undefined;
}

/** An own key of that exact name first, then the path through own properties of objects. */
function attributeOf(context: EvaluationContext, name: string, path: readonly string[] | undefined): Json | undefined {
  const attributes = context.attributes;
  if (attributes === undefined) return undefined;
  if (Object.hasOwn(attributes, name)) return attributes[name];
  if (path === undefined) return undefined;
  // A path that begins with user_id finds the user_id of the request, which is a text and has nothing below.
  if (path[0] === 'user_id') return undefined;
  let value: Json | undefined = attributes;
  for (let i = 0; i < path.length; i++) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    const step = path[i] as string;
    if (!Object.hasOwn(value, step)) return undefined;
    value = (value as { readonly [name: string]: Json })[step];
  }
  return value;
}
