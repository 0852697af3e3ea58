// What every connection to PostgreSQL has in common: what its URL means, how long it is waited for, and one clear sentence
// for each way in which it can fail. None of the sentences holds the URL or what is in it.
import type { ClientConfig } from 'pg';
import { limits } from '../limits.ts';

/** The system asks a silent peer from then on whether it is still there. */
const KEEP_ALIVE_AFTER_MS = 10_000;

/** As `DATABASE_URL` has it, for `Client` and `Pool`. `name` is what pg_stat_activity shows. */
export function connectionConfig(url: string, name: string): ClientConfig {
  return {
    connectionString: withPlainTlsModes(url),
    connectionTimeoutMillis: limits.databaseConnectMsMax,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_AFTER_MS,
    application_name: name,
  };
}

/**
 * `pg` takes every sslmode for verify-full and says that this will change; asked to, it means by them what psql means by
 * them. Its word for the system's own certificate authorities is to name no file.
 */
function withPlainTlsModes(url: string): string {
  const parsed = new URL(url);
  if (!parsed.searchParams.has('sslmode')) return url;
  parsed.searchParams.set('uselibpqcompat', 'true');
  if (parsed.searchParams.get('sslrootcert') === 'system') parsed.searchParams.delete('sslrootcert');
  return parsed.href;
}

/** What the operator hears: what is wrong, and what would mend it where that is known. */
const PROBLEMS: Readonly<Record<string, string>> = {
  // The system's.
  ECONNREFUSED: 'nothing listens there; is PostgreSQL running, and are host and port right?',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  EHOSTUNREACH: 'there is no way to its host',
  ENETUNREACH: 'there is no way to its network',
  ETIMEDOUT: 'its host does not answer',
  ENOTFOUND: 'its host name is not known',
  EAI_AGAIN: 'its host name cannot be looked up now',
  // Of DATABASE_URL, files that it names: see also fileProblem.
  ERR_OSSL_PEM_NO_START_LINE: 'a certificate or key that DATABASE_URL names is no PEM',
  // TLS.
  CERT_HAS_EXPIRED: 'its certificate has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is signed by itself and not in sslrootcert',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is signed by an authority that is not in sslrootcert',
  UNABLE_TO_GET_ISSUER_CERT: 'its certificate is signed by an authority that is not in sslrootcert',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is signed by an authority that is not in sslrootcert',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is signed by an authority that is not in sslrootcert',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is not for the host that DATABASE_URL names',
  // The server's, as SQLSTATE.
  '08P01': 'the server, or a pooler before it, cut the connection',
  25006: 'it is read-only: a standby, or one that was told to be; DATABASE_URL must lead to the primary',
  '25P03': 'it ended a transaction that had been idle for too long',
  28000: 'it does not let this user in from here, or not without TLS (pg_hba.conf)',
  '28P01': 'it does not take this user and password',
  '3D000': 'there is no such database',
  42501: 'this user may not do that',
  53100: 'its disk is full',
  53200: 'it is out of memory',
  53300: 'it has too many connections; raise its max_connections or lower DATABASE_POOL_SIZE',
  '55P03': 'a lock was not to be had in time',
  57014: 'it cancelled the statement, which had taken too long',
  '57P01': 'it is being shut down, or ended the connection',
  '57P02': 'it crashed and recovers',
  '57P03': 'it is starting or stopping',
};

/** Of these somebody has to mend something: that the server is asked again at once helps nobody. */
const TO_BE_MENDED = /^(?:28|3D|42501|CERT_|DEPTH_|SELF_|UNABLE_|ERR_TLS|ERR_OSSL|ENOTFOUND|ENOENT|EACCES)/;

export interface Problem {
  readonly text: string;
  /** Waiting does not help, an operator does. */
  readonly isToBeMended: boolean;
}

/** What is wrong, from what `pg` threw. */
export function problemOf(error: unknown): Problem {
  const code = codeOf(error);
  const text = PROBLEMS[code] ?? fileProblem(error, code) ?? plainText(error);
  return { text: code === '' ? text : `${text} (${code})`, isToBeMended: TO_BE_MENDED.test(code) };
}

function codeOf(error: unknown): string {
  const { code } = error as { code?: unknown };
  if (typeof code === 'string') return code;
  // Each address of a name has an error of its own.
  const first = error instanceof AggregateError ? (error.errors[0] as { code?: unknown } | undefined)?.code : undefined;
  return typeof first === 'string' ? first : '';
}

function fileProblem(error: unknown, code: string): string | undefined {
  const { path, syscall } = error as NodeJS.ErrnoException;
  if (path === undefined || syscall !== 'open') return undefined;
  return `${path}, which DATABASE_URL names, ${code === 'ENOENT' ? 'is not there' : 'cannot be read'}`;
}

function plainText(error: unknown): string {
  const message = error instanceof Error ? error.message : '';
  if (/timeout|timed? ?out|timeout expired/i.test(message)) return 'no answer in time';
  if (/does not support SSL/.test(message))
    return 'it speaks no TLS, which sslmode asks for (ssl = on in postgresql.conf)';
  if (/terminated|not queryable|closed/i.test(message)) return 'the connection was cut';
  return message === '' ? 'for a reason that nobody gave' : message;
}
