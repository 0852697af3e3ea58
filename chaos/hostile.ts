// What hostile expressions and contexts cost: bad patterns, strings of a megabyte, ten thousand attributes, nesting a
// thousand deep, and the largest of what is legal. One line a class: the statuses it was answered with, and the CPU
// time of the process that dealt with it, request by request.
//
//   npm run chaos:hostile
//
// CPU time is that of the process's main thread from /proc/PID/schedstat, in nanoseconds, before and after each request;
// requests go one after another, so what is between is the handler, with a heartbeat now and then.
import { readFileSync } from 'node:fs';
import { limits } from '../src/limits.ts';
import { ADMIN_KEY, flagWith, type Service, startService } from '../test/support/service.ts';

interface Request {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'PUT';
  readonly path: string;
  readonly body?: string;
  readonly type?: string;
}

const CPU_MS_P99_TARGET = 10;
/** Of a class: the 99th percentile leaves two of them out, which are the first ones, before the code is warm. */
const SAMPLES = 200;
const FLAGS = '/api/v1/flags';
const OFREP = '/ofrep/v1/evaluate/flags';
const EVALUATE = `${FLAGS}/every-operator/evaluate`;
const KIB = 1024;

const patterns = JSON.parse(
  readFileSync(new URL('../test/vectors/bad-patterns.json', import.meta.url), 'utf8'),
) as readonly { readonly pattern: string }[];

const service = await startService({ workers: 1 });
let overTarget = 0;
try {
  await prepare(service);
  for (const [name, requests] of Object.entries(classes())) await measure(service, name, requests);
  const after = await service.api(`${EVALUATE}?user_id=user-1`);
  console.log(
    `afterwards an evaluation answers ${after.status}, workers ${service.workerPids().length} of 1; classes over the target: ${overTarget}`,
  );
} finally {
  await service.stop();
}

/** One flag that asks everything there is to ask, of attributes named after the operators. */
async function prepare(running: Service): Promise<void> {
  const texts = Array.from({ length: 32 }, (_, i) => `needle-${i}`);
  const asks: readonly object[] = [
    { attribute: 'text', op: 'contains', values: texts },
    { attribute: 'text', op: 'contains', values: texts, ignore_case: true },
    { attribute: 'text', op: 'starts_with', values: texts },
    { attribute: 'text', op: 'ends_with', values: texts, ignore_case: true },
    { attribute: 'text', op: 'matches', values: ['(a|b|ab)*c$', '(x+x+)+y', '[a-z]+[0-9]+needle'] },
    { attribute: 'text', op: 'semver_gt', values: ['1.2.3'] },
    { attribute: 'text', op: 'in_cidr', values: ['10.0.0.0/8', '2001:db8::/32'] },
    { attribute: 'text', op: 'after', values: ['2030-01-01T00:00:00Z'] },
    { attribute: 'text', op: 'equals', values: ['x'], ignore_case: true },
    { attribute: 'number', op: 'gt', values: [5] },
  ];
  await flagWith(running, {
    flag_id: 'every-operator',
    enabled: true,
    rules: asks.map((when, i) => ({ rule_id: `rule-${i}`, when, serve: { variant: 'on' } })),
  });
  await flagWith(running, { flag_id: 'written' });
}

