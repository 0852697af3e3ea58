// The configuration: what nothing set means, how a wrong variable is refused by name, and that help and .env.example say the same.

import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { type Test, test } from 'tap';
import { ConfigError, envExample, helpText, loadConfig } from '../../src/config.ts';

const SECRET = 'correct-horse-battery-staple-0123456789';

test('with nothing set everything has its default', (t) => {
  const config = loadConfig({});
  t.match(config, {
    port: 8000,
    host: '0.0.0.0',
    dataDir: resolve('data'),
    logLevel: 'info',
    accessLog: 'sampled',
    bootstrapAdminKey: undefined,
    allowedOrigins: [],
    metricsPort: undefined,
    metricsHost: '127.0.0.1',
    tlsCertFile: undefined,
    tlsKeyFile: undefined,
    trustProxy: [],
    orphanTimeoutMs: 0,
    drainDelayMs: 0,
    shutdownTimeoutMs: 25_000,
    faultCompileMs: 0,
  });
  t.ok(config.workers >= 1 && config.workers <= Math.min(16, availableParallelism()));
  t.ok(Object.isFrozen(config) && Object.isFrozen(config.allowedOrigins));
  t.end();
});

test('takes what is set', (t) => {
  const config = loadConfig({
    PORT: '8123',
    HOST: '::1',
    WORKERS: '4',
    DATA_DIR: '/var/lib/burgee',
    LOG_LEVEL: 'warn',
    ACCESS_LOG: 'all',
    BOOTSTRAP_ADMIN_KEY: SECRET,
    ALLOWED_ORIGINS: 'https://a.example, http://localhost:3000,https://a.example',
    CONNECTIONS_PER_ADDRESS: '500',
    METRICS_PORT: '9100',
    METRICS_HOST: '0.0.0.0',
    TLS_CERT_FILE: 'tls/cert.pem',
    TLS_KEY_FILE: '/run/secrets/key.pem',
    TRUST_PROXY: 'loopback, 10.1.2.3,192.0.2.0/24, 2001:db8::/48,10.1.2.3',
    ORPHAN_TIMEOUT_MS: '60000',
    REDIS_TIMEOUT_MS: '400',
    DRAIN_DELAY_MS: '5000',
    SHUTDOWN_TIMEOUT_MS: '10000',
    BURGEE_FAULT_COMPILE_MS: '5000',
    BURGEE_ROLE: 'worker',
    BURGEE_SLOT: '2',
    TRANSPORT: 'node',
    DATABASE_URL: 'postgres://user:word@db.example/burgee?sslmode=verify-full',
    DATABASE_POOL_SIZE: '25',
    DATABASE_TIMEOUT_MS: '2000',
    PATH: '/bin',
  });
  t.same(config, {
    port: 8123,
    host: '::1',
    workers: 4,
    transport: 'node',
    dataDir: '/var/lib/burgee',
    databaseUrl: 'postgres://user:word@db.example/burgee?sslmode=verify-full',
    databasePoolSize: 25,
    databaseTimeoutMs: 2000,
    logLevel: 'warn',
    accessLog: 'all',
    bootstrapAdminKey: SECRET,
    allowedOrigins: ['https://a.example', 'http://localhost:3000'],
    connectionsPerAddress: 500,
    metricsPort: 9100,
    metricsHost: '0.0.0.0',
    tlsCertFile: resolve('tls/cert.pem'),
    tlsKeyFile: '/run/secrets/key.pem',
    trustProxy: ['127.0.0.0/8', '::1/128', '10.1.2.3/32', '192.0.2.0/24', '2001:db8::/48'],
    orphanTimeoutMs: 60_000,
    redisTimeoutMs: 400,
    drainDelayMs: 5000,
    shutdownTimeoutMs: 10_000,
    faultCompileMs: 5000,
  });
  t.end();
});

test('an empty variable counts as one that is not set', (t) => {
  t.same(loadConfig({ PORT: '', DATABASE_URL: '', METRICS_PORT: '' }), loadConfig({}));
  t.end();
});

