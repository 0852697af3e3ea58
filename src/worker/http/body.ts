// Turns a request's body into JSON, or says why not. Bytes first: what is not UTF-8, or nests without end, never
// reaches a parser that recurses.
import type { AttributesMember } from '../../api/routes.ts';
import type { JsonObject } from '../../core/model.ts';
import { limits } from '../../limits.ts';
import { checkAttributes } from './attributes.ts';
import { type JsonScan, quoteInexact, scanJson } from './json-scan.ts';
import { withOfrepCode } from './ofrep-failure.ts';
import { invalid, isRefusal, type Refusal, refuse } from './refusal.ts';

/** What bytes are called in a refusal, and how deep they may nest. */
interface Subject {
  readonly name: string;
  readonly levelsMax: number;
}

const BODY: Subject = { name: 'the body', levelsMax: limits.documentDepthMax };

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** undefined: this Content-Type may carry the body. */
export function checkMediaType(contentType: string, mergePatch: boolean): Refusal | undefined {
  const [essence = '', ...parameters] = contentType.split(';').map((part) => part.trim().toLowerCase());
  const known = essence === 'application/json' || (mergePatch && essence === 'application/merge-patch+json');
  const charsets = parameters.filter((parameter) => parameter !== '');
  const readable = charsets.every((parameter) => parameter === 'charset=utf-8' || parameter === 'charset="utf-8"');
  if (known && readable) return undefined;
  const wanted = mergePatch ? 'application/merge-patch+json or application/json' : 'application/json';
  return refuse('UNSUPPORTED_MEDIA_TYPE', `The request body must be ${wanted}, in UTF-8.`);
}

/** The body's value, wrapped so that it cannot be taken for a refusal. */
export function readJson(bytes: Uint8Array): { readonly value: unknown } | Refusal {
  return parse(bytes, scanJson(bytes, BODY.levelsMax), BODY);
}

/**
 * The body of an evaluation: as readJson, but a number among the attributes that no double has exactly stays a string,
 * by the rule of a query. `member`: where the attributes are, at any level.
 */
export function readEvaluationJson(bytes: Uint8Array, member: AttributesMember): { readonly value: unknown } | Refusal {
  const scan = scanJson(bytes, BODY.levelsMax, member);
  // Told before they are parsed, which takes milliseconds for ten thousand of them.
  if (scan.attributeCount > limits.attributesMax + BESIDE_ATTRIBUTES[member])
    return withOfrepCode(invalid(member, `must have at most ${limits.attributesMax} attributes`), 'INVALID_CONTEXT');
  return parseLossless(bytes, scan, member, BODY);
}

/**
 * The attributes of one context that are sent by themselves, by the same rules. No bytes: none.
 * @param path what they are called in a refusal
 */
export function readAttributesJson(
  bytes: Uint8Array,
  path: string,
): { readonly value: JsonObject | undefined } | Refusal {
  if (bytes.byteLength === 0) return { value: undefined };
  if (bytes.byteLength > limits.attributesBytesMax)
    return invalid('', `${path} must be at most ${limits.attributesBytesMax} bytes of JSON`);
  const subject = { name: path, levelsMax: limits.attributesDepthMax };
  const read = parseLossless(bytes, scanJson(bytes, subject.levelsMax), undefined, subject);
  if (isRefusal(read)) return read;
  const issue = checkAttributes(read.value, path, bytes.byteLength);
  return issue === undefined ? { value: read.value as JsonObject } : invalid('', `${issue.path} ${issue.message}`);
}

function parseLossless(
  bytes: Uint8Array,
  scan: JsonScan,
  member: AttributesMember | undefined,
  subject: Subject,
): { readonly value: unknown } | Refusal {
  const body = parse(bytes, scan, subject);
  if (isRefusal(body) || !scan.hasLongNumber) return body;
  // Valid JSON now. That it is parsed a second time is the price of the few that have such numbers.
  const quoted = quoteInexact(bytes, member);
  return quoted === undefined ? body : { value: JSON.parse(utf8.decode(quoted)) as unknown };
}

/** Members that are no attributes: OFREP's targetingKey. */
const BESIDE_ATTRIBUTES: Readonly<Record<AttributesMember, number>> = { attributes: 0, context: 1 };

function parse(bytes: Uint8Array, scan: JsonScan, subject: Subject): { readonly value: unknown } | Refusal {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf)
    return malformed(`${subject.name} must not begin with a byte order mark`);
  if (scan.isTooDeep) {
    const told = invalid('', `${subject.name} must be nested at most ${subject.levelsMax} levels deep`);
    return withOfrepCode(told, 'INVALID_CONTEXT');
  }
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    return malformed(`${subject.name} is not valid UTF-8`);
  }
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (error) {
    // The engine's message quotes the body, which may hold what should not be repeated; its position is enough.
    const position = /position (\d+)/.exec(String(error))?.[1];
    if (text.trim() === '') return malformed(`${subject.name} must be JSON, and is empty`);
    return malformed(
      position === undefined
        ? `${subject.name} is not valid JSON`
        : `${subject.name} is not valid JSON at character ${position}`,
    );
  }
}

function malformed(message: string): Refusal {
  return withOfrepCode(invalid('', message), 'PARSE_ERROR');
}
