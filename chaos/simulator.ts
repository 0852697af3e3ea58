// Many schedules of many nodes in virtual time, each from its seed: docs/reliability.md says what is simulated and what
// must hold. Ends with 1 when anything did not.
//
//   npm run simulate [-- --schedules N] [--seed N] [--break gap|epoch|hot-copy] [--only STEP,STEP] [--trace]
import { parseArgs } from 'node:util';
import { type Failure, runSchedules } from './simulator/run.ts';
import { shrink } from './simulator/shrink.ts';
import { type Step, textOfStep } from './simulator/steps.ts';
import { BREAKS } from './simulator/wiring.ts';

const FAILURES_MAX = 5;

const { values } = parseArgs({
  options: {
    schedules: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    break: { type: 'string' },
    only: { type: 'string' },
    trace: { type: 'boolean', default: false },
  },
});
const broken = BREAKS.find((name) => name === values.break);
if (values.break !== undefined && broken === undefined) throw new Error(`--break is one of ${BREAKS.join(', ')}`);

// Nodes that cannot reach a store make errors by the thousand, and nobody reads where.
Error.stackTraceLimit = 0;
const startedAt = process.hrtime.bigint();
const ran = await runSchedules({
  schedules: count(values.schedules),
  seed: count(values.seed),
  broken,
  only: values.only === undefined ? undefined : new Set(values.only.split(',').map(Number)),
  failuresMax: FAILURES_MAX,
  say: values.trace ? (text) => process.stdout.write(`${text}\n`) : undefined,
});
const seconds = Number(process.hrtime.bigint() - startedAt) / 1e9;
for (const [index, failure] of ran.failures.entries()) await tell(failure, index === 0);
process.stdout.write(
  `${ran.schedules} schedules, ${ran.steps} steps, ${ran.events} events in ${seconds.toFixed(1)} s ` +
    `(${((seconds * 1000) / ran.schedules).toFixed(2)} ms each): ${ran.failures.length} failed\n`,
);
process.exit(ran.failures.length === 0 ? 0 : 1);

function count(text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1) throw new Error(`${text} is no whole number from 1 on`);
  return number;
}

/** The first one with the steps that it needs. */
async function tell(failure: Failure, isFirst: boolean): Promise<void> {
  const { seed, rule, detail, atMs, steps } = failure;
  const shrinks = isFirst && values.only === undefined;
  const needed = shrinks ? await shrink(failure, steps.length, broken) : [];
  const lines = [`seed ${seed}: ${rule} at ${atMs.toFixed(1)} ms: ${detail}`];
  for (const index of needed) lines.push(`  step ${index}: ${textOfStep(steps[index] as Step)}`);
  const options = [
    `--seed ${seed} --schedules 1`,
    ...(broken === undefined ? [] : [`--break ${broken}`]),
    ...(needed.length === 0 ? [] : [`--only ${needed.join()}`]),
    '--trace',
  ];
  lines.push(`  npm run simulate -- ${options.join(' ')}`);
  process.stdout.write(`${lines.join('\n')}\n`);
}
