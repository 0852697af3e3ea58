// The headers that make a request conditional or repeatable.
import { createHash } from 'node:crypto';
import type { IfMatch } from '../../ipc/messages.ts';
import { limits } from '../../limits.ts';
import { invalid, isRefusal, type Refusal } from './refusal.ts';
import { emptyReply, type Reply } from './reply.ts';
import type { RawRequest } from './request.ts';

/** Versions that If-Match accepts, wrapped; a tag that is no version of ours matches nothing. */
export function readIfMatch(header: string): { readonly versions: IfMatch } | Refusal {
  if (header === '' || header.trim() === '*') return { versions: undefined };
  const versions: number[] = [];
  const tags = header.split(',').map((part) => part.trim());
  if (tags.length > limits.ifMatchTagsMax) return invalid('If-Match', `must be at most ${limits.ifMatchTagsMax} tags`);
  for (const tag of tags) {
    const match = /^(W\/)?"([^"]*)"$/.exec(tag);
    if (match === null) return invalid('If-Match', 'must be the version in quotes, as the ETag shows it: "3"');
    // If-Match compares strongly: a weak tag never matches (RFC 9110, section 13.1.1).
    if (match[1] === undefined && /^[1-9][0-9]{0,14}$/.test(match[2] ?? '')) versions.push(Number(match[2]));
  }
  return { versions };
}

/** Whether If-None-Match names this tag, compared weakly. */
export function matchesNone(header: string, tag: string): boolean {
  if (header === '') return false;
  if (header.trim() === '*') return true;
  return header.split(',').some((part) => part.trim().replace(/^W\//, '') === tag);
}

/** 304 with the tag when the client has it already; undefined: it is to be answered in full. */
export function notModified(request: RawRequest, tag: string): Reply | undefined {
  if (!matchesNone(request.headers.get('if-none-match') ?? '', tag)) return undefined;
  return emptyReply(304, [
    ['ETag', tag],
    // As on the answer in its place (RFC 9110, section 15.4.5).
    ['Cache-Control', 'no-store'],
  ]);
}

/** The key of an Idempotency-Key header (undefined: none) with the fingerprint of its request; wrapped, undefined when there is none. */
export function readIdempotency(
  header: string | undefined,
  request: { readonly method: string; readonly path: string; readonly query: string },
  body: Uint8Array,
): { readonly idempotency: { readonly key: string; readonly fingerprint: string } | undefined } | Refusal {
  if (header === undefined) return { idempotency: undefined };
  if (header.length > limits.idempotencyKeyCharsMax || !/^[\x21-\x7e]+$/.test(header)) {
    return invalid('Idempotency-Key', `must be 1 to ${limits.idempotencyKeyCharsMax} visible ASCII characters`);
  }
  const hash = createHash('sha256');
  // A length before each part, so that no two requests are written alike.
  for (const part of [request.method, request.path, request.query]) hash.update(`${part.length}:${part}`);
  return { idempotency: { key: header, fingerprint: hash.update(body).digest('hex') } };
}

/**
 * The revision that a reader asks to be held to, wrapped; undefined when none. Each as sent, empty when not.
 * `current`: the snapshot's.
 */
export function readMinRevision(
  sent: { readonly min: string; readonly minHeader: string; readonly at: string; readonly atHeader: string },
  current: number,
): { readonly minRevision: number | undefined } | Refusal {
  const at = sent.at !== '' || sent.atHeader !== '';
  const path = sent.atHeader === '' ? 'at_revision' : 'X-Flags-At-Revision';
  if (at && (sent.min !== '' || sent.minHeader !== ''))
    return invalid(path, 'cannot be given together with min_revision');
  if (at) return invalid(path, 'is not supported by this version');
  const fromQuery = readRevision('min_revision', sent.min, current);
  if (isRefusal(fromQuery)) return fromQuery;
  const fromHeader = readRevision('X-Flags-Min-Revision', sent.minHeader, current);
  if (isRefusal(fromHeader)) return fromHeader;
  const { minRevision } = fromQuery;
  if (minRevision !== undefined && fromHeader.minRevision !== undefined && minRevision !== fromHeader.minRevision) {
    return invalid('min_revision', 'differs from X-Flags-Min-Revision');
  }
  return minRevision === undefined ? fromHeader : fromQuery;
}

function readRevision(
  path: string,
  text: string,
  current: number,
): { readonly minRevision: number | undefined } | Refusal {
  if (text === '') return { minRevision: undefined };
  if (!/^[1-9][0-9]{0,15}$/.test(text)) return invalid(path, 'must be a revision: a positive whole number');
  const revision = Number(text);
  if (revision > current + limits.minRevisionAheadMax) {
    return invalid(
      path,
      `is more than ${limits.minRevisionAheadMax} ahead of revision ${current}; it is of another store`,
    );
  }
  return { minRevision: revision };
}
