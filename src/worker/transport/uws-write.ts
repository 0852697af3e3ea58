// The whole of a reply on uWebSockets.js, inside of a cork: what must be written in which way, found by trying.
import type { HttpResponse } from 'uWebSockets.js';
import type { Head } from './transport.ts';

export function write(
  res: HttpResponse,
  status: string,
  head: Head,
  body: string | Uint8Array,
  closing: boolean,
): void {
  // The library writes `200 OK` by itself, and names and values as they are: all lines go in one call.
  if (status !== '200 OK') res.writeStatus(status);
  res.writeHeader(head.firstName, head.rest);
  res.end(body, closing);
}

export function writeEmpty(
  res: HttpResponse,
  status: string,
  head: Head,
  contentLength: number | undefined,
  closing: boolean,
): void {
  res.writeStatus(status);
  res.writeHeader(head.firstName, head.rest);
  // endWithoutBody(length) leaves the reply open for ever, and any second argument comes with a first one; so these two
  // lines are written by hand, and the client is asked to close.
  if (contentLength !== undefined) res.writeHeader('Content-Length', String(contentLength));
  if (closing) res.writeHeader('Connection', 'close');
  res.endWithoutBody();
}
