// The service as an operator runs it, with one worker: log to a file, sampled access log, metrics on. Its worker is
// pinned to one core and everything else of it to another.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import * as http from 'node:http';
import * as https from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './wrk.mjs';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const READY_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 30_000;

/**
 * Starts it and makes the flags and the key that is measured. `rateLimit`: of the key, a minute; 0: none. `tls`: paths of
 * certificate and key; undefined: plain.
 * @returns {Promise<{port: number, apiKey: string, workerPid: () => number, ask: Function, close: () => Promise<void>}>}
 */
export async function startService({ flags, rateLimit, workerCore, otherCore, tls }) {
  const dataDir = mkdtempSync(join(tmpdir(), 'burgee-bench-'));
  const adminKey = randomBytes(32).toString('hex');
  const port = await freePort();
  const logPath = join(dataDir, 'service.log');
  const log = openSync(logPath, 'a');
  const child = spawn(process.execPath, [MAIN], {
    stdio: ['ignore', log, log],
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      PORT: String(port),
      HOST: '127.0.0.1',
      WORKERS: '1',
      DATA_DIR: dataDir,
      BOOTSTRAP_ADMIN_KEY: adminKey,
      ACCESS_LOG: 'sampled',
      LOG_LEVEL: 'info',
      ...(tls === undefined ? {} : { TLS_CERT_FILE: tls.certFile, TLS_KEY_FILE: tls.keyFile }),
    },
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  const workerPid = () => pidOf(join(dataDir, 'run'), /^worker-\d+\.pid$/);
  const close = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await ended;
      clearTimeout(timer);
    }
    rmSync(dataDir, { recursive: true, force: true });
  };
  try {
    const ask = asker(port, tls);
    await waitUntilReady(ask, child, logPath);
    const apiKey = await prepare(ask, adminKey, flags, rateLimit);
    await pin(workerPid(), workerCore);
    await pin(pidOf(join(dataDir, 'run'), /^primary\.pid$/), otherCore);
    await pin(child.pid, otherCore);
    return { port, apiKey, workerPid, ask, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** fetch knows no certificate authority but the machine's. */
function asker(port, tls) {
  const { request } = tls === undefined ? http : https;
  const ca = tls === undefined ? undefined : readFileSync(tls.certFile);
  return (method, path, headers = {}, body = '') =>
    new Promise((resolve, reject) => {
      const asked = request({ host: '127.0.0.1', port, path, method, headers, ca, agent: false }, (reply) => {
        let text = '';
        reply.on('data', (chunk) => {
          text += chunk;
        });
        reply.on('error', reject);
        reply.on('end', () => resolve({ status: reply.statusCode, text }));
      });
      asked.on('error', reject);
      asked.end(body);
    });
}

async function waitUntilReady(ask, child, logPath) {
  const deadline = performance.now() + READY_TIMEOUT_MS;
  while (performance.now() < deadline && child.exitCode === null) {
    const ready = await ask('GET', '/readyz').then(
      (reply) => reply.status === 200,
      () => false,
    );
    if (ready) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`the service did not become ready (exit code ${child.exitCode}):\n${readFileSync(logPath, 'utf8')}`);
}

async function prepare(ask, adminKey, flags, rateLimit) {
  for (const flag of flags) await post(ask, adminKey, '/api/v1/flags', flag);
  const key = { name: 'bench', scopes: ['evaluate'], environments: ['prod'], rate_limit: rateLimit };
  return (await post(ask, adminKey, '/api/v1/keys', key)).key;
}

async function post(ask, apiKey, path, body) {
  const headers = { 'X-API-Key': apiKey, 'Content-Type': 'application/json' };
  const { status, text } = await ask('POST', path, headers, JSON.stringify(body));
  if (status !== 201) throw new Error(`POST ${path} answered ${status}: ${text}`);
  return JSON.parse(text);
}

/** All threads: those of the runtime too, so that each side has exactly one core. */
async function pin(pid, core) {
  await run('taskset', ['-a', '-c', '-p', String(core), String(pid)]);
}

/** A pid file holds `pid start_time boot_id`. */
function pidOf(folder, name) {
  const files = readdirSync(folder).filter((file) => name.test(file));
  if (files.length !== 1)
    throw new Error(`${folder} should hold one file ${name}; it has ${files.join(', ') || 'none'}`);
  return Number(readFileSync(join(folder, files[0]), 'utf8').split(' ')[0]);
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
