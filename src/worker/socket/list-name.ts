// The name by which an equal list of flags is found again.
import { createHash } from 'node:crypto';

/** The engine hashes a string of more than 16,383 characters by its length alone. */
const PLAIN_CHARS_MAX = 4096;

/**
 * `text`: of the whole list. A long one is known by its SHA-256: thousands of long texts of one length would all stand in
 * one place of a Map, and each look-up would compare it with all of them.
 */
export function listName(text: string): string {
  return text.length <= PLAIN_CHARS_MAX ? text : `sha256 ${createHash('sha256').update(text).digest('base64')}`;
}
