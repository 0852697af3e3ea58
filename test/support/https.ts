// A request over TLS on a connection of its own, so that each sees the certificate that is served now.
import { type RequestOptions, request } from 'node:https';
import type { TLSSocket } from 'node:tls';

export interface SecureReply {
  readonly status: number;
  readonly body: string;
  /** Of the certificate that was shown. */
  readonly serialNumber: string;
}

export function askSecurely(options: RequestOptions, body = ''): Promise<SecureReply> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', ...options, agent: false }, (response) => {
      const { serialNumber } = (response.socket as TLSSocket).getPeerCertificate();
      let text = '';
      response.on('data', (chunk) => (text += chunk));
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text, serialNumber }));
    });
    asked.on('error', reject);
    asked.end(body);
  });
}
