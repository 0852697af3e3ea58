// What is offered to clients of TLS 1.2; TLS 1.3 has its own few, all of them good. TLS 1.0 and 1.1 are not spoken.

/**
 * Only those with forward secrecy and authenticated encryption. Left to itself the fast server library also takes
 * AES128-SHA with the key sent by RSA: who records it and gets the server's key years later, reads everything.
 */
export const TLS_CIPHERS = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');
