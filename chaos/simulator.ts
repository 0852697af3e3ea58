// Many schedules of many nodes in virtual time, each from its seed: docs/reliability.md says what is simulated and what
// must hold. Ends with 1 when anything did not.
//
//   npm run simulate [-- --schedules N] [--seed N] [--break gap|epoch|hot-copy] [--trace]
import { parseArgs } from 'node:util';
import { type Failure, runSchedules } from './simulator/run.ts';
import { BREAKS, type Break } from './simulator/wiring.ts';

const FAILURES_MAX = 5;

const { values } = parseArgs({
  options: {
    schedules: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    break: { type: 'string' },
    trace: { type: 'boolean', default: false },
  },
});
const broken = BREAKS.find((name) => name === values.break);
if (values.break !== undefined && broken === undefined) throw new Error(`--break is one of ${BREAKS.join(', ')}`);

const startedAt = process.hrtime.bigint();
const ran = await runSchedules({
  schedules: count(values.schedules),
  seed: count(values.seed),
  broken,
  failuresMax: FAILURES_MAX,
  say: values.trace ? (text) => process.stdout.write(`${text}\n`) : undefined,
});
const seconds = Number(process.hrtime.bigint() - startedAt) / 1e9;
for (const failure of ran.failures) tell(failure, broken);
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

function tell({ seed, rule, detail, atMs }: Failure, by: Break | undefined): void {
  const again = `npm run simulate -- --seed ${seed} --schedules 1${by === undefined ? '' : ` --break ${by}`} --trace`;
  process.stdout.write(`seed ${seed}: ${rule} at ${atMs.toFixed(1)} ms: ${detail}\n  ${again}\n`);
}
