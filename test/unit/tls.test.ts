// What is said about a certificate and its key before anything serves with them.
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { ConfigError } from '../../src/config.ts';
import { readTls, type Tls } from '../../src/tls.ts';
import { makeCertificate } from '../support/certificate.ts';

const DAY_MS = 86_400_000;
const pair = makeCertificate();
const other = makeCertificate();
const rsa = makeCertificate({ type: 'rsa' });
const ed25519 = makeCertificate({ type: 'ed25519' });

test('without the two variables there is nothing to read', (t) => {
  t.equal(readTls({ tlsCertFile: undefined, tlsKeyFile: undefined }, Date.now()), undefined);
  t.end();
});

for (const [kind, { certPem, keyPem, serialNumber }] of [
  ['ec', pair],
  ['rsa', rsa],
  ['ed25519', ed25519],
] as const) {
  test(`takes a pair of ${kind}, and says until when it is good`, (t) => {
    const tls = read(t, certPem, keyPem);
    t.match(tls, { serialNumber, warnings: [] });
    t.ok(Math.abs((tls?.notAfterMs ?? 0) - Date.now() - 30 * DAY_MS) < 3_600_000);
    t.end();
  });
}

test('takes keys as older tools write them, text around the blocks, and a chain behind the certificate', (t) => {
  t.ok(read(t, `Subject: me\n${pair.certPem}${other.certPem}`, pair.key.export({ type: 'sec1', format: 'pem' })));
  t.ok(
    read(
      t,
      rsa.certPem.replaceAll('\n', '\r\n'),
      `Bag Attributes\n${rsa.key.export({ type: 'pkcs1', format: 'pem' })}`,
    ),
  );
  t.end();
});

