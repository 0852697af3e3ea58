// 1,000 sockets that send batches in JSON and are subscribed to a flag, which changes each second. See README.md here.
import { check, fail } from 'k6';
import { scenario } from 'k6/execution';
import http from 'k6/http';
import { Counter, Trend } from 'k6/metrics';
import { WebSocket } from 'k6/websockets';

const baseUrl = __ENV.BASE_URL || 'http://127.0.0.1:8000';
const apiKey = __ENV.API_KEY || '';
const environment = __ENV.ENVIRONMENT || 'dev';
const flag = __ENV.FLAG || 'load-test';
const socketCount = Number(__ENV.SOCKETS || 1000);
// A virtual user is one thread of JavaScript in k6 and carries several sockets.
const vus = Math.min(Number(__ENV.VUS || 50), socketCount);
const seconds = Number(__ENV.SECONDS || 60);
const users = Number(__ENV.USERS || 10);
const pauseMs = Number(__ENV.PAUSE_MS || 1000);
const p95BudgetMs = Number(__ENV.P95_BUDGET_MS || 100);

/** The time for sockets to open, and for those that were late to end. */
const OPEN_SECONDS = 5;

const batchMs = new Trend('batch_ms', true);
const batches = new Counter('batches');
const opened = new Counter('sockets_opened');
const broken = new Counter('sockets_broken');
const errors = new Counter('error_messages');
const changes = new Counter('changes_received');

export const options = {
  scenarios: {
    sockets: {
      executor: 'per-vu-iterations',
      vus,
      iterations: 1,
      maxDuration: `${seconds + 30}s`,
      exec: 'openSockets',
    },
    writes: {
      executor: 'constant-arrival-rate',
      rate: 1,
      timeUnit: '1s',
      duration: `${seconds}s`,
      startTime: `${OPEN_SECONDS}s`,
      preAllocatedVUs: 5,
      exec: 'changeFlag',
    },
  },
  summaryTrendStats: ['avg', 'min', 'med', 'p(90)', 'p(95)', 'p(99)', 'max'],
  thresholds: {
    checks: ['rate==1'],
    'http_req_failed{name:change}': ['rate==0'],
    sockets_opened: [`count==${socketCount}`],
    sockets_broken: ['count==0'],
    error_messages: ['count==0'],
    batch_ms: [`p(95)<${p95BudgetMs}`],
    // A change may be merged with the next one for whoever reads slowly: at least half arrive one by one.
    changes_received: [`count>=${Math.floor((socketCount * seconds) / 2)}`],
  },
};

/** Makes the flag, and a key that may only evaluate. */
export function setup() {
  if (apiKey === '') fail('API_KEY is not set: k6 run -e API_KEY=... load_tests/websocket.js');
  const off = { enabled: true, rollout_percentage: 0 };
  const found = send('PATCH', `/flags/${flag}?environment=${environment}`, off);
  if (found.status === 404) {
    const made = send('POST', '/flags', { flag_id: flag, environment, ...off });
    if (made.status !== 201) fail(`making ${flag} answered ${made.status}: ${made.body}`);
  }
  const json = { name: 'load test', scopes: ['evaluate'], environments: [environment], rate_limit: 0 };
  const key = send('POST', '/keys', json);
  if (key.status !== 201) fail(`making a key answered ${key.status}: ${key.body} (API_KEY must be an admin's)`);
  return { key: key.json('key'), keyId: key.json('key_id'), startedMs: Date.now() };
}

export function teardown({ keyId }) {
  send('DELETE', `/keys/${keyId}`);
}

export function openSockets({ key, startedMs }) {
  const endMs = startedMs + (OPEN_SECONDS + seconds + 1) * 1000;
  // As many as make SOCKETS in all.
  const mine = Math.floor(socketCount / vus) + (__VU <= socketCount % vus ? 1 : 0);
  for (let i = 0; i < mine; i += 1) openSocket(`${__VU}-${i}`, key, endMs);
}

/** Turns the flag for everybody, so that every subscription is told. */
export function changeFlag() {
  const percentage = scenario.iterationInTest % 2 === 0 ? 100 : 0;
  const reply = send(
    'PATCH',
    `/flags/${flag}?environment=${environment}`,
    { rollout_percentage: percentage },
    'change',
  );
  check(reply, { 'the change is written': ({ status }) => status === 200 });
}

function openSocket(name, key, endMs) {
  const socket = new WebSocket(`${baseUrl.replace(/^http/, 'ws')}/api/v1/ws`, null, { headers: { 'X-API-Key': key } });
  const sentMs = new Map();
  let id = 0;
  let timer;
  let ending = false;

  function sendBatch() {
    id += 1;
    sentMs.set(id, Date.now());
    const contexts = Array.from({ length: users }, (_, i) => ({ user_id: `user-${name}-${id}-${i}` }));
    socket.send(JSON.stringify({ type: 'evaluate_batch', id, contexts, flags: [flag] }));
  }

  function begin() {
    opened.add(1);
    socket.send(JSON.stringify({ type: 'subscribe', id: 0, user_id: `user-${name}`, flags: [flag] }));
    // Each at its own moment of the pause, as clients that know nothing of each other.
    setTimeout(() => {
      sendBatch();
      timer = setInterval(sendBatch, pauseMs);
    }, Math.random() * pauseMs);
    setTimeout(() => {
      ending = true;
      clearInterval(timer);
      socket.close();
    }, endMs - Date.now());
  }

  socket.addEventListener('message', ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === 'welcome') begin();
    else if (message.type === 'error') errors.add(1);
    else if (message.type === 'change') changes.add(1);
    else if (message.type === 'results') {
      batchMs.add(Date.now() - sentMs.get(message.id));
      batches.add(1);
      sentMs.delete(message.id);
      check(message, {
        'each user has an answer': ({ results }) =>
          results.length === users && results.every((row) => typeof row[flag].enabled === 'boolean'),
      });
    }
  });
  socket.addEventListener('close', () => {
    clearInterval(timer);
    if (!ending) broken.add(1);
  });
  socket.addEventListener('error', () => {
    if (!ending) broken.add(1);
  });
}

function send(method, path, body, name = 'setup') {
  const headers = { 'X-API-Key': apiKey, 'Content-Type': 'application/json' };
  const sent = body === undefined ? null : JSON.stringify(body);
  return http.request(method, `${baseUrl}/api/v1${path}`, sent, { headers, tags: { name } });
}
