// Keeps secrets and people out of the log. Two nets: fields are cut by their name before a line is made, and a finished
// line is searched for keys, wherever they may have come from.
import { limits } from '../limits.ts';

const REDACTED = '[redacted]';

// Lower case, without "-" and "_". Whoever asks and what he is like is nobody's business here: keys and attributes.
const FIELDS = new Set([
  'apikey',
  'attr',
  'attributes',
  'authorization',
  'body',
  'bootstrapadminkey',
  'context',
  'contexts',
  'cookie',
  'headers',
  'key',
  'keyhash',
  'password',
  'query',
  'querystring',
  'rawheaders',
  'secret',
  'targets',
  'token',
  'userid',
  'userids',
  'users',
  'values',
  'xapikey',
]);

// burgee_<scope>_<base62>_<crc32>. Names of metrics begin alike, but none has sixteen letters and digits in a row there.
const KEY_MARK = 'burgee_';
const KEY = /burgee_[a-z]+_[A-Za-z0-9]{16,}(?:_[A-Za-z0-9]+)?/g;

// JSON.parse quotes the text it failed on, and that text is a request's.
const JSON_QUOTE = /Unexpected [\s\S]* is not valid JSON/g;

/** A copy for the log: forbidden fields replaced, errors as plain objects, texts, lists and depth bounded. */
export function cleanFields(fields: object): Record<string, unknown> {
  return clean(fields, 0) as Record<string, unknown>;
}

/** A message without quoted request text. */
export function cleanMessage(message: string): string {
  const short = message.length > limits.logValueCharsMax ? `${message.slice(0, limits.logValueCharsMax)}...` : message;
  return short.includes('is not valid JSON') ? short.replace(JSON_QUOTE, 'The text is not valid JSON') : short;
}

/** A finished line without keys. `secrets` are others to take out, as they are in JSON. */
export function scrubLine(line: string, secrets: readonly string[]): string {
  let clear = line.includes(KEY_MARK) ? line.replace(KEY, `${KEY_MARK}${REDACTED}`) : line;
  for (const secret of secrets) {
    if (clear.includes(secret)) clear = clear.replaceAll(secret, REDACTED);
  }
  return clear;
}

function clean(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return cleanMessage(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'function' || typeof value === 'symbol') return undefined;
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= limits.logDepthMax) return '[deeper]';
  if (value instanceof Error) return cleanError(value, depth);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) return value.slice(0, 100).map((item) => clean(item, depth + 1));
  const copy: Record<string, unknown> = {};
  for (const [name, item] of Object.entries(value)) copy[name] = cleanField(name, item, depth);
  return copy;
}

function cleanField(name: string, value: unknown, depth: number): unknown {
  const plain = name.toLowerCase().replaceAll(/[-_]/g, '');
  if (FIELDS.has(plain)) return value === undefined ? undefined : REDACTED;
  // Attributes of a GET stand in the query.
  if (plain === 'url' && typeof value === 'string') return cleanMessage(value.split('?', 1)[0] ?? '');
  return clean(value, depth + 1);
}

/** Only what every error has: a database's errors carry rows and parameters besides. */
function cleanError(error: Error, depth: number): Record<string, unknown> {
  const { code } = error as NodeJS.ErrnoException;
  return {
    type: error.name,
    message: cleanMessage(error.message),
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    stack: cleanMessage(error.stack ?? ''),
    ...(error.cause === undefined ? {} : { cause: clean(error.cause, depth + 1) }),
  };
}