function classes(): Readonly<Record<string, readonly Request[]>> {
  const long = (fill: string, bytes: number): string => fill.repeat(Math.ceil(bytes / fill.length)).slice(0, bytes);
  // As many of each as the limit on attributes lets through, which counts the bytes of their JSON.
  const largestTexts = ['a', 'x', 'ab', 'needle-', 'ABC', '1.', '2001:', 'é', 'ſ', 'a\n'].map((fill) =>
    fill.repeat(Math.floor((limits.attributesBytesMax - 100) / (Buffer.byteLength(JSON.stringify(fill)) - 2))),
  );
  const deep = `${'{"a":'.repeat(1000)}1${'}'.repeat(1000)}`;
  const attributes = (count: number): object =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`attribute-${i}`, `value-${i}`]));
  const rule = (when: object): string => JSON.stringify({ rules: [{ rule_id: 'r', when, serve: { variant: 'on' } }] });
  // Each group is two levels of JSON.
  const nested = (groups: number): object => (groups === 0 ? { all: [] } : { all: [nested(groups - 1)] });
  return {
    'write: 1 known-bad pattern each': patterns.map(({ pattern }) =>
      patch(rule({ attribute: 'text', op: 'matches', values: [pattern] })),
    ),
    'write: string of 1 MB as a value': repeat(
      SAMPLES,
      patch(rule({ attribute: 'text', op: 'equals', values: [long('v', 1_000_000)] })),
    ),
    'write: conditions 1,000 deep': repeat(SAMPLES, patch(rule(nested(500)))),
    'write: 1,000 groups, every other one negated': repeat(
      SAMPLES,
      patch(rule({ any: Array.from({ length: 1000 }, (_, i) => ({ all: [], negate: i % 2 === 0 })) })),
    ),
    'POST: user_id of 1 MB': repeat(SAMPLES, evaluate({ user_id: long('u', 1_000_000) })),
    'POST: attribute of 1 MB': repeat(SAMPLES, evaluate({ user_id: 'u', attributes: { text: long('a', 1_000_000) } })),
    'POST: body over 1 MiB': repeat(SAMPLES, evaluate({ user_id: 'u', attributes: { text: long('a', 1_200_000) } })),
    'POST: 10,000 attributes': repeat(SAMPLES, evaluate({ user_id: 'u', attributes: attributes(10_000) })),
    'POST: depth 1,000': repeat(SAMPLES, {
      method: 'POST',
      path: EVALUATE,
      body: `{"user_id":"u","attributes":${deep}}`,
    }),
    'POST: largest legal text, against every operator': largestTexts.flatMap((text) =>
      repeat(SAMPLES / 10, evaluate({ user_id: 'u', attributes: { text, number: 'x' } })),
    ),
    'POST: array of 10,000 numbers, against every operator': repeat(
      SAMPLES,
      evaluate({ user_id: 'u', attributes: { text: Array.from({ length: 10_000 }, (_, i) => i) } }),
    ),
    'GET: 10,000 attributes': repeat(SAMPLES, {
      method: 'GET',
      path: `${EVALUATE}?user_id=u${Array.from({ length: 10_000 }, (_, i) => `&attr.a${i}=1`).join('')}`,
    }),
    'GET: 256 attributes of every kind': repeat(SAMPLES, {
      method: 'GET',
      path: `${EVALUATE}?user_id=u${Array.from({ length: 256 }, (_, i) => `&attr.a${i}=${i}e${i % 30}`).join('')}`,
    }),
    'GET: explain of the flag, hostile text': repeat(SAMPLES, {
      method: 'GET',
      path: `${EVALUATE}?user_id=u&explain=true&attr.text=${long('a', 8 * KIB)}`,
    }),
    'POST: explain of the flag, largest legal text': largestTexts.map((text) => ({
      ...evaluate({ user_id: 'u', attributes: { text, number: 'x' } }),
      path: `${EVALUATE}?explain=true`,
    })),
    'OFREP: context of 10,000 attributes': repeat(SAMPLES, {
      method: 'POST',
      path: `${OFREP}/every-operator`,
      body: JSON.stringify({ context: { targetingKey: 'u', ...attributes(10_000) } }),
    }),
    'OFREP: depth 1,000': repeat(SAMPLES, { method: 'POST', path: OFREP, body: `{"context":${deep}}` }),
    'batch: 1,000 contexts of 1 flag': repeat(SAMPLES, {
      method: 'POST',
      path: '/api/v1/evaluate',
      body: JSON.stringify({
        contexts: Array.from({ length: 1000 }, (_, i) => ({
          user_id: `u${i}`,
          attributes: { text: 'aaaa', number: i },
        })),
        flags: ['every-operator'],
      }),
    }),
  };
}

/** Of another flag than the one that is evaluated: some of these succeed. */
function patch(body: string): Request {
  return { method: 'PATCH', path: `${FLAGS}/written`, body };
}

function evaluate(body: object): Request {
  return { method: 'POST', path: EVALUATE, body: JSON.stringify(body) };
}

function repeat(times: number, request: Request): readonly Request[] {
  return Array.from({ length: times }, () => request);
}

async function measure(running: Service, name: string, requests: readonly Request[]): Promise<void> {
  const worker = running.workerPids()[0] as number;
  const primary = running.primaryPid();
  const statuses = new Map<string, number>();
  const workerMs: number[] = [];
  const primaryMs: number[] = [];
  for (const request of requests) {
    const before = [cpuMs(worker), cpuMs(primary)] as const;
    const status = await send(running, request);
    workerMs.push(cpuMs(worker) - before[0]);
    primaryMs.push(cpuMs(primary) - before[1]);
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  }
  const [p50, p99] = [quantile(workerMs, 0.5), quantile(workerMs, 0.99)];
  const primaryP99 = quantile(primaryMs, 0.99);
  if (p99 > CPU_MS_P99_TARGET || primaryP99 > CPU_MS_P99_TARGET) overTarget++;
  const told = [...statuses].map(([status, count]) => `${status} x ${count}`).join(', ');
  console.log(
    `${name.padEnd(56)} worker p50 ${p50.toFixed(2)} p99 ${p99.toFixed(2)} ms, primary p99 ${primaryP99.toFixed(2)} ms; ${told}`,
  );
}

async function send(running: Service, { method, path, body, type }: Request): Promise<string> {
  try {
    const reply = await fetch(running.url + path, {
      method,
      headers: {
        'X-API-Key': ADMIN_KEY,
        ...(body === undefined ? {} : { 'Content-Type': type ?? 'application/json' }),
      },
      ...(body === undefined ? {} : { body }),
    });
    const text = await reply.text();
    // Of an evaluation the reason: STATIC says that every rule was asked and none held.
    const code = /"(?:code|errorCode|reason)":"([A-Z_]+)"/.exec(text)?.[1];
    return code === undefined ? String(reply.status) : `${reply.status} ${code}`;
  } catch {
    return 'closed';
  }
}

/** Milliseconds that the main thread of a process has run. */
function cpuMs(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
}

function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}
