// The only reader of the environment. One table says what each variable is called, means, allows and defaults to; the
// configuration, the messages about a wrong one, --help and .env.example all come from it, so they cannot disagree.
import { availableParallelism } from 'node:os';
import { editDistance, wrap } from './config-text.ts';
import {
  choice,
  databaseUrl,
  host,
  integer,
  origins,
  type Parsed,
  path,
  proxies,
  redisUrl,
  secretKey,
  show,
} from './config-values.ts';
import { cpuQuota } from './cpu-quota.ts';
import { limits } from './limits.ts';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export const ACCESS_LOG_MODES = ['all', 'sampled', 'errors'] as const;
export type AccessLogMode = (typeof ACCESS_LOG_MODES)[number];
export const TRANSPORTS = ['auto', 'uws', 'node'] as const;
export type TransportChoice = (typeof TRANSPORTS)[number];

export interface Config {
  readonly port: number;
  readonly host: string;
  /** Worker processes. */
  readonly workers: number;
  /** Absolute. */
  readonly dataDir: string;
  /** Undefined: the embedded database. It may hold a password: never print it. */
  readonly databaseUrl: string | undefined;
  /** Connections, that for hints apart. */
  readonly databasePoolSize: number;
  readonly databaseTimeoutMs: number;
  /** Undefined: no Redis. It may hold a password: never print it. */
  readonly redisUrl: string | undefined;
  readonly redisTimeoutMs: number;
  /** The server library. */
  readonly transport: TransportChoice;
  readonly logLevel: LogLevel;
  readonly accessLog: AccessLogMode;
  /** Never print it. */
  readonly bootstrapAdminKey: string | undefined;
  /** As browsers send them: lower-case scheme and host, no default port, no path. */
  readonly allowedOrigins: readonly string[];
  /** Open at once on this node; 0: as many as come. */
  readonly connectionsPerAddress: number;
  readonly metricsPort: number | undefined;
  readonly metricsHost: string;
  /** Absolute; undefined, as the key's: plain HTTP. Whether the two can be used is found out by `readTls`. */
  readonly tlsCertFile: string | undefined;
  readonly tlsKeyFile: string | undefined;
  /** Networks (CIDR) of the proxies whose word about a client's address is taken. */
  readonly trustProxy: readonly string[];
  /** How long workers serve without a primary before they drain; 0: for ever. */
  readonly orphanTimeoutMs: number;
  readonly drainDelayMs: number;
  readonly shutdownTimeoutMs: number;
  /** Fault injection for tests: a worker's compile of a delta takes at least this long. */
  readonly faultCompileMs: number;
}

/** Its message names every wrong variable, what is wrong with it and what would be right, one a line. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`The configuration is wrong.\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

interface Variable<T> {
  readonly name: string;
  /** What it allows, to end "must be ...". */
  readonly allowed: string;
  /** What holds when it is not set: a text as one would write it, or a value that has none. */
  readonly fallback: string | (() => T);
  readonly meaning: string;
  /** Its value is never printed. */
  readonly secret?: boolean;
  /** For tests only: not in --help, not in .env.example. */
  readonly internal?: boolean;
  readonly parse: (text: string) => Parsed<T>;
}

const DAY_MS = limits.durationMsMax;

