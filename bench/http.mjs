// How near a whole evaluation over HTTP comes to a server that does nothing: the service and a bare uWebSockets.js
// server send the same bytes in turns, each from one process on one core, with wrk on another.
//
//   npm run bench:http                    five pairs of five seconds
//   npm run bench:http -- --pairs 3 --seconds 2
//   npm run bench:http -- --rules 20      a flag of twenty rules with five conditions each, and attributes in the query
import { spawn } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { rawRequest } from './http/raw-request.mjs';
import { startService } from './http/service.mjs';
import { wrk } from './http/wrk.mjs';

const BARE_SERVER = fileURLToPath(new URL('./http/bare-server.mjs', import.meta.url));
const SERVER_CORE = 0;
const WRK_CORE = 1;
const CONNECTIONS = 64;
const FLAG_ID = 'new-checkout';
const ATTRIBUTES = '&attr.country=PL&attr.age=33&attr.plan=pro&attr.version=2.4.1&attr.email=user%40example.com';
// The server library writes these itself, for the bare server as for the service.
const HEADERS_OF_THE_LIBRARY = ['date', 'uwebsockets', 'content-length'];
const STEADY_ATTEMPTS_MAX = 100;
// The service's own start makes about one.
const BUSY_LOAD_MIN = 1.5;
const THROUGHPUT_RATIO_TARGET = 0.8;
const P99_RATIO_TARGET = 1.5;

const { values: flags } = parseArgs({
  options: {
    pairs: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    rules: { type: 'string', default: '0' },
  },
});
const pairCount = positiveInteger('pairs', flags.pairs);
const seconds = positiveInteger('seconds', flags.seconds);
const ruleCount = flags.rules === '0' ? 0 : positiveInteger('rules', flags.rules);
const PATH = `/api/v1/flags/${FLAG_ID}/evaluate?user_id=user-123&environment=prod${ruleCount === 0 ? '' : ATTRIBUTES}`;

requirePrograms(['wrk', 'taskset']);
if (availableParallelism() < 2) throw new Error('two cores are needed: one for the server, one for wrk');

const open = [];
process.once('SIGINT', () => void closeAll().then(() => process.exit(130)));
process.once('SIGTERM', () => void closeAll().then(() => process.exit(143)));
try {
  await main();
} finally {
  await closeAll();
}

async function main() {
  const flag = { flag_id: FLAG_ID, environment: 'prod', enabled: true, rollout_percentage: 25, rules: rules() };
  const service = await startService({ flag, workerCore: SERVER_CORE, otherCore: WRK_CORE });
  open.push(service);
  const headers = { 'X-API-Key': service.apiKey };
  const reply = await steadyReply(service.port, headers);
  const bare = await startBareServer(reply);
  open.push(bare);
  const shown = await checkSameBytes(reply, bare.port, headers);
  console.log(`both send the same reply (apart from evaluated_at):\n${shown.replace(/^/gm, '  ')}`);
  warnWhenBusy();

  const workerPid = service.workerPid();
  const measure = async ({ port, pid }) => {
    const url = `http://127.0.0.1:${port}${PATH}`;
    const cpuBefore = cpuSeconds(pid);
    const report = await wrk({ url, headers, core: WRK_CORE, connections: CONNECTIONS, seconds });
    return { ...report, cpuMicros: ((cpuSeconds(pid) - cpuBefore) / report.requests) * 1e6 };
  };
  const sides = { bare, service: { port: service.port, pid: workerPid } };
  console.log(`warm-up, then ${pairCount} pairs of ${seconds} s, ${CONNECTIONS} connections, one server core`);
  await measure(sides.bare);
  await measure(sides.service);

  const pairs = [];
  for (let pair = 1; pair <= pairCount; pair += 1) {
    // Who goes first changes with each pair, so that a machine that warms or slows favours neither.
    const order = pair % 2 === 1 ? ['bare', 'service'] : ['service', 'bare'];
    const measured = {};
    for (const side of order) measured[side] = await measure(sides[side]);
    pairs.push(measured);
    console.log(describePair(pair, measured));
  }
  if (service.workerPid() !== workerPid) throw new Error('the worker was replaced during the run');
  await checkSameBytes(await steadyReply(service.port, headers), bare.port, headers);
  summarise(pairs);
}

/** Rules that none of the requests meets, each found out at its last condition: every condition is asked. */
function rules() {
  return Array.from({ length: ruleCount }, (_, i) => ({
    rule_id: `rule-${i}`,
    when: {
      all: [
        { attribute: 'age', op: 'gte', values: [18] },
        { attribute: 'plan', op: 'in', values: ['pro', 'free'] },
        { attribute: 'version', op: 'semver_gte', values: ['2.0.0'] },
        { attribute: 'email', op: 'ends_with', values: ['@example.com'] },
        { attribute: 'country', op: 'equals', values: [`X${i}`] },
      ],
    },
    serve: { variant: 'on' },
  }));
}

