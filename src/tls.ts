// The certificate and the key of PORT: what is wrong with them is told before anything that serves depends on them. The
// server library itself says no more than that it failed.
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { type Config, ConfigError } from './config.ts';

/** What can be served with. */
export interface Tls {
  /** Paths, absolute. */
  readonly certFile: string;
  readonly keyFile: string;
  /** Milliseconds since 1970 from which on clients refuse the certificate. */
  readonly notAfterMs: number;
  /** As browsers and openssl show it: to tell which certificate is in use. */
  readonly serialNumber: string;
  /** Sentences for the log, about what works and should not stay so. */
  readonly warnings: readonly string[];
}

/** Clients refuse a certificate from one moment to the next; two weeks are time to do something about it. */
const EXPIRY_WARNING_MS = 14 * 86_400_000;
const READABLE_BY_OTHERS = 0o004;
const WRITABLE_BY_OTHERS = 0o022;
/** What both server libraries take; a curve as Node calls it, else the type of the key. */
const KEY_KINDS = ['prime256v1', 'secp384r1', 'secp521r1', 'rsa', 'ed25519'];

type TlsConfig = Pick<Config, 'tlsCertFile' | 'tlsKeyFile'>;

/**
 * Reads both files and tries them; undefined when none are configured. An expired certificate is a warning and not an
 * error: to refuse it would make an outage for those clients too that do not look. Throws a ConfigError that names the
 * variable. The key's bytes are not kept.
 */
export function readTls({ tlsCertFile, tlsKeyFile }: TlsConfig, nowMs: number): Tls | undefined {
  if (tlsCertFile === undefined || tlsKeyFile === undefined) return undefined;
  const certName = `TLS_CERT_FILE (${JSON.stringify(tlsCertFile)})`;
  const keyName = `TLS_KEY_FILE (${JSON.stringify(tlsKeyFile)})`;
  const certPem = readFile(tlsCertFile, certName);
  const keyPem = readFile(tlsKeyFile, keyName);
  const certificate = readCertificate(certPem, certName);
  const key = readKey(keyPem, keyName);
  if (!certificate.checkPrivateKey(key)) {
    const isFurtherDown = chainOf(certPem).some((other) => other.checkPrivateKey(key));
    throw new ConfigError([
      isFurtherDown
        ? `${certName} begins with another certificate than the key's; put the service's own first, then its chain.`
        : `${keyName} does not fit ${certName}; both must be of one pair.`,
    ]);
  }
  const kind = key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType ?? '';
  if (!KEY_KINDS.includes(kind))
    throw new ConfigError([`${keyName} is a key of ${kind}; it must be one of ${KEY_KINDS.join(', ')}.`]);
  try {
    createSecureContext({ cert: certPem, key: keyPem });
  } catch (error) {
    throw new ConfigError([`${certName} and TLS_KEY_FILE cannot be used: ${reasonOf(error)}.`]);
  }
  return {
    certFile: tlsCertFile,
    keyFile: tlsKeyFile,
    notAfterMs: Date.parse(certificate.validTo),
    serialNumber: certificate.serialNumber,
    warnings: [...validity(certificate, certName, nowMs), ...permissions(tlsKeyFile, keyName)],
  };
}

function readFile(path: string, name: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    throw new ConfigError([`${name} cannot be read: ${reasonOf(error)}.`]);
  }
}

function readCertificate(pem: string, name: string): X509Certificate {
  if (!pem.includes('-----BEGIN CERTIFICATE-----')) {
    throw new ConfigError([
      pem.includes('PRIVATE KEY-----')
        ? `${name} holds a private key; it must hold the certificate. Are the two variables exchanged?`
        : `${name} is no certificate in PEM, which begins with "-----BEGIN CERTIFICATE-----".`,
    ]);
  }
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new ConfigError([`${name} holds a certificate that cannot be read: ${reasonOf(error)}.`]);
  }
}

function readKey(pem: string, name: string): KeyObject {
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED/.test(pem)) {
    throw new ConfigError([
      `${name} is encrypted, and nobody is there to type a passphrase; store it without one ("openssl pkey -in old -out new").`,
    ]);
  }
  if (!/-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/.test(pem)) {
    throw new ConfigError([`${name} is no private key in PEM, which begins with "-----BEGIN PRIVATE KEY-----".`]);
  }
  try {
    return createPrivateKey(pem);
  } catch (error) {
    throw new ConfigError([`${name} holds a key that cannot be read: ${reasonOf(error)}.`]);
  }
}

/** Those of the file that can be read. */
function chainOf(pem: string): readonly X509Certificate[] {
  const parts = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return parts.flatMap((part) => {
    try {
      return [new X509Certificate(part)];
    } catch {
      return [];
    }
  });
}

function validity(certificate: X509Certificate, name: string, nowMs: number): string[] {
  const { validFrom, validTo } = certificate;
  const leftMs = Date.parse(validTo) - nowMs;
  if (leftMs <= 0) return [`${name} expired on ${validTo}: clients refuse it; renew it and send SIGHUP`];
  if (Date.parse(validFrom) > nowMs) return [`${name} is not valid before ${validFrom}: clients refuse it until then`];
  if (leftMs < EXPIRY_WARNING_MS) return [`${name} expires on ${validTo}; renew it and send SIGHUP`];
  return [];
}

function permissions(path: string, name: string): string[] {
  const { mode } = statSync(path);
  if ((mode & WRITABLE_BY_OTHERS) !== 0) return [`${name} can be written by other users; chmod 600 it`];
  if ((mode & READABLE_BY_OTHERS) !== 0) return [`${name} can be read by every user of this machine; chmod 600 it`];
  return [];
}

/** Without the path, which stands before it, and without what OpenSSL adds for its authors. */
function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  switch (code) {
    case 'ENOENT':
      return 'there is no such file';
    case 'EACCES':
      return 'this user may not read it';
    case 'EISDIR':
      return 'it is a folder';
    default:
      return (message ?? String(error)).replace(/^error:[0-9A-F]+:/i, '');
  }
}
