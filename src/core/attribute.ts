// Hot path.
// What a context says of an attribute.
import type { EvaluationContext } from './compiled.ts';
import type { Json } from './model.ts';

/**
 * An own key of that exact name first, then the path through own properties of objects; undefined: there is none.
 * `user_id` is the one of the request, whatever the attributes say.
 * @param path `name` cut at its dots; undefined when it has none
 */
export function attributeOf(
  context: EvaluationContext,
  name: string,
  path: readonly string[] | undefined,
): Json | undefined {
  if (name === 'user_id') return context.userId === '' ? undefined : context.userId;
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

/**
 * A value as the text that is hashed and looked up in lists: strings as they are, the empty one too, and safe integers
 * in decimal. undefined for anything else.
 */
export function idText(value: Json | undefined): string | undefined {
  if (typeof value === 'string') return value;
  // -0 is 0 in decimal.
  return typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : undefined;
}
