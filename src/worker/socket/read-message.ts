// Hot path.
// Bytes of a text frame become one of the messages of the protocol, or the reason why not. What cannot be read as a
// message at all is told apart from what says something wrong: the first counts towards the end of the connection.
import type { JsonObject } from '../../core/model.ts';
import { limits } from '../../limits.ts';
import { checkAttributes } from '../http/attributes.ts';
import { quoteInexact, scanJson } from '../http/json-scan.ts';
import { checkUserId } from '../http/user-id.ts';
import type { AskedContext, AskedState, ClientMessage } from './messages.ts';

/** Why a message is not served. */
export interface MessageProblem {
  readonly type: 'problem';
  /** null: none could be read. */
  readonly id: number | null;
  readonly isMalformed: boolean;
  readonly message: string;
}

type Fields = { readonly [name: string]: unknown };

const U32_MAX = 4_294_967_295;
const HANDLE_MAX = 65_535;

/** Of each type, the members it may have. */
const MEMBERS: { readonly [Type in ClientMessage['type']]: readonly string[] } = {
  auth: ['type', 'api_key'],
  evaluate: ['type', 'id', 'environment', 'user_id', 'attributes', 'flags', 'at_revision', 'min_revision'],
  evaluate_batch: ['type', 'id', 'environment', 'contexts', 'flags', 'at_revision', 'min_revision'],
  subscribe: ['type', 'id', 'environment', 'user_id', 'attributes', 'flags'],
  watch: ['type', 'id', 'environment'],
  unsubscribe: ['type', 'id'],
  prepare: ['type', 'id', 'environment', 'flags', 'at_revision', 'min_revision'],
  release: ['type', 'handle'],
  ping: ['type', 'id'],
  stats: ['type', 'id'],
};
const TYPES = Object.keys(MEMBERS).join(', ');
const CONTEXT_MEMBERS = ['user_id', 'attributes'];

/** Text that the server library has found to be UTF-8; what is not becomes U+FFFD, and never throws. */
export function readMessage(bytes: Uint8Array): ClientMessage | MessageProblem {
  const scan = scanJson(bytes, limits.documentDepthMax, 'attributes');
  if (scan.isTooDeep)
    return problem(peekId(bytes), `the message must be nested at most ${limits.documentDepthMax} levels deep`);
  if (scan.attributeCount > limits.attributesMax)
    return problem(peekId(bytes), `attributes: must have at most ${limits.attributesMax} attributes`);
  let fields = parse(bytes);
  if (fields === undefined) return malformed(null, 'the message must be a JSON object');
  if (scan.hasLongNumber) {
    const quoted = quoteInexact(bytes, 'attributes');
    if (quoted !== undefined) fields = parse(quoted) as Fields;
  }
  const type = own(fields, 'type');
  const id = own(fields, 'id');
  const readId = isU32(id) ? id : null;
  if (typeof type !== 'string' || !Object.hasOwn(MEMBERS, type)) {
    const told = type === undefined ? 'is required' : 'is not known';
    return malformed(readId, `type: ${told}; there are ${TYPES}`);
  }
  const members = MEMBERS[type as ClientMessage['type']];
  if (readId === null && members.includes('id'))
    return malformed(null, `id: ${id === undefined ? 'is required:' : 'must be'} a whole number from 0 to ${U32_MAX}`);
  const unknown = unknownMember(fields, members);
  if (unknown !== undefined) return problem(readId, unknown);
  return readTyped(type as ClientMessage['type'], readId as number, fields, bytes.byteLength);
}

/** The key of an `auth`; undefined when the message is anything else. */
export function readApiKey(bytes: Uint8Array): string | undefined {
  const message = readMessage(bytes);
  return message.type === 'auth' ? message.apiKey : undefined;
}