const variables: { readonly [Field in keyof Config]: Variable<Config[Field]> } = {
  port: {
    name: 'PORT',
    ...integer(1, 65_535),
    fallback: '8000',
    meaning: 'The port of the API and its documentation.',
  },
  host: {
    // Every route that shows or changes anything wants a key, the first of which is random, and those without a key
    // tell only a status: so a service that exists to be called by others listens to them. See also METRICS_HOST.
    name: 'HOST',
    ...host(),
    fallback: '0.0.0.0',
    meaning:
      'The address to listen on. 127.0.0.1 for this machine only. Plain HTTP unless TLS_CERT_FILE is set: ' +
      'over a network use it, or put TLS before the service.',
  },
  workers: {
    name: 'WORKERS',
    ...integer(1, limits.workersMax),
    fallback: defaultWorkers,
    meaning: "Processes that answer. Not set: one a core, within the container's CPU quota, at most 16; 1 on macOS.",
  },
  dataDir: {
    name: 'DATA_DIR',
    ...path(),
    fallback: './data',
    meaning: 'The folder of the embedded database and the sockets. One service a folder.',
  },
  databaseUrl: {
    name: 'DATABASE_URL',
    ...databaseUrl(),
    fallback: () => undefined,
    secret: true,
    meaning:
      'The PostgreSQL (14 to 18) that holds the truth, for any number of nodes. Not set: the embedded database. For TLS add ' +
      '?sslmode=verify-full and, unless the system knows who signed the certificate, &sslrootcert=FILE.',
  },
  databasePoolSize: {
    name: 'DATABASE_POOL_SIZE',
    ...integer(2, limits.databasePoolSizeMax),
    fallback: '10',
    meaning:
      'Connections of this node to PostgreSQL at most, three of ten for reads alone; one more listens for changes. ' +
      "All nodes' together must stay below its max_connections.",
  },
  databaseTimeoutMs: {
    name: 'DATABASE_TIMEOUT_MS',
    ...integer(100, limits.databaseTimeoutMsMax, 'ms'),
    fallback: '5000',
    meaning:
      'How long a silent PostgreSQL is waited for, and in which a write must be ready to commit. Then it is taken to be away.',
  },
  redisUrl: {
    name: 'REDIS_URL',
    ...redisUrl(),
    fallback: () => undefined,
    secret: true,
    meaning:
      'The Redis that nodes of one DATABASE_URL share: faster news of changes, a hot copy to start from, rate limits over all nodes. Not set: none.',
  },
  redisTimeoutMs: {
    name: 'REDIS_TIMEOUT_MS',
    ...integer(10, limits.redisTimeoutMsMax, 'ms'),
    fallback: '250',
    meaning:
      'How long an answer of Redis is waited for. Without one the node goes on as if there were no Redis for a second.',
  },
  transport: {
    name: 'TRANSPORT',
    ...choice(TRANSPORTS),
    fallback: 'auto',
    meaning:
      "What serves. uws: uWebSockets.js, in native code, and no start where it cannot be loaded; node: Node.js's own " +
      'server, which runs everywhere and is slower; auto: uws where it can be loaded, else node and a warning.',
  },
  logLevel: {
    name: 'LOG_LEVEL',
    ...choice(LOG_LEVELS),
    fallback: 'info',
    meaning: 'The least severe log line that is written to standard output, as JSON.',
  },
  accessLog: {
    name: 'ACCESS_LOG',
    ...choice(ACCESS_LOG_MODES),
    fallback: 'sampled',
    meaning:
      'Lines about requests. sampled: a few a second of each status class, each saying how many it stands for; ' +
      'errors: the same without 2xx and 3xx; all: every request, which costs throughput.',
  },
  bootstrapAdminKey: {
    name: 'BOOTSTRAP_ADMIN_KEY',
    ...secretKey(),
    fallback: () => undefined,
    secret: true,
    meaning: 'The first admin key, made only if no key ever existed. Not set: a random one is made and shown once.',
  },
  allowedOrigins: {
    // No "*": the same list guards WebSockets, and naming who may call costs one line.
    name: 'ALLOWED_ORIGINS',
    ...origins(),
    fallback: () => Object.freeze([]),
    meaning:
      'Origins of web pages whose scripts may call the API (CORS) or open a WebSocket, exact, with commas between. "*" is not taken.',
  },
  connectionsPerAddress: {
    // High, because many clients may share an address; it is there so that one of them cannot take all connections.
    name: 'CONNECTIONS_PER_ADDRESS',
    ...integer(0, limits.connectionsPerAddressMax),
    fallback: '8192',
    meaning:
      'Connections that one client address (of IPv6: one /64) may have open on this node, those it opened within a second ' +
      'counted too; further ones are closed. 127.0.0.1 and ::1 are exempt. 0: no such limit.',
  },
  metricsPort: {
    name: 'METRICS_PORT',
    ...integer(1, 65_535),
    fallback: () => undefined,
    meaning:
      'Serves /metrics and /healthz whole, without a key, on a port of their own, always as plain HTTP. Not set: no such port.',
  },
  metricsHost: {
    name: 'METRICS_HOST',
    ...host(),
    fallback: '127.0.0.1',
    meaning: 'The address METRICS_PORT listens on. It asks for no key, so mind who can reach it.',
  },
  tlsCertFile: {
    name: 'TLS_CERT_FILE',
    ...path(),
    fallback: () => undefined,
    meaning:
      'The certificate as PEM, its chain behind it: PORT then speaks HTTPS only (TLS 1.2 and 1.3). Needs TLS_KEY_FILE. ' +
      'Both are read at start and again on SIGHUP. Not set: plain HTTP.',
  },
  tlsKeyFile: {
    name: 'TLS_KEY_FILE',
    ...path(),
    fallback: () => undefined,
    meaning: 'The private key of the certificate as PEM, without a passphrase, readable by nobody else.',
  },
  trustProxy: {
    // No "*" and no number of hops: whoever may name any address could hide in the log and go around bounds by address.
    name: 'TRUST_PROXY',
    ...proxies(),
    fallback: () => Object.freeze([]),
    meaning:
      'Proxies whose X-Forwarded-For is believed: the client is the last address in it that is none of theirs. ' +
      'loopback is 127.0.0.0/8 and ::1, private is 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 and fc00::/7. ' +
      'Not set: the client is who connects.',
  },
  orphanTimeoutMs: {
    name: 'ORPHAN_TIMEOUT_MS',
    ...integer(0, limits.orphanTimeoutMsMax, 'ms'),
    fallback: '0',
    meaning: 'How long workers go on answering when the primary is gone for good. 0: for ever.',
  },
  drainDelayMs: {
    name: 'DRAIN_DELAY_MS',
    ...integer(0, DAY_MS, 'ms'),
    fallback: '0',
    meaning: 'How long a stopping service still accepts connections while /readyz already says no.',
  },
  shutdownTimeoutMs: {
    name: 'SHUTDOWN_TIMEOUT_MS',
    ...integer(1, DAY_MS, 'ms'),
    fallback: '25000',
    meaning:
      'What a stopping service still has open is ended after this long, DRAIN_DELAY_MS included; a few seconds later it is gone.',
  },
  faultCompileMs: {
    name: 'BURGEE_FAULT_COMPILE_MS',
    ...integer(0, 600_000, 'ms'),
    fallback: '0',
    internal: true,
    meaning: 'Fault injection for tests: a worker takes this much longer to compile a change.',
  },
};

