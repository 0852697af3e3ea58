// Hot path.
// The ETag of OFREP's bulk answer: all that the answer depends on, and nothing that differs from node to node.
import { hash } from 'node:crypto';
import type { EvaluationContext } from '../../core/compiled.ts';
import type { Json, JsonObject } from '../../core/model.ts';
import type { ServingEnvironment, ServingKey, ServingSnapshot } from '../serving.ts';
import { jsonString } from './outcome-reply.ts';

/** 132 bits in base64url. */
const TAG_CHARS = 22;

/** Quoted. `window`: of the stream's token in the answer; undefined: it has none. */
export function bulkTag(
  snapshot: ServingSnapshot,
  environment: ServingEnvironment,
  key: ServingKey,
  context: EvaluationContext,
  window: number | undefined,
): string {
  return tagOf(tagBase(snapshot, environment, key, window), context);
}

/** What the tags of all contexts of one key and state are made from. Cold: once a key and a state. */
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
  // As short as the answer's own tag, so that with most users one block is hashed.
  return digest(JSON.stringify(parts));
}

/** The tag of one context. `base`: from tagBase. */
export function tagOf(base: string, context: EvaluationContext): string {
  const attributes = context.attributes === undefined ? '{}' : canonicalJson(context.attributes);
  return '"' + digest(base + jsonString(context.userId) + attributes) + '"';
}

function digest(text: string): string {
  return hash('sha256', text, 'base64url').slice(0, TAG_CHARS);
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
