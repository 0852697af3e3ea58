// A write that comes with an Idempotency-Key happens once: its outcome is stored in its own transaction and replayed for
// 24 hours. Only the SHA-256 of the Idempotency-Key is stored. That lets a reply which carries a new API key be stored
// encrypted under the Idempotency-Key itself: the client who repeats the request can have it again, the database alone
// cannot tell it. (Who reads the database and guesses the Idempotency-Key can, hence scrypt: use random ones.)
import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';
import type { CommandRequest } from '../ipc/messages.ts';
import type { Queryable } from './sql.ts';
import { type Done, refuse, sha256Hex, type Write } from './write.ts';

export const IDEMPOTENCY_HOURS = 24;
/** 64 MiB and some 100 ms for each guess. Paid only by a key.create or key.rotate with an Idempotency-Key. */
const SCRYPT = { N: 65_536, r: 8, p: 1, maxmem: 128 * 1024 * 1024 } as const;
const IV_BYTES = 12;
const AUTH_TAG_BYTES = 16;

/** A request's Idempotency-Key, ready for use in the transaction. */
export interface Replay {
  /** Where its outcome is, or will be. */
  readonly address: readonly [keyId: string, keyHash: string];
  readonly fingerprint: string;
  /** Set when the reply carries a secret: what encrypts it. */
  readonly sealingKey: Buffer | undefined;
}

/** Undefined when the request has no Idempotency-Key. Slow when its reply carries a secret: not for inside the lock. */
export async function prepareReplay(request: CommandRequest): Promise<Replay | undefined> {
  const { actor, idempotency, command } = request;
  if (idempotency === undefined || command.type === 'key.list') return undefined;
  const { key, fingerprint } = idempotency;
  const secret = command.type === 'key.create' || command.type === 'key.rotate';
  return {
    address: [actor, sha256Hex(key)],
    fingerprint,
    sealingKey: secret ? await deriveKey(key, `burgee idempotency\n${actor}\n${fingerprint}`) : undefined,
  };
}

interface StoredRow extends Record<string, unknown> {
  readonly fingerprint: string;
  readonly status: number;
  readonly headers: string;
  readonly body: string;
  readonly body_sealed: boolean;
  readonly revision: string;
}

/** The stored outcome; undefined when there is none. Refuses with IDEMPOTENCY_MISMATCH. */
export async function readReplay(write: Write, replay: Replay): Promise<Done | undefined> {
  const [row] = await write.tx.query<StoredRow>(
    `SELECT fingerprint, status, headers, body, body_sealed, revision FROM idempotency
      WHERE key_id = $1 AND idempotency_key_hash = $2 AND created_at > $3::timestamptz`,
    [...replay.address, oldestKept(write.at)],
  );
  if (row === undefined) return undefined;
  if (row.fingerprint !== replay.fingerprint) {
    refuse(
      'IDEMPOTENCY_MISMATCH',
      'this Idempotency-Key came with another method, address or body before; use a new one',
    );
  }
  const headers = JSON.parse(row.headers) as Record<string, string>;
  const body = row.body_sealed && replay.sealingKey !== undefined ? unseal(row.body, replay.sealingKey) : row.body;
  return { ok: true, status: row.status, headers, body, revision: Number(row.revision) };
}

export async function storeReplay(write: Write, replay: Replay, outcome: Done): Promise<void> {
  const { sealingKey } = replay;
  await write.tx.query(
    `INSERT INTO idempotency
        (key_id, idempotency_key_hash, fingerprint, status, headers, body, body_sealed, revision, created_at)
      VALUES ($1, $2, $3, $4::integer, $5, $6, $7::boolean, $8::bigint, $9::timestamptz)
      ON CONFLICT (key_id, idempotency_key_hash) DO UPDATE SET fingerprint = excluded.fingerprint,
        status = excluded.status, headers = excluded.headers, body = excluded.body,
        body_sealed = excluded.body_sealed, revision = excluded.revision, created_at = excluded.created_at`,
    [
      ...replay.address,
      replay.fingerprint,
      outcome.status,
      JSON.stringify(outcome.headers),
      sealingKey === undefined ? outcome.body : seal(outcome.body, sealingKey),
      sealingKey !== undefined,
      outcome.revision,
      write.now,
    ],
  );
}

/** Forgets at most `rowsMax` outcomes past their day. */
export async function pruneReplays(tx: Queryable, at: Date, rowsMax: number): Promise<void> {
  await tx.query(
    `DELETE FROM idempotency WHERE (key_id, idempotency_key_hash) IN (
      SELECT key_id, idempotency_key_hash FROM idempotency WHERE created_at <= $1::timestamptz
        ORDER BY created_at LIMIT $2::integer)`,
    [oldestKept(at), rowsMax],
  );
}

function oldestKept(at: Date): string {
  return new Date(at.getTime() - IDEMPOTENCY_HOURS * 3_600_000).toISOString();
}

function deriveKey(secret: string, salt: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(secret, salt, 32, SCRYPT, (error, key) => (error === null ? resolve(key) : reject(error)));
  });
}

/** AES-256-GCM: base64 of initialisation vector, authentication tag, ciphertext. */
function seal(text: string, key: Buffer): string {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, iv);
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString('base64');
}

function unseal(text: string, key: Buffer): string {
  const bytes = Buffer.from(text, 'base64');
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, IV_BYTES));
  decipher.setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + AUTH_TAG_BYTES));
  return decipher.update(bytes.subarray(IV_BYTES + AUTH_TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
}
