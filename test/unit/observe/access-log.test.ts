// The access log: how few lines it takes to tell of all requests.
import { type Test, test } from 'tap';
import type { AccessLogMode } from '../../../src/config.ts';
import { type AccessLog, createAccessLog } from '../../../src/observe/access-log.ts';

interface Line {
  readonly status: number;
  readonly stands_for: number;
  readonly severity: string;
}

test('sampled: a line stands for the requests since the one before, and all are accounted for', (t) => {
  const { log, lines, tick } = open(t, 'sampled');
  for (let round = 0; round < 10; round++) {
    for (let index = 0; index < 6000; index++) request(log, 200);
    tick();
  }
  request(log, 200);
  t.equal(lines.length, 11);
  t.equal(
    lines.reduce((sum, line) => sum + line.stands_for, 0),
    60_001,
  );
  t.end();
});

test('sampled: each status class has lines of its own, and 5xx more of them', (t) => {
  const { log, lines, tick } = open(t, 'sampled');
  for (let round = 0; round < 10; round++) {
    for (let index = 0; index < 1000; index++) for (const status of [200, 304, 404, 503]) request(log, status);
    tick();
  }
  const count = (status: number): number => lines.filter((line) => line.status === status).length;
  t.same([200, 304, 404, 503].map(count), [10, 10, 10, 100]);
  t.ok(lines.every((line) => (line.severity === 'error') === (line.status === 503)));
  t.end();
});

test('errors: no line about what went well', (t) => {
  const { log, lines } = open(t, 'errors');
  for (const status of [200, 304, 404, 500]) request(log, status);
  t.same(
    lines.map((line) => line.status),
    [404, 500],
  );
  t.end();
});

test('all: a line for every request', (t) => {
  const { log, lines } = open(t, 'all');
  for (let index = 0; index < 1000; index++) request(log, 200);
  t.equal(lines.length, 1000);
  t.ok(lines.every((line) => line.stands_for === 1));
  t.end();
});

function request(log: AccessLog, status: number): void {
  if (!log.wants(status)) return;
  log.record({
    requestId: 'r',
    method: 'GET',
    route: '/x',
    status,
    seconds: 0.001,
    keyId: undefined,
    client: '203.0.113.7',
    traceparent: undefined,
  });
}

function open(t: Test, mode: AccessLogMode): { log: AccessLog; lines: Line[]; tick: () => void } {
  const lines: Line[] = [];
  let tick = (): void => {};
  const take = (severity: string) => (line: unknown) => lines.push({ ...(line as Line), severity });
  const log = createAccessLog({ info: take('info') as never, error: take('error') as never }, mode, (_ms, run) => {
    tick = run;
    return () => {};
  });
  t.teardown(() => log.close());
  return { log, lines, tick: () => tick() };
}
