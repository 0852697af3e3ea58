// How near all flags for one user come to a server that does nothing: the service, with 100 flags by percentage, and a
// bare uWebSockets.js server that reads the same body and sends the same bytes take turns, each from one process on one
// core, with wrk on another. Users rotate, so that no two requests in a row have the same answer or ETag.
//
//   npm run bench:ofrep                    OFREP bulk, then POST /api/v1/evaluate with one context; five pairs of five seconds
//   npm run bench:ofrep -- --pairs 3 --seconds 2 --only ofrep
//   npm run bench:ofrep -- --attributes    contexts with five attributes
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startService } from './http/service.mjs';
import {
  checkSameBytes,
  measurePairs,
  positiveInteger,
  requireMachine,
  SERVER_CORE,
  startBareServer,
  steadyReply,
  summarise,
  WRK_CORE,
  warnWhenBusy,
  withClosing,
} from './http/side-by-side.mjs';

const SCRIPT = fileURLToPath(new URL('./http/rotate-users.lua', import.meta.url));
const CONNECTIONS = 64;
const FLAG_COUNT = 100;
const ATTRIBUTES = { country: 'PL', age: 33, plan: 'pro', version: '2.4.1', email: 'user@example.com' };
const TARGETS = { ratioTarget: 0.6, p99RatioTarget: undefined };

const { values: options } = parseArgs({
  options: {
    pairs: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    only: { type: 'string' },
    attributes: { type: 'boolean', default: false },
  },
});
const pairCount = positiveInteger('pairs', options.pairs);
const seconds = positiveInteger('seconds', options.seconds);
const attributes = options.attributes ? ATTRIBUTES : {};
const routes = {
  ofrep: { path: '/ofrep/v1/evaluate/flags', body: { context: { targetingKey: 'user-123', ...attributes } } },
  batch: {
    path: '/api/v1/evaluate',
    body: { contexts: [{ user_id: 'user-123', ...(options.attributes ? { attributes } : {}) }] },
  },
};
const chosen = Object.keys(routes).filter((name) => options.only === undefined || options.only === name);
if (chosen.length === 0) throw new Error(`--only takes ${Object.keys(routes).join(' or ')}, not ${options.only}`);

requireMachine();
await withClosing(async (open) => {
  const service = await startService({
    flags: Array.from({ length: FLAG_COUNT }, makeFlag),
    rateLimit: 0,
    workerCore: SERVER_CORE,
    otherCore: WRK_CORE,
  });
  open.push(service);
  for (const name of chosen) await bench(open, service, routes[name]);
});

async function bench(open, service, { path, body }) {
  const text = JSON.stringify(body);
  const headers = { 'X-API-Key': service.apiKey };
  const request = {
    method: 'POST',
    port: service.port,
    path,
    headers: { ...headers, 'Content-Type': 'application/json' },
    body: text,
  };
  const reply = await steadyReply(request);
  const bare = await startBareServer({ method: 'post', pattern: path, reply });
  open.push(bare);
  const shown = await checkSameBytes(reply, { ...request, port: bare.port });
  console.log(`\nPOST ${path} ${text}`);
  console.log(`both send the same reply (ETag, request id and evaluated_at apart), ${reply.body.length} bytes:`);
  console.log(shown.replace(/^/gm, '  ').replace(/^(.{300}).*$/gm, '$1...'));
  warnWhenBusy();
  process.env.BENCH_BODY = text;
  const pid = service.workerPid();
  const pairs = await measurePairs({
    bare: { url: `http://127.0.0.1:${bare.port}${path}`, pid: bare.pid },
    service: { url: `http://127.0.0.1:${service.port}${path}`, pid },
    pairCount,
    seconds,
    connections: CONNECTIONS,
    headers,
    script: SCRIPT,
  });
  if (service.workerPid() !== pid) throw new Error('the worker was replaced during the run');
  summarise(pairs, TARGETS);
}

/** Percentages all over the range, so that about half of the answers are true. */
function makeFlag(_, i) {
  return {
    flag_id: `flag-${String(i).padStart(3, '0')}`,
    environment: 'prod',
    enabled: true,
    rollout_percentage: ((i * 37) % 99) + 1,
  };
}