function readTyped(
  type: ClientMessage['type'],
  id: number,
  fields: Fields,
  byteCount: number,
): ClientMessage | MessageProblem {
  switch (type) {
    case 'auth':
      return readAuth(fields);
    case 'release':
      return readRelease(fields);
    case 'unsubscribe':
    case 'ping':
    case 'stats':
      return { type, id };
  }
  const environment = own(fields, 'environment');
  if (environment !== undefined && typeof environment !== 'string') return problem(id, 'environment: must be a string');
  if (type === 'watch') return { type, id, environment };
  const flags = own(fields, 'flags');
  const wrongFlags = checkFlags(flags);
  if (wrongFlags !== undefined) return problem(id, wrongFlags);
  const flagIds = flags as readonly string[] | undefined;
  if (type === 'subscribe') {
    const context = readContext(fields, '', byteCount);
    if (typeof context === 'string') return problem(id, context);
    return { type, id, environment, context, flagIds };
  }
  const minRevision = own(fields, 'min_revision');
  const wrongRevision = checkRevisions(minRevision, own(fields, 'at_revision'));
  if (wrongRevision !== undefined) return problem(id, wrongRevision);
  const asked = { environment, minRevision: minRevision as number | undefined };
  return readAsking(type, id, fields, byteCount, flagIds, asked);
}

function readAsking(
  type: 'evaluate' | 'evaluate_batch' | 'prepare',
  id: number,
  fields: Fields,
  byteCount: number,
  flagIds: readonly string[] | undefined,
  { environment, minRevision }: AskedState,
): ClientMessage | MessageProblem {
  if (type === 'prepare') return { type, id, flagIds, environment, minRevision };
  if (type === 'evaluate') {
    const context = readContext(fields, '', byteCount);
    if (typeof context === 'string') return problem(id, context);
    return { type, id, context, flagIds, environment, minRevision };
  }
  const contexts = readContexts(own(fields, 'contexts'), byteCount);
  if (typeof contexts === 'string') return problem(id, contexts);
  return { type, id, contexts, flagIds, environment, minRevision };
}

function readAuth(fields: Fields): ClientMessage | MessageProblem {
  const apiKey = own(fields, 'api_key');
  return typeof apiKey === 'string' ? { type: 'auth', apiKey } : problem(null, 'api_key: must be a string');
}

function readRelease(fields: Fields): ClientMessage | MessageProblem {
  const handle = own(fields, 'handle');
  if (typeof handle === 'number' && Number.isInteger(handle) && handle >= 0 && handle <= HANDLE_MAX)
    return { type: 'release', handle };
  return problem(
    null,
    `handle: ${handle === undefined ? 'is required:' : 'must be'} a whole number from 0 to ${HANDLE_MAX}`,
  );
}

/** The contexts, or what is wrong with one. */
function readContexts(raw: unknown, byteCount: number): AskedContext[] | string {
  if (!Array.isArray(raw)) return raw === undefined ? 'contexts: is required: an array' : 'contexts: must be an array';
  if (raw.length > limits.batchContextsMax) return `contexts: must be at most ${limits.batchContextsMax}`;
  const contexts: AskedContext[] = [];
  for (let i = 0; i < raw.length; i++) {
    const entry: unknown = raw[i];
    if (!isFields(entry)) return `contexts[${i}]: must be an object`;
    const unknown = unknownMember(entry, CONTEXT_MEMBERS);
    if (unknown !== undefined) return `contexts[${i}].${unknown}`;
    const context = readContext(entry, `contexts[${i}].`, byteCount);
    if (typeof context === 'string') return context;
    contexts.push(context);
  }
  return contexts;
}

/** `byteCount`: of the whole message, so that only large ones are measured. `prefix`: of the path in what is told. */
function readContext(fields: Fields, prefix: string, byteCount: number): AskedContext | string {
  const userId = own(fields, 'user_id');
  const attributes = own(fields, 'attributes');
  if (userId === undefined) return `${prefix}user_id: is required: a string`;
  if (userId === '') return `${prefix}user_id: must not be empty`;
  const issue = checkUserId(userId, 'user_id') ?? checkAttributes(attributes, 'attributes', byteCount);
  if (issue !== undefined) return `${prefix}${issue.path}: ${issue.message}`;
  return { userId: userId as string, attributes: attributes as JsonObject | undefined };
}

