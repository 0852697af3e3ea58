// Turns a request's body into JSON, or says why not. Bytes first: what is not UTF-8, or nests without end, never
// reaches a parser that recurses.
import { limits } from '../../limits.ts';
import { invalid, type Refusal, refuse } from './refusal.ts';

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
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf)
    return invalid('', 'the body must not begin with a byte order mark');
  if (isTooDeep(bytes)) return invalid('', `the body must be nested at most ${limits.documentDepthMax} levels deep`);
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    return invalid('', 'the body is not valid UTF-8');
  }
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (error) {
    // The engine's message quotes the body, which may hold what should not be repeated; its position is enough.
    const position = /position (\d+)/.exec(String(error))?.[1];
    if (text.trim() === '') return invalid('', 'the body must be JSON, and is empty');
    return invalid(
      '',
      position === undefined ? 'the body is not valid JSON' : `the body is not valid JSON at character ${position}`,
    );
  }
}

/** Whether a body nests past the limit. Counts open brackets outside of strings; all bytes that matter are ASCII, which no UTF-8 sequence contains. */
export function isTooDeep(bytes: Uint8Array): boolean {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < bytes.length; i += 1) {
    const byte = bytes[i];
    if (inString) {
      if (byte === 0x5c) i += 1;
      else if (byte === 0x22) inString = false;
    } else if (byte === 0x22) inString = true;
    else if (byte === 0x7b || byte === 0x5b) {
      depth += 1;
      if (depth > limits.documentDepthMax) return true;
    } else if (byte === 0x7d || byte === 0x5d) depth -= 1;
  }
  return false;
}