const cipher = { cipher: 'aes-256-cbc', passphrase: 'secret' };
const refused: readonly (readonly [what: string, cert: string, key: string | Buffer, message: RegExp])[] = [
  [
    'a key of another pair',
    pair.certPem,
    other.keyPem,
    /TLS_KEY_FILE \(".*key\.pem"\) does not fit TLS_CERT_FILE \(".*cert\.pem"\)/,
  ],
  ['a key of another kind', pair.certPem, rsa.keyPem, /does not fit/],
  [
    'a chain that is the wrong way round',
    other.certPem + pair.certPem,
    pair.keyPem,
    /TLS_CERT_FILE .* begins with another certificate/,
  ],
  ['the two exchanged', pair.keyPem, pair.certPem, /TLS_CERT_FILE .* holds a private key.*exchanged/],
  ['twice the certificate', pair.certPem, pair.certPem, /TLS_KEY_FILE .* is no private key in PEM/],
  ['an empty certificate', '', pair.keyPem, /TLS_CERT_FILE .* is no certificate in PEM/],
  ['an empty key', pair.certPem, '', /TLS_KEY_FILE .* is no private key in PEM/],
  ['DER', pair.certPem, pair.key.export({ type: 'pkcs8', format: 'der' }), /TLS_KEY_FILE .* is no private key in PEM/],
  [
    'a certificate cut short',
    pair.certPem.slice(0, 200),
    pair.keyPem,
    /TLS_CERT_FILE .* holds a certificate that cannot be read/,
  ],
  [
    'a chain that is damaged behind a good certificate',
    `${pair.certPem}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
    pair.keyPem,
    /TLS_CERT_FILE .* and TLS_KEY_FILE cannot be used: /,
  ],
  ['a damaged certificate', pair.certPem.replace(/MII./, 'AAAA'), pair.keyPem, /TLS_CERT_FILE .* cannot be read/],
  ['a key cut short', pair.certPem, pair.keyPem.slice(0, 100), /TLS_KEY_FILE .* holds a key that cannot be read/],
  [
    'an encrypted key',
    pair.certPem,
    pair.key.export({ type: 'pkcs8', format: 'pem', ...cipher }),
    /TLS_KEY_FILE .* is encrypted/,
  ],
  ['an encrypted key of old', rsa.certPem, rsa.key.export({ type: 'pkcs1', format: 'pem', ...cipher }), /is encrypted/],
];

for (const [what, cert, key, message] of refused) {
  test(`refuses ${what}`, (t) => {
    t.match(
      refusal(() => read(t, cert, key)),
      message,
    );
    t.end();
  });
}

test('refuses a key that the server library does not take', (t) => {
  const { certPem, keyPem } = makeCertificate({ type: 'secp256k1' });
  t.match(
    refusal(() => read(t, certPem, keyPem)),
    /TLS_KEY_FILE .* is a key of secp256k1; it must be one of prime256v1,/,
  );
  t.end();
});

test('refuses files that cannot be read, and says why', (t) => {
  const folder = t.testdir({ 'cert.pem': pair.certPem, 'key.pem': pair.keyPem });
  mkdirSync(join(folder, 'sub'));
  const readBoth = (cert: string, key: string) => () =>
    readTls({ tlsCertFile: join(folder, cert), tlsKeyFile: join(folder, key) }, Date.now());
  t.match(
    refusal(readBoth('none.pem', 'key.pem')),
    /TLS_CERT_FILE \(".*none\.pem"\) cannot be read: there is no such file\./,
  );
  t.match(
    refusal(readBoth('cert.pem', 'none.pem')),
    /TLS_KEY_FILE \(".*none\.pem"\) cannot be read: there is no such file\./,
  );
  t.match(refusal(readBoth('sub', 'key.pem')), /TLS_CERT_FILE .* cannot be read: it is a folder\./);
  if (process.getuid?.() !== 0) {
    chmodSync(join(folder, 'key.pem'), 0);
    t.match(refusal(readBoth('cert.pem', 'key.pem')), /TLS_KEY_FILE .* cannot be read: this user may not read it\./);
  }
  t.end();
});

test('no message holds a line of the key', (t) => {
  const secret = pair.keyPem.split('\n')[1] as string;
  for (const [, cert, key] of refused)
    t.notMatch(
      refusal(() => read(t, cert, key)),
      secret.slice(0, 12),
    );
  t.end();
});

test('warns of a certificate that clients refuse, or soon will, and serves with it', (t) => {
  const now = Date.now();
  const warned = (options: Parameters<typeof makeCertificate>[0]): readonly string[] | undefined => {
    const { certPem, keyPem } = makeCertificate(options);
    return read(t, certPem, keyPem)?.warnings;
  };
  t.match(warned({ notAfterMs: now - 1000 }), [
    /TLS_CERT_FILE .* expired on .*: clients refuse it; renew it and send SIGHUP/,
  ]);
  t.match(warned({ notBeforeMs: now + DAY_MS }), [/is not valid before .*: clients refuse it until then/]);
  t.match(warned({ notAfterMs: now + 13 * DAY_MS }), [/expires on .*; renew it/]);
  t.same(warned({ notAfterMs: now + 15 * DAY_MS }), []);
  t.end();
});

test('warns of a key that others can read or write', (t) => {
  const warnings = (mode: number): readonly string[] | undefined => read(t, pair.certPem, pair.keyPem, mode)?.warnings;
  t.match(warnings(0o644), [/TLS_KEY_FILE .* can be read by every user of this machine; chmod 600 it/]);
  t.match(warnings(0o660), [/TLS_KEY_FILE .* can be written by other users/]);
  // A group of their own is how a service gets at keys that belong to root.
  t.same(warnings(0o640), []);
  t.end();
});

function read(t: Test, cert: string | Buffer, key: string | Buffer, mode = 0o600): Tls | undefined {
  const folder = t.testdir({});
  const files = { tlsCertFile: join(folder, 'cert.pem'), tlsKeyFile: join(folder, 'key.pem') };
  writeFileSync(files.tlsCertFile, cert);
  writeFileSync(files.tlsKeyFile, key);
  chmodSync(files.tlsKeyFile, mode);
  return readTls(files, Date.now());
}

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error('it was accepted');
}
