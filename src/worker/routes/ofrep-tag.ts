// The ETag of OFREP's bulk answer: all that the answer depends on, and nothing that differs from node to node.
import { hash } from 'node:crypto';
import type { EvaluationContext } from '../../core/compiled.ts';
import type { Json, JsonObject } from '../../core/model.ts';
import type { ServingEnvironment, ServingKey, ServingSnapshot } from '../serving.ts';
import { jsonString } from './outcome-reply.ts';

/** 132 bits in base64url. */
const TAG_CHARS = 22;
const NO_ATTRIBUTES: JsonObject = {};

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

/** What the tags of all contexts begin with. */
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
  return `${JSON.stringify(parts).slice(0, -1)},`;
}

/** The tag of one context. `base`: from tagBase. */
export function tagOf(base: string, context: EvaluationContext): string {
  const text = `${base}${jsonString(context.userId)}]${canonicalJson(context.attributes ?? NO_ATTRIBUTES)}`;
  return `"${hash('sha256', text, 'base64url').slice(0, TAG_CHARS)}"`;
}

/** JSON with the names of objects in order, so that one context has one text. Its depth is bounded before. */
export function canonicalJson(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`);
  return `{${members.join(',')}}`;
}
