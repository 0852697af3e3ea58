// Issue "Survive", Show 2: primaries are killed and frozen, workers and orphans frozen, killed and continued, launchers
// killed, by random schedules, while clients write and read. No acknowledged write may be lost, followed by an older
// answer, or published by two.
//
//   npm run chaos:hand-over -- [--schedules 500] [--seed 1] [--only N] [--verbose] [--main PATH] [--break RULE]
//     [--faults 'freeze orphans,kill launcher'] (default: all) [--recovery-ms 20000]
import { parseArgs } from 'node:util';
import { BROKEN_RULES, type BrokenRuleName, breakRule } from '../test/support/hand-over/broken-rules.ts';
import { type Findings, runExperiment, summary, total } from '../test/support/hand-over/experiment.ts';
import { FAULT_TYPES } from '../test/support/hand-over/schedule.ts';

const { values } = parseArgs({
  options: {
    schedules: { type: 'string', default: '500' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    main: { type: 'string' },
    faults: { type: 'string' },
    break: { type: 'string' },
    'recovery-ms': { type: 'string' },
    verbose: { type: 'boolean', default: false },
  },
});
if (values.break !== undefined && !(values.break in BROKEN_RULES))
  throw new Error(`--break takes one of: ${Object.keys(BROKEN_RULES).join(', ')}`);
const broken = values.break === undefined ? undefined : breakRule(values.break as BrokenRuleName);

const faults = values.faults?.split(',').map((name) => {
  const type = FAULT_TYPES.find((each) => each === name);
  if (type === undefined) throw new Error(`--faults takes some of: ${FAULT_TYPES.join(', ')}`);
  return type;
});

const seed = Number(values.seed);
const numbers =
  values.only === undefined ? Array.from({ length: Number(values.schedules) }, (_, i) => i) : [Number(values.only)];

const findings: Findings = await runExperiment({
  seed,
  schedules: numbers,
  main: broken ?? values.main,
  stopAtFirst: broken !== undefined,
  faults,
  recoveryMs: values['recovery-ms'] === undefined ? undefined : Number(values['recovery-ms']),
  verbose: values.verbose,
  onFailure: (report) => console.log(report),
});
console.log(summary(findings));
process.exitCode = total(findings.violations) > 0 ? 1 : 0;