const refused: readonly (readonly [string, string, RegExp])[] = [
  ['PORT', '80a', /PORT \("80a"\) is not a whole number in decimal digits; it must be a whole number, 1 to 65535\./],
  ['PORT', '0', /PORT \("0"\) is too low/],
  ['PORT', '65536', /too high/],
  ['PORT', '0x50', /not a whole number/],
  ['PORT', ' 80', /not a whole number/],
  ['PORT', '1e3', /not a whole number/],
  ['PORT', '99999999999999999999', /not a whole number/],
  ['WORKERS', '0', /too low/],
  ['WORKERS', '-1', /not a whole number/],
  ['WORKERS', '1000', /too high/],
  ['HOST', 'a b', /HOST \("a b"\) is no address/],
  ['HOST', 'http://x', /no address/],
  ['DATA_DIR', 'a\0b', /NUL/],
  ['LOG_LEVEL', 'verbose', /LOG_LEVEL \("verbose"\) is none of them; it must be one of trace, debug/],
  ['LOG_LEVEL', 'constructor', /none of them/],
  ['ACCESS_LOG', 'none', /one of all, sampled, errors/],
  ['BOOTSTRAP_ADMIN_KEY', 'short-secret', /BOOTSTRAP_ADMIN_KEY has only 12 characters; it must be 32 to 512/],
  ['BOOTSTRAP_ADMIN_KEY', `${SECRET}\n`, /a header cannot carry/],
  ['BOOTSTRAP_ADMIN_KEY', `${SECRET}é`, /a header cannot carry/],
  ['ALLOWED_ORIGINS', '*', /"\*", but every origin must be named/],
  ['ALLOWED_ORIGINS', 'https://a.example/', /not an origin as a browser sends it/],
  ['ALLOWED_ORIGINS', 'https://a.example:443', /not an origin/],
  ['ALLOWED_ORIGINS', 'HTTPS://A.example', /not an origin/],
  ['ALLOWED_ORIGINS', 'null', /not an origin/],
  ['METRICS_PORT', '8000', /METRICS_PORT \(8000\) is PORT too/],
  ['DRAIN_DELAY_MS', '25000', /DRAIN_DELAY_MS \(25000\) is not below SHUTDOWN_TIMEOUT_MS/],
  ['SHUTDOWN_TIMEOUT_MS', '0', /too low/],
  ['ORPHAN_TIMEOUT_MS', '3000000000', /too high/],
  ['DATABASE_URL', 'mysql://u:p@h/db', /DATABASE_URL does not begin with postgres:\/\//],
  ['DATABASE_URL', 'postgres://h:port/db', /DATABASE_URL is no URL/],
  ['REDIS_URL', 'h:6379', /REDIS_URL does not begin with redis:\/\//],
  ['REDIS_URL', 'redis://h', /REDIS_URL is set without DATABASE_URL/],
  ['TLS_CERT_FILE', '/a', /TLS_CERT_FILE is set without TLS_KEY_FILE; set both for HTTPS, or neither/],
  ['TLS_KEY_FILE', '/a', /TLS_KEY_FILE is set without TLS_CERT_FILE/],
  ['TLS_KEY_FILE', 'a\0b', /TLS_KEY_FILE \("a\\u0000b"\) contains a NUL/],
  ['TRUST_PROXY', '1', /TRUST_PROXY \("1"\) has "1", which is no address, network or word that is known/],
  ['TRUST_PROXY', 'true', /has "true", which is no address/],
  ['TRUST_PROXY', '*', /has "\*"/],
  ['TRUST_PROXY', 'constructor', /has "constructor"/],
  ['TRUST_PROXY', 'proxy.example.com', /has "proxy.example.com"/],
  ['TRUST_PROXY', '10.0.0.1:80', /has "10.0.0.1:80"/],
  ['TRUST_PROXY', '10.0.0.0/33', /has "10.0.0.0\/33"/],
  ['TRUST_PROXY', '10.0.0', /has "10.0.0"/],
  ['TRUST_PROXY', 'fe80::1%eth0', /has "fe80::1%eth0"/],
  ['TRUST_PROXY', '10.0.0.1,0.0.0.0/0', /has "0.0.0.0\/0", which is too wide/],
  ['TRUST_PROXY', '128.0.0.0/1', /too wide/],
  ['TRUST_PROXY', '::/0', /too wide/],
  ['TRUST_PROXY', '::ffff:0:0/96', /too wide/],
  [
    'TRUST_PROXY',
    Array.from({ length: 257 }, (_, i) => `10.0.1.${i % 250}`).join(),
    /names 257 proxies, more than 256/,
  ],
  ['BURGEE_PROT', '1', /BURGEE_PROT is not a variable of Burgee \(did you mean PORT\?\)/],
  ['BURGEE_PORT', '9000', /did you mean PORT\?/],
  ['BURGEE_WORKER', '2', /did you mean WORKERS\?/],
  ['BURGEE_FAULT_COMPILE', '2', /did you mean BURGEE_FAULT_COMPILE_MS\?/],
  ['BURGEE_COMPLETELY_DIFFERENT', '2', /BURGEE_COMPLETELY_DIFFERENT is not a variable of Burgee; unset it/],
];

for (const [name, value, message] of refused) {
  test(`refuses ${name}=${JSON.stringify(value)} by name`, (t) => {
    t.match(refusal(t, { [name]: value }).message, message);
    t.end();
  });
}

test('names every wrong variable at once, and never the value of a secret', (t) => {
  const error = refusal(t, {
    PORT: 'x',
    WORKERS: 'y',
    BOOTSTRAP_ADMIN_KEY: 'hunter2',
    DATABASE_URL: 'postgres://me:hunter3@h:x/db',
  });
  t.equal(error.problems.length, 4);
  t.notMatch(error.message, /hunter/);
  t.end();
});

test('what Kubernetes sets for a Service called burgee is not a mistake', (t) => {
  t.doesNotThrow(() =>
    loadConfig({
      BURGEE_SERVICE_HOST: '10.0.0.1',
      BURGEE_SERVICE_PORT: '8000',
      BURGEE_SERVICE_PORT_HTTP: '8000',
      BURGEE_PORT: 'tcp://10.0.0.1:8000',
      BURGEE_PORT_8000_TCP: 'tcp://10.0.0.1:8000',
      BURGEE_PORT_8000_TCP_ADDR: '10.0.0.1',
      BURGEE_METRICS_SERVICE_HOST: '10.0.0.2',
    }),
  );
  t.end();
});

test('words stand for networks, and blanks and empty parts do not count', (t) => {
  const { trustProxy } = loadConfig({ TRUST_PROXY: ' private ,, loopback,' });
  t.same(trustProxy, ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7', '127.0.0.0/8', '::1/128']);
  t.same(loadConfig({ TRUST_PROXY: ',' }).trustProxy, []);
  t.end();
});

test('help names every variable with what it allows', (t) => {
  const help = helpText();
  t.match(help, /PORT \(default 8000\): a whole number, 1 to 65535/);
  t.match(help, /DATA_DIR \(default \.\/data\): a path/);
  t.match(help, /DATABASE_URL: a URL like postgres:\/\//);
  t.notMatch(help, /BURGEE_/);
  t.end();
});

test('.env.example is what the table says', (t) => {
  t.equal(readFileSync('.env.example', 'utf8'), envExample(), 'run npm run build && node scripts/generate-docs.mjs');
  t.end();
});

test('.env.example, uncommented, is the default configuration', (t) => {
  const env = Object.fromEntries(
    [...envExample().matchAll(/^# ([A-Z_]+)=(.*)$/gm)].map(([, name, value]) => [name, value]),
  );
  t.same(loadConfig(env), loadConfig({}));
  t.end();
});

function refusal(t: Test, env: Record<string, string>): ConfigError {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  t.fail('it was accepted');
  throw new Error('accepted');
}

test('a DATABASE_URL that cannot work is refused for what is wrong with it, and never shown', (t) => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['mysql://u:hidden@h/d', /does not begin with postgres:/],
    ['postgres://u:hidden@a:5432,b:5432/d?target_session_attrs=read-write', /names several hosts/],
    ['postgres://u:hid/den@h:5432/d', /is no URL; in a password write/],
    ['postgres://u:hidden@h/d?sslmode=prefer', /has sslmode="prefer", which is none of disable, require/],
    ['postgres://u:hidden@h/d?sslmode=verify-ca', /verify-ca without sslrootcert/],
  ];
  for (const [DATABASE_URL, expected] of cases) {
    t.throws(() => loadConfig({ DATABASE_URL }), expected);
    try {
      loadConfig({ DATABASE_URL });
    } catch (error) {
      t.notMatch(String(error), /hid/);
    }
  }
  t.ok(loadConfig({ DATABASE_URL: 'postgresql://u@%2Frun%2Fpostgresql/d' }));
  t.end();
});
