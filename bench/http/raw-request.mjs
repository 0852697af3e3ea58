// One request over a plain socket, so that a reply can be compared byte for byte, header order and spelling included.
import { connect } from 'node:net';

const REPLY_TIMEOUT_MS = 5000;

/** @returns {Promise<{status: string, headers: [string, string][], body: string}>} headers as sent, in order */
export function rawRequest({ method, port, path, headers, body = '' }) {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' });
    const chunks = [];
    socket.setTimeout(REPLY_TIMEOUT_MS, () => socket.destroy(new Error(`no whole reply from port ${port} in time`)));
    socket.once('error', reject);
    socket.once('connect', () => {
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      if (method !== 'GET') lines.push(`Content-Length: ${Buffer.byteLength(body)}\r\n`);
      socket.write(`${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${lines.join('')}\r\n${body}`);
    });
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      const reply = parseReply(Buffer.concat(chunks));
      if (reply === undefined) return;
      socket.destroy();
      resolve(reply);
    });
    socket.once('end', () => reject(new Error(`port ${port} closed before its reply was whole`)));
  });
}

/** undefined while the reply is not whole. */
function parseReply(bytes) {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd === -1) return undefined;
  const [statusLine, ...lines] = bytes.subarray(0, headEnd).toString('latin1').split('\r\n');
  const headers = lines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  const length = Number(headers.find(([name]) => name.toLowerCase() === 'content-length')?.[1]);
  const body = bytes.subarray(headEnd + 4);
  if (body.length < length) return undefined;
  return { status: statusLine.slice('HTTP/1.1 '.length), headers, body: body.toString('utf8') };
}
