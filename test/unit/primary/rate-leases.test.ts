// The primary's half of the rate limit, one situation at a time, with a real ledger where one matters.
import { appendFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { WINDOW_MS } from '../../../src/ipc/rate-window.ts';
import { openLeaseLedger } from '../../../src/primary/lease-ledger.ts';
import { createRateLeases, type RateLeases } from '../../../src/primary/rate-leases.ts';

const START_MS = 29_000_000 * WINDOW_MS;
const END_MS = START_MS + WINDOW_MS;

test('never grants more than the limit, in pieces that shrink', (t) => {
  const { leases } = open(t);
  let sum = 0;
  let last = Number.POSITIVE_INFINITY;
  for (let index = 0; index < 200; index++) {
    const { tokens } = leases.request('a', 'k', 1000, 1000);
    t.ok(tokens <= last);
    last = tokens;
    sum += tokens;
  }
  t.equal(sum, 1000);
  t.end();
});

test('grants no more than was asked, and says what is left', (t) => {
  const { leases } = open(t);
  t.same(leases.request('a', 'k', 1000, 3), {
    keyId: 'k',
    windowEndMs: END_MS,
    tokens: 3,
    spent: false,
    remaining: 997,
  });
  t.end();
});

test('a limit of 1 is one request, and the window is spent when it is reported as used', (t) => {
  const { leases } = open(t);
  t.match(leases.request('a', 'k', 1, 2), { tokens: 1, spent: true });
  t.match(leases.request('b', 'k', 1, 2), { tokens: 0, spent: false }, 'a may still give it back');
  leases.report('a', [{ keyId: 'k', windowEndMs: END_MS, admitted: 1, held: 0 }]);
  t.match(leases.request('b', 'k', 1, 2), { tokens: 0, spent: true });
  t.end();
});

test('what is given back is granted again, but never what was let through', (t) => {
  const { leases } = open(t);
  t.equal(leases.request('a', 'k', 8, 1).tokens, 1);
  leases.report('a', [{ keyId: 'k', windowEndMs: END_MS, admitted: 1, held: 0 }]);
  leases.giveBack('a', 'k', END_MS, 5);
  leases.giveBack('b', 'k', END_MS, 5);
  t.equal(drain(leases, 'b', 8), 7);
  leases.giveBack('b', 'k', END_MS, 3);
  t.equal(drain(leases, 'a', 8), 3);
  t.end();
});

test("a dead worker's lease counts as used", (t) => {
  const { leases } = open(t);
  t.equal(leases.request('a', 'k', 40, 5).tokens, 5);
  leases.workerDied('a');
  leases.giveBack('a', 'k', END_MS, 5);
  t.equal(drain(leases, 'b', 40), 35);
  t.match(leases.request('b', 'k', 40, 1), { tokens: 0, spent: true });
  t.end();
});

test('a worker whose link broke, and that comes back, goes on where it was', (t) => {
  const { leases } = open(t);
  leases.request('a', 'k', 40, 5);
  leases.workerDied('a');
  leases.report('a', [{ keyId: 'k', windowEndMs: END_MS, admitted: 2, held: 3 }]);
  leases.giveBack('a', 'k', END_MS, 3);
  t.equal(drain(leases, 'b', 40), 38);
  t.end();
});

test('reports change nothing when they are repeated', (t) => {
  const { leases } = open(t);
  const uses = [{ keyId: 'k', windowEndMs: END_MS, admitted: 30, held: 10 }];
  for (let index = 0; index < 10; index++) leases.report('a', uses);
  t.equal(drain(leases, 'b', 100), 60);
  t.end();
});

test('within 20 ms of the end it grants the next window, and the minute is a UTC minute', (t) => {
  const { leases, clock } = open(t);
  clock.nowMs = END_MS - 21;
  t.equal(leases.request('a', 'k', 100, 1).windowEndMs, END_MS);
  clock.nowMs = END_MS - 20;
  t.match(leases.request('a', 'k', 100, 1), { windowEndMs: END_MS + WINDOW_MS, remaining: 99 });
  t.equal(new Date(END_MS).getUTCSeconds(), 0);
  t.end();
});

test('a lowered limit grants nothing more, a raised one the difference', (t) => {
  const { leases } = open(t);
  drain(leases, 'a', 50);
  t.equal(drain(leases, 'a', 20), 0);
  t.equal(drain(leases, 'a', 60), 10);
  t.end();
});

test('a new primary goes on from the ledger, whoever held what it says', (t) => {
  const folder = t.testdir({});
  const first = open(t, { folder });
  drain(first.leases, 'a', 64, 40);
  drain(first.leases, 'b', 64, 8);
  const second = open(t, { folder, orphans: ['a'] });
  second.leases.report('a', [{ keyId: 'k', windowEndMs: END_MS, admitted: 39, held: 1 }]);
  const rest = drain(second.leases, 'a', 64);
  t.ok(rest <= 16 && rest >= 14, `${rest} of the 16 that were left`);
  t.end();
});

test('in a window that began without a primary it sets a share aside for each worker that is not there yet', (t) => {
  const folder = t.testdir({});
  const { leases } = open(t, { folder, orphans: ['a', 'b', 'c'] });
  leases.report('a', [{ keyId: 'k', windowEndMs: END_MS, admitted: 100, held: 150 }]);
  t.equal(drain(leases, 'a', 1000), 250, 'two shares of 250 are set aside, one is reported');
  leases.report('b', []);
  t.equal(drain(leases, 'a', 1000), 250, 'b took none');
  leases.workerDied('c');
  t.equal(drain(leases, 'a', 1000), 0, 'c may have used its share');
  t.end();
});

test('the next primary sets aside for those the last one never heard', (t) => {
  const folder = t.testdir({});
  const first = open(t, { folder, orphans: ['a', 'b'] });
  first.leases.report('a', []);
  first.leases.workerDied('b');
  const second = open(t, { folder, orphans: ['a'] });
  second.leases.report('a', []);
  t.equal(drain(second.leases, 'a', 1000), 750);
  t.end();
});

test('the ledger is one small file, and the last minute goes when the next begins', (t) => {
  const folder = t.testdir({});
  const { leases, clock } = open(t, { folder });
  for (let index = 0; index < 5000; index++) leases.request('a', 'k', 1000, 1);
  t.same(readdirSync(folder), [`leases-${END_MS}`]);
  t.ok(readFileSync(join(folder, `leases-${END_MS}`), 'utf8').split('\n').length < 70);
  clock.nowMs = END_MS;
  leases.request('a', 'k', 1000, 1);
  t.same(readdirSync(folder), [`leases-${END_MS + WINDOW_MS}`]);
  t.end();
});

test('a torn or foreign line in the ledger spoils no other', (t) => {
  const folder = t.testdir({});
  drain(open(t, { folder }).leases, 'a', 64, 64);
  appendFileSync(join(folder, `leases-${END_MS}`), 'x\n{"awaits":3}\n[1,2]\n["k",');
  const second = open(t, { folder });
  t.equal(drain(second.leases, 'a', 64), 0);
  drain(second.leases, 'a', 1000, 100);
  t.equal(drain(open(t, { folder }).leases, 'a', 64), 0);
  t.end();
});

test('a ledger that cannot be written is told once a window and stops nothing', (t) => {
  const { leases, warnings } = open(t, { folder: join(t.testdir({}), 'missing') });
  t.equal(drain(leases, 'a', 100), 100);
  t.equal(warnings.length, 1);
  t.end();
});

/** Asks until nothing comes, or `most` came. */
function drain(leases: RateLeases, workerId: string, limit: number, most = limit): number {
  let sum = 0;
  for (let index = 0; index < 1000 && sum < most; index++)
    sum += leases.request(workerId, 'k', limit, most - sum).tokens;
  return sum;
}

function open(
  t: Test,
  options: { readonly folder?: string; readonly orphans?: readonly string[] } = {},
): { leases: RateLeases; clock: { nowMs: number }; warnings: string[] } {
  const clock = { nowMs: START_MS + 10_000 };
  const warnings: string[] = [];
  const ledger = openLeaseLedger(options.folder ?? t.testdir({}), (_fields, message) => warnings.push(message));
  const leases = createRateLeases({ now: () => clock.nowMs, workers: 4, ledger, orphans: options.orphans ?? [] });
  return { leases, clock, warnings };
}