function checkFlags(flags: unknown): string | undefined {
  if (flags === undefined) return undefined;
  if (!Array.isArray(flags)) return 'flags: must be an array of strings';
  if (flags.length > limits.batchFlagsMax) return `flags: must be at most ${limits.batchFlagsMax}`;
  for (let i = 0; i < flags.length; i++) {
    if (typeof flags[i] !== 'string') return `flags[${i}]: must be a string`;
    // No flag has a longer one, and each comes back once for every context.
    if ((flags[i] as string).length > limits.unknownFlagCharsMax)
      return `flags[${i}]: must be at most ${limits.unknownFlagCharsMax} characters`;
  }
  return undefined;
}

function checkRevisions(min: unknown, at: unknown): string | undefined {
  if (at !== undefined)
    return min === undefined
      ? 'at_revision: is not supported by this version'
      : 'at_revision: cannot be given together with min_revision';
  if (min === undefined || (typeof min === 'number' && Number.isSafeInteger(min) && min > 0)) return undefined;
  return 'min_revision: must be a revision: a positive whole number';
}

function parse(bytes: Uint8Array): Fields | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isFields(value) ? value : undefined;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function own(fields: Fields, name: string): unknown {
  return Object.hasOwn(fields, name) ? fields[name] : undefined;
}

function unknownMember(fields: Fields, known: readonly string[]): string | undefined {
  for (const name in fields) {
    if (!known.includes(name)) return `${name.slice(0, 64)}: is not known here; there are ${known.join(', ')}`;
  }
  return undefined;
}

function isU32(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= U32_MAX && Number.isInteger(value);
}

function problem(id: number | null, message: string): MessageProblem {
  return { type: 'problem', id, isMalformed: false, message };
}

function malformed(id: number | null, message: string): MessageProblem {
  return { type: 'problem', id, isMalformed: true, message };
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;

/**
 * The id of a message without reading the rest of it, for what is refused before it is read; null when it does not stand
 * there plainly.
 */
export function peekId(bytes: Uint8Array): number | null {
  let depth = 0;
  let i = 0;
  while (i < bytes.length) {
    const byte = bytes[i] as number;
    if (byte === QUOTE) {
      const from = i + 1;
      i = from;
      while (i < bytes.length && bytes[i] !== QUOTE) i += bytes[i] === BACKSLASH ? 2 : 1;
      if (depth === 1 && i - from === 2 && bytes[from] === 0x69 && bytes[from + 1] === 0x64) {
        const at = afterSpaces(bytes, i + 1);
        if (bytes[at] === COLON) return numberAt(bytes, afterSpaces(bytes, at + 1));
      }
    } else if (byte === 0x7b || byte === 0x5b) depth += 1;
    else if (byte === 0x7d || byte === 0x5d) depth -= 1;
    i += 1;
  }
  return null;
}

function afterSpaces(bytes: Uint8Array, from: number): number {
  let i = from;
  while (i < bytes.length && (bytes[i] as number) <= 0x20) i += 1;
  return i;
}

/** A plain u32 that ends there. */
function numberAt(bytes: Uint8Array, from: number): number | null {
  let value = 0;
  let i = from;
  while (i < bytes.length && (bytes[i] as number) >= 0x30 && (bytes[i] as number) <= 0x39 && value <= U32_MAX) {
    value = value * 10 + (bytes[i] as number) - 0x30;
    i += 1;
  }
  const end = bytes[afterSpaces(bytes, i)];
  return i > from && value <= U32_MAX && (end === 0x2c || end === 0x7d) ? value : null;
}