// Set by the launcher and the primary for the processes they start.
const INTERNAL = ['BURGEE_ROLE', 'BURGEE_SLOT', 'BURGEE_GENERATION'] as const;

// Kubernetes sets these in every pod beside a Service called burgee or burgee-something; they are not for us.
const KUBERNETES =
  /^BURGEE_(?:[A-Z0-9_]+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)$/;
const KUBERNETES_PORT = /^BURGEE_(?:[A-Z0-9_]+_)?PORT$/;

const entries = Object.entries(variables) as readonly [keyof Config, Variable<unknown>][];
const shown = entries
  .filter(([, { internal }]) => internal !== true)
  .map(([, variable]) => ({ ...variable, byDefault: defaultText(variable) }));
const known = [...entries.map(([, { name }]) => name), ...INTERNAL];

/**
 * The whole configuration, frozen. An empty variable counts as one that is not set.
 * Throws a ConfigError that names everything that is wrong.
 */
export function loadConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const problems: string[] = [];
  const config: Record<string, unknown> = {};
  for (const [field, variable] of entries) {
    const text = env[variable.name] || defaultText(variable);
    const parsed =
      text === '' && typeof variable.fallback === 'function' ? { value: variable.fallback() } : variable.parse(text);
    if ('value' in parsed) config[field] = parsed.value;
    else
      problems.push(
        `${variable.name} ${variable.secret ? '' : `(${show(text)}) `}${parsed.wrong}; it must be ${variable.allowed}.`,
      );
  }
  for (const [name, value] of Object.entries(env)) {
    if (isUnknown(name, value)) problems.push(`${name} is not a variable of Burgee${didYouMean(name)}; unset it.`);
  }
  if (problems.length === 0) problems.push(...contradictions(config as unknown as Config));
  if (problems.length > 0) throw new ConfigError(problems);
  return Object.freeze(config) as unknown as Config;
}

