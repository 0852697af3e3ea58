// Hot path.
// The ETag of OFREP's bulk answer: all that the answer depends on, and nothing that differs from node to node. Its first
// half is of the state and made once, the second of the context; a client compares its own tags with each other only.
import { hash } from 'node:crypto';
import type { EvaluationContext } from '../../core/compiled.ts';
import type { Json, JsonObject } from '../../core/model.ts';
import type { HashText } from '../../snapshot/checksum.ts';
import type { ServingEnvironment, ServingKey, ServingSnapshot } from '../serving.ts';
import { jsonString } from './outcome-reply.ts';

/** 132 bits in base64url. */
const TAG_CHARS = 22;

/**
 * What the tags of all contexts of one key and state begin with. Cold: once a key and a state.
 * @param window of the stream's token in the answer; undefined: it has none
 */
export function tagBase(
  snapshot: ServingSnapshot,
  environment: ServingEnvironment,
  key: ServingKey,
  window: number | undefined,
): string {
  const parts = [
    snapshot.epoch,
    environment.environment,
    environment.changedAt,
    key.keyId,
    key.tags === undefined ? null : [...key.tags].sort(),
    window ?? null,
  ];
  return hash('sha256', JSON.stringify(parts), 'base64url').slice(0, TAG_CHARS);
}

/** The tag of one context, quoted. `base`: from tagBase. */
export function tagOf(base: string, context: EvaluationContext, hashText: HashText): string {
  const attributes = context.attributes === undefined ? '{}' : canonicalJson(context.attributes);
  return '"' + base + hashText(jsonString(context.userId) + attributes) + '"';
}

/** JSON with the names of objects in order, so that one context has one text. Its depth is bounded before. */
export function canonicalJson(value: Json): string {
  if (typeof value === 'string') return jsonString(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  const object = value as JsonObject;
  // By UTF-16 units, whatever the language of the machine.
  const names = Object.keys(object).sort();
  let text = '{';
  for (let i = 0; i < names.length; i += 1) {
    const name = names[i] as string;
    text += (i === 0 ? '' : ',') + jsonString(name) + ':' + canonicalJson(object[name] as Json);
  }
  return text + '}';
}
