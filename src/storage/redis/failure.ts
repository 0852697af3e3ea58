// Why Redis did not do what was asked, in a few words that hold nothing of what was sent: an error of the client carries
// the command with its arguments, the password among them.

export type RedisFailure =
  | 'auth'
  | 'busy'
  | 'clients'
  | 'cluster'
  | 'connection'
  | 'loading'
  | 'memory'
  | 'name'
  | 'other'
  | 'paused'
  | 'permission'
  | 'readonly'
  | 'sentinel'
  | 'timeout'
  | 'tls'
  | 'unwritable';

const SENTENCES: Readonly<Record<RedisFailure, string>> = {
  auth: 'Redis refuses the user name or password of REDIS_URL, or wants one',
  busy: 'Redis has too many commands of this node to answer',
  clients: 'Redis has as many clients as it may',
  cluster: 'the cluster has no server for the keys, or REDIS_URL names a cluster without redis+cluster://',
  connection: 'Redis cannot be reached',
  loading: 'Redis is loading its data',
  memory: 'Redis is out of memory and may evict nothing; see maxmemory and maxmemory-policy',
  name: 'the host name of REDIS_URL cannot be resolved',
  other: 'Redis refused a command',
  paused: 'Redis failed within the last second',
  permission: 'the user of REDIS_URL may not do what Burgee does; docs/decisions/0034-redis.md has the rules it needs',
  readonly: 'Redis is a replica, which takes no writes',
  sentinel: 'the sentinels know no server of the name in REDIS_URL',
  timeout: 'Redis does not answer in time',
  tls: 'the TLS of Redis cannot be trusted or is not there; for a private CA set NODE_EXTRA_CA_CERTS',
  unwritable: 'Redis takes no writes: it cannot save them, or has too few replicas',
};

/** The words of the server's errors. In Lua they stand in the middle of the message, so they are looked for anywhere. */
const REPLIES: readonly (readonly [RegExp, RedisFailure])[] = [
  [/\b(?:NOAUTH|WRONGPASS)\b|invalid (?:username-)?password|without any password configured|AUTH failed/i, 'auth'],
  [/\bLOADING\b/, 'loading'],
  [/\b(?:READONLY|MASTERDOWN)\b/, 'readonly'],
  [/\bOOM\b/, 'memory'],
  [/\bNOPERM\b|\bpermissions? to (?:run|access)/i, 'permission'],
  [/\b(?:MISCONF|NOREPLICAS)\b/, 'unwritable'],
  [/max number of clients/i, 'clients'],
  [
    /\b(?:CLUSTERDOWN|MOVED|ASK|TRYAGAIN|CROSSSLOT)\b|slots cache|redirections|startup nodes|Cluster isn't ready|cluster support disabled/i,
    'cluster',
  ],
  [/\bBUSY\b/, 'timeout'],
  [/invalid reply: null/, 'sentinel'],
];

const TLS_CODES = /^(?:ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|EPROTO|HOSTNAME_MISMATCH)/;

export function failureOf(error: unknown): RedisFailure {
  if (!(error instanceof Error)) return 'other';
  // Of a cluster none of whose nodes could be asked.
  if ('lastNodeError' in error && error.lastNodeError instanceof Error) return failureOf(error.lastNodeError);
  const code = 'code' in error ? String(error.code) : '';
  if (TLS_CODES.test(code)) return 'tls';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN' || /\b(?:ENOTFOUND|EAI_AGAIN)\b/.test(error.message)) return 'name';
  const found = REPLIES.find(([words]) => words.test(error.message));
  if (found !== undefined) return found[1];
  if (error.name === 'ReplyError') return 'other';
  return /timed out|ETIMEDOUT/i.test(error.message) ? 'timeout' : 'connection';
}

export function sentenceOf(failure: RedisFailure): string {
  return SENTENCES[failure];
}
