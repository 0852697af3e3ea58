// Whether the service on this machine is ready: exit code 0 when /readyz says 200, else 1 and one line why. It reads the
// service's own variables, so it asks where the service listens, over TLS too. For Docker's HEALTHCHECK, and with
// `--wait SECONDS` for whatever is to go on only once the service answers (systemd's ExecStartPost).
import { request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import { loadConfig } from '../dist/config.js';

const ANSWER_MS_MAX = 3000;
const RETRY_MS = 100;
// An address that means "all of this machine's" is no address to ask.
const LOOPBACK = { '0.0.0.0': '127.0.0.1', '::': '::1' };

const config = readConfig();
const waitMs = readWait(process.argv.slice(2)) * 1000;
const startedMs = performance.now();
for (;;) {
  const problem = await ask();
  if (problem === undefined) process.exit(0);
  if (performance.now() - startedMs >= waitMs) fail(1, problem);
  await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
}

/** What is wrong; undefined: ready. */
function ask() {
  const request = config.tlsCertFile === undefined ? requestPlain : requestTls;
  const options = {
    host: LOOPBACK[config.host] ?? config.host,
    port: config.port,
    path: '/readyz',
    timeout: ANSWER_MS_MAX,
    agent: false,
    // It asks the process it belongs to, by an address that no certificate names.
    rejectUnauthorized: false,
  };
  return new Promise((resolve) => {
    const asked = request(options, (reply) => {
      reply.resume();
      resolve(reply.statusCode === 200 ? undefined : `/readyz says ${reply.statusCode}`);
    });
    asked.on('timeout', () => asked.destroy(new Error(`no answer in ${ANSWER_MS_MAX} ms`)));
    asked.on('error', (error) => resolve(error.message || error.code));
    asked.end();
  });
}

function readConfig() {
  try {
    return loadConfig(process.env);
  } catch (error) {
    return fail(2, error.message);
  }
}

/** Seconds. */
function readWait(args) {
  if (args.length === 0) return 0;
  const seconds = Number(args[1]);
  if (args[0] === '--wait' && args.length === 2 && seconds >= 0 && seconds <= 3600) return seconds;
  return fail(2, 'usage: healthcheck.mjs [--wait SECONDS]');
}

function fail(code, message) {
  console.error(`healthcheck: ${message}`);
  process.exit(code);
}
