// The head of a reply on node:http, in the order and case in which it was prepared.
import type { ServerResponse } from 'node:http';
import type { Head } from './transport.ts';

/** `contentLength` undefined: no such line, and chunks where there is a body. The library adds Date. */
export function writeHead(
  res: ServerResponse,
  status: string,
  head: Head,
  contentLength: number | undefined,
  closing: boolean,
): void {
  const lines = linesOf(head);
  if (closing) lines.push('Connection', 'close');
  else if (res.shouldKeepAlive && res.req.httpVersionMinor === 1) {
    // That it is kept goes without saying in HTTP/1.1, and is not said. Who asked for less is told what it gets.
    res.removeHeader('Connection');
  }
  if (contentLength !== undefined) lines.push('Content-Length', String(contentLength));
  res.writeHead(Number(status.slice(0, 3)), status.slice(4), lines);
}

/** Names and values in turn. */
function linesOf(head: Head): string[] {
  const rest = head.rest.split('\r\n');
  const lines = [head.firstName, rest[0] as string];
  for (let i = 1; i < rest.length; i++) {
    const line = rest[i] as string;
    const end = line.indexOf(': ');
    lines.push(line.slice(0, end), line.slice(end + 2));
  }
  return lines;
}
