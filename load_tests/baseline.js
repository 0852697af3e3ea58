// The baseline: 100 virtual users for two minutes, each sending one evaluation after another. See README.md here.
import { check, fail, sleep } from 'k6';
import http from 'k6/http';

const baseUrl = __ENV.BASE_URL || 'http://127.0.0.1:8000';
const apiKey = __ENV.API_KEY || '';
const flag = __ENV.FLAG || 'new-checkout';
const environment = __ENV.ENVIRONMENT || 'prod';
const p95BudgetMs = Number(__ENV.P95_BUDGET_MS || 50);
const pauseMs = Number(__ENV.PAUSE_MS || 0);

const params = {
  headers: { 'X-API-Key': apiKey },
  // One name for all: the user in each address would otherwise make a series of its own.
  tags: { name: 'evaluate' },
};

export const options = {
  vus: Number(__ENV.VUS || 100),
  duration: __ENV.DURATION || '2m',
  summaryTrendStats: ['avg', 'min', 'med', 'p(90)', 'p(95)', 'p(99)', 'max'],
  thresholds: {
    checks: ['rate==1'],
    http_req_failed: ['rate==0'],
    'http_req_duration{name:evaluate}': [`p(95)<${p95BudgetMs}`],
  },
};

export function setup() {
  if (apiKey === '') fail('API_KEY is not set: k6 run -e API_KEY=... load_tests/baseline.js');
  const reply = http.get(address('user-0'), { headers: params.headers, tags: { name: 'setup' } });
  if (reply.status !== 200) fail(`${address('user-0')} answered ${reply.status}: ${reply.body}`);
}

export default function evaluateOne() {
  const userId = `user-${__VU}-${__ITER}`;
  const reply = http.get(address(userId), params);
  check(reply, {
    'status is 200': (r) => r.status === 200,
    'the answer is for this flag and user': (r) =>
      typeof r.body === 'string' && r.body.includes(`"flag_id":"${flag}"`) && r.body.includes(`"user_id":"${userId}"`),
  });
  if (pauseMs > 0) sleep(pauseMs / 1000);
}

function address(userId) {
  return `${baseUrl}/api/v1/flags/${encodeURIComponent(flag)}/evaluate?user_id=${userId}&environment=${environment}`;
}
