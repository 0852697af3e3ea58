// Attributes of a context: from `attr.country=PL` in a query, or as they came in a body. Built and read by own
// properties only, so that no name means more than the letters it is made of.

import type { Issue, Json, JsonObject } from '../../core/model.ts';
import { limits } from '../../limits.ts';
import { exactNumber } from './exact-number.ts';

/** A branch of attributes that is being built; it has no prototype, so `__proto__` is a name like any other. */
interface Branch {
  [name: string]: Leaf | Branch;
}

/** The values of one repeated parameter, in order. */
class Leaf {
  readonly values: Json[] = [];
}

export class AttributesBuilder {
  private readonly root: Branch = Object.create(null) as Branch;
  private count = 0;
  private bytes = 0;

  /**
   * Adds one parameter. `path`: what follows `attr.`, decoded; `text`: its value, decoded.
   * Returns what is wrong with it, or undefined.
   */
  add(path: string, text: string): Issue | undefined {
    const at = `attr.${path}`;
    const steps = path.split('.');
    if (steps.includes('')) return { path: at, message: 'must have a name in each of its parts' };
    if (steps.length > limits.attributesDepthMax) {
      return { path: at, message: `must have at most ${limits.attributesDepthMax} parts` };
    }
    this.bytes += Buffer.byteLength(path) + Buffer.byteLength(text);
    if (this.bytes > limits.attributesBytesMax)
      return { path: 'attr', message: `must be at most ${limits.attributesBytesMax} bytes` };
    if (this.root[steps[0] as string] === undefined) {
      this.count += 1;
      if (this.count > limits.attributesMax)
        return { path: 'attr', message: `must be at most ${limits.attributesMax} attributes` };
    }
    let branch = this.root;
    for (let i = 0; i < steps.length - 1; i += 1) {
      const step = steps[i] as string;
      const next = (branch[step] ??= Object.create(null) as Branch);
      if (next instanceof Leaf)
        return { path: at, message: `cannot be set: ${steps.slice(0, i + 1).join('.')} is a value` };
      branch = next;
    }
    const leaf = (branch[steps[steps.length - 1] as string] ??= new Leaf());
    if (!(leaf instanceof Leaf)) return { path: at, message: 'cannot be set: it has parts of its own' };
    // A list is one level more, as it is in a body.
    if (leaf.values.length > 0 && steps.length === limits.attributesDepthMax) {
      return { path: at, message: `must have at most ${limits.attributesDepthMax - 1} parts to be a list` };
    }
    leaf.values.push(readScalar(text));
    return undefined;
  }

  /** undefined: none were added. */
  build(): JsonObject | undefined {
    return this.count === 0 ? undefined : plain(this.root);
  }
}

function plain(branch: Branch): JsonObject {
  const object = Object.create(null) as { [name: string]: Json };
  for (const name of Object.keys(branch)) {
    const node = branch[name] as Leaf | Branch;
    if (!(node instanceof Leaf)) object[name] = plain(node);
    else object[name] = node.values.length === 1 ? (node.values[0] as Json) : node.values;
  }
  return object;
}

/** A JSON scalar becomes its value; anything else, and a number that no double has exactly, stays the string it is. */
export function readScalar(text: string): Json {
  switch (text) {
    case 'true':
      return true;
    case 'false':
      return false;
    case 'null':
      return null;
  }
  const first = text.charCodeAt(0);
  if (first === 0x22) return readQuoted(text);
  if (first !== 0x2d && (first < 0x30 || first > 0x39)) return text;
  return exactNumber(text) ?? text;
}

function readQuoted(text: string): string {
  if (text.length < 2 || !text.endsWith('"')) return text;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'string' ? value : text;
  } catch {
    return text;
  }
}

/**
 * What is wrong with the attributes of a body. `path`: where they stand. `bodyBytes`: of the whole body, so that only
 * large ones are measured.
 */
export function checkAttributes(attributes: unknown, path: string, bodyBytes: number): Issue | undefined {
  if (attributes === undefined) return undefined;
  if (typeof attributes !== 'object' || attributes === null || Array.isArray(attributes))
    return { path, message: 'must be an object' };
  let count = 0;
  for (const name in attributes) if (Object.hasOwn(attributes, name)) count += 1;
  if (count > limits.attributesMax) return { path, message: `must have at most ${limits.attributesMax} attributes` };
  if (!isWithinDepth(attributes, limits.attributesDepthMax)) {
    return { path, message: `must be nested at most ${limits.attributesDepthMax} levels deep` };
  }
  const bytes = bodyBytes <= limits.attributesBytesMax ? 0 : Buffer.byteLength(JSON.stringify(attributes));
  return bytes <= limits.attributesBytesMax
    ? undefined
    : { path, message: `must be at most ${limits.attributesBytesMax} bytes of JSON` };
}

function isWithinDepth(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (levels === 0) return false;
  for (const inner of Object.values(value)) if (!isWithinDepth(inner, levels - 1)) return false;
  return true;
}
