// Issue "Survive", Show 2: primaries are killed and frozen, workers and orphans frozen, killed and continued, launchers
// killed, by random schedules, while clients write and read. No acknowledged write may be lost, followed by an older
// answer, or published by two.
//
//   npm run chaos:hand-over -- [--schedules 500] [--seed 1] [--only N] [--verbose] [--main PATH]
import { parseArgs } from 'node:util';
import { type Findings, runExperiment, summary, total } from '../test/support/hand-over/experiment.ts';

const { values } = parseArgs({
  options: {
    schedules: { type: 'string', default: '500' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    main: { type: 'string' },
    verbose: { type: 'boolean', default: false },
  },
});
const seed = Number(values.seed);
const numbers =
  values.only === undefined ? Array.from({ length: Number(values.schedules) }, (_, i) => i) : [Number(values.only)];

const findings: Findings = await runExperiment({
  seed,
  schedules: numbers,
  main: values.main,
  verbose: values.verbose,
  onFailure: (report) => console.log(report),
});
console.log(summary(findings));
process.exitCode = total(findings.violations) > 0 ? 1 : 0;
