// What a message means by the contract, read without any code of src: which answer it must get, whatever was done to it.

export interface MeantContext {
  readonly userId: string;
  /** As JSON; undefined: none. */
  readonly attributes: string | undefined;
}

export type Meaning =
  /** Contexts and flags are not looked at yet: HTTP says whether they are valid. */
  | {
      readonly kind: 'evaluations';
      readonly reply: 'result' | 'results';
      readonly id: number;
      readonly contexts: readonly MeantContext[];
      /** undefined: all. */
      readonly flagIds: readonly string[] | undefined;
      /** For its depth or the revision that it asks for, an error is right too. */
      readonly mayFail: boolean;
    }
  | {
      readonly kind: 'cells';
      readonly id: number;
      readonly packed: boolean;
      readonly contexts: readonly MeantContext[];
    }
  | {
      readonly kind: 'prepared';
      readonly id: number;
      readonly flagIds: readonly string[] | undefined;
      mayFail: boolean;
    }
  | { readonly kind: 'pong'; readonly id: number }
  /** It has no answer of its own, or one that comes when something happens. */
  | { readonly kind: 'silent' }
  /** It is to be refused. `id`: of the refusal; null when none can be read, undefined when either is right. */
  | { readonly kind: 'invalid'; readonly id: number | null | undefined };

const U32_MAX = 2 ** 32 - 1;
const FLAGS_MAX = 10_000;
const CONTEXTS_MAX = 1000;
const EVALUATIONS_MAX = 100_000;
const BINARY_USERS_MAX = 10_000;
/** Of the attributes of a context; a message has them in two or three more. */
const DEPTH_MAX = 16;
const REQUEST_HEAD_BYTES = 12;

type Fields = Readonly<Record<string, unknown>>;

const ASKED = ['type', 'id', 'environment', 'flags'];
const CONTEXT = ['user_id', 'attributes'];
const HELD_TO = ['min_revision', 'at_revision'];
const KNOWN: Readonly<Record<string, readonly string[]>> = {
  evaluate: [...ASKED, ...CONTEXT, ...HELD_TO],
  evaluate_batch: [...ASKED, 'contexts', ...HELD_TO],
  subscribe: [...ASKED, ...CONTEXT],
  prepare: [...ASKED, ...HELD_TO],
  watch: ['type', 'id', 'environment'],
  unsubscribe: ['type', 'id'],
  release: ['type', 'handle'],
  ping: ['type', 'id'],
  stats: ['type', 'id'],
};

/**
 * @param environment the only one that the key may use
 */
export function meaningOfText(text: string, environment: string): Meaning {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return { kind: 'invalid', id: null };
  }
  if (!isFields(message)) return { kind: 'invalid', id: null };
  const fields = message;
  const known =
    typeof fields['type'] === 'string' && Object.hasOwn(KNOWN, fields['type']) ? KNOWN[fields['type']] : undefined;
  const id = isU32(fields['id']) ? fields['id'] : undefined;
  const invalid: Meaning = { kind: 'invalid', id: id ?? null };
  if (known === undefined || Object.keys(fields).some((name) => !known.includes(name))) return invalid;
  if (fields['type'] === 'release') {
    const handle = fields['handle'];
    return isU32(handle) && handle <= 65_535 ? { kind: 'silent' } : invalid;
  }
  if (id === undefined) return invalid;
  if (fields['environment'] !== undefined && fields['environment'] !== environment) return invalid;
  const flagIds = fields['flags'];
  if (flagIds !== undefined && !isNames(flagIds)) return invalid;
  if (fields['at_revision'] !== undefined) return invalid;
  const minRevision = fields['min_revision'];
  if (minRevision !== undefined && !(Number.isSafeInteger(minRevision) && (minRevision as number) > 0)) return invalid;
  // What is nested deep may be refused for it, even where a later member of the same name counts.
  const mayFail = minRevision !== undefined || depthOf(text) > DEPTH_MAX;
  switch (fields['type']) {
    case 'evaluate':
    case 'subscribe': {
      const context = contextOf(fields);
      if (context === undefined) return invalid;
      return { kind: 'evaluations', reply: 'result', id, contexts: [context], flagIds, mayFail };
    }
    case 'evaluate_batch': {
      const contexts = fields['contexts'];
      if (!Array.isArray(contexts) || contexts.length > CONTEXTS_MAX) return invalid;
      const read = contexts.map((each: unknown) =>
        isFields(each) && Object.keys(each).every((name) => CONTEXT.includes(name)) ? contextOf(each) : undefined,
      );
      if (read.includes(undefined)) return invalid;
      if (read.length * new Set(flagIds ?? []).size > EVALUATIONS_MAX) return invalid;
      return { kind: 'evaluations', reply: 'results', id, contexts: read as MeantContext[], flagIds, mayFail };
    }
    case 'prepare':
      return { kind: 'prepared', id, flagIds, mayFail };
    case 'ping':
      return { kind: 'pong', id };
    default:
      return { kind: 'silent' };
  }
}

/** @param handle the only one that is prepared */
export function meaningOfBinary(bytes: Buffer, handle: number): Meaning {
  if (bytes.length < REQUEST_HEAD_BYTES) return { kind: 'invalid', id: bytes.length < 8 ? null : undefined };
  const id = bytes.readUInt32LE(4);
  const invalid: Meaning = { kind: 'invalid', id };
  const [op, options] = [bytes[0], bytes[1] as number];
  const users = bytes.readUInt32LE(8);
  if ((op !== 1 && op !== 2) || options > 1 || bytes.readUInt16LE(2) !== handle || users > BINARY_USERS_MAX) {
    return invalid;
  }
  const contexts: MeantContext[] = [];
  let at = REQUEST_HEAD_BYTES;
  const take = (lengthBytes: 2 | 4): Buffer | undefined => {
    if (bytes.length - at < lengthBytes) return undefined;
    const length = bytes.readUIntLE(at, lengthBytes);
    at += lengthBytes;
    if (bytes.length - at < length) return undefined;
    at += length;
    return bytes.subarray(at - length, at);
  };
  for (let i = 0; i < users; i++) {
    const userId = utf8(take(2));
    if (userId === undefined || userId === '') return invalid;
    let attributes: string | undefined;
    if (op === 2) {
      attributes = utf8(take(4));
      if (attributes === undefined || !isObject(attributes)) return invalid;
    }
    contexts.push({ userId, attributes });
  }
  if (at !== bytes.length) return invalid;
  return { kind: 'cells', id, packed: options === 1, contexts };
}

/** undefined: it is none. A mark of byte order is a character like others. */
export function utf8(bytes: Buffer | undefined): string | undefined {
  if (bytes === undefined) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Of its brackets, those in texts too: an upper bound. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (const character of text) {
    if (character === '[' || character === '{') deepest = Math.max(deepest, ++depth);
    else if (character === ']' || character === '}') depth--;
  }
  return deepest;
}

/** Only its type: HTTP is asked whether it is valid. */
function contextOf(fields: Fields): MeantContext | undefined {
  const { user_id: userId, attributes } = fields;
  if (typeof userId !== 'string' || userId === '') return undefined;
  if (attributes === undefined) return { userId, attributes };
  if (!isFields(attributes)) return undefined;
  try {
    return { userId, attributes: JSON.stringify(attributes) };
  } catch {
    // Nested too deep to be written: deeper than any limit.
    return undefined;
  }
}

function isObject(json: string): boolean {
  try {
    return isFields(JSON.parse(json));
  } catch {
    return false;
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isNames(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length <= FLAGS_MAX && value.every((name) => typeof name === 'string');
}

function isU32(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= U32_MAX;
}
