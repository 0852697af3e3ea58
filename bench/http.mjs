// How near a whole evaluation over HTTP comes to a server that does nothing: the service and a bare uWebSockets.js
// server send the same bytes in turns, each from one process on one core, with wrk on another.
//
//   npm run bench:http                    five pairs of five seconds
//   npm run bench:http -- --pairs 3 --seconds 2
//   npm run bench:http -- --rules 20      a flag of twenty rules with five conditions each, and attributes in the query
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

const CONNECTIONS = 64;
const FLAG_ID = 'new-checkout';
const PATTERN = '/api/v1/flags/:flag_id/evaluate';
const ATTRIBUTES = '&attr.country=PL&attr.age=33&attr.plan=pro&attr.version=2.4.1&attr.email=user%40example.com';
const TARGETS = { ratioTarget: 0.8, p99RatioTarget: 1.5 };
// So high that it is counted and never reached.
const RATE_LIMIT_PER_MINUTE = 1_000_000_000;

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

requireMachine();
await withClosing(async (open) => {
  const flag = { flag_id: FLAG_ID, environment: 'prod', enabled: true, rollout_percentage: 25, rules: rules() };
  const service = await startService({
    flags: [flag],
    rateLimit: RATE_LIMIT_PER_MINUTE,
    workerCore: SERVER_CORE,
    otherCore: WRK_CORE,
  });
  open.push(service);
  const headers = { 'X-API-Key': service.apiKey };
  const request = { method: 'GET', port: service.port, path: PATH, headers };
  const reply = await steadyReply(request);
  const bare = await startBareServer({ method: 'get', pattern: PATTERN, reply });
  open.push(bare);
  const shown = await checkSameBytes(reply, { ...request, port: bare.port });
  console.log(`both send the same reply (apart from evaluated_at):\n${shown.replace(/^/gm, '  ')}`);
  warnWhenBusy();

  const pid = service.workerPid();
  const pairs = await measurePairs({
    bare: { url: `http://127.0.0.1:${bare.port}${PATH}`, pid: bare.pid },
    service: { url: `http://127.0.0.1:${service.port}${PATH}`, pid },
    pairCount,
    seconds,
    connections: CONNECTIONS,
    headers,
  });
  if (service.workerPid() !== pid) throw new Error('the worker was replaced during the run');
  await checkSameBytes(await steadyReply(request), { ...request, port: bare.port });
  summarise(pairs, TARGETS);
});

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
