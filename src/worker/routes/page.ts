// The pages of a list: how long they are, and where one ended. A cursor is opaque to clients, so that what it holds may
// change.
import { limits } from '../../limits.ts';
import type { Call } from '../http/call.ts';
import { invalid, type Refusal } from '../http/refusal.ts';

/** How many items a page has at most. */
export function pageLimit({ query }: Call): number {
  return Number(query.values.get('limit') ?? limits.listPageMax);
}

export function refuseCursor(): Refusal {
  return invalid('cursor', 'is not a next_cursor of this list');
}

/** The names that lead to the last item of a page, as one token. */
export function encodeCursor(names: readonly string[]): string {
  return Buffer.from(JSON.stringify(names)).toString('base64url');
}

/** The names again; undefined when this is no cursor of `count` names. */
export function decodeCursor(cursor: string, count: number): readonly string[] | undefined {
  if (cursor.length > limits.cursorCharsMax || !/^[A-Za-z0-9_-]+$/.test(cursor)) return undefined;
  try {
    const names: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    const usable = Array.isArray(names) && names.length === count && names.every((name) => typeof name === 'string');
    return usable ? (names as string[]) : undefined;
  } catch {
    return undefined;
  }
}
