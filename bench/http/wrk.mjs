// Runs wrk on one core and reads its report. Strict: a report that is not understood is an error, never a zero.
import { spawn } from 'node:child_process';

const UNIT_MS = { us: 0.001, ms: 1, s: 1000, m: 60_000 };

/**
 * Requests `url` over `connections` kept connections for `seconds`. `script`: path of one in Lua that makes the requests.
 * @returns {Promise<{requestsPerSecond: number, p50Ms: number, p99Ms: number, requests: number}>} rejects when a reply was not 2xx
 */
export async function wrk({ url, headers, core, connections, seconds, script }) {
  const headerArgs = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
  const scriptArgs = script === undefined ? [] : ['-s', script];
  const options = ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', ...scriptArgs, ...headerArgs];
  const args = ['-c', String(core), 'wrk', ...options, url];
  return parseWrk(await run('taskset', args));
}

/** @param {string} report what wrk printed */
export function parseWrk(report) {
  const refused = /Non-2xx or 3xx responses: (\d+)/.exec(report);
  if (refused !== null) throw new Error(`${refused[1]} replies were not 2xx:\n${report}`);
  const broken = /Socket errors: .*/.exec(report);
  if (broken !== null) throw new Error(`${broken[0]}:\n${report}`);
  return {
    requestsPerSecond: Number(find(report, /Requests\/sec:\s+([\d.]+)/)[1]),
    requests: Number(find(report, /(\d+) requests in /)[1]),
    p50Ms: durationMs(find(report, /^\s+50%\s+([\d.]+)(us|ms|s|m)\s*$/m)),
    p99Ms: durationMs(find(report, /^\s+99%\s+([\d.]+)(us|ms|s|m)\s*$/m)),
  };
}

function durationMs([, amount, unit]) {
  return Number(amount) * UNIT_MS[unit];
}

function find(report, pattern) {
  const match = pattern.exec(report);
  if (match === null) throw new Error(`wrk's report has no ${pattern}:\n${report}`);
  return match;
}

/** @returns {Promise<string>} what the command printed; rejects when it fails. */
export function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    child.stderr.on('data', (chunk) => {
      out += chunk;
    });
    child.once('error', reject);
    child.once('close', (code) =>
      code === 0 ? resolve(out) : reject(new Error(`${command} ended with ${code}:\n${out}`)),
    );
  });
}
