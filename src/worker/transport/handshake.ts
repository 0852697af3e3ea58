// What RFC 6455, section 4.2.1, asks of an opening handshake, whichever library reads it.

/** Whether this request asks for a WebSocket of version 13. `header` answers an absent one with an empty text. */
export function asksForWebSocket(method: string, header: (name: string) => string): boolean {
  return (
    method === 'GET' &&
    hasToken(header('upgrade'), 'websocket') &&
    hasToken(header('connection'), 'upgrade') &&
    header('sec-websocket-version') === '13' &&
    // Its body would be read as frames.
    header('content-length') === '' &&
    header('transfer-encoding') === ''
  );
}

function hasToken(list: string, token: string): boolean {
  return list.split(',').some((part) => part.trim().toLowerCase() === token);
}
