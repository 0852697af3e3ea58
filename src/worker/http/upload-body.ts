// The body of a route that takes a text file: checked by what its head tells, then written to disk as it comes.
import { createHash, type Hash } from 'node:crypto';
import { limits } from '../../limits.ts';
import type { HeldExchange } from '../transport/transport.ts';
import type { Upload, Uploads } from '../uploads.ts';
import type { Call } from './call.ts';
import { invalid, type Refusal, refuse } from './refusal.ts';
import { declaredBytes, type RawRequest } from './request.ts';

const CLOSE = [['Connection', 'close']] as const;
const TEXT = /^text\/plain(?:\s*;\s*charset="?utf-8"?)?\s*;?$/i;

/** 413 by the declared length, and 415. undefined: it may come. */
export function checkUpload(request: RawRequest): Refusal | undefined {
  if (declaredBytes(request) > limits.uploadBytesMax) return tooLarge();
  const encoding = request.headers.get('content-encoding') ?? 'identity';
  if (encoding.trim().toLowerCase() !== 'identity')
    return refuse('UNSUPPORTED_MEDIA_TYPE', 'The request body must not be compressed.');
  if (TEXT.test((request.headers.get('content-type') ?? '').trim())) return undefined;
  return refuse('UNSUPPORTED_MEDIA_TYPE', 'The request body must be text/plain, in UTF-8.');
}

/**
 * Receives the body into a file. `idempotency`: of the request without its body; its fingerprint goes over the file too.
 * What is refused leaves no file.
 */
export async function takeUpload(
  held: HeldExchange,
  uploads: Uploads,
  idempotency: Call['idempotency'],
): Promise<{ readonly upload: Upload; readonly idempotency: Call['idempotency'] } | Refusal> {
  let upload: Upload | undefined;
  try {
    upload = await uploads.begin();
  } catch (error) {
    return diskFailed(error);
  }
  if (upload === undefined) {
    return refuse('STORAGE_UNAVAILABLE', 'Too many files are being received already; nothing was written.', [
      ['Retry-After', '1'],
    ]);
  }
  const hash = idempotency === undefined ? undefined : createHash('sha256').update(idempotency.fingerprint);
  const refusal = await receive(held, upload, hash).catch(diskFailed);
  if (refusal !== undefined) {
    await upload.remove();
    return refusal;
  }
  if (idempotency === undefined || hash === undefined) return { upload, idempotency };
  return { upload, idempotency: { key: idempotency.key, fingerprint: hash.digest('hex') } };
}

async function receive(held: HeldExchange, upload: Upload, hash: Hash | undefined): Promise<Refusal | undefined> {
  const lastMs = performance.now() + limits.uploadMsMax;
  for (let chunk = await held.nextChunk(); chunk !== undefined; chunk = await held.nextChunk()) {
    hash?.update(chunk);
    await upload.write(chunk);
    if (performance.now() > lastMs)
      return { ...invalid('', `the body must arrive within ${limits.uploadMsMax / 1000} seconds`), headers: CLOSE };
  }
  if (held.bodyEnded === 'too-large') return tooLarge();
  // Nobody is left to read this.
  if (held.bodyEnded !== 'complete') return invalid('', 'the body ended before it was whole');
  await upload.finish();
  return undefined;
}

function tooLarge(): Refusal {
  return refuse('BODY_TOO_LARGE', `The request body is over ${limits.uploadBytesMax} bytes.`, CLOSE);
}

function diskFailed(error: unknown): Refusal {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  // A bug is no full disk.
  if (code === undefined) throw error;
  return refuse('STORAGE_UNAVAILABLE', `The file could not be received (${code}); nothing was written.`);
}