/** What --help says about the environment. */
export function helpText(): string {
  const lines = ['Environment variables:'];
  for (const { name, allowed, meaning, byDefault } of shown) {
    lines.push(
      '',
      `  ${name}${byDefault === '' ? '' : ` (default ${byDefault})`}: ${allowed}`,
      ...wrap(meaning, 100).map((line) => `      ${line}`),
    );
  }
  return lines.join('\n');
}

/** .env.example, whole: every variable commented out at its default. */
export function envExample(): string {
  const lines = [
    '# Every variable of Burgee at its default. Made from src/config.ts by `node scripts/generate-docs.mjs`; do not edit it.',
    '# Load it with `node --env-file=.env dist/main.js`, or by what starts the service.',
  ];
  for (const { name, allowed, meaning, byDefault } of shown) {
    lines.push(
      '',
      ...wrap(`${meaning} It must be ${allowed}.`, 116).map((line) => `# ${line}`),
      `# ${name}=${byDefault}`,
    );
  }
  return `${lines.join('\n')}\n`;
}

/** The table of docs/operations.md. */
export function variablesMarkdown(): string {
  const rows = shown.map(
    ({ name, allowed, meaning, byDefault }) =>
      `| \`${name}\` | ${byDefault === '' ? '' : `\`${byDefault}\``} | ${meaning} It must be ${allowed}. |`,
  );
  return ['| Variable | Default | What it does |', '|---|---|---|', ...rows].join('\n');
}

function defaultText({ fallback }: Variable<unknown>): string {
  return typeof fallback === 'string' ? fallback : '';
}

function contradictions(config: Config): string[] {
  const found: string[] = [];
  if (config.metricsPort === config.port)
    found.push(`METRICS_PORT (${config.port}) is PORT too; it must be another one.`);
  if ((config.tlsCertFile === undefined) !== (config.tlsKeyFile === undefined)) {
    const [set, missing] =
      config.tlsKeyFile === undefined ? ['TLS_CERT_FILE', 'TLS_KEY_FILE'] : ['TLS_KEY_FILE', 'TLS_CERT_FILE'];
    found.push(`${set} is set without ${missing}; set both for HTTPS, or neither.`);
  }
  if (config.redisUrl !== undefined && config.databaseUrl === undefined)
    found.push('REDIS_URL is set without DATABASE_URL; set both, or unset it: an embedded database is one node alone.');
  if (config.drainDelayMs >= config.shutdownTimeoutMs) {
    found.push(
      `DRAIN_DELAY_MS (${config.drainDelayMs}) is not below SHUTDOWN_TIMEOUT_MS (${config.shutdownTimeoutMs}), which includes it.`,
    );
  }
  return found;
}

function isUnknown(name: string, value: string | undefined): boolean {
  if (!name.startsWith('BURGEE_') || value === undefined || known.includes(name) || KUBERNETES.test(name)) return false;
  return !(KUBERNETES_PORT.test(name) && /^(?:tcp|udp|sctp):\/\//.test(value));
}

function didYouMean(name: string): string {
  const bare = name.slice('BURGEE_'.length);
  const near = known
    .map((candidate) => ({
      candidate,
      distance: Math.min(editDistance(name, candidate), editDistance(bare, candidate)),
    }))
    .sort((a, b) => a.distance - b.distance)[0];
  return near !== undefined && near.distance <= Math.max(2, near.candidate.length / 4)
    ? ` (did you mean ${near.candidate}?)`
    : '';
}

/** macOS gives all connections of a shared port to one process, so more would only wait. */
function defaultWorkers(): number {
  if (process.platform === 'darwin') return 1;
  return Math.max(1, Math.min(availableParallelism(), Math.ceil(cpuQuota('/')), 16));
}
