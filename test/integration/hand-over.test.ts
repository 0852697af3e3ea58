// A few of the random schedules of chaos/hand-over.ts, and that what judges them would see what they are about.
import { test } from 'tap';
import { runExperiment } from '../support/hand-over/experiment.ts';
import { createLedger, type Invariant, type Ledger } from '../support/hand-over/ledger.ts';
import type { Fault } from '../support/hand-over/schedule.ts';

const SEED = 5;
const SCHEDULES = [0, 1, 2];
/** The longest are left to the experiment. */
const FAULTS: readonly Fault['type'][] = [
  'kill primary',
  'kill worker',
  'freeze worker in a write',
  'freeze orphans',
  'kill expected worker',
  'kill launcher',
];

test('nothing is lost, old or written twice while primaries, workers and launchers are killed and frozen', async (t) => {
  const reports: string[] = [];
  const findings = await runExperiment({
    seed: SEED,
    schedules: SCHEDULES,
    faults: FAULTS,
    onFailure: (report) => reports.push(report),
  });
  t.same(reports, []);
  t.equal(findings.violations.size, 0);
  t.equal(findings.schedules, SCHEDULES.length);
  t.ok(findings.acknowledged > 0 && findings.readings > findings.acknowledged);
});

test('the judgement', async (t) => {
  const FLAG = 'flag';

  function ledgerWithFlag(): { readonly ledger: Ledger; readonly found: Invariant[] } {
    const ledger = createLedger();
    const found: Invariant[] = [];
    ledger.onViolation((invariant) => found.push(invariant));
    ledger.made(FLAG, 1, false, 10);
    return { ledger, found };
  }
  const reading = (revision: number, version: number, enabled: boolean) => ({
    pid: 1,
    revision,
    flags: new Map([[FLAG, { version, enabled }]]),
  });

  await t.test(
    'finds an older answer to a request that began after the acknowledgement, and to no other',
    async (t) => {
      const { ledger, found } = ledgerWithFlag();
      const before = ledger.floor(1);
      ledger.acknowledged(ledger.begin(FLAG), 2, 11);
      ledger.saw(reading(10, 1, false), before, 'a request sent earlier');
      t.same(found, []);
      ledger.saw(reading(10, 1, false), ledger.floor(2), 'a request sent later');
      t.same(found, ['stale read', 'stale read']);
    },
  );

  await t.test('finds a worker that goes back in what it shows', async (t) => {
    const { ledger, found } = ledgerWithFlag();
    ledger.saw({ pid: 1, revision: 12 }, ledger.floor(1), 'first');
    ledger.saw({ pid: 1, revision: 11 }, ledger.floor(1), 'second');
    t.same(found, ['revision went back']);
  });

  await t.test('finds a value that was not written at its version', async (t) => {
    const { ledger, found } = ledgerWithFlag();
    ledger.acknowledged(ledger.begin(FLAG), 2, 11);
    ledger.saw(reading(11, 2, false), ledger.floor(1), 'a reading');
    t.same(found, ['wrong value']);
  });

  await t.test('finds a lost write, and one that happened though it was refused', async (t) => {
    const { ledger, found } = ledgerWithFlag();
    ledger.acknowledged(ledger.begin(FLAG), 2, 11);
    ledger.settle(FLAG, { version: 1, description: 'write 0' });
    t.same(found, ['lost write', 'lost write']);
    found.length = 0;
    ledger.refused(ledger.begin(FLAG));
    ledger.settle(FLAG, { version: 3, description: 'write 2' });
    t.same(found, ['refused write happened']);
  });

  await t.test('finds a write that happened twice', async (t) => {
    const { ledger, found } = ledgerWithFlag();
    const write = ledger.begin(FLAG);
    ledger.acknowledged(write, 2, 11);
    ledger.acknowledged(write, 3, 12);
    t.same(found, ['written twice']);
  });

  await t.test('finds a worker that shows under an old term what was written in a new one', async (t) => {
    const { ledger, found } = ledgerWithFlag();
    ledger.saw({ pid: 1, revision: 10, term: 1 }, ledger.floor(1), 'first');
    ledger.saw({ pid: 2, revision: 10, term: 2 }, ledger.floor(2), 'second');
    ledger.acknowledged(ledger.begin(FLAG), 2, 11);
    ledger.saw({ pid: 1, revision: 10, term: 1 }, { ...ledger.floor(1), revision: 10 }, 'late news');
    t.same(found, []);
    ledger.saw({ pid: 1, revision: 11, term: 1 }, ledger.floor(1), 'third');
    t.same(found, ['two publishers']);
  });
});