function describePair(pair, { bare, service }) {
  const side = ({ requestsPerSecond, p99Ms, cpuMicros }) =>
    `${requestsPerSecond.toFixed(0).padStart(7)} req/s  p99 ${p99Ms.toFixed(2)} ms  ${cpuMicros.toFixed(2)} us CPU`;
  const ratio = (service.requestsPerSecond / bare.requestsPerSecond).toFixed(3);
  const p99Ratio = (service.p99Ms / bare.p99Ms).toFixed(2);
  return `pair ${pair}  bare ${side(bare)}   service ${side(service)}   ratio ${ratio}  p99 ratio ${p99Ratio}`;
}

function summarise(pairs) {
  const throughput = median(pairs.map(({ bare, service }) => service.requestsPerSecond / bare.requestsPerSecond));
  const cpu = median(pairs.map(({ bare, service }) => bare.cpuMicros / service.cpuMicros));
  const p99 = median(pairs.map(({ bare, service }) => service.p99Ms / bare.p99Ms));
  const verdict = (holds) => (holds ? 'holds' : 'MISSED');
  console.log(
    `median requests/s ratio ${throughput.toFixed(3)} (target >= ${THROUGHPUT_RATIO_TARGET}: ${verdict(throughput >= THROUGHPUT_RATIO_TARGET)})`,
  );
  // One wrk on one core may run out before a bare server does; what a request costs the server does not depend on it.
  console.log(`median ratio of requests per second of server CPU ${cpu.toFixed(3)}`);
  console.log(
    `median p99 ratio ${p99.toFixed(2)} (target <= ${P99_RATIO_TARGET}: ${verdict(p99 <= P99_RATIO_TARGET)})`,
  );
}

/** User and system time of a process so far; Linux counts it in hundredths of a second. */
function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function startBareServer(reply) {
  const own = reply.headers.filter(([name]) => !HEADERS_OF_THE_LIBRARY.includes(name.toLowerCase()));
  const constant = JSON.stringify({ status: reply.status, headers: own, body: reply.body });
  const child = spawn('taskset', ['-c', String(SERVER_CORE), process.execPath, BARE_SERVER, constant], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  const port = await new Promise((resolve, reject) => {
    child.once('message', (message) => resolve(message.port));
    child.once('error', reject);
    child.once('close', (code) => reject(new Error(`the bare server ended with ${code}`)));
  });
  return {
    port,
    pid: child.pid,
    close: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/**
 * The reply that nearly all requests get: a key's very first one waits for its lease of the rate limit and is answered
 * the longer way, with a header more.
 */
async function steadyReply(port, headers) {
  let before;
  for (let attempt = 0; attempt < STEADY_ATTEMPTS_MAX; attempt += 1) {
    const reply = await rawRequest({ port, path: PATH, headers });
    if (reply.status !== '200 OK') throw new Error(`the service answered ${reply.status}: ${reply.body}`);
    if (before !== undefined && show(before) === show(reply)) return reply;
    before = reply;
  }
  throw new Error(`no two replies of the service are the same:\n${show(before)}`);
}

/** A bench of two servers that send different things would measure the difference of the things. Returns the reply. */
async function checkSameBytes(fromService, barePort, headers) {
  const fromBare = await rawRequest({ port: barePort, path: PATH, headers });
  const [expected, got] = [show(fromService), show(fromBare)];
  if (expected !== got) throw new Error(`the replies differ.\nservice:\n${expected}\n\nbare:\n${got}`);
  return expected;
}

/** A reply with what may differ blanked. */
function show({ status, headers, body }) {
  const lines = headers.map(([name, value]) => (name.toLowerCase() === 'date' ? name : `${name}: ${value}`));
  return [status, ...lines, body.replace(/"evaluated_at":"[^"]+"/, '"evaluated_at":"..."')].join('\n');
}

async function closeAll() {
  while (open.length > 0) await open.pop().close();
}

function warnWhenBusy() {
  const load = loadavg()[0];
  if (load > BUSY_LOAD_MIN)
    console.log(`NOTE: load average ${load.toFixed(1)}: something else runs here, and the ratios will be noise`);
}

function requirePrograms(names) {
  for (const name of names) {
    const found = (process.env.PATH ?? '').split(delimiter).some((folder) => {
      try {
        accessSync(join(folder, name), constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
    if (!found) throw new Error(`${name} is not on the PATH (Debian: apt-get install wrk util-linux)`);
  }
}

function positiveInteger(name, text) {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${name} takes a whole number above 0, not ${text}`);
  return value;
}

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
