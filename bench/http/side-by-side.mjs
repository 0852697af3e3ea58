// What the benches of two servers share: the bare server's process, replies compared byte for byte, pairs of
// measurements in turns, and their medians.
import { spawn } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rawRequest } from './raw-request.mjs';
import { wrk } from './wrk.mjs';

export const SERVER_CORE = 0;
export const WRK_CORE = 1;

const BARE_SERVER = fileURLToPath(new URL('./bare-server.mjs', import.meta.url));
// The server library writes these itself, for the bare server as for the service.
const HEADERS_OF_THE_LIBRARY = ['date', 'uwebsockets', 'content-length'];
// What is another with each request, and as long.
const HEADERS_THAT_VARY = ['date', 'x-request-id', 'etag'];
const STEADY_ATTEMPTS_MAX = 100;
// The service's own start makes about one.
const BUSY_LOAD_MIN = 1.5;

/**
 * A server that sends this reply to every request of `method` at `pattern`, on SERVER_CORE.
 * @returns {Promise<{port: number, pid: number, close: () => Promise<void>}>}
 */
export async function startBareServer({ method, pattern, reply }) {
  const own = reply.headers.filter(([name]) => !HEADERS_OF_THE_LIBRARY.includes(name.toLowerCase()));
  const constant = JSON.stringify({ method, pattern, status: reply.status, headers: own, body: reply.body });
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
export async function steadyReply(request) {
  let before;
  for (let attempt = 0; attempt < STEADY_ATTEMPTS_MAX; attempt += 1) {
    const reply = await rawRequest(request);
    if (reply.status !== '200 OK') throw new Error(`the service answered ${reply.status}: ${reply.body}`);
    if (before !== undefined && show(before) === show(reply)) return reply;
    before = reply;
  }
  throw new Error(`no two replies of the service are the same:\n${show(before)}`);
}

/** A bench of two servers that send different things would measure the difference of the things. Returns the reply. */
export async function checkSameBytes(fromService, requestOfBare) {
  const fromBare = await rawRequest(requestOfBare);
  const [expected, got] = [show(fromService), show(fromBare)];
  if (expected !== got) throw new Error(`the replies differ.\nservice:\n${expected}\n\nbare:\n${got}`);
  return expected;
}

/** A reply with what may differ blanked. */
function show({ status, headers, body }) {
  const lines = headers.map(([name, value]) =>
    HEADERS_THAT_VARY.includes(name.toLowerCase()) ? `${name}: ${'.'.repeat(value.length)}` : `${name}: ${value}`,
  );
  return [status, ...lines, body.replace(/"evaluated_at":"[^"]+"/, '"evaluated_at":"..."')].join('\n');
}

/**
 * Measures `bare` and `service` in turns. Each is `{ url, pid }`, with `headers` where they are not the same for both.
 * @returns {Promise<{bare: object, service: object}[]>} of each pair what wrk reported, and `cpuMicros` a request
 */
export async function measurePairs({ bare, service, pairCount, seconds, connections, headers, script }) {
  const measure = async ({ url, pid, headers: own }) => {
    const cpuBefore = cpuSeconds(pid);
    const report = await wrk({ url, headers: own ?? headers, core: WRK_CORE, connections, seconds, script });
    return { ...report, cpuMicros: ((cpuSeconds(pid) - cpuBefore) / report.requests) * 1e6 };
  };
  const sides = { bare, service };
  console.log(`warm-up, then ${pairCount} pairs of ${seconds} s, ${connections} connections, one server core`);
  await measure(bare);
  await measure(service);
  const pairs = [];
  for (let pair = 1; pair <= pairCount; pair += 1) {
    // Who goes first changes with each pair, so that a machine that warms or slows favours neither.
    const order = pair % 2 === 1 ? ['bare', 'service'] : ['service', 'bare'];
    const measured = {};
    for (const side of order) measured[side] = await measure(sides[side]);
    pairs.push(measured);
    console.log(describePair(pair, measured));
  }
  return pairs;
}

function describePair(pair, { bare, service }) {
  const side = ({ requestsPerSecond, p50Ms, p99Ms, cpuMicros }) =>
    `${requestsPerSecond.toFixed(0).padStart(7)} req/s  p50 ${p50Ms.toFixed(2)}  p99 ${p99Ms.toFixed(2)} ms  ${cpuMicros.toFixed(2)} us CPU`;
  const ratio = (service.requestsPerSecond / bare.requestsPerSecond).toFixed(3);
  const p99Ratio = (service.p99Ms / bare.p99Ms).toFixed(2);
  return `pair ${pair}  bare ${side(bare)}   service ${side(service)}   ratio ${ratio}  p99 ratio ${p99Ratio}`;
}

/** Prints the medians over the pairs. `p99RatioTarget` undefined: none is promised. */
export function summarise(pairs, { ratioTarget, p99RatioTarget }) {
  const throughput = median(pairs.map(({ bare, service }) => service.requestsPerSecond / bare.requestsPerSecond));
  const cpu = median(pairs.map(({ bare, service }) => bare.cpuMicros / service.cpuMicros));
  const p99 = median(pairs.map(({ bare, service }) => service.p99Ms / bare.p99Ms));
  const verdict = (sign, target, holds) =>
    target === undefined ? '' : ` (target ${sign} ${target}: ${holds ? 'holds' : 'MISSED'})`;
  console.log(
    `median requests/s ratio ${throughput.toFixed(3)}${verdict('>=', ratioTarget, throughput >= ratioTarget)}`,
  );
  // One wrk on one core may run out before a bare server does; what a request costs the server does not depend on it.
  console.log(`median ratio of requests per second of server CPU ${cpu.toFixed(3)}`);
  console.log(`median p99 ratio ${p99.toFixed(2)}${verdict('<=', p99RatioTarget, p99 <= p99RatioTarget)}`);
}

/** User and system time of a process so far; Linux counts it in hundredths of a second. */
export function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

export function warnWhenBusy() {
  const load = loadavg()[0];
  if (load > BUSY_LOAD_MIN)
    console.log(`NOTE: load average ${load.toFixed(1)}: something else runs here, and the ratios will be noise`);
}

/** wrk, taskset and two cores. */
export function requireMachine() {
  for (const name of ['wrk', 'taskset']) {
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
  if (availableParallelism() < 2) throw new Error('two cores are needed: one for the server, one for wrk');
}

/** Runs `main(open)`, and closes what it pushed to `open` however it ends. */
export async function withClosing(main) {
  const open = [];
  const closeAll = async () => {
    while (open.length > 0) await open.pop().close();
  };
  process.once('SIGINT', () => void closeAll().then(() => process.exit(130)));
  process.once('SIGTERM', () => void closeAll().then(() => process.exit(143)));
  try {
    await main(open);
  } finally {
    await closeAll();
  }
}

export function positiveInteger(name, text) {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${name} takes a whole number above 0, not ${text}`);
  return value;
}

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
