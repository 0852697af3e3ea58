// Certificates for tests, written byte by byte: `openssl req` cannot make one that has expired, and asks for a process.
import { createSign, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

type KeyType = 'ec' | 'secp256k1' | 'rsa' | 'ed25519';

export interface CertificateOptions {
  readonly type?: KeyType;
  /** Milliseconds since 1970. */
  readonly notBeforeMs?: number;
  readonly notAfterMs?: number;
  readonly name?: string;
}

export interface Pair {
  readonly certPem: string;
  readonly keyPem: string;
  readonly key: KeyObject;
  /** As X509Certificate.serialNumber. */
  readonly serialNumber: string;
}

const DAY_MS = 86_400_000;
let serial = 0x4000;

/** A self-signed certificate for localhost, 127.0.0.1 and ::1, good for a month, each with a serial number of its own. */
export function makeCertificate(options: CertificateOptions = {}): Pair {
  const { type = 'ec', name = 'localhost', notBeforeMs = Date.now() - DAY_MS } = options;
  const notAfterMs = options.notAfterMs ?? Date.now() + 30 * DAY_MS;
  const { privateKey, publicKey } = keyPair(type);
  const algorithm = der(0x30, oid(ALGORITHMS[type]), ...(type === 'rsa' ? [der(0x05)] : []));
  serial += 1;
  const serialHex = serial.toString(16).toUpperCase();
  // A client looks for who signed a certificate by this name, and finds the wrong one of two that share it.
  const subject = der(0x30, der(0x31, der(0x30, oid('550403'), der(0x0c, Buffer.from(`${name} ${serialHex}`)))));
  // dNSName, then iPAddress twice.
  const names = [
    der(0x82, Buffer.from(name)),
    der(0x87, Buffer.from([127, 0, 0, 1])),
    der(0x87, Buffer.from([...Array(15).fill(0), 1])),
  ];
  const alternativeNames = der(0x30, oid('551d11'), der(0x04, der(0x30, ...names)));
  const body = der(
    0x30,
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from(serialHex, 'hex')),
    algorithm,
    subject,
    der(0x30, time(notBeforeMs), time(notAfterMs)),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, der(0x30, alternativeNames)),
  );
  const signature =
    type === 'ed25519' ? sign(null, body, privateKey) : createSign('sha256').update(body).sign(privateKey);
  const certificate = der(0x30, body, algorithm, der(0x03, Buffer.from([0]), signature));
  return {
    certPem: pem('CERTIFICATE', certificate),
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    key: privateKey,
    serialNumber: serialHex,
  };
}

export interface PairFiles extends Pair {
  readonly certFile: string;
  readonly keyFile: string;
}

/** The same as files in a folder of their own under the temporary directory, which the caller may remove. */
export function writeCertificate(options: CertificateOptions = {}): PairFiles {
  const folder = mkdtempSync(join(tmpdir(), 'burgee-tls-'));
  const files = { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') };
  const pair = makeCertificate(options);
  putCertificate(files, pair);
  return { ...pair, ...files };
}

/** Over what is there, as an operator renews. */
export function putCertificate(files: Pick<PairFiles, 'certFile' | 'keyFile'>, pair: Pair): void {
  writeFileSync(files.certFile, pair.certPem);
  writeFileSync(files.keyFile, pair.keyPem, { mode: 0o600 });
}

const ALGORITHMS = {
  // ecdsa-with-SHA256, sha256WithRSAEncryption, Ed25519
  ec: '2a8648ce3d040302',
  secp256k1: '2a8648ce3d040302',
  rsa: '2a864886f70d01010b',
  ed25519: '2b6570',
};

function keyPair(type: KeyType): { privateKey: KeyObject; publicKey: KeyObject } {
  if (type === 'ec') return generateKeyPairSync('ec', { namedCurve: 'P-256' });
  if (type === 'secp256k1') return generateKeyPairSync('ec', { namedCurve: type });
  return type === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ed25519');
}

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'));
}

/** GeneralizedTime. */
function time(ms: number): Buffer {
  return der(0x18, Buffer.from(`${new Date(ms).toISOString().replaceAll(/[-:T]|\.\d+/g, '')}`));
}

function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}
